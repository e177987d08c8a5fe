//! Whatever happens to the bytes of the database, what was recorded is still known.

use std::fs;

use super::*;
use crate::plan::record::{Materialization, Observation};

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// A state with some of everything, and what is in it.
struct Recorded {
    project: Project,
    files: Vec<(PathBuf, Vec<u8>)>,
    latest: Vec<Materialization>,
    observations: Vec<Observation>,
}

fn recorded() -> Recorded {
    let project = Project::new();
    let store = project.store();
    for number in 0..40 {
        let asset = format!("layer/asset_{number}");
        store.commit(&[made(&asset, "", number), Change::AttemptStarted(attempt(&asset, "r1", number))]).unwrap();
        store.commit(&[made(&asset, "", number + 3), Change::Observed(observation(&asset, number))]).unwrap();
    }
    let (latest, observations) = (store.latest_all().unwrap(), store.observations().unwrap());
    store.sync().unwrap();
    drop(store);
    let mut files = Vec::new();
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        files.push((project.state(name), fs::read(project.state(name)).unwrap()));
    }
    files.push((project.journal(), fs::read(project.journal()).unwrap()));
    Recorded { project, files, latest, observations }
}

impl Recorded {
    fn restore(&self) {
        for name in self.project.names("") {
            if name.starts_with("state.db") {
                fs::remove_file(self.project.state(&name)).unwrap();
            }
        }
        for name in self.project.names("journal") {
            fs::remove_file(self.project.state("journal").join(name)).unwrap();
        }
        for (path, bytes) in &self.files {
            fs::write(path, bytes).unwrap();
        }
    }

    /// Damages the database alone and sees that readers and writers still know everything.
    fn survives(&self, what: &str, damage: impl Fn(&mut Vec<u8>)) {
        self.restore();
        let (database, whole) = &self.files[0];
        let mut bytes = whole.clone();
        damage(&mut bytes);
        fs::write(database, &bytes).unwrap();
        let before = self.project.names("");

        let reader = self.project.open_to_read().store;
        self.knows_everything(&reader, &format!("{what}, to a reader"));
        drop(reader);
        assert_eq!(fs::read(database).unwrap(), bytes, "{what}: a reader changed the file");
        assert_eq!(self.project.names(""), before, "{what}: a reader made files");

        let Opened { store, mut notes } = self.project.open();
        self.knows_everything(&store, &format!("{what}, to a writer"));
        store.commit(&[made("after", "", 1)]).unwrap();
        notes.extend(store.notes());
        drop(store);
        // Damage may have hit nothing that matters; what was replaced is kept, and said.
        assert!(notes.len() <= 1, "{what}: {notes:?}");
        let aside = self.project.names("").contains(&"state.db.damaged-1".to_owned());
        assert_eq!(notes.iter().any(|it| it.contains("kept as state.db.damaged-1")), aside, "{what}: {notes:?}");
        let again = self.project.store();
        assert_eq!(again.latest_all().unwrap().len(), self.latest.len() + 1, "{what}: when opened again");
    }

    fn knows_everything(&self, store: &SqliteStore, what: &str) {
        for made in &self.latest {
            let found = store.latest(&made.key, &made.partition);
            assert_eq!(found.as_ref().ok(), Some(&Some(made.clone())), "{what}: {found:?}");
        }
        let latest = store.latest_all();
        assert_eq!(latest.as_ref().ok(), Some(&self.latest), "{what}: {:?}", latest.as_ref().err());
        let observations = store.observations();
        assert_eq!(observations.as_ref().ok(), Some(&self.observations), "{what}: {:?}", observations.as_ref().err());
    }
}

#[test]
fn changed_bits_lose_nothing() {
    let recorded = recorded();
    let mut dice = Dice(1);
    for round in 0..150 {
        recorded.survives(&format!("bits of round {round}"), |bytes| {
            let mut dice = Dice(dice.0.wrapping_add(round));
            for _ in 0..1 + round % 3 {
                let at = dice.roll(bytes.len());
                bytes[at] ^= 1 << dice.roll(8);
            }
        });
        dice.roll(2);
    }
}

/// Headers of the file and of its pages are small, and matter most.
#[test]
fn changed_bits_of_headers_lose_nothing() {
    let recorded = recorded();
    let mut dice = Dice(2);
    for at in 0..100 {
        let bit = dice.roll(8);
        recorded.survives(&format!("bit {bit} of byte {at}"), |bytes| bytes[at] ^= 1 << bit);
    }
    let pages = recorded.files[0].1.len() / schema::PAGE_SIZE as usize;
    for page in 1..pages {
        let (at, value) = (page * schema::PAGE_SIZE as usize + dice.roll(12), dice.roll(256) as u8);
        recorded.survives(&format!("byte {at} as {value}"), |bytes| bytes[at] = value);
    }
}

