//! A state that is known by its stamps is never taken for the one before it.

use std::sync::atomic::AtomicU64;

use super::*;
use crate::plan::hash::{FileCache, Sweep};

impl Project {
    fn is_at(&self, generation: u64) -> bool {
        let sweep = Sweep::new(self.0.path(), FileCache::default()).unwrap();
        StateFolder::open(self.0.path(), Access::Read).unwrap().is_at(generation, &sweep)
    }
}

fn next(store: &SqliteStore, number: u64) -> u64 {
    store.commit(&[made("a", "", number.cast_signed())]).unwrap();
    store.generation().unwrap()
}

#[test]
fn a_write_without_a_pause_is_seen() {
    let project = Project::new();
    let mut kept = 0;
    for round in 0..150 {
        let before = next(&project.store(), 2 * round);
        assert!(project.is_at(before) && project.is_at(before), "round {round}");
        kept += u32::from(project.state("state.idx").exists());
        let store = project.store();
        let after = next(&store, 2 * round + 1);
        assert!(!project.is_at(before), "round {round}: written, still open");
        assert!(project.is_at(after), "round {round}");
        drop(store);
        assert!(!project.is_at(before) && project.is_at(after), "round {round}: closed");
    }
    assert!(kept > 0, "stamps were never believed, so nothing was tried");
}

#[test]
fn questions_beside_a_writer_are_answered_right() {
    let project = Project::new();
    let written = AtomicU64::new(next(&project.store(), 0));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    let now = written.load(Ordering::Acquire);
                    assert!(!project.is_at(now - 1), "the one before {now}");
                    project.is_at(now);
                }
            });
        }
        for number in 1..300 {
            let store = project.store();
            written.store(next(&store, number), Ordering::Release);
            if number % 3 == 0 {
                drop(store);
                thread::sleep(std::time::Duration::from_millis(2));
            }
        }
        over.store(true, Ordering::Release);
    });
}

#[test]
fn stamps_that_were_changed_are_no_answer() {
    let project = Project::new();
    let first = next(&project.store(), 0);
    let kept = project.state("state.idx");
    for _ in 0..100 {
        assert!(project.is_at(first));
        if kept.exists() {
            break;
        }
        thread::sleep(std::time::Duration::from_millis(5));
    }
    let bytes = std::fs::read(&kept).unwrap();
    let second = next(&project.store(), 1);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        for len in [at, bytes.len()] {
            std::fs::write(&kept, &damaged[..len]).unwrap();
            assert!(!project.is_at(first), "byte {at} of {len}");
        }
    }
    std::fs::write(&kept, &bytes).unwrap();
    assert!(!project.is_at(first) && project.is_at(second), "stamps of another time");
}
