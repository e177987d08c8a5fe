//! The local executor and its supervisor, with real processes: nothing outlives the tool, nothing is
//! waited for in vain, nothing leaks into a command or out of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use assets::exec::{
    executor::{
        CancelKind, Executor, ExecutorEvent, StepExit, StepHandle, StepResult, StepSpec,
        conformance::{self, Bench},
        local::LocalExecutor,
        registry::{self, Settings},
    },
    jobserver::Jobserver,
    lock::{LockName, LockTable},
};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(10);

fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_assets").into()
}

struct Here {
    folder: tempfile::TempDir,
    executor: LocalExecutor,
}

impl Here {
    fn new() -> Self {
        Here { folder: tempfile::tempdir().unwrap(), executor: LocalExecutor::new(binary(), None) }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn script(&self, attempt: &str, script: &str) -> StepSpec {
        conformance::spec(self.path(), attempt, &["sh", "-c", script])
    }

    fn run(&self, spec: &StepSpec) -> StepResult {
        conformance::run(&self.executor, spec)
    }

    fn sh(&self, script: &str) -> StepResult {
        self.run(&self.script("step", script))
    }

    fn submit(&self, spec: &StepSpec) -> StepHandle {
        self.executor.submit(spec).unwrap()
    }

    fn finished(&self) -> StepResult {
        until("a step finishes", || match self.executor.next_event(Duration::from_millis(50)) {
            Some(ExecutorEvent::Finished { result, .. }) => Some(result),
            _ => None,
        })
    }

    /// The process id that a script wrote into `name`.
    fn pid(&self, name: &str) -> i32 {
        pid_in(&self.path().join(name))
    }

    fn supervisor(&self) -> i32 {
        self.executor.supervisor_pid().unwrap().try_into().unwrap()
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(it) = look() {
            return it;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("waited in vain until {what}");
}

fn pid_in(file: &Path) -> i32 {
    until(&format!("{} is written", file.display()), || fs::read_to_string(file).ok()?.strip_suffix('\n')?.parse().ok())
}

/// The letter of its state; `None` if it is gone or waits only to be reaped.
fn state(pid: i32) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text[text.rfind(')')? + 2..].chars().next().filter(|it| *it != 'Z')
}

fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[test]
fn the_built_in_executors_conform() {
    for builtin in registry::BUILTIN {
        let folder = tempfile::tempdir().unwrap();
        let make = || (builtin.make)(Settings { program: binary(), locks: None }).unwrap();
        conformance::check(&Bench { make: &make, folder: folder.path() });
    }
}

#[test]
fn quick_commands_each_finish_exactly_once() {
    let here = Here::new();
    let mut ended: BTreeMap<String, usize> = BTreeMap::new();
    let mut submitted = 0;
    while ended.len() < 200 {
        while submitted < 200 && submitted < ended.len() + 8 {
            here.submit(&conformance::spec(here.path(), &format!("quick-{submitted}"), &["true"]));
            submitted += 1;
        }
        let result = here.finished();
        assert_eq!(result.exit, StepExit::Code(0));
        *ended.entry(result.attempt).or_default() += 1;
    }
    assert_eq!(here.executor.next_event(Duration::from_millis(50)), None);
    assert!(ended.values().all(|it| *it == 1));
}

#[test]
fn a_background_process_that_holds_the_output_is_ended() {
    let here = Here::new();
    let start = Instant::now();
    let result = here.sh("sleep 1000 & echo $! >pid; echo done");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!((result.exit, result.leaked), (StepExit::Code(0), true));
    assert_eq!(result.tail, ["done"]);
    assert_eq!(state(here.pid("pid")), None);
}

#[test]
fn one_that_left_the_group_and_holds_the_output_is_ended_too() {
    let here = Here::new();
    let result = here.sh("setsid sh -c 'echo $$ >pid; exec sleep 1000' & until [ -s pid ]; do sleep 0.01; done");
    assert_eq!((result.exit, result.leaked), (StepExit::Code(0), true));
    assert_eq!(state(here.pid("pid")), None);
}

#[test]
fn one_in_the_group_that_let_go_of_the_output_is_ended_too() {
    let here = Here::new();
    let result = here.sh("sleep 1000 >/dev/null 2>&1 & echo $! >pid");
    assert_eq!((result.exit, result.leaked), (StepExit::Code(0), true));
    assert_eq!(state(here.pid("pid")), None);
}

#[test]
fn a_background_process_that_ends_soon_is_no_leak() {
    let here = Here::new();
    let result = here.sh("(sleep 0.05; echo late) & echo early");
    assert_eq!((result.leaked, result.tail), (false, vec!["early".to_owned(), "late".to_owned()]));
}

const DAEMON: &str = "setsid -f sh -c 'trap \"\" TERM INT HUP; echo $$ >daemon; exec sleep 1000' <&- >&- 2>&-";

#[test]
fn a_daemon_lives_as_long_as_the_run() {
    let here = Here::new();
    let result = here.sh(&format!("{DAEMON}; until [ -s daemon ]; do sleep 0.01; done"));
    assert_eq!((result.exit, result.leaked), (StepExit::Code(0), false));
    let pid = here.pid("daemon");
    assert!(state(pid).is_some());
    let Here { folder: _folder, executor } = here;
    drop(executor);
    assert_eq!(state(pid), None);
}

#[test]
fn a_cancel_reaches_what_went_far_away() {
    let here = Here::new();
    // Its parent is gone, so it is known by what stands in its environment.
    let mut orphan = here.script("far-1", &format!("{DAEMON}; sleep 1000"));
    orphan.env.push((b"ASSETS_OUTPUT".to_vec(), b"/data/.assets-tmp-far-1-x".to_vec()));
    let handle = here.submit(&orphan);
    let pid = here.pid("daemon");
    here.executor.cancel(&handle, CancelKind::Now).unwrap();
    assert_eq!(here.finished().exit, StepExit::Cancelled);
    assert_eq!(state(pid), None);
    // Its parent is there, so it is known by it.
    let script = "setsid sh -c 'trap \"\" INT TERM; echo $$ >child; exec sleep 1000' >/dev/null 2>&1 & wait";
    let handle = here.submit(&StepSpec { grace_ms: 100, ..here.script("far-2", script) });
    let pid = here.pid("child");
    here.executor.cancel(&handle, CancelKind::Polite).unwrap();
    assert_eq!(here.finished().exit, StepExit::Cancelled);
    assert_eq!(state(pid), None);
}

#[test]
fn a_command_that_ignores_signals_is_killed_after_the_grace_period() {
    let here = Here::new();
    let script = "trap '' INT TERM; echo $$ >pid; while :; do sleep 0.02; done";
    let handle = here.submit(&StepSpec { grace_ms: 300, ..here.script("deaf", script) });
    let pid = here.pid("pid");
    let start = Instant::now();
    here.executor.cancel(&handle, CancelKind::Polite).unwrap();
    assert_eq!(here.finished().exit, StepExit::Cancelled);
    assert!(start.elapsed() >= Duration::from_millis(290) && start.elapsed() < Duration::from_secs(10));
    assert_eq!(state(pid), None);
}

#[test]
fn a_second_cancel_does_not_wait() {
    let here = Here::new();
    let script = "trap '' INT TERM; echo $$ >pid; while :; do sleep 0.02; done";
    let handle = here.submit(&StepSpec { grace_ms: 600_000, ..here.script("deaf", script) });
    here.pid("pid");
    here.executor.cancel(&handle, CancelKind::Polite).unwrap();
    here.executor.cancel(&handle, CancelKind::Now).unwrap();
    assert_eq!(here.finished().exit, StepExit::Cancelled);
}

#[test]
fn a_command_may_clean_up_when_it_is_cancelled() {
    let here = Here::new();
    let script = "trap 'echo cleaned; exit 1' INT; echo $$ >pid; while :; do sleep 0.02; done";
    let handle = here.submit(&here.script("clean", script));
    here.pid("pid");
    here.executor.cancel(&handle, CancelKind::Polite).unwrap();
    let result = here.finished();
    assert_eq!((result.exit, result.tail), (StepExit::Cancelled, vec!["cleaned".to_owned()]));
}

#[test]
fn a_log_bomb_is_bounded_in_time_disk_and_memory() {
    let here = Here::new();
    let start = Instant::now();
    let result = here.run(&StepSpec { log_bytes_max: 1 << 20, ..here.script("bomb", "yes | head -c 300000000") });
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!((result.exit, result.log_bytes), (StepExit::Code(0), 300_000_000));
    let log = fs::read_to_string(here.path().join("bomb.log")).unwrap();
    assert!(log.len() <= 1 << 20);
    assert!(log.contains("bytes were cut here]"));
    let status = fs::read_to_string(format!("/proc/{}/status", here.supervisor())).unwrap();
    let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:")?.strip_suffix("kB")?.trim().parse::<u64>().ok());
    assert!(peak.unwrap() < 100_000, "{peak:?} kB");
}

#[test]
fn a_secret_printed_one_byte_at_a_time_is_not_kept() {
    let here = Here::new();
    let mut spec =
        here.script("secret", "for it in h u n t e r 2 - x; do printf %s $it; sleep 0.01; done; echo; echo $B64");
    spec.env.push((b"B64".to_vec(), b"YWRtaW46aHVudGVyMi14".to_vec()));
    spec.secrets = vec!["hunter2-x".to_owned()];
    let result = here.run(&spec);
    assert_eq!(result.tail, ["***", "YWRtaW46***"]);
    assert_eq!(fs::read_to_string(here.path().join("secret.log")).unwrap(), "***\nYWRtaW46***\n");
}

#[test]
fn a_command_has_no_open_file_but_its_three() {
    let here = Here::new();
    // As a shell might leave it open to us: not closed by an exec.
    let _left_open = rustix::io::dup(fs::File::open("/dev/null").unwrap()).unwrap();
    let result = here.sh("ls /proc/$$/fd; true");
    assert_eq!(result.tail, ["0", "1", "2"]);
}

#[test]
fn a_command_that_cannot_start_says_why() {
    let here = Here::new();
    fs::write(here.path().join("data"), "x").unwrap();
    fs::create_dir(here.path().join("folder")).unwrap();
    let why = |name: &str| match here.run(&conformance::spec(here.path(), &name.replace('/', "_"), &[name])).exit {
        StepExit::NotStarted(why) => why.replace(&format!("{}/", here.path().display()), ""),
        other => panic!("{other:?}"),
    };
    assert_eq!(why("no-such-command"), "command not found: no-such-command");
    assert_eq!(why("./missing"), "command not found: ./missing");
    assert_eq!(why("./data"), "./data may not be executed");
    assert_eq!(why("./folder"), "./folder is a folder, not a command");
    here.sh("printf '#!/no/such/interpreter\n' >script; printf nothing >text; chmod +x script text");
    assert_eq!(why("./script"), "./script names an interpreter that is not there");
    assert_eq!(why("./text"), "./text is not a program: a script begins with #! and its interpreter");
}

#[test]
fn pause_stops_commands_and_clocks() {
    let here = Here::new();
    // With `exec`, because a shell that waits in `vfork` for its stopped child is not itself shown as stopped.
    here.submit(&StepSpec { timeout_ms: Some(1500), ..here.script("paused", "echo $$ >pid; exec sleep 0.6") });
    let pid = here.pid("pid");
    here.executor.pause(true).unwrap();
    until("it is stopped", || (state(pid) == Some('T')).then_some(()));
    assert_eq!(here.executor.next_event(Duration::from_millis(1700)).filter(is_finished), None);
    assert_eq!(state(pid), Some('T'));
    here.executor.pause(false).unwrap();
    let result = here.finished();
    assert_eq!(result.exit, StepExit::Code(0));
    assert!(result.wall_ms < 1500, "{}", result.wall_ms);
}

fn is_finished(event: &ExecutorEvent) -> bool {
    matches!(event, ExecutorEvent::Finished { .. })
}

#[test]
fn the_supervisor_is_not_moved_by_signals_to_the_terminal() {
    let here = Here::new();
    assert_eq!(here.sh("true").exit, StepExit::Code(0));
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::TSTP] {
        send(here.supervisor(), signal);
    }
    let result = here.run(&here.script("after", "kill -INT $$"));
    assert_eq!(result.exit, StepExit::Signal(2), "and what it ignores is not ignored in a command");
}

#[test]
fn a_supervisor_that_dies_is_told_and_takes_its_commands_along() {
    let here = Here::new();
    here.submit(&here.script("orphaned", "echo $$ >pid; exec sleep 1000"));
    let pid = here.pid("pid");
    until("it is known to run", || here.executor.next_event(Duration::from_millis(50)));
    send(here.supervisor(), Signal::KILL);
    let told = until("it is told", || here.executor.next_event(Duration::from_millis(50)));
    assert_eq!(told, ExecutorEvent::Broken("the supervisor is gone: signal: 9 (SIGKILL)".into()));
    until("the command is gone", || state(pid).is_none().then_some(()));
    assert!(here.executor.submit(&here.script("more", "true")).is_err());
}

#[test]
fn cpu_time_is_the_commands_own() {
    let here = Here::new();
    let busy = here.run(&here.script("busy", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"));
    let idle = here.run(&here.script("idle", "sleep 0.05"));
    assert!(busy.cpu_ms > 20 && idle.cpu_ms < busy.cpu_ms, "{} {}", busy.cpu_ms, idle.cpu_ms);
    assert!(idle.wall_ms >= 50);
}

/// Not a test: a tool in a process of its own, that holds a lock and runs a script until it is killed.
#[test]
#[ignore = "started by the tests below"]
fn tool() {
    let Some(folder) = std::env::var_os("TOOL_FOLDER").map(PathBuf::from) else { return };
    let locks = LockTable::open(&folder.join("locks")).unwrap();
    let _guard = locks.try_exclusive(&[LockName::of_text("asset")]).unwrap().guard().unwrap();
    let executor = LocalExecutor::new(binary(), Some(locks.share().unwrap()));
    let scripts = std::env::var("TOOL_SCRIPT").unwrap();
    let count: usize = std::env::var("TOOL_COUNT").unwrap().parse().unwrap();
    for index in 0..count {
        executor.submit(&conformance::spec(&folder, &format!("tool-{index}"), &["sh", "-c", &scripts])).unwrap();
    }
    let mut left = count;
    while left > 0 {
        match executor.next_event(Duration::from_secs(1)) {
            Some(ExecutorEvent::Finished { result, .. }) => {
                assert_eq!(result.exit, StepExit::Code(0));
                left -= 1;
            }
            Some(ExecutorEvent::Broken(why)) => panic!("{why}"),
            _ => {}
        }
    }
    fs::write(folder.join("all-done"), "").unwrap();
}

/// Killed with the test that started it.
struct Tool(Child);

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_tool(folder: &Path, script: &str, count: usize, prefix: &str) -> Tool {
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{prefix} exec \"$0\" --exact executor::tool --include-ignored")])
        .arg(this)
        .env("TOOL_FOLDER", folder)
        .env("TOOL_SCRIPT", script)
        .env("TOOL_COUNT", count.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Tool(command.spawn().unwrap())
}

#[test]
fn nothing_outlives_a_tool_that_is_killed_and_the_lock_is_freed_last() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("trap '' TERM; {DAEMON}; echo $$ >leader; while :; do echo x; sleep 0.02; done");
    let mut tool = start_tool(folder.path(), &script, 1, "");
    let pids = [pid_in(&folder.path().join("daemon")), pid_in(&folder.path().join("leader"))];
    let locks: Arc<LockTable> = LockTable::open(&folder.path().join("locks")).unwrap();
    let asset = LockName::of_text("asset");
    assert!(locks.try_shared(&[asset]).unwrap().guard().is_none());
    let holder = locks.holder(asset).expect("somebody holds it");
    assert!(holder.pid != std::process::id() && !holder.command.is_empty());
    assert!(pids.iter().all(|it| state(*it).is_some()));
    tool.0.kill().unwrap();
    tool.0.wait().unwrap();
    let _guard = until("the lock is free", || locks.try_exclusive(&[asset]).unwrap().guard());
    assert_eq!(pids.map(state), [None, None], "the lock is free only when nobody is left");
}

