//! What was measured, for people and for programs. Pure: rounds in, text out.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    super::grouped,
    figures::{Measure, Round},
    plan::{Amount, Plan},
    statistics::{Spread, ratio},
    verify::Verdict,
};
use crate::cli::Company;

/// Between columns.
const GAP: &str = "   ";

/// Who else is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Situation {
    /// Nobody, and nobody asks.
    Usual,
    Beside(Company),
    /// Nobody, to compare with.
    Alone,
}

impl Situation {
    pub(super) fn company(self) -> Option<Company> {
        match self {
            Self::Beside(company) => Some(company),
            Self::Usual | Self::Alone => None,
        }
    }
}

/// All rounds with one broker.
#[derive(Debug, Clone)]
pub(super) struct Side {
    /// Name and version.
    pub(super) broker: String,
    pub(super) situation: Situation,
    pub(super) rounds: Vec<Round>,
}

impl Side {
    /// The broker, and in what situation.
    pub(super) fn name(&self) -> String {
        match self.situation {
            Situation::Usual => self.broker.clone(),
            Situation::Beside(company) => format!("{}, beside a {company}", self.broker),
            Situation::Alone => format!("{}, alone", self.broker),
        }
    }

    fn spread(&self, measure: Measure) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| round.value(measure)))
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.rounds.iter().map(|round| round.verdict).fold(Verdict::default(), Verdict::and)
    }
}

/// One workload with the brokers that were measured, ours first; each beside itself without, if that is the question.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) plan: Plan,
    /// The first has its console, the other has none.
    pub(super) is_about_console: bool,
    pub(super) sides: Vec<Side>,
}

impl Report {
    pub(super) fn is_sound(&self) -> bool {
        self.sides.iter().all(|side| side.verdict().is_sound())
    }

    /// What was measured with anybody, in order.
    fn measures(&self) -> Vec<Measure> {
        let mut measures = Vec::new();
        for (measure, _) in self.sides.iter().flat_map(|side| side.rounds.iter()).flat_map(|round| round.figures.iter()) {
            if !measures.contains(measure) {
                measures.push(*measure);
            }
        }
        measures
    }

    /// The first of a pair over the other.
    fn ratio(pair: &[Side], measure: Measure) -> Option<Spread> {
        let [first, other] = pair else { return None };
        let neighbours = first.rounds.iter().zip(&other.rounds);
        ratio(neighbours.filter_map(|(first, other)| Some((first.value(measure)?, other.value(measure)?))))
    }

    /// What has taken turns: ours and another broker, or a broker with something and without.
    fn pairs(&self) -> impl Iterator<Item = &[Side]> {
        self.sides.chunks(2)
    }

