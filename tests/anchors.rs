//! The faults that build tools are known to get wrong: each is made on purpose, with the real program,
//! and must neither leave a wrong result that looks fresh, nor ask anybody to clean up by hand.
//!
//! The letters are those of `docs/reliability.md`. Nothing here sleeps to get its timing: a command says
//! where it is by making a file, and goes on when another one appears.

use std::{
    fs::{self, File},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::Signal;

use crate::support::{Output, Project, Running, asset, asset_of, binary, needs_strace};

/// Tells that the command got this far, then waits for `go`.
const PAUSE: &str = "touch \"$HOME/../project/started\"\nuntil [ -e \"$HOME/../project/go\" ]; do sleep 0.01; done";

fn go(project: &Project) {
    project.write("go", "");
}

/// Reads its input, pauses, and only then writes what it read.
fn slow_copy() -> Project {
    let command = format!("text=$(cat in.txt)\n{PAUSE}\necho \"$text\" > {{{{ output }}}}");
    let copy = asset_of("copy", &["input"], &command);
    let project =
        Project::new().file("in.txt", "one\n").manifest(&format!("[source.input]\nfiles = [\"in.txt\"]\n{copy}"));
    go(&project);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["copy"]);
    project.remove("go");
    project.remove("started");
    project
}

/// Edits the input and starts a run; comes back when its command has read the input.
fn started(project: &Project, text: &str) -> Running {
    project.write("in.txt", text);
    let running = project.start(&["materialize"]);
    project.wait_for("started");
    running
}

fn leftovers(project: &Project) -> Vec<String> {
    project.snapshot().into_iter().map(|it| it.0).filter(|it| it.contains(".assets-")).collect()
}

fn modified(project: &Project, relative: &str) -> SystemTime {
    project.path(relative).metadata().unwrap().modified().unwrap()
}

fn set_modified(project: &Project, relative: &str, time: SystemTime) {
    File::options().append(true).open(project.path(relative)).unwrap().set_modified(time).unwrap();
}

// A. An input is edited after the command read it, and before the output is written.

#[test]
fn a_an_input_edited_after_it_was_read_is_read_again() {
    let project = slow_copy();
    let running = started(&project, "two\n");
    project.write("in.txt", "three\n");
    go(&project);
    let output = running.finish().succeeded();
    assert!(output.stderr.contains("changed during the run"), "{}", output.stderr);
    assert_eq!(project.ran(), ["copy", "copy"]);
    assert_eq!(project.read("data/copy"), "three\n");
    project.settled(&[]);
}

#[test]
fn a_an_input_edited_and_put_back_while_it_was_read_is_read_again() {
    let project = slow_copy();
    project.write("in.txt", "two\n");
    let running = project.start(&["materialize"]);
    project.wait_for("started");
    project.write("in.txt", "what nobody wants\n");
    project.write("in.txt", "two\n");
    go(&project);
    let output = running.finish().succeeded();
    assert!(output.stderr.contains("written during the run"), "{}", output.stderr);
    assert_eq!(project.ran(), ["copy", "copy"]);
    assert_eq!(project.read("data/copy"), "two\n");
    project.settled(&[]);
}

#[test]
fn a_an_input_edited_with_the_same_size_and_time_is_read_again() {
    let project = slow_copy();
    let running = started(&project, "two\n");
    let time = modified(&project, "in.txt");
    project.write("in.txt", "owt\n");
    set_modified(&project, "in.txt", time);
    go(&project);
    running.finish().succeeded();
    assert_eq!(project.read("data/copy"), "owt\n");
    project.settled(&[]);
}

#[test]
fn a_an_input_that_never_holds_still_fails_by_name() {
    let copy = asset_of("copy", &["input"], "cp in.txt {{ output }}\necho more >> in.txt");
    let project =
        Project::new().file("in.txt", "one\n").manifest(&format!("[source.input]\nfiles = [\"in.txt\"]\n{copy}"));
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("changed during the run, 3 times in a row"), "{}", output.stderr);
    assert_eq!(project.ran(), ["copy"; 3]);
    assert!(!project.exists("data/copy"), "nothing may be published");
    assert_eq!(leftovers(&project), [""; 0]);
    project.run(&["status"]).exited(3);
}

