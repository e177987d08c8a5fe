//! Commands on this machine: the tool's end of the link to its supervisor.
//!
//! The supervisor is started by the first step. Nothing of a step survives this process, so there is
//! nothing to reattach to in another.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd},
    process::{Pid, Signal, kill_process_group},
};

use crate::{
    base::clock::{Clock, SystemClock},
    exec::{
        executor::{CancelKind, Executor, ExecutorError, ExecutorEvent, Reattached, StepHandle, StepResult, StepSpec},
        supervise::{Inbox, News, Order, SUBCOMMAND, write_frame},
    },
};

/// How long the end of everything is waited for.
const FAREWELL_MS_MAX: u64 = 15_000;

/// Runs commands through one supervisor process.
pub struct LocalExecutor {
    /// The binary that has the supervisor as its hidden subcommand.
    program: PathBuf,
    state: Mutex<State>,
    /// The supervisor was started, or is gone.
    changed: Condvar,
    reading: Mutex<Reading>,
}

struct State {
    locks: Option<OwnedFd>,
    supervisor: Supervisor,
    attempts: HashMap<String, Attempt>,
    /// Before there is a bell: whoever waits for the supervisor is to go on without it.
    woken: bool,
}

enum Supervisor {
    NotStarted,
    /// What is written to `bell` ends a wait for news.
    Running {
        process: Child,
        link: UnixStream,
        bell: Arc<OwnedFd>,
    },
    Gone(String),
}

enum Attempt {
    Submitted,
    /// Its process group.
    Started(u32),
    Finished(Box<StepResult>),
}

#[derive(Default)]
struct Reading {
    link: Option<(UnixStream, Arc<OwnedFd>)>,
    inbox: Inbox,
}

impl LocalExecutor {
    /// `program` is this binary. The supervisor holds `locks` until nothing that it started is left.
    pub fn new(program: PathBuf, locks: Option<OwnedFd>) -> Self {
        LocalExecutor {
            program,
            state: Mutex::new(State {
                locks,
                supervisor: Supervisor::NotStarted,
                attempts: HashMap::new(),
                woken: false,
            }),
            changed: Condvar::new(),
            reading: Mutex::new(Reading::default()),
        }
    }