    /// If the first of a pair is the other with something: what the other one is.
    fn without(&self) -> Option<&'static str> {
        if self.is_about_console { Some("without") } else { self.plan.beside.map(|_| "alone") }
    }

    fn title(&self) -> String {
        format!("{}{}", self.plan.title(), if self.is_about_console { ", with the console" } else { "" })
    }

    /// For people: a title, and a line for each measure.
    pub(super) fn table(&self) -> String {
        let mut rows = vec![self.head()];
        for measure in self.measures() {
            let mut row = vec![measure.label().to_owned()];
            for pair in self.pairs() {
                row.extend(
                    pair.iter().map(|side| side.spread(measure).map_or_else(String::new, |spread| written(measure, spread))),
                );
                row.extend((pair.len() == 2).then(|| Self::ratio(pair, measure).map_or_else(String::new, as_ratio)));
            }
            rows.push(row);
        }
        let mut table = format!("{}{}\n", self.title(), self.rounds());
        for row in aligned(&rows) {
            let _ = writeln!(table, "{}", row.trim_end());
        }
        let verified = self.verified();
        if !verified.is_empty() {
            let _ = writeln!(table, "{verified}");
        }
        table
    }

    /// What became of the messages, in a line for each broker that had some.
    pub(super) fn verified(&self) -> String {
        let sides = self.sides.iter().filter(|side| side.verdict() != Verdict::default());
        let lines: Vec<String> = sides.map(|side| verified(&side.name(), side.verdict())).collect();
        lines.join("\n")
    }

    fn head(&self) -> Vec<String> {
        let mut head = vec![String::new()];
        for pair in self.pairs() {
            head.extend(pair.iter().map(Side::name));
            head.extend((pair.len() == 2).then(|| "ratio".to_owned()));
        }
        head
    }

    fn rounds(&self) -> String {
        match self.sides.iter().map(|side| side.rounds.len()).max().unwrap_or_default() {
            0 | 1 => String::new(),
            rounds => format!("; medians of {rounds} rounds (least to most)"),
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let plan = &self.plan;
        let sides: Vec<Value> = self.sides.iter().map(side_as_json).collect();
        let ratios = |nth| {
            let pair = self.pairs().nth(nth).unwrap_or_default();
            let of = |measure: Measure| Some((measure.key().to_owned(), spread_as_json(Self::ratio(pair, measure)?)));
            self.measures().into_iter().filter_map(of).collect::<Map<String, Value>>()
        };
        let (messages, seconds) = match plan.amount {
            Amount::Messages(messages) => (Some(messages), None),
            Amount::Time(time) => (None, Some(time.as_secs_f64())),
        };
        json!({
            "workload": plan.workload.to_string(),
            "payload_bytes": plan.payload,
            "messages": messages,
            "seconds": seconds,
            "window": plan.window,
            "clients": plan.clients,
            "topics": plan.topics,
            "wildcard": plan.wildcard,
            "rate_per_second": plan.rate,
            "acks": if plan.acks == crate::cli::Acks::Explicit { "explicit" } else { "none" },
            "other_filters": plan.filters,
            "other_topics": plan.other_topics,
            "beside": plan.beside.map(|company| company.to_string()),
            "letters": plan.beside.filter(|company| *company == Company::Drain).map(|_| plan.letters),
            "sound": self.is_sound(),
            "brokers": sides,
            "ratios": ratios(0),
            "ratios_of_rival": ratios(1),
        })
    }

    /// Rows of a Markdown table, for `measures`: ours, theirs, and how they compare; each with what it is of itself without, if
    /// that is the question.
    pub(super) fn markdown(&self, measures: &[Measure]) -> String {
        let dash = || "–".to_owned();
        let mut rows = String::new();
        for measure in measures {
            let cell = |side: &Side| side.spread(*measure).map_or_else(dash, |spread| measure.written(spread.median));
            let (ours, theirs, ratio) = match self.without() {
                None => {
                    let mut cells = self.sides.iter().map(cell);
                    let ratio = Self::ratio(&self.sides, *measure).map_or_else(dash, as_ratio);
                    (cells.next(), cells.next(), ratio)
                }
                Some(without) => {
                    let mut cells = self.pairs().map(|pair| {
                        let ratio = Self::ratio(pair, *measure).map_or_else(dash, as_ratio);
                        format!("{}, {ratio} {without}", cell(&pair[0]))
                    });
                    let firsts: Vec<Side> = self.pairs().map(|pair| pair[0].clone()).collect();
                    (cells.next(), cells.next(), Self::ratio(&firsts, *measure).map_or_else(dash, as_ratio))
                }
            };
            let (ours, theirs) = (ours.unwrap_or_else(dash), theirs.unwrap_or_else(dash));
            let _ = writeln!(rows, "| {} | {} | {ours} | {theirs} | {ratio} |", self.title(), measure.label());
        }
        rows
    }
}

/// The head of the table that [`Report::markdown`] has rows for.
pub(super) fn markdown_head(ours: &str, theirs: Option<&str>) -> String {
    format!(
        "| workload | measured | {ours} | {} | ratio (least to most) |\n|---|---|---|---|---|\n",
        theirs.unwrap_or("another broker")
    )
}

