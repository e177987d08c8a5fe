//! What every store must do, as functions that any of them can be handed to.
//!
//! `make` opens a new, empty store. A promise that is not kept is a panic that says which.

pub mod sample;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use self::sample::{at, attempt, backfill, digest, key, made, materialization, observation, run, session, step};
use super::{Change, KEPT, OBSERVED_KEPT, SEALED_KEPT, StateStore};
use crate::{
    model::{
        event::{RunOutcome, StepOutcome},
        key::PartitionKey,
    },
    plan::{
        backfill::{BackfillState, ENDED_KEPT},
        record::{AttemptId, AttemptState, Intent, RunId},
    },
};

/// Opens a new, empty store.
pub type Make<'a> = &'a dyn Fn() -> Box<dyn StateStore>;

/// Its name, and what panics if it is not kept.
pub type Promise = (&'static str, fn(Make<'_>));

/// Every promise, by name.
pub const PROMISES: &[Promise] = &[
    ("an empty store knows nothing", empty),
    ("what is committed is read", reads_what_was_committed),
    ("history is newest first and pruned", history_is_pruned),
    ("a refresh touches only the attempt it is of", refreshes),
    ("an attempt runs, commits and ends once", attempts_live_and_end),
    ("the latest attempt is the one that started last", last_attempts),
    ("observations are kept by version", observations),
    ("a run has steps and an end", runs),
    ("a rename keeps history", renames),
    ("a rename of nothing changes nothing", renames_of_nothing),
    ("forgetting is complete", forgets),
    ("a forgotten run leaves what it made", forgets_runs),
    ("texts are kept by digest", texts),
    ("sessions are opened and sealed", sessions),
    ("a backfill is asked for once and turned as it stands", backfills),
    ("the generation moves when a decision could", generation_moves),
    ("a list of changes is seen whole or not at all", commits_are_whole),
    ("many threads commit at once", many_threads),
];

/// Holds a store to every promise.
pub fn check(make: Make<'_>) {
    for (_, promise) in PROMISES {
        promise(make);
    }
}

fn commit(store: &dyn StateStore, changes: &[Change]) {
    store.commit(changes).expect("a commit");
}

fn whole() -> PartitionKey {
    PartitionKey::whole()
}

fn empty(make: Make<'_>) {
    let store = make();
    assert_eq!(store.latest_all().unwrap(), []);
    assert_eq!(store.latest(&key("a"), &whole()).unwrap(), None);
    assert_eq!(store.history(&key("a"), &whole()).unwrap(), []);
    assert_eq!(store.last_attempts().unwrap(), []);
    assert_eq!(store.unfinished_attempts().unwrap(), []);
    assert_eq!(store.observations().unwrap(), []);
    assert_eq!(store.runs(9).unwrap(), []);
    assert_eq!(store.run(&RunId("r".to_owned())).unwrap(), None);
    assert_eq!(store.text(&digest("t")).unwrap(), None);
    assert_eq!(store.sessions().unwrap(), []);
    assert_eq!(store.backfills().unwrap(), []);
    assert_eq!(store.backfill("b").unwrap(), None);
    store.commit(&[]).unwrap();
    store.sync().unwrap();
}

fn reads_what_was_committed(make: Make<'_>) {
    let store = make();
    commit(
        &*store,
        &[made("b", "", 1), made("a/x", "2026-01-02", 2), made("a/x", "2026-01-01", 3), made("a-x", "", 4)],
    );
    let expected = [
        materialization("a-x", "", 4),
        materialization("a/x", "2026-01-01", 3),
        materialization("a/x", "2026-01-02", 2),
        materialization("b", "", 1),
    ];
    assert_eq!(store.latest_all().unwrap(), expected, "the latest of all, in key order");
    for made in expected {
        assert_eq!(store.latest(&made.key, &made.partition).unwrap(), Some(made));
    }
    assert_eq!(store.latest(&key("a/x"), &whole()).unwrap(), None);
}

fn history_is_pruned(make: Make<'_>) {
    let store = make();
    for number in 0..KEPT as i64 + 3 {
        commit(&*store, &[made("a", "", number), made("other", "", 100 + number)]);
        let expected: Vec<_> = (0..=number).rev().take(KEPT).map(|it| materialization("a", "", it)).collect();
        assert_eq!(store.history(&key("a"), &whole()).unwrap(), expected);
        assert_eq!(store.latest(&key("a"), &whole()).unwrap().as_ref(), expected.first());
    }
}

