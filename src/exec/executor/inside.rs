//! Steps that run in this very process, or in workers that outlive a step, beside those of another executor: queries
//! of databases that a library opens, which only one process can have, and queries too small for a process each.
//!
//! Knows how such a step is told from others and how it ends, not what it does. One that cannot be stopped is
//! given up: its thread ends with the tool, as everything does.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use crate::{
    base::clock::{Clock, SystemClock},
    exec::{
        executor::{
            CancelKind, Executor, ExecutorError, ExecutorEvent, Reattached, SPEC_VERSION, StepExit, StepHandle,
            StepResult, StepSpec, crew::Crew,
        },
        log::StepLog,
        stop::Stop,
    },
};

/// Between two tries to stop what runs.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How long one that is stopped is waited for, beyond its grace period.
const STUBBORN_MS: u64 = 5_000;
/// How long the other executor is waited for at once.
const TICK: Duration = Duration::from_millis(50);

/// What runs some steps here.
pub trait Inside: Send + Sync {
    /// Whether it runs this one.
    fn takes(&self, spec: &StepSpec) -> bool;

    /// Runs it to its end and writes its log: how it ended, and the milliseconds of CPU that it took, if known.
    fn run(&self, spec: &StepSpec, stop: &Arc<Stop>, log: &mut StepLog) -> (StepExit, u64);

    /// Stops or continues what does not stop with this process.
    fn pause(&self, stop: bool);
}

/// Runs some steps here and hands on all others.
pub struct InsideExecutor {
    shared: Arc<Shared>,
    inner: Arc<dyn Executor>,
    /// The other executor has something to tell, and is listened to.
    listener: Mutex<Option<JoinHandle<()>>>,
    inside: Arc<dyn Inside>,
    crew: Crew,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    events: VecDeque<ExecutorEvent>,
    /// Ours, by their attempt.
    steps: HashMap<String, Step>,
    over: bool,
    /// Whoever waits for an event is to go on without one.
    woken: bool,
    /// Since when everything stands still.
    paused: Option<u64>,
    /// How long it did before that, in all.
    paused_ms: u64,
}

impl State {
    /// Milliseconds in which something could be done.
    fn working_ms(&self) -> u64 {
        self.paused.unwrap_or_else(|| SystemClock.monotonic_ms()) - self.paused_ms
    }
}

struct Step {
    stop: Arc<Stop>,
    /// Why it is to end before it is done.
    asked: Option<StepExit>,
    result: Option<Box<StepResult>>,
}

impl InsideExecutor {
    pub fn new(inner: Arc<dyn Executor>, inside: Arc<dyn Inside>) -> InsideExecutor {
        InsideExecutor { shared: Arc::default(), inner, listener: Mutex::default(), inside, crew: Crew::default() }
    }

