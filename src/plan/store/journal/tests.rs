//! Torn, damaged and mixed journals give what is whole in them.

use std::thread;

use tempfile::TempDir;

use super::*;
use crate::{base::digest::Digest, plan::store::conformance::sample::made};

const NAME: JournalName = JournalName { generation: 3, seed: 0xfeed };

fn frame(sequence: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Payload::new(false, &[&made("a", "", sequence as i64)]).frame(NAME, sequence, &mut bytes);
    bytes
}

fn journal() -> (TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().to_owned());
    (folder, journal)
}

fn sequences(bytes: &[u8]) -> (Vec<u64>, usize) {
    let mut contents = Contents::default();
    contents.scan(NAME, bytes);
    (contents.frames.iter().map(|it| it.sequence).collect(), contents.damaged)
}

#[test]
fn frames_are_read_back_in_the_order_of_their_commits() {
    let (folder, mut journal) = journal();
    for sequence in [1, 3, 2, 4] {
        journal.append(NAME, &frame(sequence)).unwrap();
    }
    let contents = read(folder.path()).unwrap();
    assert_eq!((contents.damaged, contents.generation, contents.sequence()), (0, 3, 4));
    assert_eq!(contents.changes(), [1, 2, 3, 4].map(|it| made("a", "", it)));
}

#[test]
fn a_torn_frame_costs_itself_alone() {
    let whole = frame(1);
    for cut in 1..whole.len() {
        let torn = &frame(2)[..cut];
        let bytes = [&whole, torn, &frame(3), torn].concat();
        assert_eq!(sequences(&bytes), (vec![1, 3], 2), "cut after {cut} bytes");
    }
}

#[test]
fn a_changed_bit_costs_its_frame_alone() {
    let frames = [frame(1), frame(2), frame(3)];
    let (bytes, first, second) = (frames.concat(), frames[0].len(), frames[0].len() + frames[1].len());
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let hit = 1 + u64::from(bit / 8 >= first) + u64::from(bit / 8 >= second);
        let left: Vec<u64> = (1..=3).filter(|it| *it != hit).collect();
        assert_eq!(sequences(&changed), (left, 1), "bit {bit}");
    }
}

#[test]
fn a_journal_inside_a_journal_is_text() {
    let inner = String::from_utf8_lossy(&frame(7)).into_owned();
    let mut bytes = Vec::new();
    // The other journal has a seed of its own, so even its whole frames do not count here.
    let other = JournalName { generation: 3, seed: 0xbeef };
    let text = Change::Text { digest: Digest::of(b"x"), text: inner };
    Payload::new(false, &[&text, &text]).frame(other, 9, &mut bytes);
    Payload::new(false, &[&text]).frame(NAME, 1, &mut bytes);
    assert_eq!(sequences(&bytes), (vec![1], 1));
}

#[test]
fn what_starts_over_leaves_everything_before_it_behind() {
    let (folder, mut journal) = journal();
    journal.append(NAME, &frame(1)).unwrap();
    journal.append(NAME, &frame(2)).unwrap();
    let next = JournalName { generation: 4, seed: 1 };
    let mut bytes = Vec::new();
    Payload::new(true, &[]).frame(next, 2, &mut bytes);
    Payload::new(false, &[&made("b", "", 5)]).frame(next, 2, &mut bytes);
    journal.append(next, &bytes).unwrap();
    // Committed before the other process knew of the new file.
    journal.append(NAME, &frame(3)).unwrap();
    let changes = read(folder.path()).unwrap().changes();
    assert_eq!(changes, [made("b", "", 5), made("a", "", 3)]);
}

#[test]
fn appends_of_many_threads_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for thread in 0..4u64 {
            let mut journal = Journal::new(folder.path().to_owned());
            scope.spawn(move || (0..200).for_each(|it| journal.append(NAME, &frame(1 + thread * 200 + it)).unwrap()));
        }
    });
    let contents = read(folder.path()).unwrap();
    assert_eq!((contents.damaged, contents.frames.len()), (0, 800));
}

#[test]
fn names_are_read_back() {
    let path = NAME.path_in(Path::new("j"));
    assert_eq!(JournalName::parse(path.file_name().unwrap().to_str().unwrap()), Some(NAME));
    for odd in ["", "1.log", "x-1.log", "1-1.new", "00000003-000000000000feed.damaged"] {
        assert_eq!(JournalName::parse(odd), None);
    }
}
