//! The store on disk: the common promises, and what a disk adds to them.

#![expect(clippy::disallowed_methods, reason = "tests set up the world from outside")]

mod damage;
mod model;
mod readers;
mod speed;
mod versions;

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use tempfile::TempDir;

use super::*;
use crate::plan::store::{
    conformance::{
        self,
        sample::{attempt, key, made, materialization, observation, run, session, step},
    },
    folder::{Access, StateFolder},
};

const NO_NOTES: [&str; 0] = [];

/// A project in a folder of its own, removed at the end.
struct Project(TempDir);

impl Project {
    fn new() -> Self {
        Project(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Opened {
        StateFolder::open(self.0.path(), Access::Write).unwrap().store(Disk::Local).unwrap()
    }

    /// Opened without a word.
    fn store(&self) -> SqliteStore {
        let opened = self.open();
        assert_eq!(opened.notes, NO_NOTES);
        opened.store
    }

    fn open_to_read(&self) -> Opened {
        StateFolder::open(self.0.path(), Access::Read).unwrap().store(Disk::Local).unwrap()
    }

    fn state(&self, name: &str) -> PathBuf {
        self.0.path().join(".assets").join(name)
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.state(folder))
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn journal(&self) -> PathBuf {
        let names = self.names("journal");
        assert_eq!(names.len(), 1, "one journal: {names:?}");
        self.state("journal").join(&names[0])
    }
}

#[test]
fn the_store_on_disk_conforms() {
    for disk in [Disk::Local, Disk::Network] {
        let projects = Mutex::new(Vec::new());
        conformance::check(&|| {
            let project = Project::new();
            let opened = StateFolder::open(project.0.path(), Access::Write).unwrap().store(disk).unwrap();
            assert_eq!(opened.notes, NO_NOTES);
            projects.lock().unwrap().push(project);
            Box::new(opened.store)
        });
    }
}

#[test]
fn a_store_opened_again_knows_what_it_was_told() {
    let project = Project::new();
    let first = project.store();
    first.commit(&[made("a", "", 1), made("b", "p", 2)]).unwrap();
    let generation = first.generation().unwrap();
    drop(first);
    let second = project.store();
    assert_eq!(second.latest_all().unwrap(), [materialization("a", "", 1), materialization("b", "p", 2)]);
    assert_eq!(second.generation().unwrap(), generation);
}

#[test]
fn two_processes_share_a_state() {
    let project = Project::new();
    thread::scope(|scope| {
        for process in 0..3i64 {
            let store = project.store();
            scope.spawn(move || {
                for number in 0..50 {
                    store.commit(&[made(&format!("p{process}/a{number}"), "", number)]).unwrap();
                }
            });
        }
    });
    assert_eq!(project.store().latest_all().unwrap().len(), 150);
    std::fs::remove_file(project.state("state.db")).unwrap();
    assert_eq!(project.open().store.latest_all().unwrap().len(), 150, "the journal has them all");
}

#[test]
fn the_journal_is_written_anew_when_it_has_grown_old() {
    let project = Project::new();
    let store = project.store();
    let big = || (0..200).map(|it| made(&format!("a{it}"), "", 7)).collect::<Vec<_>>();
    let before = project.names("journal");
    let mut longest = 0;
    for _ in 0..60 {
        store.commit(&big()).unwrap();
        longest = longest.max(std::fs::metadata(project.journal()).unwrap().len());
        store.sync().unwrap();
    }
    assert_ne!(project.names("journal"), before);
    assert!(longest < 6 * 1024 * 1024, "{longest} bytes");
    let expected = store.latest_all().unwrap();
    drop(store);
    std::fs::remove_file(project.state("state.db")).unwrap();
    assert_eq!(project.open().store.latest_all().unwrap(), expected);
}

#[test]
fn nobody_else_may_read_the_state() {
    use std::os::unix::fs::MetadataExt;
    let project = Project::new();
    project.store().commit(&[made("a", "", 1)]).unwrap();
    assert_eq!(std::fs::metadata(project.state("")).unwrap().mode() & 0o777, 0o700);
}