    /// What the other executor tells is told here, from when it is first asked.
    fn listen(&self) {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let (shared, inner) = (Arc::clone(&self.shared), Arc::clone(&self.inner));
        let listen = move || {
            while !shared.state().over {
                if let Some(event) = inner.next_event(TICK) {
                    shared.state().events.push_back(event);
                    shared.changed.notify_all();
                }
            }
        };
        listener.get_or_insert_with(|| std::thread::spawn(listen));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its first end is its end.
    fn end(&self, result: StepResult) {
        let mut state = self.state();
        let Some(step) = state.steps.get_mut(&result.attempt) else { return };
        if step.result.is_none() {
            step.result = Some(Box::new(result.clone()));
            state.events.push_back(ExecutorEvent::Finished { handle: StepHandle(result.attempt.clone()), result });
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Until it is over, or has had so long. Time in which everything stood still does not count.
    fn wait_for(&self, attempt: &str, timeout_ms: u64) {
        let mut state = self.state();
        let until = state.working_ms().saturating_add(timeout_ms);
        while state.steps.get(attempt).is_some_and(|it| it.result.is_none()) {
            let left = match state.paused {
                Some(_) => TICK,
                None => Duration::from_millis(until.saturating_sub(state.working_ms())),
            };
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn pause(&self, stop: bool) {
        let (mut state, now) = (self.state(), SystemClock.monotonic_ms());
        match (stop, state.paused) {
            (true, None) => state.paused = Some(now),
            (false, Some(since)) => {
                state.paused_ms += now - since;
                state.paused = None;
            }
            _ => {}
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Asks until it is over, or given up.
    fn stop(self: &Arc<Self>, attempt: &str, why: StepExit, patience_ms: u64) {
        let stop = {
            let mut state = self.state();
            let Some(step) = state.steps.get_mut(attempt).filter(|it| it.result.is_none()) else { return };
            step.asked.get_or_insert(why.clone());
            Arc::clone(&step.stop)
        };
        let (shared, attempt) = (Arc::clone(self), attempt.to_owned());
        std::thread::spawn(move || {
            let until = SystemClock.monotonic_ms() + patience_ms;
            while SystemClock.monotonic_ms() < until {
                if shared.state().steps.get(&attempt).is_none_or(|it| it.result.is_some()) {
                    return;
                }
                stop.ask();
                std::thread::sleep(ASK_AGAIN);
            }
            let tail = vec!["its driver does not let it be stopped: it was left alone".to_owned()];
            shared.end(StepResult { tail, ..result(&attempt, why, 0) });
        });
    }
}

fn result(attempt: &str, exit: StepExit, wall_ms: u64) -> StepResult {
    StepResult {
        version: SPEC_VERSION,
        attempt: attempt.to_owned(),
        exit,
        wall_ms,
        cpu_ms: 0,
        log_bytes: 0,
        leaked: false,
        tail: Vec::new(),
    }
}

/// On a thread that does nothing else meanwhile.
fn run(shared: &Arc<Shared>, spec: &StepSpec, stop: &Arc<Stop>, inside: &dyn Inside) {
    let started = SystemClock.monotonic_ms();
    let mut log = StepLog::new(&spec.log, &spec.secrets, spec.log_bytes_max);
    let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| inside.run(spec, stop, &mut log)));
    let captured = log.finish();
    let internal = || (StepExit::Lost("internal error, please report it".to_owned()), 0);
    let (exit, cpu_ms) = worked.unwrap_or_else(|_| internal());
    let asked = shared.state().steps.get(&spec.attempt).and_then(|it| it.asked.clone());
    // One that was done before it heard of it is done.
    let exit = asked.filter(|_| exit != StepExit::Code(0)).unwrap_or(exit);
    let wall_ms = SystemClock.monotonic_ms() - started;
    let ended = result(&spec.attempt, exit, wall_ms);
    shared.end(StepResult { cpu_ms, log_bytes: captured.bytes, tail: captured.tail, ..ended });
}

impl Executor for InsideExecutor {
    fn submit(&self, spec: &StepSpec) -> Result<StepHandle, ExecutorError> {
        if !self.inside.takes(spec) {
            self.listen();
            return self.inner.submit(spec);
        }
        let (stop, handle) = (Arc::new(Stop::default()), StepHandle(spec.attempt.clone()));
        {
            let mut state = self.shared.state();
            if state.steps.contains_key(&spec.attempt) {
                return Ok(handle);
            }
            let step = Step { stop: Arc::clone(&stop), asked: None, result: None };
            state.steps.insert(spec.attempt.clone(), step);
            state.events.push_back(ExecutorEvent::Started { handle: handle.clone(), pid: None });
        }
        let (shared, of_thread, inside) = (Arc::clone(&self.shared), spec.clone(), Arc::clone(&self.inside));
        self.crew
            .begin(move || run(&shared, &of_thread, &stop, &*inside))
            .map_err(|it| ExecutorError::Submit(it.to_string()))?;
        if let Some(timeout_ms) = spec.timeout_ms {
            let (shared, attempt, grace_ms) = (Arc::clone(&self.shared), spec.attempt.clone(), spec.grace_ms);
            std::thread::spawn(move || {
                shared.wait_for(&attempt, timeout_ms);
                shared.stop(&attempt, StepExit::TimedOut, grace_ms + STUBBORN_MS);
            });
        }
        Ok(handle)
    }

    fn next_event(&self, wait: Duration) -> Option<ExecutorEvent> {
        let nothing = |it: &mut State| it.events.is_empty() && !it.woken;
        let waited = self.shared.changed.wait_timeout_while(self.shared.state(), wait, nothing);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let event = state.events.pop_front();
        state.woken &= event.is_some();
        event
    }

    fn wake(&self) {
        self.shared.state().woken = true;
        self.shared.changed.notify_all();
    }

    fn cancel(&self, handle: &StepHandle, how: CancelKind) -> Result<(), ExecutorError> {
        if !self.shared.state().steps.contains_key(&handle.0) {
            return self.inner.cancel(handle, how);
        }
        self.shared.stop(&handle.0, StepExit::Cancelled, STUBBORN_MS);
        Ok(())
    }

    fn reattach(&self, attempt: &str) -> Result<Reattached, ExecutorError> {
        match self.shared.state().steps.get(attempt) {
            Some(Step { result: Some(result), .. }) => Ok(Reattached::Finished(result.clone())),
            Some(_) => Ok(Reattached::Running(StepHandle(attempt.to_owned()))),
            None => self.inner.reattach(attempt),
        }
    }

    /// Our threads stop with the process.
    fn pause(&self, stop: bool) -> Result<(), ExecutorError> {
        self.shared.pause(stop);
        self.inside.pause(stop);
        self.inner.pause(stop)
    }
}

impl Drop for InsideExecutor {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.inner.wake();
        let listener = self.listener.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // The other executor ends when this one does, not when a thread of it lets go.
        if let Some(Err(panic)) = listener.map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}
