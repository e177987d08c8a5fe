//! What every executor has to do, ours and other people's: call [`check`] from a test of yours.
//!
//! A failure panics with the name of the promise that was broken. Needs a POSIX `sh`, `sleep` and `cat`
//! where the commands run, and the bench's folder to be seen there.

use std::{collections::BTreeMap, path::Path, time::Duration};

use crate::{
    base::{
        clock::{Clock, SystemClock},
        fs,
    },
    exec::executor::{
        CancelKind, Executor, ExecutorEvent, Reattached, SPEC_VERSION, StepExit, StepHandle, StepResult, StepSpec,
    },
};

/// How long any single thing may take before it counts as never.
const PATIENCE_MS: u64 = 60_000;

/// How to make executors that know nothing of each other, and an empty folder to work in.
pub struct Bench<'a> {
    pub make: &'a dyn Fn() -> Box<dyn Executor>,
    pub folder: &'a Path,
}

/// The whole contract.
pub fn check(bench: &Bench<'_>) {
    check_bookkeeping(bench);
    check_commands(bench);
}

/// What holds also for an executor that only pretends to run `true` and `sleep`.
pub fn check_bookkeeping(bench: &Bench<'_>) {
    every_step_finishes_exactly_once(bench);
    an_attempt_runs_once(bench);
    attempts_are_known_afterwards(bench);
    cancel_ends_a_step_and_is_fine_afterwards(bench);
    waiting_for_nothing_ends(bench);
    a_wait_is_ended_once(bench);
}

/// What only an executor that runs commands can keep.
pub fn check_commands(bench: &Bench<'_>) {
    exits_are_told_apart(bench);
    a_command_gets_exactly_its_arguments_environment_and_folder(bench);
    standard_input_is_empty(bench);
    output_goes_to_the_log_without_secrets(bench);
    time_runs_out(bench);
    nothing_runs_after_a_cancel(bench);
}

/// A step that works in `folder`.
pub fn spec(folder: &Path, attempt: &str, argv: &[&str]) -> StepSpec {
    StepSpec {
        version: SPEC_VERSION,
        run: "run".to_owned(),
        attempt: attempt.to_owned(),
        key: "key".to_owned(),
        partition: String::new(),
        argv: argv.iter().map(|it| it.as_bytes().to_vec()).collect(),
        env: vec![(b"PATH".to_vec(), b"/usr/local/bin:/usr/bin:/bin".to_vec())],
        folder: folder.to_owned(),
        log: folder.join(format!("{attempt}.log")),
        secrets: Vec::new(),
        timeout_ms: None,
        grace_ms: 5000,
        log_bytes_max: 1 << 20,
    }
}

fn submit(executor: &dyn Executor, spec: &StepSpec) -> StepHandle {
    executor.submit(spec).unwrap_or_else(|it| panic!("{} was not taken: {it}", spec.attempt))
}

/// Every result until `count` steps finished, and whatever comes right after.
fn results(executor: &dyn Executor, count: usize) -> BTreeMap<String, Vec<StepResult>> {
    let until = SystemClock.monotonic_ms() + PATIENCE_MS;
    let mut them: BTreeMap<String, Vec<StepResult>> = BTreeMap::new();
    let mut wait = Duration::from_millis(200);
    while SystemClock.monotonic_ms() < until {
        match executor.next_event(wait) {
            Some(ExecutorEvent::Finished { handle, result }) => {
                assert_eq!(handle.0, result.attempt, "a handle is the attempt's");
                them.entry(result.attempt.clone()).or_default().push(result);
            }
            Some(ExecutorEvent::Started { .. }) => {}
            Some(ExecutorEvent::Broken(why)) => panic!("the executor broke: {why}"),
            None if them.len() >= count => return them,
            None => {}
        }
        if them.len() >= count {
            wait = Duration::from_millis(50);
        }
    }
    panic!("only {} of {count} steps finished", them.len());
}

/// Runs one step to its end.
pub fn run(executor: &dyn Executor, spec: &StepSpec) -> StepResult {
    submit(executor, spec);
    let until = SystemClock.monotonic_ms() + PATIENCE_MS;
    while SystemClock.monotonic_ms() < until {
        match executor.next_event(Duration::from_millis(200)) {
            Some(ExecutorEvent::Finished { result, .. }) if result.attempt == spec.attempt => return result,
            Some(ExecutorEvent::Broken(why)) => panic!("the executor broke: {why}"),
            _ => {}
        }
    }
    panic!("{} never finished", spec.attempt);
}

