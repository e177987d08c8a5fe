//! Databases of other versions: newer ones are refused and left alone, older ones are brought forward.

use std::fs;

use super::*;

fn set_version(project: &Project, version: u32) {
    let connection = Connection::open(project.state("state.db")).unwrap();
    connection.execute_batch(&format!("PRAGMA user_version = {version}")).unwrap();
    let mut summary = summary::Summary::load(&connection).unwrap();
    summary.version = u64::from(version);
    summary.save(&connection).unwrap();
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let project = Project::new();
    project.store().commit(&[made("a", "", 1)]).unwrap();
    set_version(&project, schema::VERSION + 1);
    let before = fs::read(project.state("state.db")).unwrap();
    let folder = |access| StateFolder::open(project.0.path(), access).unwrap();
    for access in [Access::Read, Access::Write] {
        match folder(access).store(Disk::Local).map(|it| it.notes) {
            Err(StoreError::Newer { found, known, .. }) => assert_eq!((found, known), (2, 1)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fs::read(project.state("state.db")).unwrap(), before);
}

/// One changed bit makes a version look newer; the other place that says it does not.
#[test]
fn a_damaged_version_is_not_a_newer_one() {
    let project = Project::new();
    project.store().commit(&[made("a", "", 1)]).unwrap();
    let connection = Connection::open(project.state("state.db")).unwrap();
    connection.execute_batch(&format!("PRAGMA user_version = {}", schema::VERSION + 1)).unwrap();
    drop(connection);
    let opened = project.open();
    assert_eq!(opened.notes.len(), 1);
    assert_eq!(opened.store.latest_all().unwrap(), [materialization("a", "", 1)]);
}

fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/state-v{version}.db"))
}

fn fixture_changes() -> Vec<Change> {
    vec![
        Change::SessionOpened(session("boot-1")),
        Change::RunStarted(run("run-1")),
        Change::AttemptStarted(attempt("a", "run-1", 1)),
        made("a", "", 1),
        made("a", "", 2),
        made("b/c", "2026-01-01", 3),
        Change::Observed(observation("raw", 1)),
        Change::Observed(observation("raw", 2)),
        Change::RunStep { run: RunId("run-1".to_owned()), step: step("a", crate::model::event::StepOutcome::Built) },
    ]
}

/// Writes the fixture of the version that this is. Only to be done once for each version.
#[test]
#[ignore = "writes tests/fixtures"]
fn write_the_fixture() {
    let project = Project::new();
    let store = project.store();
    store.commit(&fixture_changes()).unwrap();
    store.sync().unwrap();
    drop(store);
    fs::copy(project.state("state.db"), fixture(schema::VERSION)).unwrap();
}

#[test]
fn databases_of_every_released_version_open() {
    for version in 1..=schema::VERSION {
        let project = Project::new();
        StateFolder::open(project.0.path(), Access::Write).unwrap();
        fs::copy(fixture(version), project.state("state.db")).unwrap();
        let store = project.open().store;
        let expected = MemoryStore::new();
        expected.commit(&fixture_changes()).unwrap();
        assert_eq!(store.latest_all().unwrap(), expected.latest_all().unwrap());
        assert_eq!(store.observations().unwrap(), expected.observations().unwrap());
        assert_eq!(store.unfinished_attempts().unwrap(), expected.unfinished_attempts().unwrap());
        let run = RunId("run-1".to_owned());
        assert_eq!(store.run(&run).unwrap(), expected.run(&run).unwrap());
        assert_eq!(store.sessions().unwrap(), expected.sessions().unwrap());
    }
}

fn to_next(transaction: &rusqlite::Transaction<'_>) -> Result<(), Trouble> {
    transaction.execute_batch("ALTER TABLE run RENAME COLUMN body TO record")?;
    let mut summary = summary::Summary::load(transaction)?;
    summary.version += 1;
    summary.save(transaction)
}

fn that_fails(transaction: &rusqlite::Transaction<'_>) -> Result<(), Trouble> {
    to_next(transaction)?;
    Err(Trouble::Full)
}

#[test]
fn a_migration_keeps_a_copy_and_happens_whole_or_not_at_all() {
    let project = Project::new();
    project.store().commit(&[made("a", "", 1)]).unwrap();
    let place = Place::within(&project.state(""));
    let version = || -> u32 {
        let connection = Connection::open(project.state("state.db")).unwrap();
        connection.query_row("PRAGMA user_version", [], |it| it.get(0)).unwrap()
    };
    let migrate = |apply| {
        let mut connection = connect::writer(&place, Disk::Local).unwrap();
        migrate::migrate_by(&mut connection, &place, 1, 2, &[migrate::Step { to: 2, apply }])
    };
    assert!(matches!(migrate(that_fails), Err(Trouble::Full)));
    assert_eq!(version(), 1);
    assert_eq!(project.store().latest_all().unwrap().len(), 1);
    for _ in 0..2 {
        // Also if one was killed after the copy.
        fs::write(project.state("state.db.backup-new"), "half").unwrap();
        if version() == 1 {
            let note = migrate(to_next).unwrap();
            assert_eq!(note, "the state was brought from version 1 to 2; the old one is kept as state.db.backup-v1");
        }
    }
    assert_eq!(version(), 2);
    let backup = Project::new();
    StateFolder::open(backup.0.path(), Access::Write).unwrap();
    fs::copy(project.state("state.db.backup-v1"), backup.state("state.db")).unwrap();
    assert_eq!(backup.store().latest_all().unwrap(), [materialization("a", "", 1)]);
}
