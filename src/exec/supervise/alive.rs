//! Whether the process that makes a run still lives: for display, and to leave alone what is at work.
//! Nothing is ever taken over by this word; that is what locks are for.

use jiff::Timestamp;
use rustix::process::{Pid, test_kill_process};

use super::process_table;
use crate::{base::clock, plan::record::RunRecord};

/// Clocks are set and ticks are coarse.
const SLACK_MS: i64 = 2000;

/// `host` is this machine's name. A run on another machine that has no end is taken to be alive.
pub fn is_alive(run: &RunRecord, host: &str, now: Timestamp) -> bool {
    if run.outcome.is_some() {
        return false;
    }
    if run.host != host {
        return true;
    }
    let Some(pid) = i32::try_from(run.pid).ok().and_then(Pid::from_raw) else { return false };
    if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    // The number may be another process's by now.
    match process_table::started(run.pid) {
        Some(ticks) => {
            let since_boot = ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second();
            let age = i64::try_from(clock::uptime_ms().saturating_sub(since_boot)).unwrap_or(i64::MAX);
            now.as_millisecond().saturating_sub(age) <= run.started_at.as_millisecond().saturating_add(SLACK_MS)
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::{
        base::clock::{Clock, SystemClock},
        plan::record::RunId,
    };

    fn run(pid: u32, started_at: Timestamp) -> RunRecord {
        RunRecord {
            id: RunId("r1".to_owned()),
            started_at,
            ended_at: None,
            outcome: None,
            command: Vec::new(),
            steps: Vec::new(),
            pid,
            host: "here".to_owned(),
        }
    }

    #[test]
    fn a_process_that_was_started_later_is_another_one() {
        let now = SystemClock.now();
        let this = std::process::id();
        let long_ago = now - 2400.hours();
        assert!(is_alive(&run(this, now), "here", now));
        assert!(!is_alive(&run(this, long_ago), "here", now));
        assert!(is_alive(&run(this, long_ago), "elsewhere", now));
    }
}