fn refreshes(make: Make<'_>) {
    let store = make();
    commit(&*store, &[made("a", "", 1), made("a", "", 2)]);
    let mut touched = materialization("a", "", 2);
    touched.output = materialization("a", "", 7).output;
    commit(&*store, &[Change::Refreshed(Box::new(touched.clone()))]);
    assert_eq!(store.history(&key("a"), &whole()).unwrap(), [touched.clone(), materialization("a", "", 1)]);
    let late = materialization("a", "", 1);
    let unknown = materialization("b", "", 1);
    commit(&*store, &[Change::Refreshed(Box::new(late)), Change::Refreshed(Box::new(unknown))]);
    assert_eq!(store.latest_all().unwrap(), [touched]);
}

fn attempts_live_and_end(make: Make<'_>) {
    let store = make();
    let started = attempt("a", "r1", 1);
    let id = started.id.clone();
    commit(&*store, &[Change::AttemptStarted(started.clone())]);
    assert_eq!(store.unfinished_attempts().unwrap(), std::slice::from_ref(&started));
    assert_eq!(store.attempt(&id).unwrap(), Some(started.clone()));

    let intents = vec![Intent { materialization: materialization("a", "", 1), staged: vec![1, 0, 2] }];
    commit(&*store, &[Change::AttemptCommitting { id: id.clone(), intents: intents.clone() }]);
    let mut expected = started;
    expected.state = AttemptState::Committing(intents);
    assert_eq!(store.unfinished_attempts().unwrap(), [expected.clone()]);
    assert_eq!(store.attempts_of(&expected.run).unwrap(), [expected.clone()]);

    expected.state = AttemptState::Succeeded(StepOutcome::Built);
    expected.ended_at = Some(at(9));
    let end = |state| Change::AttemptEnded { id: id.clone(), state, at: at(9) };
    commit(&*store, &[made("a", "", 1), end(expected.state.clone())]);
    commit(&*store, &[end(AttemptState::Interrupted)]);
    commit(&*store, &[Change::AttemptCommitting { id: id.clone(), intents: Vec::new() }]);
    assert_eq!(store.unfinished_attempts().unwrap(), []);
    assert_eq!(store.attempt(&id).unwrap(), Some(expected.clone()), "the first end counts");
    assert_eq!(store.attempts_of(&expected.run).unwrap(), [expected]);

    let unknown = AttemptId("unknown".to_owned());
    commit(&*store, &[Change::AttemptEnded { id: unknown.clone(), state: AttemptState::Interrupted, at: at(1) }]);
    assert_eq!(store.attempt(&unknown).unwrap(), None);
}

fn last_attempts(make: Make<'_>) {
    let store = make();
    let failed = |number: i64| Change::AttemptEnded {
        id: attempt("a", "r1", number).id,
        state: AttemptState::Failed(format!("exit status {number}")),
        at: at(number),
    };
    commit(&*store, &[1, 2, 3].map(|it| Change::AttemptStarted(attempt("a", "r1", it))));
    commit(&*store, &[Change::AttemptStarted(attempt("B", "r1", 1))]);
    let last = || -> Vec<_> {
        let them = store.last_attempts().unwrap();
        for it in &them {
            assert_eq!(store.last_attempt(&it.op, &it.partition).unwrap().as_ref(), Some(it));
        }
        assert_eq!(store.last_attempt("unknown", &PartitionKey::whole()).unwrap(), None);
        them.into_iter().map(|it| (it.id, it.ended_at)).collect()
    };
    let other = (attempt("B", "r1", 1).id, None);
    assert_eq!(last(), [other.clone(), (attempt("a", "r1", 3).id, None)], "by op name");
    commit(&*store, &[failed(2)]);
    assert_eq!(last()[1], (attempt("a", "r1", 3).id, None));
    commit(&*store, &[failed(3), failed(1)]);
    assert_eq!(last(), [other, (attempt("a", "r1", 3).id, Some(at(3)))]);
    let mut of_partition = attempt("a", "r2", 4);
    of_partition.partition = PartitionKey::new("2026");
    commit(&*store, &[Change::AttemptStarted(of_partition)]);
    assert_eq!(last().len(), 3, "each partition has its own");
}

