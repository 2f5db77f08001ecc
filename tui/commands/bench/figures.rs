//! What a run is told in: measures with their names and units, and the figures of one round.

use std::time::Duration;

use super::{super::grouped, verify::Verdict};

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    CpuPerMessage,
    CpuPerDelivery,
    Throughput,
    Deliveries,
    Bandwidth,
    LatencyP50,
    LatencyP99,
    LatencyP999,
    LatencyMax,
    WithinP50,
    WithinP99,
    WithinP999,
    BeforeP99,
    Counted,
    Covered,
    Flood,
    FillCpu,
    QueuedMessage,
    Drain,
    DrainCpu,
    Registrations,
    RegistrationCpu,
    Connection,
    Detached,
    PeakMemory,
    LoadCpu,
    IdleCpu,
}

/// What a measure counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Number,
    Percent,
    Nanoseconds,
    Microseconds,
    PerSecond,
    Megabytes,
    Bytes,
    Mebibytes,
}

impl Measure {
    /// Its name for programs, with the unit of the value in it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::CpuPerMessage => "cpu_ns_per_message",
            Self::CpuPerDelivery => "cpu_ns_per_delivery",
            Self::Throughput => "messages_per_second",
            Self::Deliveries => "deliveries_per_second",
            Self::Bandwidth => "payload_mb_per_second",
            Self::LatencyP50 => "latency_p50_us",
            Self::LatencyP99 => "latency_p99_us",
            Self::LatencyP999 => "latency_p99_9_us",
            Self::LatencyMax => "latency_max_us",
            Self::WithinP50 => "broker_p50_us",
            Self::WithinP99 => "broker_p99_us",
            Self::WithinP999 => "broker_p99_9_us",
            Self::BeforeP99 => "load_late_p99_us",
            Self::Counted => "latencies_counted",
            Self::Covered => "company_percent_of_time",
            Self::Flood => "flood_messages_per_second",
            Self::FillCpu => "fill_cpu_ns_per_message",
            Self::QueuedMessage => "memory_bytes_per_queued_message",
            Self::Drain => "drained_per_second",
            Self::DrainCpu => "drain_cpu_ns_per_message",
            Self::Registrations => "registrations_per_second",
            Self::RegistrationCpu => "cpu_ns_per_registration",
            Self::Connection => "memory_bytes_per_connection",
            Self::Detached => "memory_bytes_per_detached",
            Self::PeakMemory => "peak_memory_bytes",
            Self::LoadCpu => "load_cpu_ns_per_message",
            Self::IdleCpu => "cpu_us_per_second",
        }
    }

    /// Its name for people.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::CpuPerMessage => "broker CPU a message",
            Self::CpuPerDelivery => "broker CPU a delivery",
            Self::Throughput => "messages",
            Self::Deliveries => "deliveries",
            Self::Bandwidth => "payload published",
            Self::LatencyP50 => "latency p50",
            Self::LatencyP99 => "latency p99",
            Self::LatencyP999 => "latency p99.9",
            Self::LatencyMax => "latency max",
            Self::WithinP50 => "within the broker p50",
            Self::WithinP99 => "within the broker p99",
            Self::WithinP999 => "within the broker p99.9",
            Self::BeforeP99 => "load too late p99",
            Self::Counted => "messages that count",
            Self::Covered => "time in company",
            Self::Flood => "the flood",
            Self::FillCpu => "broker CPU a dead letter",
            Self::QueuedMessage => "memory a dead letter",
            Self::Drain => "drained",
            Self::DrainCpu => "broker CPU a drained one",
            Self::Registrations => "registrations",
            Self::RegistrationCpu => "broker CPU a registration",
            Self::Connection => "memory a connection",
            Self::Detached => "memory a client gone",
            Self::PeakMemory => "broker memory, peak",
            Self::LoadCpu => "load CPU a message",
            Self::IdleCpu => "broker CPU a second",
        }
    }

    fn unit(self) -> Unit {
        match self {
            Self::CpuPerMessage
            | Self::CpuPerDelivery
            | Self::FillCpu
            | Self::DrainCpu
            | Self::RegistrationCpu
            | Self::LoadCpu => Unit::Nanoseconds,
            Self::LatencyP50
            | Self::LatencyP99
            | Self::LatencyP999
            | Self::LatencyMax
            | Self::WithinP50
            | Self::WithinP99
            | Self::WithinP999
            | Self::BeforeP99
            | Self::IdleCpu => Unit::Microseconds,
            Self::Counted => Unit::Number,
            Self::Covered => Unit::Percent,
            Self::Throughput | Self::Flood | Self::Deliveries | Self::Drain | Self::Registrations => Unit::PerSecond,
            Self::Bandwidth => Unit::Megabytes,
            Self::QueuedMessage | Self::Connection | Self::Detached => Unit::Bytes,
            Self::PeakMemory => Unit::Mebibytes,
        }
    }

    /// `value` as people read it, with its unit.
    pub(super) fn written(self, value: f64) -> String {
        let number = self.number(value);
        match self.unit() {
            Unit::Number => number,
            Unit::Percent => format!("{number} %"),
            Unit::Nanoseconds => format!("{number} ns"),
            Unit::Microseconds => format!("{number} µs"),
            Unit::PerSecond => format!("{number}/s"),
            Unit::Megabytes => format!("{number} MB/s"),
            Unit::Bytes => format!("{number} B"),
            Unit::Mebibytes => format!("{number} MiB"),
        }
    }

    /// The same without its unit.
    pub(super) fn number(self, value: f64) -> String {
        let value = if self.unit() == Unit::Mebibytes { value / f64::from(1 << 20) } else { value };
        if value.abs() < 10.0 && self.unit() != Unit::Number { format!("{value:.1}") } else { rounded(value) }
    }
}

