//! What is written is read back; what was not written is refused, whatever it is.

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    base::path::ProjectPath,
    model::{
        event::StepOutcome,
        key::{AssetKey, PartitionKey},
    },
    plan::{
        backfill::{Backfill, BackfillState},
        record::{AttemptState, Intent, Materialization, StoredOutput, TrackedFile},
        store::{
            Change,
            conformance::sample::{
                at, attempt, backfill, digest, key, made, materialization, observation, run, session, step,
            },
        },
    },
};

fn materializations() -> impl Strategy<Value = Materialization> {
    let names = ("[a-z]{1,3}(/[a-z0-9_-]{1,4})?", ".{0,5}", ".{0,40}");
    let paths = vec("[^/\0.][^/\0]{0,6}", 0..4);
    (names, any::<i64>(), any::<u64>(), paths, option::of(any::<u64>()), vec(any::<u8>(), 0..20)).prop_map(
        |((asset, partition, word), signed, unsigned, paths, rows, token)| {
            let mut made = materialization("a", "", signed.rem_euclid(7));
            made.key = AssetKey::parse(&asset).unwrap();
            made.partition = PartitionKey::new(&partition);
            made.accepted = Some(word);
            made.duration_ms = unsigned;
            made.rows = rows;
            if let StoredOutput::Files(files) = &mut made.output {
                let file = files[0].clone();
                *files = paths
                    .iter()
                    .map(|it| TrackedFile {
                        path: ProjectPath::resolve(&ProjectPath::root(), it).unwrap(),
                        ..file.clone()
                    })
                    .collect();
                if let Some(file) = files.first_mut() {
                    file.signature.mtime_ns = signed;
                    file.signature.ino = unsigned;
                }
            } else {
                made.output = StoredOutput::Token(token);
            }
            made
        },
    )
}

const STATES: [BackfillState; 5] = [
    BackfillState::Wanted,
    BackfillState::Paused,
    BackfillState::Cancelled,
    BackfillState::Done,
    BackfillState::Failed,
];

fn one_of_each() -> Vec<Change> {
    let id = attempt("a", "r", 1).id;
    let run_id = run("r").id;
    let intents = vec![Intent { materialization: materialization("a", "", 1), staged: vec![0, 9] }];
    let mut started = run("r");
    started.steps = vec![step("a", StepOutcome::Failed)];
    vec![
        Change::RunStarted(started),
        Change::RunStep { run: run_id.clone(), step: step("a", StepOutcome::CutOff) },
        Change::RunEnded { run: run_id.clone(), outcome: crate::model::event::RunOutcome::Interrupted, at: at(-5) },
        Change::AttemptStarted(attempt("a", "r", 1)),
        Change::AttemptCommitting { id: id.clone(), intents },
        Change::AttemptEnded { id: id.clone(), state: AttemptState::Void("raw/a.csv".to_owned()), at: at(1) },
        Change::AttemptEnded { id: id.clone(), state: AttemptState::Failed("exit".to_owned()), at: at(1) },
        Change::AttemptEnded { id: id.clone(), state: AttemptState::Interrupted, at: at(1) },
        Change::AttemptEnded { id, state: AttemptState::Succeeded(StepOutcome::Built), at: at(1) },
        made("a", "p", 3),
        Change::Refreshed(Box::new(materialization("a", "", 4))),
        Change::Observed(observation("s", 2)),
        Change::Text { digest: digest("t"), text: "t\n".to_owned() },
        Change::SessionOpened(session("s")),
        Change::SessionSealed("s".to_owned()),
        Change::Renamed { old: key("a"), new: key("b") },
        Change::Forgotten(key("a")),
        Change::RunForgotten(run_id),
        Change::BackfillAsked(Box::new(backfill("b", "a"))),
        Change::BackfillTurned { name: "b".to_owned(), from: STATES.to_vec(), to: STATES[4], at: at(2) },
        Change::BackfillAsked(Box::new(Backfill {
            forced: Some(vec![run("r").id, run("s").id]),
            ..backfill("b", "a")
        })),
        Change::BackfillBegun { name: "b".to_owned(), run: run("r").id },
    ]
}

#[test]
fn every_change_is_read_back() {
    for change in one_of_each() {
        assert_eq!(decode::<Change>(&encode(&change)), Ok(change));
    }
}

/// The format of version 1: if this fails, state on disk can no longer be read.
#[test]
fn the_format_stays() {
    let bytes: Vec<u8> = one_of_each().iter().flat_map(encode).collect();
    expect_test::expect!["1508 bytes, 40f1703c2fa4"].assert_eq(&format!(
        "{} bytes, {}",
        bytes.len(),
        Digest::of(&bytes).short()
    ));
}

#[test]
fn numbers_have_one_form() {
    for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX - 1, u64::MAX] {
        assert_eq!(decode::<u64>(&encode(&value)), Ok(value));
    }
    for value in [0, -1, 1, 63, -64, 64, i64::MIN, i64::MAX] {
        assert_eq!(decode::<i64>(&encode(&value)), Ok(value));
    }
    let too_long = [FORM, 0x80, 0x00];
    let too_large = [FORM, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    assert!(decode::<u64>(&too_long).is_err());
    assert!(decode::<u64>(&too_large).is_err());
}

#[test]
fn every_changed_bit_and_every_missing_byte_fails_a_check() {
    let bytes = encode(&made("a", "p", 1));
    let check = Check::new(3).part(&bytes).value();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(Check::new(3).part(&changed).value(), check);
    }
    for len in 0..bytes.len() {
        assert_ne!(Check::new(3).part(&bytes[..len]).value(), check);
    }
    assert_ne!(Check::new(3).part(b"ab").part(b"c").value(), Check::new(3).part(b"a").part(b"bc").value());
}

proptest! {
    #[test]
    fn materializations_are_read_back(made in materializations()) {
        prop_assert_eq!(decode::<Materialization>(&encode(&made)), Ok(made));
    }

    /// What decodes encodes to the same bytes: one value, one form.
    #[test]
    fn damaged_bytes_are_refused_or_are_the_form_of_what_is_read(
        made in materializations(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = encode(&Change::Materialized(Box::new(made)));
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(read) = decode::<Change>(&bytes) {
            prop_assert_eq!(encode(&read), bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        for read in [&bytes[..], &[&[FORM], &bytes[..]].concat()] {
            if let Ok(change) = decode::<Change>(read) {
                prop_assert_eq!(encode(&change), read);
            }
        }
    }
}