    /// The supervisor's process, if there is one.
    pub fn supervisor_pid(&self) -> Option<u32> {
        match &self.state().supervisor {
            Supervisor::Running { process, .. } => Some(process.id()),
            Supervisor::NotStarted | Supervisor::Gone(_) => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is a single assignment: a panic elsewhere left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, state: &mut State) -> Result<(), ExecutorError> {
        let failed = |it: std::io::Error| ExecutorError::Submit(format!("the supervisor did not start: {it}"));
        let (link, theirs) = UnixStream::pair().map_err(failed)?;
        let reading = link.try_clone().map_err(failed)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let bell = Arc::new(bell.map_err(|it| failed(it.into()))?);
        let locks = match &state.locks {
            Some(it) => Stdio::from(it.try_clone().map_err(failed)?),
            None => Stdio::null(),
        };
        let process = Command::new(&self.program)
            .arg(SUBCOMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(locks)
            .spawn()
            .map_err(failed)?;
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).link = Some((reading, Arc::clone(&bell)));
        state.supervisor = Supervisor::Running { process, link, bell };
        self.changed.notify_all();
        Ok(())
    }

    fn send(state: &mut State, order: &Order<'_>) -> Result<(), ExecutorError> {
        match &mut state.supervisor {
            Supervisor::Running { link, .. } => {
                let mut frame = Vec::with_capacity(4096);
                write_frame(&mut frame, order).map_err(ExecutorError::Submit)?;
                link.write_all(&frame).map_err(|it| ExecutorError::Gone(it.to_string()))
            }
            Supervisor::NotStarted => Ok(()),
            Supervisor::Gone(why) => Err(ExecutorError::Gone(why.clone())),
        }
    }

    fn on_news(&self, news: News) -> ExecutorEvent {
        let mut state = self.state();
        match news {
            News::Started { attempt, pid } => {
                state.attempts.insert(attempt.clone(), Attempt::Started(pid));
                ExecutorEvent::Started { handle: StepHandle(attempt), pid: Some(pid) }
            }
            News::Finished(result) => {
                state.attempts.insert(result.attempt.clone(), Attempt::Finished(result.clone()));
                ExecutorEvent::Finished { handle: StepHandle(result.attempt.clone()), result: *result }
            }
        }
    }

    /// The supervisor is gone while we are not: the second line of "nothing outlives the tool".
    fn on_broken(&self, why: &str) -> ExecutorEvent {
        let mut state = self.state();
        let mut message = format!("the supervisor is gone: {why}");
        let gone = Supervisor::Gone(message.clone());
        if let Supervisor::Running { mut process, link, .. } = std::mem::replace(&mut state.supervisor, gone) {
            drop(link);
            // It lives only if it sent junk; it ends its commands itself once the link is closed.
            if let Ok(status) = process.wait() {
                message = format!("the supervisor is gone: {status}");
                state.supervisor = Supervisor::Gone(message.clone());
            }
        }
        for attempt in state.attempts.values() {
            if let Attempt::Started(pid) = attempt
                && let Some(group) = i32::try_from(*pid).ok().and_then(Pid::from_raw)
            {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        ExecutorEvent::Broken(message)
    }

    /// Waits for the supervisor to be there; `false` if it is not by then.
    fn wait_for_start(&self, wait: Duration) -> bool {
        let state = self.state();
        let waits = |it: &mut State| !matches!(it.supervisor, Supervisor::Running { .. }) && !it.woken;
        let waited = self.changed.wait_timeout_while(state, wait, waits);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        !std::mem::take(&mut state.woken) && matches!(state.supervisor, Supervisor::Running { .. })
    }
}

impl Executor for LocalExecutor {
    fn submit(&self, spec: &StepSpec) -> Result<StepHandle, ExecutorError> {
        let mut state = self.state();
        let handle = StepHandle(spec.attempt.clone());
        if state.attempts.contains_key(&spec.attempt) {
            return Ok(handle);
        }
        if matches!(state.supervisor, Supervisor::NotStarted) {
            self.start(&mut state)?;
        }
        Self::send(&mut state, &Order::Submit(Box::new(Cow::Borrowed(spec))))?;
        state.attempts.insert(spec.attempt.clone(), Attempt::Submitted);
        Ok(handle)
    }

    fn next_event(&self, wait: Duration) -> Option<ExecutorEvent> {
        let until = SystemClock.monotonic_ms() + u64::try_from(wait.as_millis()).unwrap_or(u64::MAX / 2);
        if !self.wait_for_start(wait) {
            return None;
        }
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = [0; 16 << 10];
        loop {
            match reading.inbox.take() {
                Ok(Some(news)) => return Some(self.on_news(news)),
                Ok(None) => {}
                Err(why) => {
                    reading.link = None;
                    return Some(self.on_broken(&why));
                }
            }
            let (link, bell) = reading.link.as_mut()?;
            let left = until.saturating_sub(SystemClock.monotonic_ms());
            match readable([link.as_fd(), bell.as_fd()], left) {
                [true, _] => {}
                [false, is_rung] => {
                    if is_rung {
                        let _ = rustix::io::read(&*bell, &mut [0; 8]);
                    }
                    return None;
                }
            }
            let ended = match link.read(&mut buffer) {
                Ok(0) => "it closed the link".to_owned(),
                Ok(count) => {
                    reading.inbox.extend(&buffer[..count]);
                    continue;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => error.to_string(),
            };
            reading.link = None;
            return Some(self.on_broken(&ended));
        }
    }

    fn wake(&self) {
        let mut state = self.state();
        match &state.supervisor {
            Supervisor::Running { bell, .. } => drop(rustix::io::write(bell, &1u64.to_ne_bytes())),
            Supervisor::NotStarted | Supervisor::Gone(_) => state.woken = true,
        }
        self.changed.notify_all();
    }

    fn cancel(&self, handle: &StepHandle, how: CancelKind) -> Result<(), ExecutorError> {
        let mut state = self.state();
        match state.attempts.get(&handle.0) {
            None | Some(Attempt::Finished(_)) => Ok(()),
            Some(_) => Self::send(&mut state, &Order::Cancel { attempt: handle.0.clone(), how }),
        }
    }

    fn reattach(&self, attempt: &str) -> Result<Reattached, ExecutorError> {
        Ok(match self.state().attempts.get(attempt) {
            None => Reattached::Gone,
            Some(Attempt::Finished(result)) => Reattached::Finished(result.clone()),
            Some(_) => Reattached::Running(StepHandle(attempt.to_owned())),
        })
    }

    fn pause(&self, stop: bool) -> Result<(), ExecutorError> {
        Self::send(&mut self.state(), &Order::Pause(stop))
    }
}

/// Ends everything that still runs and waits until it is gone, so that the locks are free afterwards.
/// What cannot be ended is left to the supervisor, who keeps the locks as long as it is there.
impl Drop for LocalExecutor {
    fn drop(&mut self) {
        let mut state = self.state();
        state.locks = None;
        let Supervisor::Running { process, link, .. } = &mut state.supervisor else { return };
        let until = SystemClock.monotonic_ms() + FAREWELL_MS_MAX;
        let mut told = link.shutdown(std::net::Shutdown::Write).is_ok();
        let mut unheard = [0; 4096];
        while told && readable([link.as_fd()], until.saturating_sub(SystemClock.monotonic_ms())) == [true] {
            told = matches!(link.read(&mut unheard), Ok(1..));
            if !told {
                let _ = process.wait();
            }
        }
    }
}

/// Which of them can be read, as soon as one can be; none, if it takes longer than `wait_ms`.
fn readable<const N: usize>(them: [BorrowedFd<'_>; N], wait_ms: u64) -> [bool; N] {
    let timeout = Timespec {
        tv_sec: i64::try_from(wait_ms / 1000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(wait_ms % 1000 * 1_000_000).expect("is below a second"),
    };
    let mut them = them.map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN));
    // Interrupted by a signal: somebody may want to look at it.
    let _ = rustix::event::poll(&mut them, Some(&timeout));
    them.map(|it| !it.revents().is_empty())
}
