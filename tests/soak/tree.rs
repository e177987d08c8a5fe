//! What is done to the machine: a tree of processes that ends at one moment, a disk without room.

use std::{collections::BTreeSet, fs, path::Path};

use rustix::{
    fs::{FallocateFlags, fallocate, statvfs},
    process::{Pid, Signal, kill_process},
};

/// Kills a process and everything below it, none of which does anything between the first end and the
/// last: all are stopped before one is killed.
pub fn kill(root: u32) {
    let mut stopped = BTreeSet::new();
    let mut found = BTreeSet::from([root]);
    while !found.is_empty() {
        found.iter().for_each(|it| signal(*it, Signal::STOP));
        stopped.append(&mut found);
        found = children_of(&stopped);
    }
    stopped.iter().for_each(|it| signal(*it, Signal::KILL));
}

fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(process.try_into().expect("a pid is small")).expect("a pid is not 0");
    // One that has ended meanwhile needs none.
    let _ = kill_process(process, signal);
}

fn children_of(parents: &BTreeSet<u32>) -> BTreeSet<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let processes = processes.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |process: &u32| {
        let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
        let parent = stat.rsplit(')').next().and_then(|it| it.split_whitespace().nth(1)?.parse().ok());
        parent.is_some_and(|it| parents.contains(&it)) && !parents.contains(process)
    };
    processes.filter(is_child).collect()
}

/// Leaves about so many bytes of room on the disk of `filler`.
pub fn fill(filler: &Path, room: u64) {
    let file = fs::File::create(filler).unwrap();
    let disk = statvfs(filler.parent().expect("it is in a folder")).unwrap();
    let taken = (disk.f_bavail * disk.f_frsize).saturating_sub(room);
    if taken > 0 {
        fallocate(&file, FallocateFlags::empty(), 0, taken).unwrap();
    }
}

pub fn free(filler: &Path) {
    fs::remove_file(filler).unwrap();
}
