//! What a process has used: CPU time and memory, from `/proc`.

use std::{collections::BTreeMap, fs, io, time::Duration};

/// The unit of `/proc/PID/stat`, the same on every Linux that a person meets.
const TICK: Duration = Duration::from_millis(10);

/// CPU time, user and system, of a process so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cpu {
    /// All of it, threads that have ended included, in whole ticks.
    coarse: Duration,
    /// That of each thread that lives, in nanoseconds.
    threads: BTreeMap<String, Duration>,
}

impl Cpu {
    pub(super) fn of(process: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let coarse = ticks(&stat).ok_or_else(|| io::Error::other(format!("/proc/{process}/stat has another form")))?;
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let thread = thread?;
            // A thread may end between being listed and being read; a kernel may keep no such account.
            let read = fs::read_to_string(thread.path().join("schedstat")).ok().and_then(|text| nanoseconds(&text));
            threads.extend(read.map(|time| (thread.file_name().to_string_lossy().into_owned(), time)));
        }
        Ok(Self { coarse, threads })
    }

    /// What was used since `earlier`: to the nanosecond if the threads that live account for all of it, otherwise to the tick.
    pub(super) fn since(&self, earlier: &Self) -> Duration {
        let before = |thread: &String| earlier.threads.get(thread).copied().unwrap_or_default();
        let fine: Duration = self.threads.iter().map(|(thread, time)| time.saturating_sub(before(thread))).sum();
        let coarse = self.coarse.saturating_sub(earlier.coarse);
        if fine.abs_diff(coarse) <= 2 * TICK { fine } else { coarse }
    }
}

/// User and system time in `stat`. The name, which may hold anything, ends at the last parenthesis.
fn ticks(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<u32>);
    Some(TICK * times.next()?.ok()? + TICK * times.next()?.ok()?)
}

/// The time on a CPU in `schedstat`.
fn nanoseconds(schedstat: &str) -> Option<Duration> {
    schedstat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Bytes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) now: u64,
    pub(super) peak: u64,
}

impl Memory {
    pub(super) fn of(process: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        Self::read(&status).ok_or_else(|| io::Error::other(format!("/proc/{process}/status has another form")))
    }

    fn read(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kibibytes << 10)
        };
        Some(Self { now: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_writes_is_read() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 100 0 0 0 12 3 0 0 20 0 4 0 100 1 1 1";
        assert_eq!(ticks(stat), Some(Duration::from_millis(150)));
        assert_eq!(ticks("7 (a) S 1"), None);
        assert_eq!(nanoseconds("1500 20 3\n"), Some(Duration::from_nanos(1_500)));
        let status = "Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(Memory::read(status), Some(Memory { now: 1 << 20, peak: 2 << 20 }));
        assert_eq!(Memory::read("Name:\ta\n"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let (before, process) = (Cpu::of(std::process::id()).unwrap(), std::process::id());
        assert_eq!(before.since(&before), Duration::ZERO);
        let memory = Memory::of(process).unwrap();
        assert!(memory.peak >= memory.now && memory.now > 0, "{memory:?}");
        assert!(Cpu::of(0).is_err() && Memory::of(0).is_err());
    }

    /// The fine account is taken only if it is whole.
    #[test]
    fn threads_that_have_ended_are_not_forgotten() {
        let cpu = |coarse, threads: &[(&str, u64)]| Cpu {
            coarse: Duration::from_millis(coarse),
            threads: threads.iter().map(|(thread, micros)| ((*thread).to_owned(), Duration::from_micros(*micros))).collect(),
        };
        let before = cpu(100, &[("1", 60_000), ("2", 40_000)]);
        assert_eq!(cpu(110, &[("1", 61_500), ("2", 47_000)]).since(&before), Duration::from_micros(8_500));
        assert_eq!(cpu(110, &[("1", 66_000), ("3", 2_000)]).since(&before), Duration::from_millis(8));
        assert_eq!(cpu(600, &[("1", 61_000)]).since(&before), Duration::from_millis(500));
        assert_eq!(cpu(600, &[]).since(&before), Duration::from_millis(500));
    }
}