fn wait_for_start(executor: &dyn Executor, handle: &StepHandle) {
    let until = SystemClock.monotonic_ms() + PATIENCE_MS;
    while SystemClock.monotonic_ms() < until {
        match executor.next_event(Duration::from_millis(200)) {
            Some(ExecutorEvent::Started { handle: it, .. }) if it == *handle => return,
            Some(ExecutorEvent::Finished { result, .. }) => panic!("it finished: {result:?}"),
            _ => {}
        }
    }
    panic!("{} never started", handle.0);
}

fn every_step_finishes_exactly_once(bench: &Bench<'_>) {
    let executor = (bench.make)();
    for index in 0..20 {
        submit(&*executor, &spec(bench.folder, &format!("once-{index}"), &["true"]));
    }
    let them = results(&*executor, 20);
    assert!(them.values().all(|it| it.len() == 1), "a step finishes once: {them:?}");
    assert!(them.values().all(|it| it[0].exit == StepExit::Code(0)), "`true` succeeds: {them:?}");
}

fn an_attempt_runs_once(bench: &Bench<'_>) {
    let executor = (bench.make)();
    let first = spec(bench.folder, "twice", &["true"]);
    let second = StepSpec { argv: vec![b"false".to_vec()], ..first.clone() };
    assert_eq!(submit(&*executor, &first), submit(&*executor, &second), "an attempt has one handle");
    let them = results(&*executor, 1);
    submit(&*executor, &second);
    assert_eq!(executor.next_event(Duration::from_millis(100)), None, "a finished attempt stays finished");
    assert_eq!(them["twice"].len(), 1, "an attempt finishes once");
    assert_eq!(them["twice"][0].exit, StepExit::Code(0), "the first result stands");
}

fn attempts_are_known_afterwards(bench: &Bench<'_>) {
    let executor = (bench.make)();
    let result = run(&*executor, &spec(bench.folder, "known", &["true"]));
    let found = executor.reattach("known").unwrap_or_else(|it| panic!("reattach failed: {it}"));
    assert_eq!(found, Reattached::Finished(Box::new(result)), "a finished attempt is found");
    let never = executor.reattach("never").unwrap_or_else(|it| panic!("reattach failed: {it}"));
    assert_eq!(never, Reattached::Gone, "an attempt that never was is gone");
}

fn cancel_ends_a_step_and_is_fine_afterwards(bench: &Bench<'_>) {
    for (how, attempt) in [(CancelKind::Polite, "polite"), (CancelKind::Now, "now")] {
        let executor = (bench.make)();
        let handle = submit(&*executor, &spec(bench.folder, attempt, &["sleep", "1000"]));
        wait_for_start(&*executor, &handle);
        let running = executor.reattach(attempt).unwrap_or_else(|it| panic!("reattach failed: {it}"));
        assert_eq!(running, Reattached::Running(handle.clone()), "a running attempt is found");
        let cancelled = |it: &StepHandle| executor.cancel(it, how).unwrap_or_else(|it| panic!("cancel failed: {it}"));
        cancelled(&handle);
        let them = results(&*executor, 1);
        assert_eq!(them[attempt][0].exit, StepExit::Cancelled, "a cancelled step says so");
        cancelled(&handle);
        cancelled(&StepHandle("never".to_owned()));
        assert_eq!(executor.next_event(Duration::from_millis(100)), None, "a late cancel does nothing");
    }
}

fn waiting_for_nothing_ends(bench: &Bench<'_>) {
    let executor = (bench.make)();
    let start = SystemClock.monotonic_ms();
    assert_eq!(executor.next_event(Duration::from_millis(20)), None, "nothing happens without a step");
    assert!((15..PATIENCE_MS).contains(&(SystemClock.monotonic_ms() - start)), "it waits as long as it was told");
}

fn a_wait_is_ended_once(bench: &Bench<'_>) {
    let executor = (bench.make)();
    let nothing = |wait_ms| {
        let start = SystemClock.monotonic_ms();
        assert_eq!(executor.next_event(Duration::from_millis(wait_ms)), None, "nothing happens");
        SystemClock.monotonic_ms() - start
    };
    for attempt in [None, Some("woken")] {
        if let Some(attempt) = attempt {
            run(&*executor, &spec(bench.folder, attempt, &["true"]));
        }
        executor.wake();
        assert!(nothing(PATIENCE_MS) < PATIENCE_MS, "who comes to wait next goes on at once");
        assert!(nothing(20) >= 15, "whoever comes after that waits");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| nothing(PATIENCE_MS));
            std::thread::sleep(Duration::from_millis(20));
            executor.wake();
            assert!(waits.join().is_ok_and(|it| it < PATIENCE_MS), "who waits goes on at once");
        });
    }
}