#[test]
fn a_files_that_come_into_reach_while_the_command_runs_count() {
    let command = format!("cat raw/* > text\n{PAUSE}\nmv text {{{{ output }}}}");
    let project = Project::new()
        .file("raw/a", "a\n")
        .file("run.sh", "1")
        .manifest(&format!("{}sources = [\"raw/*\"]\ncode = [\"*.sh\"]\n", asset_of("all", &[], &command)));
    let running = project.start(&["materialize"]);
    project.wait_for("started");
    project.write("raw/b", "b\n");
    project.write("more.sh", "2");
    go(&project);
    running.finish().succeeded();
    assert_eq!(project.ran(), ["all", "all"]);
    assert_eq!(project.read("data/all"), "a\nb\n");
    project.settled(&[]);
}

#[test]
fn a_an_upstream_output_that_is_spoilt_while_it_is_read_is_made_again() {
    let command = format!("text=$(cat {{{{ inputs.up }}}})\n{PAUSE}\necho \"$text\" > {{{{ output }}}}");
    let project = Project::new()
        .manifest(&(asset_of("up", &[], "echo up > {{ output }}") + &asset_of("down", &["up"], &command)));
    let running = project.start(&["materialize"]);
    project.wait_for("started");
    project.write("data/up", "spoilt\n");
    go(&project);
    let output = running.finish().exited(1);
    assert!(output.stderr.contains("up"), "{}", output.stderr);
    assert!(!project.exists("data/down"));
    project.run(&["materialize"]).succeeded();
    assert_eq!((project.read("data/up"), project.read("data/down")), ("up\n".to_owned(), "up\n".to_owned()));
    project.ran();
    project.settled(&[]);
}

// B. The tool is killed while an output is half written.

/// What a command does that must not outlive the tool.
fn killed_in_the_middle(background: &str) {
    let command = format!("printf half > {{{{ output }}}}\n{background}\n{PAUSE}\necho whole > {{{{ output }}}}");
    let project = Project::new()
        .file("in.txt", "1")
        .manifest(&format!("[source.input]\nfiles = [\"in.txt\"]\n{}", asset_of("out", &["input"], &command)));
    go(&project);
    project.run(&["materialize"]).succeeded();
    let before = modified(&project, "data/out");
    project.remove("go");
    project.remove("started");
    let _ = fs::remove_file(project.path("pid"));
    project.ran();

    let running = started(&project, "2");
    let stray = background.contains("pid").then(|| {
        project.wait_for("pid");
        project.read("pid").trim().to_owned()
    });
    running.signal(Signal::KILL);
    assert_eq!(running.finish().code, 137);
    assert_eq!(project.read("data/out"), "whole\n", "the old output is untouched");
    assert_eq!(modified(&project, "data/out"), before);
    if let Some(pid) = stray {
        let start = Instant::now();
        while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|it| !it.contains(") Z ")) {
            assert!(start.elapsed() < Duration::from_secs(30), "process {pid} outlived the tool");
            thread::sleep(Duration::from_millis(5));
        }
    }
    project.run(&["status"]).exited(3);
    go(&project);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["out", "out"]);
    assert_eq!(project.read("data/out"), "whole\n");
    assert_eq!(leftovers(&project), [""; 0]);
    project.settled(&[]);
}

#[test]
fn b_the_tool_is_killed_in_the_middle_of_an_output() {
    killed_in_the_middle("");
}

#[test]
fn b_a_child_of_the_command_does_not_outlive_the_tool() {
    killed_in_the_middle("sh -c 'echo $$ > pid.new; mv pid.new pid; exec sleep 1000' &");
}

#[test]
fn b_a_child_that_left_its_session_does_not_outlive_the_tool() {
    let child = "(setsid sh -c 'echo $$ > pid.new; mv pid.new pid; exec sleep 1000' < /dev/null > /dev/null 2>&1 &)";
    killed_in_the_middle(child);
}

#[test]
fn b_an_output_that_is_written_in_place_is_put_back() {
    let command = format!("printf half > data/out\n{PAUSE}\necho whole > data/out");
    let out = format!("{}in_place = true\npath = \"out\"\n", asset_of("out", &["input"], &command));
    let project = Project::new().file("in.txt", "1").manifest(&format!("[source.input]\nfiles = [\"in.txt\"]\n{out}"));
    go(&project);
    project.run(&["materialize"]).succeeded();
    project.remove("go");
    project.remove("started");
    let running = started(&project, "2");
    assert_eq!(project.read("data/out"), "half");
    running.signal(Signal::KILL);
    running.finish();
    project.write("in.txt", "1");
    project.ran();
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), [""; 0], "what was there before the crash is what is wanted");
    assert_eq!(project.read("data/out"), "whole\n");
    assert_eq!(leftovers(&project), [""; 0]);
    project.settled(&[]);
}