fn observations(make: Make<'_>) {
    let store = make();
    let seen = |number| Change::Observed(observation("s", number));
    let known = |number: i64| store.observation(&key("s"), &observation("s", number).data_version).unwrap();
    commit(&*store, &[Change::Observed(observation("r", 1)), seen(1), seen(2)]);
    assert_eq!(store.observations().unwrap(), [observation("r", 1), observation("s", 2)]);
    assert_eq!(known(1), Some(observation("s", 1)));
    commit(&*store, &[seen(1)]);
    assert_eq!(store.observations().unwrap()[1], observation("s", 1), "seen again, it is the latest");
    let last = OBSERVED_KEPT as i64 + 1;
    (3..=last).for_each(|it| commit(&*store, &[seen(it)]));
    assert_eq!(known(2), None, "the oldest goes first");
    assert_eq!(known(1), Some(observation("s", 1)), "seen again, it is younger");
    assert_eq!(known(last), Some(observation("s", last)));
    assert_eq!(store.observation(&key("r"), &observation("s", last).data_version).unwrap(), None);
}

fn runs(make: Make<'_>) {
    let store = make();
    commit(&*store, &[Change::RunStarted(run("r1")), Change::RunStarted(run("r2"))]);
    let add = |id: &str, step| Change::RunStep { run: RunId(id.to_owned()), step };
    commit(&*store, &[add("r1", step("b", StepOutcome::Built)), add("r2", step("c", StepOutcome::Fresh))]);
    commit(&*store, &[add("r1", step("a", StepOutcome::Failed)), add("unknown", step("a", StepOutcome::Built))]);
    commit(&*store, &[Change::RunEnded { run: RunId("r1".to_owned()), outcome: RunOutcome::Failed, at: at(8) }]);
    let mut expected = run("r1");
    expected.ended_at = Some(at(8));
    expected.outcome = Some(RunOutcome::Failed);
    assert_eq!(store.runs(9).unwrap(), [run("r2"), expected.clone()], "newest first, without steps");
    assert_eq!(store.runs(1).unwrap(), [run("r2")]);
    expected.steps = vec![step("b", StepOutcome::Built), step("a", StepOutcome::Failed)];
    assert_eq!(store.run(&expected.id).unwrap(), Some(expected), "steps in the order in which they ended");
}

fn renames(make: Make<'_>) {
    let store = make();
    let mut split = attempt("split", "r1", 1);
    split.outputs = vec![key("old"), key("side")];
    commit(&*store, &[made("old", "p", 1), made("old", "p", 2), made("old", "", 3), made("new", "gone", 9)]);
    commit(&*store, &[Change::Observed(observation("old", 1)), Change::Observed(observation("old", 2))]);
    commit(&*store, &[Change::AttemptStarted(attempt("old", "r1", 2)), Change::AttemptStarted(split)]);
    commit(&*store, &[Change::RunStarted(run("r1"))]);
    commit(&*store, &[Change::RunStep { run: RunId("r1".to_owned()), step: step("old", StepOutcome::Built) }]);
    commit(&*store, &[Change::Renamed { old: key("old"), new: key("new") }]);

    let named = |partition: &str, number| {
        let mut made = materialization("old", partition, number);
        made.key = key("new");
        made
    };
    assert_eq!(store.latest_all().unwrap(), [named("", 3), named("p", 2)], "in the place of what was there");
    assert_eq!(store.history(&key("new"), &PartitionKey::new("p")).unwrap(), [named("p", 2), named("p", 1)]);
    assert_eq!(store.history(&key("old"), &PartitionKey::new("p")).unwrap(), []);
    let earlier = store.observation(&key("new"), &observation("old", 1).data_version).unwrap();
    assert_eq!(earlier.map(|it| it.key), Some(key("new")));
    assert_eq!(store.observations().unwrap().len(), 1);
    let outputs: Vec<_> = store.last_attempts().unwrap().into_iter().map(|it| (it.op, it.outputs)).collect();
    let expected = [("new".to_owned(), vec![key("new")]), ("split".to_owned(), vec![key("new"), key("side")])];
    assert_eq!(outputs, expected);
    assert_eq!(store.run(&RunId("r1".to_owned())).unwrap().unwrap().steps[0].key, key("new"));
    commit(&*store, &[made("new", "p", 5)]);
    assert_eq!(store.history(&key("new"), &PartitionKey::new("p")).unwrap().len(), 3);
}

fn renames_of_nothing(make: Make<'_>) {
    let store = make();
    commit(&*store, &[made("a", "", 1), Change::Observed(observation("a", 1))]);
    commit(&*store, &[Change::Renamed { old: key("unknown"), new: key("a") }]);
    commit(&*store, &[Change::Renamed { old: key("a"), new: key("a") }]);
    assert_eq!(store.latest_all().unwrap(), [materialization("a", "", 1)]);
    assert_eq!(store.observations().unwrap(), [observation("a", 1)]);
}

