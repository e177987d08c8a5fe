//! Who descends from whom, read from `/proc`: used only when something has to be ended or stopped.
//!
//! A process that left its group and session is still a descendant of the supervisor, which is the
//! subreaper. Elsewhere than on Linux the table is empty, and only process groups are ended.

use std::{collections::BTreeSet, path::Path};

use crate::base::fs;

/// One process, as it was when the table was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    /// With `pid`, names one process for ever.
    pub started: u64,
    /// It ended and waits to be reaped.
    pub ended: bool,
}

/// All processes that may be seen.
#[derive(Default, Debug)]
pub struct ProcessTable {
    processes: Vec<Process>,
}

impl ProcessTable {
    pub fn read() -> Self {
        let entries = fs::list(Path::new("/proc")).ok().flatten().unwrap_or_default();
        let processes = entries
            .iter()
            .filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok())
            .filter_map(|pid| parse_stat(&fs::read_if_there(Path::new(&format!("/proc/{pid}/stat"))).ok()??))
            .collect();
        ProcessTable { processes }
    }

    /// Everything that descends from a process for which `is_root` holds, those included.
    pub fn family(&self, is_root: impl Fn(&Process) -> bool) -> Vec<&Process> {
        let mut pids: BTreeSet<i32> = self.processes.iter().filter(|it| is_root(it)).map(|it| it.pid).collect();
        loop {
            let before = pids.len();
            pids.extend(
                self.processes.iter().filter(|it| pids.contains(&it.parent)).map(|it| it.pid).collect::<Vec<_>>(),
            );
            if pids.len() == before {
                break;
            }
        }
        self.processes.iter().filter(|it| pids.contains(&it.pid)).collect()
    }
}

/// When a process was started, in ticks since the system was; `None` if that cannot be seen.
pub fn started(pid: u32) -> Option<u64> {
    parse_stat(&fs::read_if_there(Path::new(&format!("/proc/{pid}/stat"))).ok()??).map(|it| it.started)
}

/// Whether the process was started with `word` standing by itself somewhere in its environment.
pub fn environment_names(pid: i32, word: &str) -> bool {
    let Ok(Some(bytes)) = fs::read_if_there(Path::new(&format!("/proc/{pid}/environ"))) else { return false };
    let part_of_word = |it: Option<&u8>| it.is_some_and(u8::is_ascii_alphanumeric);
    !word.is_empty()
        && bytes.windows(word.len()).enumerate().any(|(at, it)| {
            it == word.as_bytes()
                && !part_of_word(at.checked_sub(1).and_then(|it| bytes.get(it)))
                && !part_of_word(bytes.get(at + word.len()))
        })
}

/// The name of the program stands in parentheses and may itself contain any of ` ()\n`.
fn parse_stat(bytes: &[u8]) -> Option<Process> {
    let text = String::from_utf8_lossy(bytes);
    let pid = text.split(' ').next()?.parse().ok()?;
    let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let started = fields.nth(16)?.parse().ok()?;
    Some(Process { pid, parent, group, started, ended: matches!(state, "Z" | "X" | "x") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_do_not_confuse() {
        let line = b"42 (a) R 1 (x) S 7 42 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 11 12";
        let found = parse_stat(line).unwrap();
        assert_eq!(found, Process { pid: 42, parent: 7, group: 42, started: 987_654, ended: false });
        assert_eq!(parse_stat(b"42 (a"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn family_is_closed_under_children() {
        let made = |pid, parent| Process { pid, parent, group: pid, started: 0, ended: false };
        let table = ProcessTable { processes: vec![made(4, 3), made(3, 2), made(2, 1), made(5, 1), made(6, 5)] };
        let pids: Vec<i32> = table.family(|it| it.pid == 2).iter().map(|it| it.pid).collect();
        assert_eq!(pids, [4, 3, 2]);
    }
}