/// A run in which whoever makes the `nth` such system call of its thread is killed before it is done.
fn killed_at(project: &Project, call: &str, nth: usize) -> Output {
    run_with(project, call, &format!("signal=KILL:when={nth}"))
}

/// A run in which such a system call does not do what it was asked for.
fn run_with(project: &Project, call: &str, fault: &str) -> Output {
    needs_strace();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
    command.args([format!("trace={call}"), "-e".to_owned(), format!("inject={call}:{fault}")]);
    command.arg(binary()).args(["materialize", "-j1", "-q"]);
    let sealed = project.command(&[]);
    command.current_dir(project.root()).env_clear();
    command.envs(sealed.get_envs().filter_map(|it| Some((it.0, it.1?))));
    project.start_command(command).finish()
}

/// Killed when all is done but making it visible.
#[test]
fn b_a_result_that_was_complete_is_not_made_again() {
    let copy = asset_of("copy", &["input"], "cp in.txt {{ output }}");
    let project = Project::new().file("in.txt", "1").manifest(&format!("[source.input]\nfiles = [\"in.txt\"]\n{copy}"));
    project.run(&["materialize"]).succeeded();
    project.ran();
    project.write("in.txt", "2");
    assert_ne!(killed_at(&project, "renameat2", 1).code, 0);
    assert_eq!((project.ran(), project.read("data/copy")), (vec!["copy".to_owned()], "1".to_owned()));
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), [""; 0]);
    assert_eq!(project.read("data/copy"), "2");
    assert_eq!(leftovers(&project), [""; 0]);
    project.settled(&[]);
}

/// Killed when the old output, which the command is to replace in place, is about to be moved aside.
#[test]
fn b_room_that_was_being_made_is_not_left_behind() {
    let out = format!("{}in_place = true\npath = \"out\"\n", asset_of("out", &["input"], "cp in.txt data/out"));
    let project = Project::new().file("in.txt", "1").manifest(&format!("[source.input]\nfiles = [\"in.txt\"]\n{out}"));
    project.run(&["materialize"]).succeeded();
    project.ran();
    project.write("in.txt", "2");
    assert_ne!(killed_at(&project, "renameat", 1).code, 0);
    assert_eq!((project.ran(), project.read("data/out")), (vec![], "1".to_owned()));
    // Nothing older is destroyed: what is wanted again is still there.
    project.write("in.txt", "1");
    project.run(&["materialize"]).succeeded();
    assert_eq!((project.ran(), project.read("data/out")), (vec![], "1".to_owned()));
    assert_eq!(leftovers(&project), [""; 0]);
    project.write("in.txt", "2");
    assert_eq!(run_with(&project, "renameat", "error=EMFILE:when=1").code, 1);
    assert_eq!((project.read("data/out"), leftovers(&project)), ("1".to_owned(), vec![]));
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/out"), "2");
}

/// The first output of an in-place command, of which half was written: nothing was there, nothing stays.
#[test]
fn b_the_first_half_of_an_output_in_place_is_removed() {
    let out = format!("{}in_place = true\npath = \"out\"\n", asset("out", &format!("echo half > data/out\n{PAUSE}")));
    let project = Project::new().manifest(&out);
    let running = project.start(&["materialize"]);
    project.wait_for("started");
    running.signal(Signal::KILL);
    running.finish();
    project.edit("assets.toml", "echo half", "exit 1; echo half");
    project.run(&["materialize"]).exited(1);
    assert!(!project.exists("data/out"));
    assert_eq!(leftovers(&project), [""; 0]);
}

/// A file, a folder, and an output that is written in place, all made from `in.txt`.
struct Matrix {
    project: Project,
    edits: usize,
}

