//! What the manager believes of a database that others may write to.

use super::*;
use crate::model::{
    key::{AssetKey, PartitionKey},
    project::{Identity, Shape},
};

fn target(name: &str) -> Target {
    Target {
        key: AssetKey::parse(name).unwrap(),
        partition: PartitionKey::whole(),
        path: ProjectPath::resolve(&ProjectPath::root(), name).unwrap(),
        format: Some("csv".to_owned()),
        shape: Shape::File,
        identity: Identity::Rows,
        in_place: false,
        publishing: Default::default(),
        slice: None,
        slices: None,
    }
}

fn publish(manager: &SqliteManager, name: &str, rows: &str) -> StoredOutput {
    let staged = manager.stage(&target(name), &AttemptId(format!("attempt-{name}"))).unwrap();
    fs::write(&staged.path, format!("a,b\n{rows}").as_bytes()).unwrap();
    let content = manager.inspect(&staged).unwrap();
    manager.publish(&staged, &content).unwrap()
}

/// Also where no table is another any more: what was read in between was.
#[test]
fn what_others_take_back_again_is_seen_by_who_has_looked_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = ProjectPath::resolve(&ProjectPath::root(), "db.sqlite").unwrap();
    let manager = SqliteManager::new(folder.path().to_owned(), &path, Maker::new("it"));
    let one = publish(&manager, "one", "1,x\n");
    let look = || match manager.probe_witnessed(&target("one"), &one).unwrap() {
        (Probed::Same, Some(witness)) => witness,
        other => panic!("{other:?}"),
    };
    let others = Connection::open(&manager.database).unwrap();
    let mut before = look();
    for change in ["update one set a = 2; update one set a = 1", "create table other (a); drop table other"] {
        // What this tool does beside it is no news, in this process or another.
        publish(&manager, "two", "2,y\n");
        assert_eq!(manager.witness(&target("one")).unwrap(), Some(before.clone()));
        SqliteManager::new(folder.path().to_owned(), &path, Maker::new("it")).delete(&target("two")).unwrap();
        assert_eq!(look(), before);
        others.execute_batch(change).unwrap();
        assert_eq!(manager.witness(&target("one")).unwrap(), None, "{change}");
        // Our own write does not cover it up.
        publish(&manager, "two", "2,y\n");
        assert_ne!(manager.witness(&target("one")).unwrap(), Some(before.clone()), "{change}");
        let after = look();
        assert_ne!(after, before, "{change}");
        others.execute_batch(change).unwrap();
        before = look();
        assert_ne!(before, after, "{change}");
    }
    // One who reads for long keeps nobody from looking, and nothing is vouched for.
    others.execute_batch("create table more (a); begin; select * from one").unwrap();
    assert_eq!(manager.probe_witnessed(&target("one"), &one).unwrap(), (Probed::Same, None));
}

/// One that was sealed when seals did not count their breaks is doubted once, and sealed as they are now.
#[test]
fn a_seal_of_earlier_times_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = ProjectPath::resolve(&ProjectPath::root(), "db.sqlite").unwrap();
    let manager = SqliteManager::new(folder.path().to_owned(), &path, Maker::new("it"));
    let one = publish(&manager, "one", "1,x\n");
    let earlier = "drop table _assets_seal; create table _assets_seal (one integer primary key check (one = 1), counter integer not null); \
                   insert into _assets_seal values (1, 7); update _assets_tables set attempt = 'attempt-one'";
    Connection::open(&manager.database).unwrap().execute_batch(earlier).unwrap();
    assert_eq!(manager.probe(&target("one"), &one).unwrap(), Probed::Same);
    assert!(!manager.is_foreign(&target("one")).unwrap());
    let two = publish(&manager, "two", "2,y\n");
    let (found, witness) = manager.probe_witnessed(&target("two"), &two).unwrap();
    assert_eq!(found, Probed::Same);
    assert!(witness.is_some());
}

/// Without it every question would read every table in full.
#[test]
fn what_was_written_down_is_believed_until_somebody_else_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = ProjectPath::resolve(&ProjectPath::root(), "db.sqlite").unwrap();
    let manager = SqliteManager::new(folder.path().to_owned(), &path, Maker::new("it"));
    let known = |name: &str| manager.written_down(&target(name)).unwrap().0.is_some();
    let one = publish(&manager, "one", "1,x\n");
    let two = publish(&manager, "two", "2,y\n");
    assert!(known("one") && known("two"));
    Connection::open(&manager.database).unwrap().execute_batch("create table other (a)").unwrap();
    assert!(!known("one") && !known("two"));
    assert_eq!(manager.probe(&target("one"), &one).unwrap(), Probed::Same);
    // Our next write vouches for what it wrote and for nothing else.
    let three = publish(&manager, "three", "3,z\n");
    assert!(known("three") && !known("one"));
    assert_eq!(manager.probe(&target("two"), &two).unwrap(), Probed::Same);
    Connection::open(&manager.database).unwrap().execute_batch("update three set a = 4").unwrap();
    assert_eq!(manager.probe(&target("three"), &three).unwrap(), Probed::Modified);
    // A copy has its seal with it.
    let copy = folder.path().join("copy.sqlite");
    publish(&manager, "three", "3,z\n");
    assert!(known("three"));
    fs::write(&copy, &fs::read(&manager.database).unwrap()).unwrap();
    fs::rename(&copy, &manager.database).unwrap();
    assert!(!known("three"));
    // Whoever counts otherwise is read in full.
    let wal = Connection::open(&manager.database).unwrap();
    wal.query_row("pragma journal_mode = wal", [], |_| Ok(())).unwrap();
    publish(&manager, "one", "1,x\n");
    assert!(!known("one"));
    assert_eq!(manager.probe(&target("one"), &one).unwrap(), Probed::Same);
}