#[test]
fn a_shortage_of_open_files_loses_no_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut tool = start_tool(folder.path(), "sleep 0.05", 40, "ulimit -n 16;");
    assert!(tool.0.wait().unwrap().success());
    assert!(folder.path().join("all-done").exists());
}

/// Not a test: runs four jobs below the jobserver that `MAKEFLAGS` names, as many at once as it may.
#[test]
#[ignore = "started by the test below"]
fn job_client() {
    let Some(log) = std::env::var_os("JOB_LOG").map(PathBuf::from) else { return };
    let client = Jobserver::join(&std::env::var("MAKEFLAGS").expect("started by make")).expect("a jobserver");
    let (mut left, mut running) = (4, Vec::new());
    while left > 0 || !running.is_empty() {
        if left > 0
            && let Some(token) = client.try_take()
        {
            left -= 1;
            running.push((job(&log), token));
        }
        running.retain_mut(|(job, _)| job.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
}

const JOB: &str = "echo start >>\"$JOB_LOG\"; sleep 0.1; echo end >>\"$JOB_LOG\"";

fn job(log: &Path) -> Child {
    Command::new("sh").args(["-c", JOB]).env("JOB_LOG", log).spawn().unwrap()
}

/// How many jobs there were, and how many at once.
fn jobs_in(log: &Path) -> (usize, usize) {
    let (mut all, mut now, mut most) = (0, 0_usize, 0);
    for line in fs::read_to_string(log).unwrap().lines() {
        if line == "start" {
            (all, now) = (all + 1, now + 1);
        } else {
            now -= 1;
        }
        most = most.max(now);
    }
    (all, most)
}

#[test]
fn below_a_make_the_tool_takes_its_jobs_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("jobs.log");
    let makefile = format!(
        "all: a b c\na b:\n\t+@\"$(THIS)\" --exact executor::job_client --include-ignored >/dev/null\nc:\n\t@{}\n",
        JOB.replace('$', "$$")
    );
    fs::write(folder.path().join("Makefile"), makefile).unwrap();
    let this = format!("THIS={}", std::env::current_exe().unwrap().display());
    let mut make = Command::new("make");
    make.args(["-s", "-j3", &this]).env("JOB_LOG", &log).env_remove("MAKEFLAGS").current_dir(folder.path());
    assert!(make.status().unwrap().success());
    let (all, most) = jobs_in(&log);
    assert_eq!(all, 9);
    assert!((2..=3).contains(&most), "{most} jobs at once");
}