impl Matrix {
    fn new() -> Self {
        let manifest = format!(
            "[source.input]\nfiles = [\"in.txt\"]\n{}{}path = \"folder/\"\n{}in_place = true\npath = \"place\"\n",
            asset_of("file", &["input"], "cp in.txt {{ output }}"),
            asset_of(
                "folder",
                &["file"],
                "mkdir {{ output }}; cp {{ inputs.file }} {{ output }}/a; echo b > {{ output }}/b"
            ),
            asset_of("place", &["file"], "cp {{ inputs.file }} data/place"),
        );
        let project = Project::new().file("in.txt", "0").manifest(&manifest);
        project.run(&["materialize"]).succeeded();
        Matrix { project, edits: 0 }
    }

    /// Edits the input, runs with the fault, runs again without, and says how the first run ended.
    fn try_fault(&mut self, call: &str, fault: &str) -> i32 {
        let project = &self.project;
        self.edits += 1;
        // Now and then what is wanted was there before.
        let text = format!("{}", if self.edits % 5 == 4 { self.edits - 1 } else { self.edits });
        let before = project.read("data/file");
        project.write("in.txt", &text);
        let code = run_with(project, call, fault).code;
        let now = project.read("data/file");
        assert!(now == before || now == text, "{call} {fault}: {now:?} is neither old nor new");
        let stored = || ["data/file", "data/folder/a", "data/place"].map(|it| project.read(it));
        if code == 0 {
            assert_eq!(stored(), [&*text; 3], "{call} {fault}: it said that all is done");
        }
        let run = project.run(&["materialize"]);
        assert_eq!(run.code, 0, "{call} {fault}: {}", run.stderr);
        assert_eq!(stored(), [&*text; 3], "{call} {fault}");
        assert_eq!(leftovers(project), [""; 0], "{call} {fault}");
        project.ran();
        project.settled(&[]);
        code
    }
}

fn thorough() -> bool {
    std::env::var_os("ASSETS_ORACLE_CASES").is_some()
}

/// Killed at every call that changes the file system, by system-call injection; then run again.
#[test]
fn b_killed_at_any_moment_the_next_run_alone_gets_everything_right() {
    let mut calls =
        vec!["renameat2", "renameat", "mkdirat", "unlinkat", "pwrite64", "fdatasync", "syncfs", "ftruncate"];
    if thorough() {
        calls.extend(["rename", "linkat", "fsync", "write", "openat", "fcntl", "clone3", "execve", "close"]);
    }
    let mut matrix = Matrix::new();
    let mut kills = 0;
    for call in calls {
        for nth in 1..=if thorough() { 200 } else { 3 } {
            if matrix.try_fault(call, &format!("signal=KILL:when={nth}")) == 0 {
                break;
            }
            kills += 1;
        }
    }
    eprintln!("{kills} runs were killed");
    assert!(kills >= 8, "only {kills} runs were killed: the system calls have other names now");
}

/// Each such call fails once, as it does when a disk is full, broken, read-only or not ours.
#[test]
fn b_an_error_at_any_moment_leaves_the_old_or_the_new() {
    let (mut calls, mut errors) =
        (vec!["renameat2", "renameat", "pwrite64", "fdatasync", "openat2"], vec!["EIO", "ENOSPC"]);
    if thorough() {
        calls.extend(["mkdirat", "unlinkat", "syncfs", "ftruncate", "fsync", "write", "statx", "openat", "fcntl"]);
        errors.extend(["EACCES", "EROFS", "EMFILE", "EINTR"]);
    }
    let mut matrix = Matrix::new();
    let mut failures = 0;
    for call in calls {
        for error in &errors {
            for nth in 1..=if thorough() { 12 } else { 2 } {
                failures += i32::from(matrix.try_fault(call, &format!("error={error}:when={nth}")) != 0);
            }
        }
    }
    eprintln!("{failures} runs failed");
    assert!(failures >= 4, "only {failures} runs failed: the system calls have other names now");
}

// C. State is torn, flipped or gone.

fn three() -> Project {
    let project = Project::new().file("in.txt", "1\n").manifest(&format!(
        "[source.input]\nfiles = [\"in.txt\"]\n{}{}{}path = \"c/\"\n",
        asset_of("a", &["input"], "cp in.txt {{ output }}"),
        asset_of("b", &["a"], "cp {{ inputs.a }} {{ output }}"),
        asset_of("c", &["b"], "mkdir {{ output }}; cp {{ inputs.b }} {{ output }}/b"),
    ));
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["a", "b", "c"]);
    project
}