fn written(measure: Measure, spread: Spread) -> String {
    let median = measure.written(spread.median);
    if spread.least.to_bits() == spread.most.to_bits() {
        return median;
    }
    format!("{median} ({} to {})", measure.number(spread.least), measure.number(spread.most))
}

fn as_ratio(spread: Spread) -> String {
    if spread.least.to_bits() == spread.most.to_bits() {
        return format!("{:.2} ×", spread.median);
    }
    format!("{:.2} × ({:.2} to {:.2})", spread.median, spread.least, spread.most)
}

/// In words, what became of the messages.
fn verified(broker: &str, verdict: Verdict) -> String {
    if verdict.is_sound() {
        return format!("{broker}: {} deliveries verified, none lost, repeated or wrong", grouped(verdict.sound));
    }
    let counts = [(verdict.lost, "lost"), (verdict.repeated, "repeated or out of order"), (verdict.wrong, "wrong")];
    let told: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", grouped(*count))).collect();
    format!("{broker}: of {} deliveries {}", grouped(verdict.sound + verdict.lost), told.join(", "))
}

fn side_as_json(side: &Side) -> Value {
    let rounds: Vec<Value> = side
        .rounds
        .iter()
        .map(|round| {
            let figures: Map<String, Value> =
                round.figures.iter().map(|(measure, value)| (measure.key().to_owned(), json!(value))).collect();
            Value::Object(figures)
        })
        .collect();
    let verdict = side.verdict();
    json!({
        "broker": side.broker,
        "beside": side.situation.company().map(|company| company.to_string()),
        "rounds": rounds,
        "deliveries": verdict.sound,
        "lost": verdict.lost,
        "repeated": verdict.repeated,
        "wrong": verdict.wrong,
    })
}

fn spread_as_json(spread: Spread) -> Value {
    json!({ "median": spread.median, "least": spread.least, "most": spread.most })
}

