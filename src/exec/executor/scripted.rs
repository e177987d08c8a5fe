//! An executor that runs nothing: a closure says how each step ends. For tests of whoever drives one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::exec::executor::{
    CancelKind, Executor, ExecutorError, ExecutorEvent, Reattached, SPEC_VERSION, StepExit, StepHandle, StepResult,
    StepSpec,
};

/// What becomes of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scripted {
    /// It ends at once, having written these lines.
    Ends(StepExit, Vec<String>),
    /// It goes on until it is cancelled.
    Hangs,
    /// The executor is gone.
    Breaks(String),
}

impl Scripted {
    pub fn success() -> Self {
        Scripted::Ends(StepExit::Code(0), Vec::new())
    }
}

type Script = dyn Fn(&StepSpec) -> Scripted + Send + Sync;

/// Answers by a closure, which may also do what the command would have done: write an output.
pub struct ScriptedExecutor {
    script: Box<Script>,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    events: VecDeque<ExecutorEvent>,
    /// `None` while it hangs.
    attempts: HashMap<String, Option<StepResult>>,
    gone: Option<String>,
    woken: bool,
    submitted: Vec<StepSpec>,
}

impl ScriptedExecutor {
    pub fn new(script: impl Fn(&StepSpec) -> Scripted + Send + Sync + 'static) -> Self {
        ScriptedExecutor { script: Box::new(script), state: Mutex::default(), arrived: Condvar::new() }
    }

    /// Every step that was run, in order.
    pub fn submitted(&self) -> Vec<StepSpec> {
        self.state().submitted.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn finish(&mut self, attempt: &str, exit: StepExit, tail: Vec<String>) {
        let result = StepResult {
            version: SPEC_VERSION,
            attempt: attempt.to_owned(),
            exit,
            wall_ms: 0,
            cpu_ms: 0,
            log_bytes: tail.iter().map(|it| it.len() as u64 + 1).sum(),
            leaked: false,
            tail,
        };
        self.attempts.insert(attempt.to_owned(), Some(result.clone()));
        self.events.push_back(ExecutorEvent::Finished { handle: StepHandle(attempt.to_owned()), result });
    }
}

impl Executor for ScriptedExecutor {
    fn submit(&self, spec: &StepSpec) -> Result<StepHandle, ExecutorError> {
        let handle = StepHandle(spec.attempt.clone());
        {
            let mut state = self.state();
            if let Some(why) = &state.gone {
                return Err(ExecutorError::Gone(why.clone()));
            }
            if state.attempts.contains_key(&spec.attempt) {
                return Ok(handle);
            }
            state.attempts.insert(spec.attempt.clone(), None);
            state.submitted.push(spec.clone());
            state.events.push_back(ExecutorEvent::Started { handle: handle.clone(), pid: None });
        }
        // Without the lock: the script may take its time, or ask us something.
        let scripted = (self.script)(spec);
        let mut state = self.state();
        match scripted {
            Scripted::Ends(exit, tail) => state.finish(&spec.attempt, exit, tail),
            Scripted::Hangs => {}
            Scripted::Breaks(why) => {
                state.events.push_back(ExecutorEvent::Broken(why.clone()));
                state.gone = Some(why);
            }
        }
        self.arrived.notify_all();
        Ok(handle)
    }

    fn next_event(&self, wait: Duration) -> Option<ExecutorEvent> {
        let nothing = |it: &mut State| it.events.is_empty() && !it.woken;
        let waited = self.arrived.wait_timeout_while(self.state(), wait, nothing);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let event = state.events.pop_front();
        state.woken &= event.is_some();
        event
    }

    fn wake(&self) {
        self.state().woken = true;
        self.arrived.notify_all();
    }

    fn cancel(&self, handle: &StepHandle, _how: CancelKind) -> Result<(), ExecutorError> {
        let mut state = self.state();
        if let Some(None) = state.attempts.get(&handle.0) {
            state.finish(&handle.0, StepExit::Cancelled, Vec::new());
            self.arrived.notify_all();
        }
        Ok(())
    }

    fn reattach(&self, attempt: &str) -> Result<Reattached, ExecutorError> {
        Ok(match self.state().attempts.get(attempt) {
            None => Reattached::Gone,
            Some(None) => Reattached::Running(StepHandle(attempt.to_owned())),
            Some(Some(result)) => Reattached::Finished(Box::new(result.clone())),
        })
    }

    fn pause(&self, _stop: bool) -> Result<(), ExecutorError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::executor::conformance::{self, Bench};

    #[test]
    fn it_conforms_where_no_command_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let make = || -> Box<dyn Executor> {
            Box::new(ScriptedExecutor::new(|it| match it.argv[0].as_slice() {
                b"sleep" => Scripted::Hangs,
                _ => Scripted::success(),
            }))
        };
        conformance::check_bookkeeping(&Bench { make: &make, folder: folder.path() });
    }

    #[test]
    fn a_broken_one_says_so_once_and_takes_nothing_more() {
        let executor = ScriptedExecutor::new(|_| Scripted::Breaks("fell over".into()));
        let folder = tempfile::tempdir().unwrap();
        let spec = conformance::spec(folder.path(), "one", &["true"]);
        executor.submit(&spec).unwrap();
        let events: Vec<_> = std::iter::from_fn(|| executor.next_event(Duration::ZERO)).collect();
        assert_eq!(events[1..], [ExecutorEvent::Broken("fell over".into())]);
        assert!(executor.submit(&conformance::spec(folder.path(), "two", &["true"])).is_err());
    }
}