fn state_files(project: &Project) -> Vec<String> {
    let files = project.snapshot().into_iter().filter(|it| it.0.starts_with(".assets/") && !it.1.is_empty());
    files
        .map(|it| it.0)
        .filter(|it| !it.contains("/logs/") && !it.contains("/locks/") && !it.ends_with("/key"))
        .collect()
}

/// Puts `.assets` back as it was, then damages it.
fn with_damage(project: &Project, whole: &[(String, Vec<u8>)], damage: &dyn Fn()) {
    let _ = fs::remove_file(project.path(".assets/state.db-wal"));
    let _ = fs::remove_file(project.path(".assets/state.db-shm"));
    for (name, content) in whole.iter().filter(|it| it.0.starts_with(".assets/") && !it.1.is_empty()) {
        project.write(name, content);
    }
    damage();
    let output = project.run(&["materialize"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(project.ran(), [""; 0], "{}", output.stderr);
    project.settled(&[]);
}

#[test]
fn c_state_torn_at_any_place_costs_no_run() {
    let project = three();
    let whole = project.snapshot();
    let files = state_files(&project);
    assert!(files.iter().any(|it| it.ends_with("state.db")), "{files:?}");
    for file in &files {
        let content = whole.iter().find(|it| it.0 == *file).unwrap().1.clone();
        for part in [0, 1, 4, 7, 8] {
            let at = (content.len() - 1) * part / 8;
            with_damage(&project, &whole, &|| project.write(file, &content[..at]));
            let mut flipped = content.clone();
            flipped[at] ^= 0x20;
            with_damage(&project, &whole, &|| project.write(file, &flipped));
        }
        with_damage(&project, &whole, &|| project.write(file, vec![0; content.len()]));
    }
}

#[test]
fn c_state_that_is_gone_costs_no_run() {
    let project = three();
    let whole = project.snapshot();
    for file in state_files(&project) {
        with_damage(&project, &whole, &|| project.remove(&file));
    }
    with_damage(&project, &whole, &|| {
        for file in state_files(&project).iter().filter(|it| !it.contains("journal")) {
            project.remove(file);
        }
    });
}

#[test]
fn c_a_damaged_state_is_told_and_status_still_answers() {
    let project = three();
    let content = project.snapshot().into_iter().find(|it| it.0 == ".assets/state.db").unwrap().1;
    project.write(".assets/state.db", &content[..content.len() / 2]);
    let _ = fs::remove_file(project.path(".assets/state.db-wal"));
    let output = project.run(&["status"]).succeeded();
    assert!(!output.stderr.is_empty(), "damage is told");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), [""; 0]);
    assert_eq!(project.run(&["status"]).succeeded().stderr, "");
}

// D. Edits that the times do not show.

#[test]
fn d_edits_of_the_same_size_without_a_pause_are_all_seen() {
    let copy = asset_of("copy", &["input"], "cp in.txt {{ output }}");
    let project = Project::new().file("in.txt", "0").manifest(&format!("[source.input]\nfiles = [\"in.txt\"]\n{copy}"));
    for round in 0..20 {
        let text = char::from(b'a' + round).to_string();
        let time = modified(&project, "in.txt");
        project.write("in.txt", &text);
        if round % 2 == 1 {
            set_modified(&project, "in.txt", time);
        }
        project.run(&["materialize", "-q"]).succeeded();
        assert_eq!(project.read("data/copy"), text);
    }
    assert_eq!(project.ran().len(), 20);
}

#[test]
fn d_times_from_far_away_are_no_answer() {
    let copy = asset_of("copy", &["input"], "cp in.txt {{ output }}");
    let project = Project::new().file("in.txt", "0").manifest(&format!("[source.input]\nfiles = [\"in.txt\"]\n{copy}"));
    let day = Duration::from_secs(86400);
    let times = [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH - day, SystemTime::UNIX_EPOCH + day * 365 * 200];
    for (round, time) in times.into_iter().cycle().take(9).enumerate() {
        let text = round.to_string();
        project.write("in.txt", &text);
        set_modified(&project, "in.txt", time);
        project.run(&["materialize", "-q"]).succeeded();
        assert_eq!(project.read("data/copy"), text);
        set_modified(&project, "data/copy", time);
        project.ran();
        project.settled(&[]);
    }
}

// E. Several runs at once.