/// Rows with columns of one width.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join(GAP)
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::bench::plan::tests::planned;

    fn side(broker: &str, cpu: &[f64], verdict: Verdict) -> Side {
        let round = |value: &f64| Round { figures: vec![(Measure::CpuPerMessage, *value)], verdict, cpu: None };
        Side { broker: broker.to_owned(), situation: Situation::Usual, rounds: cpu.iter().map(round).collect() }
    }

    fn sound(deliveries: u64) -> Verdict {
        Verdict { sound: deliveries, ..Verdict::default() }
    }

    fn compared() -> Report {
        let sides = vec![side("ours 1", &[50.0, 60.0, 52.0], sound(5)), side("theirs 22", &[200.0, 200.0, 400.0], sound(5))];
        Report { plan: planned("").unwrap(), is_about_console: false, sides }
    }

    #[test]
    fn a_table_has_medians_spreads_and_ratios() {
        let table = "\
1to1, 16 B; medians of 3 rounds (least to most)
                       ours 1             theirs 22             ratio
broker CPU a message   52 ns (50 to 60)   200 ns (200 to 400)   0.25 × (0.13 to 0.30)
ours 1: 15 deliveries verified, none lost, repeated or wrong
theirs 22: 15 deliveries verified, none lost, repeated or wrong
";
        assert_eq!(compared().table(), table);
    }

    /// A round that could not measure something does not make neighbours of others.
    #[test]
    fn a_ratio_is_of_one_round() {
        let mut report = compared();
        report.sides[0].rounds[0].figures.clear();
        let ratio = Report::ratio(&report.sides, Measure::CpuPerMessage).unwrap();
        assert_eq!((ratio.least, ratio.most), (0.13, 0.3));
    }

    #[test]
    fn one_round_of_one_broker_has_neither_spread_nor_ratio() {
        let report = Report { sides: vec![side("ours", &[52.0], sound(1_000))], ..compared() };
        let table = "\
1to1, 16 B
                       ours
broker CPU a message   52 ns
ours: 1,000 deliveries verified, none lost, repeated or wrong
";
        assert_eq!(report.table(), table);
    }

    #[test]
    fn what_went_wrong_is_told_by_its_kind() {
        let verdict = Verdict { sound: 1_997, lost: 3, repeated: 2, wrong: 0 };
        let report = Report { sides: vec![side("ours", &[52.0], verdict)], ..compared() };
        assert!(!report.is_sound());
        assert!(report.table().ends_with("ours: of 2,000 deliveries 3 lost, 2 repeated or out of order\n"), "{}", report.table());
        assert_eq!(report.json()["brokers"][0]["lost"], 3);
        assert_eq!(report.json()["sound"], false);
    }

    #[test]
    fn an_object_has_every_round_and_every_ratio() {
        let object = compared().json();
        assert_eq!(
            (&object["workload"], &object["messages"], &object["seconds"]),
            (&"1to1".into(), &5_000_000.into(), &Value::Null)
        );
        assert_eq!(object["sound"], true);
        assert_eq!(object["brokers"][1]["rounds"][2]["cpu_ns_per_message"], 400.0);
        assert_eq!(object["ratios"]["cpu_ns_per_message"]["median"], 0.25);
    }

    #[test]
    fn a_row_has_a_dash_where_nothing_was_measured() {
        let rows = compared().markdown(&[Measure::CpuPerMessage, Measure::Drain]);
        let expected = "\
| 1to1, 16 B | broker CPU a message | 52 ns | 200 ns | 0.25 × (0.13 to 0.30) |
| 1to1, 16 B | drained | – | – | – |
";
        assert_eq!(rows, expected);
        let columns = |line: &str| line.matches('|').count();
        assert!(markdown_head("a", None).lines().chain(rows.lines()).all(|line| columns(line) == 6));
    }

    /// Each broker is compared with itself first, and then with the other.
    #[test]
    fn company_is_told_of_each_broker() {
        let in_turn = |broker: &str, beside: f64, alone: f64| {
            let company = Situation::Beside(Company::Flood);
            [(company, beside), (Situation::Alone, alone)].map(|(situation, p99)| {
                let round = Round { figures: vec![(Measure::LatencyP99, p99)], verdict: sound(7), cpu: None };
                Side { broker: broker.to_owned(), situation, rounds: vec![round] }
            })
        };
        let sides = [in_turn("ours", 300.0, 200.0), in_turn("theirs", 600.0, 200.0)].concat();
        let report = Report { plan: planned("latency --beside flood").unwrap(), is_about_console: false, sides };
        let table = "\
latency, 100 to 100, 16 B, 10/s each, beside a flood
              ours, beside a flood   ours, alone   ratio    theirs, beside a flood   theirs, alone   ratio
latency p99   300 µs                 200 µs        1.50 ×   600 µs                   200 µs          3.00 ×
ours, beside a flood: 7 deliveries verified, none lost, repeated or wrong
";
        assert!(report.table().starts_with(table), "{}", report.table());
        let row = "| latency, 100 to 100, 16 B, 10/s each, beside a flood | latency p99 | 300 µs, 1.50 × alone | 600 µs, 3.00 × alone | 0.50 × |\n";
        assert_eq!(report.markdown(&[Measure::LatencyP99]), row);
        let object = report.json();
        assert_eq!((&object["beside"], &object["letters"]), (&"flood".into(), &Value::Null));
        assert_eq!((&object["brokers"][0]["beside"], &object["brokers"][1]["beside"]), (&"flood".into(), &Value::Null));
        assert_eq!(object["ratios"]["latency_p99_us"]["median"], 1.5);
        assert_eq!(object["ratios_of_rival"]["latency_p99_us"]["median"], 3.0);
    }

    #[test]
    fn a_console_is_told_beside_none() {
        let sides = vec![side("ours with its console", &[55.0], sound(5)), side("ours", &[50.0], sound(5))];
        let report = Report { is_about_console: true, sides, ..compared() };
        let row = "| 1to1, 16 B, with the console | broker CPU a message | 55 ns, 1.10 × without | – | – |\n";
        assert_eq!(report.markdown(&[Measure::CpuPerMessage]), row);
    }
}