fn forgets(make: Make<'_>) {
    let store = make();
    commit(&*store, &[made("a", "x", 1), made("a", "x", 2), made("b", "x", 3)]);
    commit(&*store, &[Change::Observed(observation("a", 1)), Change::Observed(observation("a", 2))]);
    let id = attempt("a", "r1", 1).id;
    commit(&*store, &[Change::AttemptStarted(attempt("a", "r1", 1))]);
    commit(&*store, &[Change::AttemptEnded { id: id.clone(), state: AttemptState::Failed("x".to_owned()), at: at(2) }]);
    commit(&*store, &[Change::Forgotten(key("a"))]);
    assert_eq!(store.latest_all().unwrap(), [materialization("b", "x", 3)]);
    assert_eq!(store.history(&key("a"), &PartitionKey::new("x")).unwrap(), []);
    assert_eq!(store.observations().unwrap(), []);
    assert_eq!(store.observation(&key("a"), &observation("a", 1).data_version).unwrap(), None);
    assert_eq!(store.last_attempts().unwrap(), []);
    assert!(store.attempt(&id).unwrap().is_some(), "the run still says that it tried");
    commit(&*store, &[made("a", "x", 4)]);
    assert_eq!(store.history(&key("a"), &PartitionKey::new("x")).unwrap(), [materialization("a", "x", 4)]);
}

fn forgets_runs(make: Make<'_>) {
    let store = make();
    commit(&*store, &[Change::RunStarted(run("r1")), Change::RunStarted(run("r2")), made("a", "", 1)]);
    commit(&*store, &[Change::RunStep { run: RunId("r1".to_owned()), step: step("a", StepOutcome::Built) }]);
    commit(&*store, &[Change::AttemptStarted(attempt("a", "r1", 1)), Change::AttemptStarted(attempt("b", "r1", 2))]);
    let state = AttemptState::Succeeded(StepOutcome::Built);
    commit(&*store, &[Change::AttemptEnded { id: attempt("a", "r1", 1).id, state, at: at(3) }]);
    commit(&*store, &[Change::RunForgotten(RunId("r1".to_owned()))]);
    assert_eq!(store.runs(9).unwrap(), [run("r2")]);
    assert_eq!(store.run(&RunId("r1".to_owned())).unwrap(), None);
    assert_eq!(store.attempt(&attempt("a", "r1", 1).id).unwrap(), None);
    let left = [attempt("b", "r1", 2)];
    assert_eq!(store.unfinished_attempts().unwrap(), left, "what is unfinished must still be found");
    assert_eq!(store.last_attempts().unwrap(), left);
    assert_eq!(store.latest_all().unwrap(), [materialization("a", "", 1)]);
}

fn texts(make: Make<'_>) {
    let store = make();
    let text = "select 'caf\u{e9}'\n\n\u{f0}assets".to_owned();
    let change = Change::Text { digest: digest("q"), text: text.clone() };
    commit(&*store, &[change.clone(), change]);
    assert_eq!(store.text(&digest("q")).unwrap(), Some(text));
    assert_eq!(store.text(&digest("r")).unwrap(), None);
}

fn sessions(make: Make<'_>) {
    let store = make();
    commit(&*store, &[Change::SessionOpened(session("z")), Change::SessionOpened(session("a"))]);
    commit(&*store, &[Change::SessionSealed("z".to_owned()), Change::SessionSealed("unknown".to_owned())]);
    let mut sealed = session("z");
    sealed.sealed = true;
    assert_eq!(store.sessions().unwrap(), [sealed, session("a")], "in the order of opening");
    commit(&*store, &[Change::SessionOpened(session("z"))]);
    assert_eq!(store.sessions().unwrap(), [session("z"), session("a")], "opened again, it is no longer sealed");
    for number in 0..SEALED_KEPT as i64 + 5 {
        let id = format!("s{number}");
        commit(&*store, &[Change::SessionOpened(session(&id)), Change::SessionSealed(id)]);
    }
    let left: Vec<_> = store.sessions().unwrap().into_iter().map(|it| it.id).collect();
    assert_eq!(left.len(), 2 + SEALED_KEPT);
    assert_eq!(left[..3], ["z", "a", "s5"], "what is not sealed is never dropped");
}

