//! One running command: started, listened to, asked to end, ended, and reported exactly once.
//!
//! What counts as "the command" grows with what happens: itself and its process group always; whoever
//! holds its output open once it ended; and when it is cancelled or out of time everything that descends
//! from it, however far it went away.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitStatus, kill_process, kill_process_group, test_kill_process_group},
};

use crate::{
    base::fs,
    exec::{
        executor::{CancelKind, SPEC_VERSION, StepExit, StepResult, StepSpec},
        log::StepLog,
        supervise::{
            process_table::{Process, ProcessTable, environment_names},
            program::Programs,
        },
    },
};

/// How long others of a command that ended may go on, before they are ended too.
const LEAK_MS: u64 = 200;
/// How soon killed processes are looked for again: at first, and at last.
const SWEEP_MS: std::ops::RangeInclusive<u64> = 5..=500;
/// Processes that SIGKILL does not end in this time sit in the kernel, or belong to somebody else.
const UNKILLABLE_MS: u64 = 10_000;
/// Read from one command before the others have their turn.
const TURN_BYTES_MAX: usize = 1 << 20;

/// Why a command was ended by us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    Cancelled,
    TimedOut,
}

/// Where a command is on its way; changed in [`Step::advance`] and [`Step::cancel`] alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Running,
    /// Asked to end; killed at `kill_at`.
    Asked {
        why: Ending,
        kill_at: u64,
    },
    /// It ended by itself; others of it may follow until `until`.
    Settling {
        until: u64,
    },
    /// What is left of it is being killed.
    Killing {
        why: Option<Ending>,
        give_up_at: u64,
    },
}

/// A command that was started and not yet reported.
pub struct Step {
    attempt: String,
    pid: Pid,
    /// Read end of its output; `None` once nobody can write any more.
    output: Option<OwnedFd>,
    log: StepLog,
    started_at: u64,
    timeout_at: Option<u64>,
    grace_ms: u64,
    phase: Phase,
    /// How the command itself ended, once it is reaped, and the milliseconds of CPU it took.
    ended: Option<(WaitStatus, u64)>,
    group_is_gone: bool,
    leaked: bool,
    /// Descendants seen before the first signal, when they could still be told by their parents.
    known: Vec<(i32, u64)>,
}

/// Why a command was not started.
pub enum NotStarted {
    /// The system is short of something; later it may have it.
    Short(String),
    Failed(String),
}

impl Step {
    /// Starts the command. Its standard input is ours, which is empty.
    pub fn start(spec: &StepSpec, programs: &mut Programs, now: u64) -> Result<Step, NotStarted> {
        let name = spec.argv.first().map(Vec::as_slice).unwrap_or_default();
        let path = spec.env.iter().find(|(name, _)| name == b"PATH").map(|(_, value)| value.as_slice());
        let program = programs.find(name, path, &spec.folder).map_err(NotStarted::Failed)?;
        let (output, write_end) = output_pipe().map_err(|it| not_started(it.into(), spec, &program))?;
        let spawned = write_end.try_clone().and_then(|second| {
            let os = |it: &Vec<u8>| OsStr::from_bytes(it).to_owned();
            Command::new(&program)
                .arg0(OsStr::from_bytes(name))
                .args(spec.argv.iter().skip(1).map(os))
                .env_clear()
                .envs(spec.env.iter().map(|(name, value)| (os(name), os(value))))
                .current_dir(&spec.folder)
                .process_group(0)
                .stdin(Stdio::inherit())
                .stdout(Stdio::from(write_end))
                .stderr(Stdio::from(second))
                .spawn()
        });
        let child = spawned.map_err(|it| {
            programs.forget();
            not_started(it, spec, &program)
        })?;
        Ok(Step {
            attempt: spec.attempt.clone(),
            pid: Pid::from_child(&child),
            output: Some(output),
            log: StepLog::new(&spec.log, &spec.secrets, spec.log_bytes_max),
            started_at: now,
            timeout_at: spec.timeout_ms.map(|it| now.saturating_add(it)),
            grace_ms: spec.grace_ms,
            phase: Phase::Running,
            ended: None,
            group_is_gone: false,
            leaked: false,
            known: Vec::new(),
        })
    }

