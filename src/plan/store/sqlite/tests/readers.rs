//! Readers leave no trace, and get an answer wherever one can be had.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt};

use super::*;

/// Every file below the project with its bytes.
fn bytes_of(project: &Project) -> BTreeMap<PathBuf, Vec<u8>> {
    walkdir::WalkDir::new(project.0.path())
        .into_iter()
        .map(Result::unwrap)
        .map(|it| {
            let bytes = if it.file_type().is_file() { fs::read(it.path()).unwrap() } else { Vec::new() };
            (it.into_path(), bytes)
        })
        .collect()
}

#[test]
fn a_missing_state_is_an_empty_one() {
    let project = Project::new();
    let opened = project.open_to_read();
    assert_eq!(opened.notes, NO_NOTES);
    assert_eq!(opened.store.latest_all().unwrap(), []);
    assert!(matches!(opened.store.commit(&[made("a", "", 1)]), Err(StoreError::ReadOnly { .. })));
    assert_eq!(fs::read_dir(project.0.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn reading_changes_no_file() {
    let project = Project::new();
    let store = project.store();
    store.commit(&[made("a", "", 1)]).unwrap();
    drop(store);
    let before = bytes_of(&project);
    let read = || {
        let opened = project.open_to_read();
        assert_eq!(opened.notes, NO_NOTES);
        assert_eq!(opened.store.latest_all().unwrap(), [materialization("a", "", 1)]);
        assert_eq!(opened.store.latest(&key("b"), &PartitionKey::whole()).unwrap(), None);
    };
    read();
    let mut after = bytes_of(&project);
    let index = project.state("state.db-shm");
    after.insert(index.clone(), before[&index].clone());
    assert_eq!(after, before, "nothing but SQLite's index of an empty log, which is derived");

    for name in ["state.db-wal", "state.db-shm"] {
        fs::remove_file(project.state(name)).unwrap();
    }
    let before = bytes_of(&project);
    read();
    assert_eq!(bytes_of(&project), before, "no log was made");
}

#[test]
fn readers_see_what_a_writer_commits() {
    let project = Project::new();
    let store = project.store();
    store.commit(&[made("a", "", 1)]).unwrap();
    let reader = project.open_to_read().store;
    assert_eq!(reader.latest_all().unwrap(), [materialization("a", "", 1)]);
    let generation = reader.generation().unwrap();
    store.commit(&[made("a", "", 2)]).unwrap();
    assert_eq!(reader.latest_all().unwrap(), [materialization("a", "", 2)]);
    assert_ne!(reader.generation().unwrap(), generation);
    drop(store);
    assert_eq!(reader.latest_all().unwrap(), [materialization("a", "", 2)]);
}

/// Without a log a reader takes the file as unchanging; a writer that comes must be noticed.
#[test]
fn a_reader_that_was_alone_notices_a_writer() {
    let project = Project::new();
    project.store().commit(&[made("a", "", 1)]).unwrap();
    for name in ["state.db-wal", "state.db-shm"] {
        fs::remove_file(project.state(name)).unwrap();
    }
    let reader = project.open_to_read().store;
    assert_eq!(reader.latest_all().unwrap(), [materialization("a", "", 1)]);
    let store = project.store();
    store.commit(&[made("a", "", 2)]).unwrap();
    assert_eq!(reader.latest_all().unwrap(), [materialization("a", "", 2)]);
    store.sync().unwrap();
    drop(store);
    assert_eq!(reader.latest_all().unwrap(), [materialization("a", "", 2)]);
}

/// As root every folder can be written to, so this shows less there; the tests of commands run it in a
/// read-only mount.
#[test]
fn a_read_only_folder_can_be_read() {
    for with_log in [true, false] {
        let project = Project::new();
        project.store().commit(&[made("a", "", 1)]).unwrap();
        if !with_log {
            for name in ["state.db-wal", "state.db-shm"] {
                fs::remove_file(project.state(name)).unwrap();
            }
        }
        let set = |mode| fs::set_permissions(project.state(""), fs::Permissions::from_mode(mode)).unwrap();
        set(0o500);
        let opened = project.open_to_read();
        assert_eq!(opened.store.latest_all().unwrap(), [materialization("a", "", 1)]);
        assert_eq!(opened.notes, NO_NOTES);
        set(0o700);
    }
}

#[test]
fn readers_never_wait_for_a_writer() {
    let project = Project::new();
    let store = project.store();
    store.commit(&[made("a", "", 1)]).unwrap();
    let other = Connection::open(project.state("state.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM latest").unwrap();
    assert_eq!(store.latest_all().unwrap(), [materialization("a", "", 1)]);
    assert_eq!(project.open_to_read().store.latest_all().unwrap(), [materialization("a", "", 1)]);
}

/// As it is for a moment while a damaged one is made anew, and after a crash then.
#[test]
fn a_database_that_only_a_writer_can_put_right_is_answered_for_by_the_journal() {
    let project = Project::new();
    let store = project.store();
    store.commit(&[made("a", "", 1)]).unwrap();
    drop(store);
    let other = Connection::open(project.state("state.db")).unwrap();
    let settings = "PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF";
    other.execute_batch(&format!("{settings}; BEGIN IMMEDIATE; DELETE FROM latest")).unwrap();
    let hot = fs::read(project.state("state.db-journal")).unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    fs::write(project.state("state.db-journal"), hot).unwrap();

    let Opened { store, notes } = project.open_to_read();
    assert_eq!(store.latest_all().unwrap(), [materialization("a", "", 1)]);
    assert!(notes[0].contains("read from the journal instead"), "{notes:?}");
    drop(store);
    let Opened { store, notes } = project.open();
    assert_eq!((store.latest_all().unwrap(), notes), (vec![materialization("a", "", 1)], vec![]));
}