fn exits_are_told_apart(bench: &Bench<'_>) {
    let executor = (bench.make)();
    let exit = |attempt: &str, argv: &[&str]| run(&*executor, &spec(bench.folder, attempt, argv)).exit;
    assert_eq!(exit("code", &["sh", "-c", "exit 7"]), StepExit::Code(7));
    assert_eq!(exit("killed", &["sh", "-c", "kill -9 $$"]), StepExit::Signal(9));
    let not_there = exit("not-there", &["no-such-command-anywhere"]);
    assert!(
        matches!(&not_there, StepExit::NotStarted(why) if why.contains("no-such-command-anywhere")),
        "{not_there:?}"
    );
    let lost = StepSpec { folder: bench.folder.join("no/folder"), ..spec(bench.folder, "no-folder", &["true"]) };
    let no_folder = run(&*executor, &lost).exit;
    assert!(matches!(&no_folder, StepExit::NotStarted(why) if why.contains("no/folder")), "{no_folder:?}");
}

fn a_command_gets_exactly_its_arguments_environment_and_folder(bench: &Bench<'_>) {
    let executor = (bench.make)();
    let odd = b"a b\n\"'$(x)\xff".to_vec();
    let mut it = spec(
        bench.folder,
        "exact",
        &["sh", "-c", "printf %s \"$1\" >arg; printf %s \"$VALUE\" >value; pwd -P >pwd", "-"],
    );
    it.argv.push(odd.clone());
    it.env.push((b"VALUE".to_vec(), odd.clone()));
    assert_eq!(run(&*executor, &it).exit, StepExit::Code(0));
    let read = |name: &str| fs::read(&bench.folder.join(name)).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(read("arg"), odd, "an argument arrives byte by byte");
    assert_eq!(read("value"), odd, "a variable arrives byte by byte");
    let folder = fs::canonical(bench.folder).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(read("pwd"), format!("{}\n", folder.display()).into_bytes(), "the folder is the spec's");
    let mut bare = spec(bench.folder, "bare", &["env"]);
    bare.env.push((b"ONE".to_vec(), b"1".to_vec()));
    let mut seen = run(&*executor, &bare).tail;
    seen.sort();
    assert_eq!(seen, ["ONE=1", "PATH=/usr/local/bin:/usr/bin:/bin"], "nothing else is in the environment");
}

fn standard_input_is_empty(bench: &Bench<'_>) {
    let executor = (bench.make)();
    let result = run(&*executor, &spec(bench.folder, "cat", &["cat"]));
    assert_eq!((result.exit, result.log_bytes), (StepExit::Code(0), 0), "standard input is empty");
}

fn output_goes_to_the_log_without_secrets(bench: &Bench<'_>) {
    let executor = (bench.make)();
    let mut it = spec(bench.folder, "output", &["sh", "-c", "echo out; echo \"my $PASSWORD\" >&2"]);
    it.env.push((b"PASSWORD".to_vec(), b"correct-horse".to_vec()));
    it.secrets.push("correct-horse".to_owned());
    let result = run(&*executor, &it);
    assert_eq!(result.tail, ["out", "my ***"], "the tail is clean of secrets");
    assert_eq!(result.log_bytes, 21, "bytes are counted as they were written");
    let log = fs::read(&it.log).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(log, b"out\nmy ***\n", "the log is clean of secrets");
}

fn time_runs_out(bench: &Bench<'_>) {
    let executor = (bench.make)();
    let script = "trap '' TERM INT; while :; do sleep 0.05; done";
    let it = StepSpec { timeout_ms: Some(200), grace_ms: 200, ..spec(bench.folder, "late", &["sh", "-c", script]) };
    assert_eq!(run(&*executor, &it).exit, StepExit::TimedOut, "a timeout ends what ignores signals");
}

fn nothing_runs_after_a_cancel(bench: &Bench<'_>) {
    let executor = (bench.make)();
    let script =
        "trap '' INT TERM; (trap '' INT; while :; do echo x >>alive; sleep 0.02; done) & while :; do sleep 0.05; done";
    let it = StepSpec { grace_ms: 200, ..spec(bench.folder, "cancelled", &["sh", "-c", script]) };
    let handle = submit(&*executor, &it);
    let alive = bench.folder.join("alive");
    let size = || fs::look(&alive).unwrap_or_else(|it| panic!("{it}")).map_or(0, |it| it.len());
    let until = SystemClock.monotonic_ms() + PATIENCE_MS;
    while size() < 4 && SystemClock.monotonic_ms() < until {
        executor.next_event(Duration::from_millis(10));
    }
    executor.cancel(&handle, CancelKind::Polite).unwrap_or_else(|it| panic!("cancel failed: {it}"));
    results(&*executor, 1);
    let then = size();
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(size(), then, "nothing of a cancelled step runs when it finished");
}
