//! What the store costs; run by hand: `cargo test --release -- --ignored --nocapture store_speed`.

use std::{thread, time::Duration};

use super::*;
use crate::{
    model::event::{RunOutcome, StepOutcome},
    plan::{
        record::{AttemptState, Intent},
        store::{
            conformance::sample::{at, attempt, key, made, materialization, run, step},
            folder::{Access, StateFolder},
        },
    },
};

fn open(root: &Path, access: Access) -> SqliteStore {
    StateFolder::open(root, access).unwrap().store(Disk::Local).unwrap().store
}

fn timed<T>(what: &str, per: u32, act: impl FnOnce() -> T) -> T {
    let start = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let result = act();
    let end = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let nanos = (end.tv_sec - start.tv_sec) * 1_000_000_000 + (end.tv_nsec - start.tv_nsec);
    let each = Duration::from_nanos(nanos as u64) / per;
    #[expect(clippy::print_stderr, reason = "a measurement is read by a person")]
    {
        eprintln!("{what}: {each:?} each, {:?} in all", Duration::from_nanos(nanos as u64));
    }
    result
}

/// The commits of one step of a run.
fn build(store: &SqliteStore, asset: &str, number: i64) {
    let mut attempt = attempt(asset, "r1", number);
    attempt.outputs = vec![key(asset)];
    let id = attempt.id.clone();
    let intents = vec![Intent { materialization: materialization(asset, "", number), staged: vec![7; 40] }];
    store.commit(&[Change::AttemptStarted(attempt)]).unwrap();
    store.commit(&[Change::AttemptCommitting { id: id.clone(), intents }]).unwrap();
    let state = AttemptState::Succeeded(StepOutcome::Built);
    store.commit(&[made(asset, "", number), Change::AttemptEnded { id, state, at: at(number) }]).unwrap();
    store.commit(&[Change::RunStep { run: RunId("r1".to_owned()), step: step(asset, StepOutcome::Built) }]).unwrap();
}

#[test]
#[ignore = "a measurement"]
fn store_speed() {
    let root = tempfile::tempdir().unwrap();
    let store = timed("first open", 1, || open(root.path(), Access::Write));
    store.commit(&[Change::RunStarted(run("r1"))]).unwrap();
    for round in 0..2 {
        timed(&format!("10,000 steps of 4 commits, 2 threads, round {round}"), 40_000, || {
            thread::scope(|scope| {
                for half in 0..2 {
                    let store = &store;
                    scope.spawn(move || {
                        for number in 0..5_000 {
                            build(store, &format!("layer{half}/asset_{number}"), 10 * round + 3 * number + 1);
                        }
                    });
                }
            });
        });
    }
    timed("5,000 steps of 4 commits, 1 thread", 20_000, || {
        (0..5_000).for_each(|it| build(&store, &format!("alone/asset_{it}"), 3 * it + 1));
    });
    let ended = Change::RunEnded { run: RunId("r1".to_owned()), outcome: RunOutcome::Succeeded, at: at(1) };
    store.commit(&[ended]).unwrap();
    timed("sync", 1, || store.sync().unwrap());
    let many: Vec<_> = (0..85_000).map(|it| made(&format!("many/asset_{it}"), "", 3 * it + 1)).collect();
    timed("one commit of 85,000", 85_000, || store.commit(&many).unwrap());
    timed("sync", 1, || store.sync().unwrap());
    timed("close", 1, || drop(store));
    for _ in 0..3 {
        let store = timed("open to read", 1, || open(root.path(), Access::Read));
        timed("generation", 1, || store.generation().unwrap());
        assert_eq!(timed("latest_all", 100_000, || store.latest_all().unwrap()).len(), 100_000);
        timed("last_attempts", 15_000, || store.last_attempts().unwrap());
        timed("latest", 1000, || {
            (0..1000).for_each(|it| {
                assert!(
                    store.latest(&key(&format!("many/asset_{}", it * 77)), &PartitionKey::whole()).unwrap().is_some()
                )
            })
        });
        timed("a miss", 1, || store.latest(&key("unknown"), &PartitionKey::whole()).unwrap());
        drop(store);
        timed("open to read, hundreds", 200, || (0..200).for_each(|_| drop(open(root.path(), Access::Read))));
        timed("open to write, hundreds", 200, || (0..200).for_each(|_| drop(open(root.path(), Access::Write))));
        let store = timed("open to write", 1, || open(root.path(), Access::Write));
        timed("close", 1, || drop(store));
    }
    let files: Vec<_> = std::fs::read_dir(root.path().join(".assets"))
        .unwrap()
        .map(|it| it.unwrap())
        .map(|it| (it.file_name(), it.metadata().unwrap().len()))
        .collect();
    timed(&format!("{files:?}"), 1, || ());
}