/// A whole number in groups, with a sign if it needs one.
fn rounded(value: f64) -> String {
    format!("{}{}", if value < 0.0 { "-" } else { "" }, grouped(value.abs().round() as u64))
}

/// One round with one broker.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Round {
    pub(super) figures: Vec<(Measure, f64)>,
    pub(super) verdict: Verdict,
    /// CPU time of the broker, if it could be read.
    pub(super) cpu: Option<Duration>,
}

impl Round {
    pub(super) fn add(&mut self, measure: Measure, value: f64) {
        self.figures.push((measure, value));
    }

    /// A time, shared by so many; nothing if it is not known.
    pub(super) fn add_each(&mut self, measure: Measure, time: Option<Duration>, count: u64) {
        if let Some(time) = time {
            self.add(measure, time.as_nanos() as f64 / count.max(1) as f64);
        }
    }

    /// How many a second.
    pub(super) fn add_rate(&mut self, measure: Measure, count: u64, time: Duration) {
        self.add(measure, count as f64 / time.as_secs_f64().max(1e-9));
    }

    pub(super) fn value(&self, measure: Measure) -> Option<f64> {
        self.figures.iter().find(|(which, _)| *which == measure).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_digits_that_mean_something() {
        for (measure, value, written) in [
            (Measure::CpuPerMessage, 51.4, "51 ns"),
            (Measure::CpuPerMessage, 5.14, "5.1 ns"),
            (Measure::Throughput, 2_345_678.4, "2,345,678/s"),
            (Measure::LatencyP50, 62.0, "62 µs"),
            (Measure::PeakMemory, 12.0 * 1_048_576.0, "12 MiB"),
            (Measure::Detached, -1_234.0, "-1,234 B"),
            (Measure::Bandwidth, 98.7, "99 MB/s"),
        ] {
            assert_eq!(measure.written(value), written);
        }
    }

    #[test]
    fn a_round_has_what_could_be_measured() {
        let mut round = Round::default();
        round.add_each(Measure::CpuPerMessage, Some(Duration::from_micros(1)), 10);
        round.add_each(Measure::LoadCpu, None, 10);
        round.add_rate(Measure::Throughput, 10, Duration::from_secs(2));
        assert_eq!(round.value(Measure::CpuPerMessage), Some(100.0));
        assert_eq!(round.value(Measure::Throughput), Some(5.0));
        assert_eq!(round.value(Measure::LoadCpu), None);
    }
}