fn backfills(make: Make<'_>) {
    use BackfillState::{Cancelled, Done, Paused, Wanted};
    let store = make();
    let asked = |name: &str, asset: &str| Change::BackfillAsked(Box::new(backfill(name, asset)));
    let turned = |name: &str, from: &[BackfillState], to| Change::BackfillTurned {
        name: name.to_owned(),
        from: from.to_vec(),
        to,
        at: at(9),
    };
    let state = |name: &str| store.backfill(name).unwrap().map(|it| it.state);
    commit(&*store, &[turned("z", &[Wanted], Done)]);
    assert_eq!(store.backfills().unwrap(), []);
    commit(&*store, &[asked("z", "a"), asked("a", "a"), asked("z", "b")]);
    assert_eq!(store.backfills().unwrap(), [backfill("z", "a"), backfill("a", "a")], "in the order of asking, once");
    commit(&*store, &[turned("z", &[Wanted, Cancelled], Paused)]);
    assert_eq!(store.backfill("z").unwrap().map(|it| (it.state, it.since)), Some((Paused, at(9))));
    commit(&*store, &[turned("z", &[Wanted], Done), turned("nobody", &[Wanted], Done)]);
    assert_eq!((state("z"), state("a")), (Some(Paused), Some(Wanted)), "it was not what it was taken for");
    commit(&*store, &[Change::Renamed { old: key("a"), new: key("b") }]);
    let keys = |name: &str| store.backfill(name).unwrap().map(|it| it.assets[0].key.clone());
    assert_eq!((keys("z"), keys("a")), (Some(key("b")), Some(key("b"))));
    for number in 0..ENDED_KEPT + 5 {
        let name = format!("n{number}");
        commit(&*store, &[asked(&name, "a"), turned(&name, &[Wanted], if number % 2 == 0 { Done } else { Cancelled })]);
    }
    commit(&*store, &[asked("last", "a")]);
    let left: Vec<String> = store.backfills().unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!(left.len(), 2 + ENDED_KEPT + 1);
    assert_eq!(left[..3], ["z", "a", "n5"], "what has not ended is never dropped");
}

fn generation_moves(make: Make<'_>) {
    let store = make();
    let mut last = store.generation().unwrap();
    let mut moves = |change: Change| {
        commit(&*store, std::slice::from_ref(&change));
        let now = store.generation().unwrap();
        let moved = now != last;
        last = now;
        moved
    };
    assert!(moves(made("a", "", 1)));
    assert!(moves(Change::Observed(observation("s", 1))));
    assert!(moves(Change::AttemptStarted(attempt("a", "r1", 1))));
    assert!(moves(Change::SessionOpened(session("s"))));
    assert!(moves(Change::SessionSealed("s".to_owned())));
    assert!(moves(Change::Renamed { old: key("a"), new: key("b") }));
    assert!(moves(Change::Forgotten(key("b"))));
    assert!(!moves(Change::RunStarted(run("r1"))), "a run that found nothing to do leaves caches as they are");
    assert!(!moves(Change::BackfillAsked(Box::new(backfill("b", "a")))));
    assert!(!moves(Change::RunEnded { run: RunId("r1".to_owned()), outcome: RunOutcome::Succeeded, at: at(1) }));
}

/// A reader beside a writer never sees one of a pair without the other, and never an older pair.
fn commits_are_whole(make: Make<'_>) {
    let store = make();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..200 {
                commit(&*store, &[made("left", "", number), made("right", "", number)]);
            }
            done.store(true, Ordering::Release);
        });
        let mut last = -1;
        loop {
            let finished = done.load(Ordering::Acquire);
            let seen: Vec<_> = store.latest_all().unwrap().iter().map(|it| it.at.as_second()).collect();
            let number = match seen.as_slice() {
                [] => -1,
                [left, right] if left == right => left - at(0).as_second(),
                torn => panic!("a reader saw half of a commit: {torn:?}"),
            };
            assert!(number >= last, "a reader saw an older state after a newer one");
            last = number;
            if finished {
                break;
            }
        }
        assert_eq!(last, 199);
    });
}

fn many_threads(make: Make<'_>) {
    let store = make();
    thread::scope(|scope| {
        for thread in 0..8i64 {
            let store = &*store;
            scope.spawn(move || {
                for number in 0..25 {
                    let asset = format!("t{thread}/a{number}");
                    commit(store, &[made(&asset, "", number), made("shared", "", 1000 * thread + number)]);
                    let own = store.latest(&key(&asset), &whole()).unwrap();
                    assert_eq!(own, Some(materialization(&asset, "", number)), "a thread sees what it committed");
                }
            });
        }
    });
    assert_eq!(store.latest_all().unwrap().len(), 8 * 25 + 1);
    assert_eq!(store.history(&key("shared"), &whole()).unwrap().len(), KEPT);
}
