//! This machine and its processes. Nothing is ever decided by a process id: those are for display.

use std::path::PathBuf;

use crate::base::fs;

/// The machine's name.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether a process of this id is there now; it may be another than was meant.
pub fn is_there(pid: u32) -> bool {
    matches!(fs::look(&PathBuf::from(format!("/proc/{pid}"))), Ok(Some(_)))
}

/// How many files this process may have open at once.
pub fn open_files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX))
}

/// Bytes of memory that could be had without taking them from anybody; a guess where the system does not tell.
pub fn free_memory() -> u64 {
    const GUESS: u64 = 1 << 30;
    let told = fs::read(&PathBuf::from("/proc/meminfo")).unwrap_or_default();
    let told = String::from_utf8_lossy(&told);
    let line = told.lines().find_map(|it| it.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.map_or(GUESS, |it| it.saturating_mul(1024))
}

/// Milliseconds of CPU that this process has taken so far; 0 where the system does not tell.
pub fn cpu_ms() -> u64 {
    use nix::sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike,
    };
    let used = getrusage(UsageWho::RUSAGE_SELF).map(|it| (it.user_time() + it.system_time()).num_milliseconds());
    used.ok().and_then(|it| u64::try_from(it).ok()).unwrap_or(0)
}
