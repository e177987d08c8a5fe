//! The supervisor: one process per run that starts every command and never lets one outlive the tool.
//!
//! It is told what to do over a socket (its standard input) and holds the run's lock file (its standard
//! output). It is the subreaper of everything below it. When the socket closes, because the run is over
//! or because the tool died in whatever way, it ends every descendant and exits only when none is left:
//! the locks are free only when nobody is left who could write. One thread, no state on disk; it knows
//! nothing of assets.

pub mod alive;
mod link;
mod process_table;
mod program;
mod step;

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    process::{Pid, Signal, WaitOptions, WaitStatus},
};
use signal_hook::consts;

pub use link::{Inbox, News, Order, write_frame};
use process_table::ProcessTable;
use program::Programs;
use step::{NotStarted, Step};

use crate::{
    base::{
        clock::{Clock, SystemClock},
        fs,
    },
    exec::executor::{SPEC_VERSION, StepExit, StepResult, StepSpec},
};

/// The hidden subcommand of the binary that is a supervisor.
pub const SUBCOMMAND: &str = "__supervise";

/// Between asking what is left to end, and killing it, when the tool is gone.
const FAREWELL_MS: u64 = 500;
/// News that nobody waits for is sent with the next that somebody does, or after this time.
const NEWS_DELAY_MS: u64 = 10;
/// How long a start is tried again while the system is short of processes or files.
const SHORTAGE_MS: u64 = 10_000;
const SHORTAGE_RETRY_MS: u64 = 50;
const BUFFER_BYTES: usize = 64 << 10;

/// Supervises until the socket on standard input closes. The exit status.
pub fn main() -> i32 {
    let Ok(mut supervisor) = prepare() else { return 2 };
    // A supervisor that failed still ends what it started.
    let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| supervisor.run()));
    supervisor.say_farewell();
    i32::from(status.is_err())
}

/// Puts this process apart: own session, nothing inherited but the socket, the lock file and stderr.
fn prepare() -> std::io::Result<Supervisor> {
    // Fails only for the leader of a group, who is apart already.
    let _ = rustix::process::setsid();
    close_inherited()?;
    let link = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let locks = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let null = fs::open(Path::new("/dev/null")).map_err(|it| it.source)?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // Handled, not ignored: what is ignored would stay ignored in the commands.
    for signal in [consts::SIGINT, consts::SIGTERM, consts::SIGHUP, consts::SIGQUIT, consts::SIGTSTP] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let (children, write_end) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(consts::SIGCHLD, write_end)?;
    let link = UnixStream::from(link);
    link.set_nonblocking(true)?;
    children.set_nonblocking(true)?;
    Ok(Supervisor {
        link,
        _locks: locks,
        children,
        inbox: Inbox::default(),
        outbox: Vec::new(),
        send_at: None,
        steps: Vec::new(),
        queue: VecDeque::new(),
        short_since: None,
        programs: Programs::default(),
        clock: PausingClock::default(),
        cpu_us: 0,
        buffer: vec![0; BUFFER_BYTES],
    })
}

