//! Runs a command in a terminal of its own and shows what a person would see on its screen.
//!
//! ```ignore
//! let mut screen = Pty::start(project.command(&["materialize"]), 80, 24);
//! screen.wait_for("1 running");
//! assert_eq!(screen.finish().code, 0);
//! ```
//!
//! The terminal is the command's three streams, but not its controlling terminal: send signals by [`Pty::signal`].
//! With [`Pty::session`] it is that too, and [`Pty::press`] is all that is needed.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    os::unix::process::ExitStatusExt,
    process::{Child, Command},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
};

use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::DEADLINE;

const DEFAULT_SIGNALS: &str = "--default-signal=INT,QUIT";

/// A command that runs in a terminal.
pub struct Pty {
    child: Child,
    shared: Arc<Shared>,
    keyboard: Option<File>,
    reader: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    closed: bool,
    hang_up: bool,
}

/// What was on the screen in the end.
pub struct Seen {
    /// Exit code, or 128 and the signal.
    pub code: i32,
    /// The screen, without blanks at the ends of lines and empty lines at the end.
    pub screen: String,
    /// Everything that was written.
    pub bytes: Vec<u8>,
}

impl Pty {
    /// A command whose controlling terminal this is: keys send signals.
    pub fn session(command: Command, columns: u16, rows: u16) -> Pty {
        // A shell that starts this in the background has it ignore keys.
        let mut session = Command::new("env");
        session
            .args([DEFAULT_SIGNALS, "setsid", "--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear();
        session.envs(command.get_envs().filter_map(|it| Some((it.0, it.1?))));
        if let Some(folder) = command.get_current_dir() {
            session.current_dir(folder);
        }
        Pty::start(session, columns, rows)
    }

    pub fn start(mut command: Command, columns: u16, rows: u16) -> Pty {
        let (ours, theirs) = open(columns, rows);
        let duplicate = || theirs.try_clone().expect("a descriptor can be duplicated");
        let child = command.stdin(duplicate()).stdout(duplicate()).stderr(duplicate()).spawn();
        // The command holds copies of the terminal's end, which would keep it open for ever.
        drop(command);
        drop(theirs);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                parser: vt100::Parser::new(nonzero(rows), nonzero(columns), 0),
                bytes: Vec::new(),
                closed: false,
                hang_up: false,
            }),
            moved: Condvar::new(),
        });
        let keyboard = File::from(ours.try_clone().expect("a descriptor can be duplicated"));
        let reader = thread::spawn({
            let shared = shared.clone();
            move || shared.read_all(ours)
        });
        Pty {
            child: child.expect("the command can be started"),
            shared,
            keyboard: Some(keyboard),
            reader: Some(reader),
        }
    }

    /// Waits until `text` stands on the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let wanted = |state: &mut State| !state.closed && !shown(&state.parser).contains(text);
        let lock = self.shared.lock();
        let (state, timeout) =
            self.shared.moved.wait_timeout_while(lock, DEADLINE, wanted).expect("the reader does not panic");
        let screen = shown(&state.parser);
        assert!(!timeout.timed_out() && screen.contains(text), "{text:?} never stood on the screen:\n{screen}");
    }

    /// What stands on the screen now.
    pub fn screen(&self) -> String {
        shown(&self.shared.lock().parser)
    }

    /// As if typed.
    pub fn press(&self, keys: &str) {
        let mut keyboard = self.keyboard.as_ref().expect("it is there until it is finished");
        keyboard.write_all(keys.as_bytes()).expect("the terminal takes what is typed");
    }

    /// The window is closed.
    pub fn hang_up(mut self) -> i32 {
        self.keyboard = None;
        self.shared.lock().hang_up = true;
        // The reader lets go as soon as it has read something more, or when nobody writes any more.
        let status = self.child.wait().expect("it is our child");
        status.code().unwrap_or_else(|| 128 + status.signal().expect("it exited or was killed"))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process id is not zero");
        kill_process(pid, signal).expect("it still runs");
    }

    /// Waits for the end of the command and of everything that holds its terminal.
    pub fn finish(mut self) -> Seen {
        let lock = self.shared.lock();
        let (state, timeout) =
            self.shared.moved.wait_timeout_while(lock, DEADLINE, |it| !it.closed).expect("the reader does not panic");
        assert!(!timeout.timed_out(), "it still runs:\n{}", shown(&state.parser));
        drop(state);
        self.reader.take().expect("it is taken once").join().expect("the reader does not panic");
        let status = self.child.wait().expect("it is our child");
        let code = status.code().unwrap_or_else(|| 128 + status.signal().expect("it exited or was killed"));
        let state = self.shared.lock();
        Seen { code, screen: shown(&state.parser), bytes: state.bytes.clone() }
    }
}

impl Drop for Pty {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the reader does not panic")
    }

    /// Until nobody holds the other end; Linux says so by an error.
    fn read_all(&self, terminal: OwnedFd) {
        let mut terminal = File::from(terminal);
        let mut buffer = [0; 4096];
        while let Ok(number @ 1..) = terminal.read(&mut buffer) {
            let mut state = self.lock();
            state.parser.process(&buffer[..number]);
            state.bytes.extend_from_slice(&buffer[..number]);
            self.moved.notify_all();
            if state.hang_up {
                break;
            }
        }
        drop(terminal);
        self.lock().closed = true;
        self.moved.notify_all();
    }
}

/// Our end and the command's end of a new terminal.
fn open(columns: u16, rows: u16) -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).expect("the system has terminals left");
    grantpt(&ours).expect("it is ours");
    unlockpt(&ours).expect("it is ours");
    let name = ptsname(&ours, Vec::new()).expect("it has a name");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(name, flags, Mode::empty()).expect("it is unlocked");
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&theirs, size).expect("a terminal has a size");
    (ours, theirs)
}

fn nonzero(number: u16) -> std::num::NonZero<u16> {
    number.try_into().expect("a screen is not empty")
}

fn shown(parser: &vt100::Parser) -> String {
    let columns = parser.screen().size().1.get();
    let lines: Vec<String> = parser.screen().rows(0, columns).map(|it| it.trim_end().to_owned()).collect();
    lines.join("\n").trim_end().to_owned()
}

mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("env");
        command.args([DEFAULT_SIGNALS, "sh", "-c", script]);
        command
    }

    #[test]
    fn a_command_sees_a_terminal_of_the_size_asked_for() {
        let seen = Pty::start(shell("test -t 0 && test -t 1 && test -t 2 && stty size; exit 3"), 100, 30).finish();
        assert_eq!((seen.screen.as_str(), seen.code), ("30 100", 3));
    }

    #[test]
    fn the_screen_is_what_a_person_sees() {
        let seen = Pty::start(shell(r"printf 'one\ntwo\033[1A\033[3D\033[2Kthree\n\n'"), 20, 5).finish();
        assert_eq!(seen.screen, "three\ntwo");
        assert!(seen.bytes.starts_with(b"one\r\n"));
    }

    #[test]
    fn it_can_be_waited_for_and_signalled() {
        let pty = Pty::start(shell("trap 'echo bye; exit 5' INT; echo ready; while :; do sleep 0.05; done"), 20, 5);
        pty.wait_for("ready");
        pty.signal(Signal::INT);
        let seen = pty.finish();
        assert_eq!((seen.screen.as_str(), seen.code), ("ready\nbye", 5));
    }
}