#[test]
fn empty_pages_lose_nothing() {
    let recorded = recorded();
    let size = schema::PAGE_SIZE as usize;
    for page in 0..recorded.files[0].1.len() / size {
        recorded.survives(&format!("page {page}"), |bytes| bytes[page * size..][..size].fill(0));
    }
    recorded.survives("every page", |bytes| bytes.fill(0));
}

#[test]
fn a_cut_file_loses_nothing() {
    let recorded = recorded();
    let len = recorded.files[0].1.len();
    let mut dice = Dice(3);
    for cut in
        [0, 1, 15, 16, 99, 100, 4095, 4096, len - 1, len - 4096].into_iter().chain((0..20).map(|_| dice.roll(len)))
    {
        recorded.survives(&format!("cut to {cut}"), |bytes| bytes.truncate(cut));
    }
    recorded.survives("junk", |bytes| *bytes = b"not a database at all".to_vec());
}

#[test]
fn a_deleted_database_loses_nothing() {
    let recorded = recorded();
    fs::remove_file(&recorded.files[0].0).unwrap();
    let reader = recorded.project.open_to_read();
    recorded.knows_everything(&reader.store, "a reader");
    assert_eq!(reader.notes.len(), 1);
    let opened = recorded.project.open();
    recorded.knows_everything(&opened.store, "a writer");
    assert_eq!(opened.notes, ["state.db was missing: rebuilt from the journal, 40 materializations"]);
}

/// A damaged frame of SQLite's log silently ends it there. The journal knows what came after.
#[test]
fn a_damaged_log_loses_nothing() {
    let project = Project::new();
    let store = project.store();
    for number in 0..20 {
        store.commit(&[made(&format!("a{number}"), "", number)]).unwrap();
    }
    let expected = store.latest_all().unwrap();
    // As after a kill: the log was not yet moved into the database.
    let killed = Project::new();
    StateFolder::open(killed.0.path(), Access::Write).unwrap();
    let mut log = fs::read(project.state("state.db-wal")).unwrap();
    let half = log.len() / 2;
    log[half] ^= 1;
    for cut in [false, true] {
        if cut {
            log.truncate(half);
        }
        fs::copy(project.state("state.db"), killed.state("state.db")).unwrap();
        fs::write(killed.state("state.db-wal"), &log).unwrap();
        let _ = fs::remove_file(killed.state("state.db-shm"));
        for name in killed.names("journal") {
            fs::remove_file(killed.state("journal").join(name)).unwrap();
        }
        fs::copy(project.journal(), killed.state("journal").join(&project.names("journal")[0])).unwrap();
        assert_eq!(killed.open_to_read().store.latest_all().unwrap(), expected);
        let opened = killed.open();
        assert_eq!(opened.store.latest_all().unwrap(), expected);
        assert!(opened.notes[0].starts_with("state.db had lost its latest commits"), "{:?}", opened.notes);
        drop(opened);
        assert_eq!(killed.store().latest_all().unwrap(), expected);
    }
}

/// Killed after the commit and before, or within, the append to the journal.
#[test]
fn a_journal_that_is_behind_is_completed() {
    let project = Project::new();
    let store = project.store();
    store.commit(&[made("a", "", 1)]).unwrap();
    let one = fs::metadata(project.journal()).unwrap().len();
    store.commit(&[made("b", "", 2)]).unwrap();
    let two = fs::metadata(project.journal()).unwrap().len();
    let expected = store.latest_all().unwrap();
    drop(store);
    for len in [one, one + 1, two - 1, 0] {
        let journal = fs::OpenOptions::new().write(true).open(project.journal()).unwrap();
        journal.set_len(len).unwrap();
        drop(project.store());
        fs::remove_file(project.state("state.db")).unwrap();
        assert_eq!(project.open().store.latest_all().unwrap(), expected, "cut to {len}");
    }
    fs::remove_file(project.journal()).unwrap();
    drop(project.store());
    fs::remove_file(project.state("state.db")).unwrap();
    assert_eq!(project.open().store.latest_all().unwrap(), expected, "deleted");
}

#[test]
fn damage_to_both_leaves_what_is_whole_in_either() {
    let recorded = recorded();
    let (journal, bytes) = &recorded.files[3];
    let mut torn = bytes.clone();
    let third = torn.len() / 3;
    torn[third..2 * third].fill(b'x');
    fs::write(journal, torn).unwrap();
    // One bit of each row of one asset: the others can still be read.
    let (database, bytes) = &recorded.files[0];
    let mut bytes = bytes.clone();
    let needle = b"layer/asset_39";
    for at in 0..bytes.len() - needle.len() {
        if bytes[at..].starts_with(needle) {
            bytes[at + needle.len() - 1] ^= 1;
        }
    }
    fs::write(database, bytes).unwrap();
    let opened = recorded.project.open();
    let known = opened.store.latest_all().unwrap();
    let notes = [opened.notes, opened.store.notes()].concat();
    assert!(notes[0].contains("left out of it: 1 damaged stretch of the journal"), "{notes:?}");
    assert!(known.len() >= recorded.latest.len() - 1, "{} of {}", known.len(), recorded.latest.len());
    assert!(known.iter().all(|it| recorded.latest.iter().any(|known| known.key == it.key)));
    assert!(recorded.project.names("journal").iter().any(|it| it.ends_with(".damaged")));
}

