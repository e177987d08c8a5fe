//! The store on disk: the common promises, and what a disk adds to them.

#![expect(clippy::disallowed_methods, reason = "tests set up the world from outside")]

mod damage;
mod model;
mod readers;
mod speed;
mod still;
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
fn a_state_that_is_being_made_is_not_taken_for_a_damaged_one() {
    for _ in 0..100 {
        let project = Project::new();
        std::fs::create_dir(project.state("")).unwrap();
        thread::scope(|scope| {
            let making = scope.spawn(|| project.store());
            while !making.is_finished() {
                assert_eq!(project.open_to_read().notes, NO_NOTES);
            }
        });
    }
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
fn a_full_disk_fails_the_commit_and_nothing_else() {
    let project = Project::new();
    let store = project.store();
    store.commit(&[made("a", "", 1)]).unwrap();
    let limit = |pages: i64| {
        store
            .act(|backing| {
                let Backing::Database(database) = backing else { panic!("a database") };
                let writer = lock(database.writer.as_ref().unwrap());
                Ok(writer.connection.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?)
            })
            .0
            .unwrap();
    };
    limit(1);
    let many: Vec<_> = (0..200).map(|it| made(&format!("b{it}"), "", it)).collect();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (store, many) = (&store, &many);
            scope.spawn(move || {
                assert!(matches!(store.commit(many), Err(StoreError::Full { .. })));
                // What fits is written, whoever it shared a transaction with.
                store.commit(&[made("a", "", thread)]).unwrap();
            });
        }
    });
    limit(100_000);
    assert_eq!(store.latest_all().unwrap().len(), 1);
    assert_eq!(store.history(&key("a"), &PartitionKey::whole()).unwrap().len(), 4);
    store.commit(&many).unwrap();
    assert_eq!(store.latest_all().unwrap().len(), 201);
    drop(store);
    assert_eq!(project.store().latest_all().unwrap().len(), 201);
}

#[test]
fn commits_of_many_threads_share_transactions() {
    let project = Project::new();
    let store = project.store();
    store.commit(&[Change::SessionOpened(session("s"))]).unwrap();
    let tickets: Vec<_> = (0..5).map(|it| Ticket::new(&[made("a", "", it)])).collect();
    let (own, others) = tickets.split_first().unwrap();
    lock(&store.waiting).extend(others.iter().cloned());
    store.act(|backing| store.lead(backing, own)).0.unwrap();
    assert!(others.iter().all(|it| matches!(*lock(&it.result), Some(Ok(())))), "written along with the first");
    assert_eq!(store.history(&key("a"), &PartitionKey::whole()).unwrap().len(), 4);
}

/// Run by the test below in a process of its own, and killed.
#[test]
#[ignore = "a part of the next test"]
fn commits_until_killed() {
    use std::io::Write;
    let Some(root) = std::env::args().skip_while(|it| it != "--skip").nth(1) else { return };
    let store = StateFolder::open(Path::new(&root), Access::Write).unwrap().store(Disk::Local).unwrap().store;
    for number in 0.. {
        store.commit(&[made("left", "", number), made("right", "", number)]).unwrap();
        let mut told = std::io::stderr().lock();
        writeln!(told, "committed {number}").unwrap();
    }
}

#[test]
fn what_was_committed_survives_a_kill_at_any_moment() {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };
    let project = Project::new();
    let mut last = -1;
    for round in 0..6 {
        let root = project.0.path().to_str().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "plan::store::sqlite::tests::commits_until_killed", "--nocapture"])
            .args(["--skip", root])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = || lines.next()?.ok()?.strip_prefix("committed ")?.parse::<i64>().ok();
        let enough = 20 + 37 * round;
        while told().is_some_and(|it| it < enough) {}
        child.kill().unwrap();
        child.wait().unwrap();
        let known = std::iter::from_fn(told).last().unwrap_or(enough);
        let check = |store: &SqliteStore, when: &str| {
            let seen: Vec<_> = store.latest_all().unwrap().iter().map(|it| it.duration_ms as i64 - 1500).collect();
            assert!(seen.len() == 2 && seen[0] == seen[1], "{when}: {seen:?}");
            assert!(seen[0] >= known, "{when}: {} of {known}", seen[0]);
            seen[0]
        };
        check(&project.open_to_read().store, "to a reader");
        last = check(&project.store(), "to a writer");
    }
    std::fs::remove_file(project.state("state.db")).unwrap();
    let rebuilt = project.open().store.latest_all().unwrap();
    assert_eq!(rebuilt[0].duration_ms as i64 - 1500, last, "the journal has what the last kill kept from it");
}

#[test]
fn nobody_else_may_read_the_state() {
    use std::os::unix::fs::MetadataExt;
    let project = Project::new();
    project.store().commit(&[made("a", "", 1)]).unwrap();
    assert_eq!(std::fs::metadata(project.state("")).unwrap().mode() & 0o777, 0o700);
}
