//! Processes of this very program that run one query or check after the other, so that a step of a millisecond
//! does not pay for the start of an engine.
//!
//! A worker is given what is to be done on its standard input, a line each, and answers on its standard output. It
//! ends as soon as its input does, in the middle of whatever it runs: it only ever writes what is staged, which
//! nobody publishes once the tool is gone. Knows nothing of what is run.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::{ffi::OsStrExt, process::CommandExt, process::ExitStatusExt},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use adbc_core::CancelHandle;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::exec::{
    executor::{StepExit, StepSpec},
    log::StepLog,
    stop::Stop,
};

/// The hidden subcommand of the binary that is a worker.
pub const SUBCOMMAND: &str = "__work";

/// What a worker is to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Task {
    pub subcommand: String,
    /// What exactly, in its own form.
    pub request: String,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub done: bool,
    /// For the log.
    pub said: String,
    pub cpu_ms: u64,
}

/// The workers of one run. Each runs one step at a time, and steps with the same variables only.
pub struct Workers {
    program: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Worker>,
    /// Of all that were started and not yet waited for.
    alive: Vec<Pid>,
}

type Variables = Vec<(Vec<u8>, Vec<u8>)>;

struct Worker {
    process: Child,
    variables: Variables,
    tasks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Ends a worker, and with it what it runs.
struct End(Pid);

impl CancelHandle for End {
    fn try_cancel(&self) -> adbc_core::error::Result<()> {
        // Not yet waited for: the number is nobody else's.
        let _ = kill_process_group(self.0, Signal::KILL);
        Ok(())
    }
}

impl Workers {
    pub fn new(program: PathBuf) -> Workers {
        Workers { program, state: Mutex::default() }
    }

    /// Runs one step to its end: how it ended, and the milliseconds of CPU it took.
    pub fn run(&self, spec: &StepSpec, stop: &Stop, log: &mut StepLog) -> (StepExit, u64) {
        let text = |at: usize| spec.argv.get(at).map(|it| String::from_utf8_lossy(it).into_owned()).unwrap_or_default();
        let task = Task { subcommand: text(1), request: text(2) };
        let mut worker = match self.take(spec) {
            Ok(it) => it,
            Err(error) => return (StepExit::NotStarted(error.to_string()), 0),
        };
        let answer = if stop.watch(Box::new(End(worker.pid()))) { worker.ask(&task) } else { None };
        stop.unwatch();
        match answer {
            Some(answer) => {
                log.write(answer.said.as_bytes());
                self.state().idle.push(worker);
                (StepExit::Code(i32::from(!answer.done)), answer.cpu_ms)
            }
            None => (self.ended(worker), 0),
        }
    }

    /// Stops or continues all of them.
    pub fn pause(&self, stop: bool) {
        for pid in &self.state().alive {
            let _ = kill_process_group(*pid, if stop { Signal::STOP } else { Signal::CONT });
        }
    }

    fn take(&self, spec: &StepSpec) -> std::io::Result<Worker> {
        let variables: Variables = spec.env.iter().filter(|it| !is_of_step(&it.0)).cloned().collect();
        {
            let mut state = self.state();
            if let Some(at) = state.idle.iter().position(|it| it.variables == variables) {
                return Ok(state.idle.swap_remove(at));
            }
        }
        let os = |it: &[u8]| std::ffi::OsStr::from_bytes(it).to_owned();
        let mut process = Command::new(&self.program)
            .arg(SUBCOMMAND)
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (os(name), os(value))))
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let tasks = process.stdin.take().expect("it is piped");
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        let worker = Worker { process, variables, tasks, answers };
        self.state().alive.push(worker.pid());
        Ok(worker)
    }

    /// How a worker ended that does not answer.
    fn ended(&self, mut worker: Worker) -> StepExit {
        let _ = worker.process.kill();
        self.state().alive.retain(|it| *it != worker.pid());
        match worker.process.wait().map(|it: ExitStatus| (it.signal(), it.code())) {
            Ok((Some(signal), _)) => StepExit::Signal(signal),
            Ok((None, code)) => StepExit::Lost(format!("it ended with the status {code:?}")),
            Err(error) => StepExit::Lost(error.to_string()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Workers {
    /// All of them are idle, or run what nobody waits for.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for pid in &state.alive {
            let _ = kill_process_group(*pid, Signal::KILL);
        }
        for mut worker in state.idle.drain(..) {
            let _ = worker.process.wait();
        }
    }
}

impl Worker {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// `None` if it ends instead.
    fn ask(&mut self, task: &Task) -> Option<Answer> {
        let mut line = serde_json::to_vec(task).ok()?;
        line.push(b'\n');
        self.tasks.write_all(&line).ok()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).ok()?;
        serde_json::from_str(&answer).ok()
    }
}

/// Variables that differ from step to step, and mean nothing to a query. One that is forgotten here only costs a worker.
fn is_of_step(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] =
        [b"ASSETS_KEY", b"ASSETS_CHECK", b"ASSETS_ATTEMPT", b"ASSETS_OUTPUT", b"ASSETS_VERSION_FILE"];
    const BEGINNINGS: [&[u8]; 4] = [b"ASSETS_INPUT_", b"ASSETS_OUTPUT_", b"ASSETS_PARTITION_", b"ASSETS_VERSION_FILE_"];
    NAMES.contains(&name) || BEGINNINGS.iter().any(|it| name.starts_with(it))
}