#[test]
fn a_rebuilt_state_keeps_what_could_be_read_of_attempts_and_steps() {
    let project = Project::new();
    let store = project.store();
    store
        .commit(&[Change::RunStarted(run("r1")), Change::AttemptStarted(attempt("a", "r1", 1)), made("a", "", 1)])
        .unwrap();
    let step = step("a", crate::model::event::StepOutcome::Built);
    store.commit(&[Change::RunStep { run: RunId("r1".to_owned()), step: step.clone() }]).unwrap();
    store.sync().unwrap();
    drop(store);
    let mut bytes = fs::read(project.state("state.db")).unwrap();
    // The application id is of no use to us, so version 9 it is: "it says two versions".
    bytes[63] = 9;
    fs::write(project.state("state.db"), bytes).unwrap();
    let opened = project.open();
    assert_eq!(opened.notes.len(), 1);
    assert_eq!(opened.store.run(&RunId("r1".to_owned())).unwrap().unwrap().steps, [step]);
    assert_eq!(opened.store.unfinished_attempts().unwrap(), [attempt("a", "r1", 1)]);
    assert_eq!(opened.store.latest_all().unwrap(), [materialization("a", "", 1)]);
}

#[test]
fn damage_met_in_the_middle_of_work_is_mended_behind_it() {
    let project = Project::new();
    let store = project.store();
    (0..40).for_each(|it| store.commit(&[made(&format!("a{it}"), "", it)]).unwrap());
    let expected = store.latest_all().unwrap();
    store.sync().unwrap();
    drop(store);
    let store = project.store();
    // Opened, and nothing was read yet but the summary.
    let mut bytes = fs::read(project.state("state.db")).unwrap();
    let size = schema::PAGE_SIZE as usize;
    for page in 3..bytes.len() / size {
        bytes[page * size + 20..][..size - 20].fill(0x55);
    }
    fs::write(project.state("state.db"), bytes).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (store, expected) = (&store, &expected);
            scope.spawn(move || {
                store.commit(&[made(&format!("t{thread}"), "", thread)]).unwrap();
                assert!(store.latest_all().unwrap().len() > expected.len());
            });
        }
    });
    assert_eq!(store.latest_all().unwrap().len(), expected.len() + 4);
    assert_eq!(store.notes().len(), 1);
    assert_eq!(store.notes(), NO_NOTES);
}

#[test]
fn an_examination_finds_what_is_wrong_and_changes_nothing() {
    let recorded = recorded();
    let examine = || SqliteStore::examine(&recorded.project.state(""), Disk::Local).unwrap();
    assert_eq!(examine(), NO_NOTES);
    let (journal, bytes) = &recorded.files[3];
    fs::write(journal, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(
        examine(),
        ["the journal is not complete; the next run completes it", "the journal has 1 damaged stretch"]
    );
    fs::write(journal, [bytes, &b"junk"[..]].concat()).unwrap();
    assert!(examine()[0].starts_with("the database has lost commits"));
    let opened = recorded.project.open();
    assert_eq!(opened.notes, ["the journal of state.db had bytes in it that nobody wrote: it was written anew"]);
    drop(opened);
    recorded.restore();
    let (database, bytes) = &recorded.files[0];
    let mut bytes = bytes.clone();
    bytes[2 * schema::PAGE_SIZE as usize..].fill(0);
    fs::write(database, &bytes).unwrap();
    assert!(examine().iter().all(|it| it.starts_with("the database is damaged: ")), "{:?}", examine());
    assert!(!examine().is_empty());
    assert_eq!(fs::read(database).unwrap(), bytes);
}

#[test]
fn a_journal_that_cannot_be_written_is_said_and_completed_later() {
    let project = Project::new();
    let store = project.store();
    store.commit(&[made("a", "", 1)]).unwrap();
    drop(store);
    let store = project.store();
    fs::remove_dir_all(project.state("journal")).unwrap();
    fs::write(project.state("journal"), "not a folder").unwrap();
    store.commit(&[made("b", "", 2)]).unwrap();
    assert_eq!(store.latest_all().unwrap().len(), 2);
    let notes = store.notes();
    assert!(notes.len() == 1 && notes[0].starts_with("the journal is not complete until the next run"), "{notes:?}");
    drop(store);
    fs::remove_file(project.state("journal")).unwrap();
    drop(project.store());
    fs::remove_file(project.state("state.db")).unwrap();
    assert_eq!(project.open().store.latest_all().unwrap().len(), 2);
}