    pub fn attempt(&self) -> &str {
        &self.attempt
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What to wait on for more output.
    pub fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    /// The command itself was reaped.
    pub fn on_ended(&mut self, status: WaitStatus, cpu_ms: u64) {
        self.ended = Some((status, cpu_ms));
    }

    /// Takes what was written so far into the log.
    pub fn drain(&mut self, buffer: &mut [u8]) {
        let mut taken = 0;
        while let Some(output) = &self.output
            && taken < TURN_BYTES_MAX
        {
            match rustix::io::read(output, &mut *buffer) {
                Ok(0) => self.output = None,
                Ok(count) => {
                    self.log.write(&buffer[..count]);
                    taken += count;
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => self.output = None,
            }
        }
    }

    /// When [`advance`](Step::advance) has something to do though nothing happens.
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        match self.phase {
            Phase::Running => self.timeout_at,
            Phase::Asked { kill_at, .. } => Some(kill_at),
            Phase::Settling { until } => Some(until),
            Phase::Killing { give_up_at, .. } => {
                let elapsed = (now + UNKILLABLE_MS).saturating_sub(give_up_at);
                Some(now + (elapsed / 2).clamp(*SWEEP_MS.start(), *SWEEP_MS.end()))
            }
        }
    }

    /// Does what the time and the last events ask for; `true` when everything is over.
    pub fn advance(&mut self, now: u64) -> bool {
        loop {
            let settled = self.is_settled();
            match self.phase {
                Phase::Running if self.ended.is_some() => self.phase = Phase::Settling { until: now + LEAK_MS },
                Phase::Running if self.timeout_at.is_some_and(|it| now >= it) => {
                    self.ask(Signal::TERM, Ending::TimedOut, now);
                }
                Phase::Asked { why, kill_at } if now >= kill_at || settled => self.kill(Some(why), now),
                Phase::Settling { .. } if settled => return true,
                Phase::Settling { until } if now >= until => {
                    self.leaked = true;
                    self.kill(None, now);
                }
                Phase::Killing { why, give_up_at } => {
                    let left = self.sweep(why.is_some());
                    return !left && settled || now >= give_up_at;
                }
                _ => return false,
            }
        }
    }

    /// The user wants it to end.
    pub fn cancel(&mut self, how: CancelKind, now: u64) {
        match (how, self.phase) {
            (_, Phase::Killing { .. }) | (CancelKind::Polite, Phase::Asked { .. } | Phase::Settling { .. }) => {}
            (CancelKind::Polite, Phase::Running) => self.ask(Signal::INT, Ending::Cancelled, now),
            (CancelKind::Now, Phase::Running) => self.kill(Some(Ending::Cancelled), now),
            (CancelKind::Now, Phase::Asked { why, .. }) => self.kill(Some(why), now),
            (CancelKind::Now, Phase::Settling { .. }) => self.kill(None, now),
        }
    }

    /// Sends a signal to the whole process group.
    pub fn signal_group(&self, signal: Signal) {
        // The only failure that matters is that nobody is left.
        let _ = kill_process_group(self.pid, signal);
    }

    /// What to report once [`advance`](Step::advance) said that everything is over.
    pub fn into_result(self, now: u64) -> StepResult {
        let gave_up = !(self.group_is_gone && self.output.is_none());
        let captured = self.log.finish();
        let exit = match (self.phase, self.ended) {
            (_, None) => StepExit::Lost("the command could not be ended".to_owned()),
            (Phase::Killing { .. }, _) if gave_up => {
                StepExit::Lost("processes of the command could not be ended".to_owned())
            }
            (Phase::Killing { why: Some(Ending::Cancelled), .. }, _) => StepExit::Cancelled,
            (Phase::Killing { why: Some(Ending::TimedOut), .. }, _) => StepExit::TimedOut,
            (_, Some((status, _))) => exit_of(status),
        };
        StepResult {
            version: SPEC_VERSION,
            attempt: self.attempt,
            exit,
            wall_ms: now.saturating_sub(self.started_at),
            cpu_ms: self.ended.map_or(0, |(_, cpu_ms)| cpu_ms),
            log_bytes: captured.bytes,
            leaked: self.leaked,
            tail: captured.tail,
        }
    }

    fn ask(&mut self, signal: Signal, why: Ending, now: u64) {
        self.know_family();
        self.signal_group(signal);
        self.phase = Phase::Asked { why, kill_at: now.saturating_add(self.grace_ms) };
    }

    fn kill(&mut self, why: Option<Ending>, now: u64) {
        self.phase = Phase::Killing { why, give_up_at: now + UNKILLABLE_MS };
    }

    /// The command is reaped, its group is empty, and nobody holds its output.
    fn is_settled(&mut self) -> bool {
        if self.ended.is_none() {
            return false;
        }
        // Never asked again: an empty group's number may be given to somebody else.
        self.group_is_gone = self.group_is_gone || test_kill_process_group(self.pid) == Err(Errno::SRCH);
        self.group_is_gone && self.output.is_none()
    }

    fn know_family(&mut self) {
        let leader = self.pid.as_raw_nonzero().get();
        let table = ProcessTable::read();
        self.known = table.family(|it| it.pid == leader).iter().map(|it| (it.pid, it.started)).collect();
    }

    /// Kills what is left, once; `true` if something was. With `far`, also what went away from the group.
    fn sweep(&self, far: bool) -> bool {
        if !self.group_is_gone {
            self.signal_group(Signal::KILL);
        }
        let ourselves = rustix::process::getpid().as_raw_nonzero().get();
        let leader = self.pid.as_raw_nonzero().get();
        let pipe =
            self.output.as_ref().and_then(|it| rustix::fs::fstat(it).ok()).map(|it| format!("pipe:[{}]", it.st_ino));
        let table = ProcessTable::read();
        let ours = table.family(|it| it.parent == ourselves);
        let belongs = |it: &Process| {
            it.pid == leader && self.ended.is_none()
                || it.group == leader && !self.group_is_gone
                || self.known.contains(&(it.pid, it.started))
                || it.parent == ourselves && environment_names(it.pid, &self.attempt)
        };
        let far_ones = if far { table.family(belongs) } else { Vec::new() };
        let mut left = false;
        for process in ours {
            let holds = || pipe.as_deref().is_some_and(|it| holds_open(process.pid, it));
            let is_far = far_ones.iter().any(|it| it.pid == process.pid);
            if !process.ended && (is_far || process.group == leader && !self.group_is_gone || holds()) {
                left = true;
                if let Some(pid) = Pid::from_raw(process.pid) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
        left
    }
}

/// Our end does not block, the command's does.
fn output_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read_end, write_end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&read_end, rustix::fs::OFlags::NONBLOCK)?;
    Ok((read_end, write_end))
}

fn holds_open(pid: i32, target: &str) -> bool {
    let entries = fs::list(Path::new(&format!("/proc/{pid}/fd"))).ok().flatten().unwrap_or_default();
    entries.iter().any(|it| fs::read_link(&it.path()).is_ok_and(|it| it.as_os_str() == target))
}

fn exit_of(status: WaitStatus) -> StepExit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => StepExit::Code(code),
        (None, Some(signal)) => StepExit::Signal(signal),
        (None, None) => StepExit::Lost(format!("it ended with the unknown status {status:?}")),
    }
}

fn not_started(error: std::io::Error, spec: &StepSpec, program: &Path) -> NotStarted {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    if matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::AGAIN | Errno::NOMEM)) {
        return NotStarted::Short(error.to_string());
    }
    let there = |path: &Path| fs::look_through(path).ok().flatten();
    let message = match there(&spec.folder) {
        Some(it) if it.is_dir() => match there(program) {
            Some(it) if it.is_dir() => format!("{} is a folder, not a command", program.display()),
            Some(_) if errno == Some(Errno::NOENT) => {
                format!("{} names an interpreter that is not there", program.display())
            }
            Some(_) if errno == Some(Errno::ACCESS) => format!("{} may not be executed", program.display()),
            Some(_) if errno == Some(Errno::NOEXEC) => {
                format!("{} is not a program: a script begins with #! and its interpreter", program.display())
            }
            Some(_) => format!("{}: {error}", program.display()),
            None => format!("command not found: {}", String::from_utf8_lossy(&spec.argv[0])),
        },
        Some(_) => format!("the working directory {} is not a folder", spec.folder.display()),
        None => format!("the working directory {} does not exist", spec.folder.display()),
    };
    NotStarted::Failed(message)
}
