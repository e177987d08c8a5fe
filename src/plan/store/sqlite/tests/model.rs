//! Random changes, applied to the store on disk and to the one in memory: they never differ.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    model::event::{RunOutcome, StepOutcome},
    plan::{
        backfill::BackfillState,
        record::{AttemptState, Intent},
        store::conformance::sample::{at, backfill, digest},
    },
};

const ASSETS: [&str; 4] = ["a", "a/b", "a-b", "s"];
const PARTITIONS: [&str; 2] = ["", "p"];
const RUNS: [&str; 2] = ["r1", "r2"];

fn changes() -> impl Strategy<Value = Change> {
    let asset = || select(&ASSETS[..]);
    let partition = || select(&PARTITIONS[..]);
    let run_name = || select(&RUNS[..]);
    let run_id = || run_name().prop_map(|it| RunId(it.to_owned()));
    let id = move || (asset(), run_name(), 0..6i64).prop_map(|(op, run, number)| attempt(op, run, number).id);
    let outcome = || select(&StepOutcome::ALL[..]);
    let ends = prop_oneof![
        outcome().prop_map(AttemptState::Succeeded),
        Just(AttemptState::Failed("exit status 1".to_owned())),
        Just(AttemptState::Interrupted),
    ];
    prop_oneof![
        8 => (asset(), partition(), 0..9i64).prop_map(|(asset, partition, number)| made(asset, partition, number)),
        2 => (asset(), partition(), 0..9i64)
            .prop_map(|(asset, partition, number)| Change::Refreshed(Box::new(materialization(asset, partition, number)))),
        4 => (asset(), 0..12i64).prop_map(|(source, number)| Change::Observed(observation(source, number))),
        1 => run_name().prop_map(|it| Change::RunStarted(run(it))),
        2 => (run_id(), asset(), outcome())
            .prop_map(|(run, asset, outcome)| Change::RunStep { run, step: step(asset, outcome) }),
        1 => run_id().prop_map(|run| Change::RunEnded { run, outcome: RunOutcome::Succeeded, at: at(3) }),
        2 => (id(), asset(), 0..9i64).prop_map(|(id, asset, number)| Change::AttemptCommitting {
            id,
            intents: vec![Intent { materialization: materialization(asset, "", number), staged: vec![1] }],
        }),
        3 => (id(), ends).prop_map(|(id, state)| Change::AttemptEnded { id, state, at: at(4) }),
        1 => (0..3i64).prop_map(|it| Change::Text { digest: digest(&it.to_string()), text: it.to_string() }),
        1 => select(&["x", "y"][..]).prop_map(|it| Change::SessionOpened(session(it))),
        1 => select(&["x", "y"][..]).prop_map(|it| Change::SessionSealed(it.to_owned())),
        1 => (asset(), asset()).prop_map(|(old, new)| Change::Renamed { old: key(old), new: key(new) }),
        1 => asset().prop_map(|it| Change::Forgotten(key(it))),
        1 => run_id().prop_map(Change::RunForgotten),
        1 => (select(&["x", "y"][..]), asset())
            .prop_map(|(name, asset)| Change::BackfillAsked(Box::new(backfill(name, asset)))),
        1 => (select(&["x", "y"][..]), 0..9i64).prop_map(|(name, second)| Change::BackfillTurned {
            name: name.to_owned(),
            from: vec![BackfillState::Wanted, BackfillState::Paused],
            to: if second % 2 == 0 { BackfillState::Paused } else { BackfillState::Wanted },
            at: at(second),
        }),
        1 => (select(&["x", "y"][..]), run_id())
            .prop_map(|(name, run)| Change::BackfillBegun { name: name.to_owned(), run }),
    ]
}

/// What happens to the store between two commits.
#[derive(Clone, Debug)]
enum Act {
    Commit(Vec<Change>),
    /// Of an attempt with an id that was never used before.
    Start(&'static str, &'static str, &'static str),
    Reopen,
    Sync,
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => vec(changes(), 1..4).prop_map(Act::Commit),
        3 => (select(&ASSETS[..]), select(&RUNS[..]), select(&PARTITIONS[..])).prop_map(|(a, b, c)| Act::Start(a, b, c)),
        1 => Just(Act::Reopen),
        1 => Just(Act::Sync),
    ]
}

fn assert_same_truth(store: &dyn StateStore, model: &MemoryStore) {
    assert_eq!(store.latest_all().unwrap(), model.latest_all().unwrap());
    assert_eq!(store.observations().unwrap(), model.observations().unwrap());
    assert_eq!(store.sessions().unwrap(), model.sessions().unwrap());
    assert_eq!(store.backfills().unwrap(), model.backfills().unwrap());
    for asset in ASSETS {
        for partition in PARTITIONS {
            let (key, partition) = (key(asset), PartitionKey::new(partition));
            assert_eq!(store.latest(&key, &partition).unwrap(), model.latest(&key, &partition).unwrap());
            assert_eq!(store.history(&key, &partition).unwrap(), model.history(&key, &partition).unwrap());
        }
        for number in 0..12 {
            for named in ASSETS {
                let version = observation(named, number).data_version;
                let seen = store.observation(&key(asset), &version).unwrap();
                assert_eq!(seen, model.observation(&key(asset), &version).unwrap());
            }
        }
    }
    for number in 0..3 {
        let digest = digest(&number.to_string());
        assert_eq!(store.text(&digest).unwrap(), model.text(&digest).unwrap());
    }
}

fn assert_same_history(store: &dyn StateStore, model: &MemoryStore) {
    assert_eq!(store.last_attempts().unwrap(), model.last_attempts().unwrap());
    assert_eq!(store.unfinished_attempts().unwrap(), model.unfinished_attempts().unwrap());
    assert_eq!(store.runs(9).unwrap(), model.runs(9).unwrap());
    for run in RUNS.map(|it| RunId(it.to_owned())) {
        assert_eq!(store.run(&run).unwrap(), model.run(&run).unwrap());
        assert_eq!(store.attempts_of(&run).unwrap(), model.attempts_of(&run).unwrap());
        for attempt in model.attempts_of(&run).unwrap() {
            assert_eq!(store.attempt(&attempt.id).unwrap(), Some(attempt));
        }
    }
}

fn agree(acts: Vec<Act>) {
    let project = Project::new();
    let model = MemoryStore::new();
    let mut store = project.store();
    let mut started = 0;
    for act in acts {
        match act {
            Act::Commit(changes) => {
                store.commit(&changes).unwrap();
                model.commit(&changes).unwrap();
            }
            Act::Start(op, run, partition) => {
                let mut attempt = attempt(op, run, started);
                attempt.partition = PartitionKey::new(partition);
                started += 1;
                store.commit(&[Change::AttemptStarted(attempt.clone())]).unwrap();
                model.commit(&[Change::AttemptStarted(attempt)]).unwrap();
            }
            Act::Reopen => {
                drop(store);
                store = project.store();
            }
            Act::Sync => store.sync().unwrap(),
        }
        assert_same_truth(&store, &model);
        assert_same_history(&store, &model);
    }
    drop(store);
    std::fs::remove_file(project.state("state.db")).unwrap();
    assert_same_truth(&project.open_to_read().store, &model);
    assert_same_truth(&project.open().store, &model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_store_on_disk_agrees_with_the_one_in_memory(acts in vec(acts(), 1..25)) {
        agree(acts);
    }
}