/// Descriptors that the tool's caller left open would be inherited by every command.
fn close_inherited() -> std::io::Result<()> {
    let open = fs::list(Path::new("/proc/self/fd")).map_err(|it| it.source)?.unwrap_or_default();
    let numbers: Vec<i32> = open.iter().filter_map(|it| it.file_name().to_str()?.parse().ok()).collect();
    // The entries hold the folder open, whose own number is among them.
    drop(open);
    for number in numbers.into_iter().filter(|it| *it > 2) {
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

/// Time that stands still while everything is paused, so that no timeout runs out meanwhile.
#[derive(Default)]
struct PausingClock {
    paused_at: Option<u64>,
    lost_ms: u64,
}

impl PausingClock {
    fn now(&self) -> u64 {
        self.paused_at.unwrap_or_else(|| SystemClock.monotonic_ms()) - self.lost_ms
    }

    fn pause(&mut self) {
        self.paused_at.get_or_insert_with(|| SystemClock.monotonic_ms());
    }

    fn go_on(&mut self) {
        if let Some(since) = self.paused_at.take() {
            self.lost_ms += SystemClock.monotonic_ms() - since;
        }
    }
}

struct Supervisor {
    link: UnixStream,
    /// Never used, only held: the locks are free when the last holder is gone.
    _locks: OwnedFd,
    /// Readable when a child ended.
    children: UnixStream,
    inbox: Inbox,
    outbox: Vec<u8>,
    send_at: Option<u64>,
    steps: Vec<Step>,
    queue: VecDeque<StepSpec>,
    /// When starting the first of the queue was first refused for lack of something.
    short_since: Option<u64>,
    programs: Programs,
    clock: PausingClock,
    /// CPU time of all reaped children.
    cpu_us: u64,
    buffer: Vec<u8>,
}

impl Supervisor {
    fn run(&mut self) {
        loop {
            let ready = self.wait();
            if ready.link && !self.read_orders() {
                return;
            }
            if ready.children {
                self.reap();
            }
            for step in &mut self.steps {
                step.drain(&mut self.buffer);
            }
            self.finish_steps();
            self.start_queued();
            if !self.send() {
                return;
            }
        }
    }

    /// Sleeps until something happens or is due.
    fn wait(&self) -> Ready {
        let now = self.clock.now();
        let paused = self.clock.paused_at.is_some();
        let mut due: Vec<u64> = self.steps.iter().filter_map(|it| it.next_deadline(now)).collect();
        due.extend(self.send_at);
        due.extend(self.queue.front().map(|_| now + SHORTAGE_RETRY_MS));
        let wait_ms = due.iter().min().filter(|_| !paused).map(|it| it.saturating_sub(now));
        let link_flags =
            if self.send_at.is_some_and(|it| now >= it) { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let mut them = vec![
            PollFd::from_borrowed_fd(self.link.as_fd(), link_flags),
            PollFd::from_borrowed_fd(self.children.as_fd(), PollFlags::IN),
        ];
        them.extend(self.steps.iter().filter_map(Step::output).map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN)));
        let timeout = wait_ms.map(|it| Timespec {
            tv_sec: i64::try_from(it / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(it % 1000 * 1_000_000).expect("is below a second"),
        });
        match rustix::event::poll(&mut them, timeout.as_ref()) {
            Ok(_) => {
                let happened = |it: &PollFd<'_>| !it.revents().is_empty();
                Ready { link: them[0].revents() != PollFlags::OUT && happened(&them[0]), children: happened(&them[1]) }
            }
            // Look at everything: reading tells better what is wrong.
            Err(_) => Ready { link: true, children: true },
        }
    }

    /// `false` when there is nobody to obey any more.
    fn read_orders(&mut self) -> bool {
        loop {
            match self.link.read(&mut self.buffer) {
                Ok(0) => return false,
                Ok(count) => self.inbox.extend(&self.buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
            loop {
                match self.inbox.take() {
                    Ok(Some(order)) => self.obey(order),
                    Ok(None) => break,
                    Err(_) => return false,
                }
            }
        }
    }

    fn obey(&mut self, order: Order<'static>) {
        match order {
            Order::Submit(spec) => {
                self.queue.push_back(spec.into_owned());
                self.start_queued();
            }
            Order::Cancel { attempt, how } => {
                // What is stopped cannot end by itself.
                self.pause(false);
                let now = self.clock.now();
                if let Some(step) = self.steps.iter_mut().find(|it| it.attempt() == attempt) {
                    step.cancel(how, now);
                } else if let Some(at) = self.queue.iter().position(|it| it.attempt == attempt) {
                    self.queue.remove(at);
                    self.tell(&News::Finished(Box::new(unstarted(attempt, StepExit::Cancelled))));
                }
            }
            Order::Pause(stop) => self.pause(stop),
        }
    }

    fn pause(&mut self, stop: bool) {
        if stop == self.clock.paused_at.is_some() {
            return;
        }
        let signal = if stop { Signal::STOP } else { Signal::CONT };
        for step in &self.steps {
            step.signal_group(signal);
        }
        signal_descendants(signal);
        if stop {
            self.clock.pause();
        } else {
            self.clock.go_on();
        }
    }

    /// Starts what was submitted, unless the system is short of something and that may end.
    fn start_queued(&mut self) {
        if self.clock.paused_at.is_some() {
            return;
        }
        while let Some(spec) = self.queue.pop_front() {
            let now = self.clock.now();
            match Step::start(&spec, &mut self.programs, now) {
                Ok(step) => {
                    self.short_since = None;
                    let pid = step.pid().as_raw_nonzero().get().unsigned_abs();
                    self.steps.push(step);
                    self.tell(&News::Started { attempt: spec.attempt, pid });
                }
                Err(NotStarted::Short(_))
                    if !self.steps.is_empty() || now < *self.short_since.get_or_insert(now) + SHORTAGE_MS =>
                {
                    self.queue.push_front(spec);
                    return;
                }
                Err(NotStarted::Short(why) | NotStarted::Failed(why)) => {
                    self.short_since = None;
                    self.tell(&News::Finished(Box::new(unstarted(spec.attempt, StepExit::NotStarted(why)))));
                }
            }
        }
    }

    fn finish_steps(&mut self) {
        let now = self.clock.now();
        let mut at = 0;
        while at < self.steps.len() {
            if self.steps[at].advance(now) {
                let result = self.steps.swap_remove(at).into_result(now);
                self.tell(&News::Finished(Box::new(result)));
            } else {
                at += 1;
            }
        }
    }

    /// Reaps every child that ended: commands, and what they left to us.
    fn reap(&mut self) {
        while matches!(self.children.read(&mut self.buffer), Ok(1..)) {}
        while let Some((pid, status)) = reap_one() {
            let before = std::mem::replace(&mut self.cpu_us, children_cpu_us());
            if let Some(step) = self.steps.iter_mut().find(|it| it.pid() == pid) {
                step.on_ended(status, self.cpu_us.saturating_sub(before) / 1000);
            }
        }
    }

    fn tell(&mut self, news: &News) {
        let now = self.clock.now();
        // A result is what the tool waits for.
        let at = if matches!(news, News::Finished(_)) { now } else { now + NEWS_DELAY_MS };
        self.send_at = Some(self.send_at.map_or(at, |it| it.min(at)));
        if write_frame(&mut self.outbox, news).is_err() {
            // Cannot happen: a result is small. Without it the tool would wait for ever.
            self.outbox.clear();
            let _ = self.link.shutdown(std::net::Shutdown::Both);
        }
    }

    /// `false` when there is nobody to hear it any more. Never waits.
    fn send(&mut self) -> bool {
        if self.send_at.is_none_or(|it| self.clock.now() < it) {
            return true;
        }
        while !self.outbox.is_empty() {
            match self.link.write(&self.outbox) {
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.send_at = None;
        true
    }

    /// Ends every descendant, and returns only when none is left.
    fn say_farewell(&mut self) {
        self.pause(false);
        let asked_at = SystemClock.monotonic_ms();
        let mut pause_ms = 1;
        let mut asked = false;
        while has_children() {
            if !asked {
                signal_descendants(Signal::TERM);
                asked = true;
            } else if SystemClock.monotonic_ms() >= asked_at + FAREWELL_MS {
                signal_descendants(Signal::KILL);
                // What cannot be killed is waited for, ever more patiently.
                pause_ms = (pause_ms * 2).min(1000);
            }
            std::thread::sleep(std::time::Duration::from_millis(pause_ms));
            for step in &mut self.steps {
                step.drain(&mut self.buffer);
            }
        }
        let now = self.clock.now();
        for mut step in self.steps.drain(..) {
            step.drain(&mut self.buffer);
            step.into_result(now);
        }
    }
}

struct Ready {
    link: bool,
    children: bool,
}

fn unstarted(attempt: String, exit: StepExit) -> StepResult {
    StepResult {
        version: SPEC_VERSION,
        attempt,
        exit,
        wall_ms: 0,
        cpu_ms: 0,
        log_bytes: 0,
        leaked: false,
        tail: Vec::new(),
    }
}

fn reap_one() -> Option<(Pid, WaitStatus)> {
    rustix::process::wait(WaitOptions::NOHANG).ok().flatten()
}

/// Reaps what ended; whether any child is left. The subreaper has no child only if it has no descendant.
fn has_children() -> bool {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fn signal_descendants(signal: Signal) {
    let ourselves = rustix::process::getpid().as_raw_nonzero().get();
    for process in ProcessTable::read().family(|it| it.parent == ourselves) {
        if let Some(pid) = Pid::from_raw(process.pid).filter(|_| !process.ended) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

fn children_cpu_us() -> u64 {
    let Ok(usage) = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN) else { return 0 };
    let us = |it: nix::sys::time::TimeVal| it.tv_sec().unsigned_abs() * 1_000_000 + it.tv_usec().unsigned_abs();
    us(usage.user_time()) + us(usage.system_time())
}