#[test]
fn e_two_runs_at_once_run_everything_once() {
    let slow = asset_of("slow", &[], &format!("{PAUSE}\necho slow > {{{{ output }}}}"));
    let project = Project::new().manifest(&(slow + &asset_of("next", &["slow"], "cp {{ inputs.slow }} {{ output }}")));
    let first = project.start(&["materialize"]);
    project.wait_for("started");
    let second = project.start(&["materialize"]);
    let third = project.start(&["materialize", "-s", "slow"]);
    // Readers do not wait.
    project.run(&["status"]).exited(3);
    go(&project);
    for running in [first, second, third] {
        running.finish().succeeded();
    }
    assert_eq!(project.ran(), ["next", "slow"]);
    project.settled(&[]);
}

/// Until a run has said that it waits for another; or does not, and runs the command too.
fn wait_until_waiting(project: &Project) {
    // Not a snapshot: files come and go while it is taken.
    let said = || {
        let files = walkdir::WalkDir::new(project.path(".assets/logs")).into_iter().flatten();
        let logs = files.filter(|it| it.file_name() == "events.jsonl");
        logs.into_iter().any(|it| fs::read_to_string(it.path()).unwrap_or_default().contains("\"waiting\""))
    };
    let start = Instant::now();
    let twice = || fs::read_to_string(project.path("../home/ran")).unwrap_or_default().lines().count() > 1;
    while !said() && !twice() {
        assert!(start.elapsed() < Duration::from_secs(60), "no run waits");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn e_a_run_that_waits_says_for_whom() {
    let slow = asset_of("slow", &[], &format!("{PAUSE}\necho slow > {{{{ output }}}}"));
    let project = Project::new().manifest(&slow);
    let first = project.start(&["materialize"]);
    project.wait_for("started");
    let pid = first.pid();
    let second = project.start(&["materialize", "--progress", "plain"]);
    wait_until_waiting(&project);
    go(&project);
    first.finish().succeeded();
    let output = second.finish().succeeded();
    assert_eq!(project.ran(), ["slow"]);
    assert!(output.stderr.contains(&format!("process {pid}")), "{}", output.stderr);
}

#[test]
fn e_a_run_that_waited_for_one_that_was_killed_takes_over() {
    let slow =
        asset_of("slow", &["input"], &format!("printf half > {{{{ output }}}}\n{PAUSE}\ncp in.txt {{{{ output }}}}"));
    let project =
        Project::new().file("in.txt", "1\n").manifest(&format!("[source.input]\nfiles = [\"in.txt\"]\n{slow}"));
    let first = project.start(&["materialize"]);
    project.wait_for("started");
    let second = project.start(&["materialize"]);
    wait_until_waiting(&project);
    first.signal(Signal::KILL);
    go(&project);
    first.finish();
    second.finish().succeeded();
    assert_eq!(project.read("data/slow"), "1\n");
    assert_eq!(leftovers(&project), [""; 0]);
    project.ran();
    project.settled(&[]);
}

#[test]
fn e_many_runs_at_once_run_everything_once() {
    let mut manifest = asset_of("a0", &[], "echo 0 > {{ output }}");
    for index in 1..6 {
        let upstream = format!("a{}", index - 1);
        let command = format!("cat {{{{ inputs.{upstream} }}}} > {{{{ output }}}}; echo {index} >> {{{{ output }}}}");
        manifest += &asset_of(&format!("a{index}"), &[&upstream], &command);
    }
    let project = Project::new().manifest(&manifest);
    let all: Vec<Running> = (0..5).map(|_| project.start(&["materialize"])).collect();
    for it in all {
        it.finish().succeeded();
    }
    assert_eq!(project.ran(), ["a0", "a1", "a2", "a3", "a4", "a5"]);
    assert_eq!(project.read("data/a5"), "0\n1\n2\n3\n4\n5\n");
    project.settled(&[]);
}

// F. An output is damaged, and its size and time say nothing.

#[test]
fn f_a_damaged_output_is_made_again() {
    let project = three();
    for output in ["data/a", "data/b", "data/c/b"] {
        let time = modified(&project, output);
        project.write(output, "7\n");
        set_modified(&project, output, time);
        project.run(&["status"]).exited(3);
        project.run(&["materialize"]).succeeded();
        assert_eq!(project.ran().len(), 1, "{output}");
        assert_eq!(project.read(output), "1\n");
        project.settled(&["--verify"]);
    }
}
