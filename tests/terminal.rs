//! How a run looks and behaves for people: on terminals of several sizes, in pipes and in CI, with
//! keys pressed, pipes and windows closed.

use std::{
    fs,
    process::{Command, Stdio},
};

use expect_test::{Expect, expect};
use rustix::process::{Pid, Signal};

use crate::support::{Project, asset, asset_of, log, pty::Pty};

/// A command that waits until the test makes the file `go`, then writes.
const GATED: &str = "until test -e go; do sleep 0.02; done; echo {{ output }} | wc -l > {{ output }}";

/// A line of shell that waits until so many assets of this run have failed.
fn failed(number: usize) -> String {
    format!(
        "until [ $(grep -hc '\"outcome\":\"failed\"' .assets/logs/*/events.jsonl) -ge {number} ]; do sleep 0.02; done"
    )
}

/// Fifty assets with everything that a run can meet: failures (in a known order), retries, a timeout,
/// a pool, an op that makes several, a folder. The gated ones wait for the file `go`.
fn fifty() -> Project {
    let mut manifest = "[pool.narrow]\nlimit = 2\n".to_owned();
    manifest += &asset("base", "echo base > {{ output }}");
    for number in 0..24 {
        manifest += &asset_of(&format!("wide/{number:02}"), &["base"], GATED);
    }
    for number in 0..6 {
        manifest += &asset_of(&format!("pooled/{number}"), &["base"], "echo x > {{ output }}");
        manifest += "pool = \"narrow\"\n";
    }
    manifest += &asset_of("late", &["base"], "echo still here; sleep 1000");
    manifest += "timeout = \"300ms\"\n";
    let colored = r"printf '\033[31mno such column\033[0m: day\033[2J\n\033]0;title\007in row 7\n' >&2; exit 3";
    manifest += &asset_of("bad/colored", &["base"], &format!("{}\n{colored}", failed(1)));
    manifest += &asset_of("bad/silent", &["base"], &format!("{}\nexit 1", failed(2)));
    for number in 0..5 {
        manifest += &asset_of(&format!("below/{number}"), &["bad/colored"], "echo x > {{ output }}");
    }
    manifest += &asset("flaky", "test -e tried || { touch tried; echo again please; exit 7; }; echo x > {{ output }}");
    manifest += "retries = 2\nretry_delay = \"10ms\"\n";
    manifest += &format!("[op.split]\ncommand = '''{}\n", log("split"));
    manifest += "for it in {{ outputs.train }} {{ outputs.test }} {{ outputs.rest }}; do echo x > $it; done'''\n";
    manifest += "deps = [\"base\"]\n";
    for name in ["train", "test", "rest"] {
        manifest += &format!("[asset.{name}]\nop = \"split\"\n");
    }
    let folder = "mkdir {{ output }} && echo x > {{ output }}/one && echo y > {{ output }}/two";
    manifest += &asset_of("parts", &["train"], folder);
    manifest += "path = \"parts/\"\n";
    let wide: Vec<String> = (0..24).map(|it| format!("wide/{it:02}")).collect();
    let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
    manifest += &asset_of("report", &wide, "echo x > {{ output }}");
    for number in 0..5 {
        manifest += &asset_of(&format!("tail/{number}"), &["report"], "echo x > {{ output }}");
    }
    let project = Project::new().manifest(&manifest).env("LANG", "C.UTF-8");
    assert_eq!(project.run(&["list", "--json"]).json()["assets"].as_array().unwrap().len(), 50);
    project
}

/// The name of an attempt in the name of its log differs from run to run.
fn without_attempts(text: &str) -> String {
    let cleaned = text.lines().map(|line| match line.strip_suffix(".log").and_then(|it| it.rsplit_once('.')) {
        Some((log, _)) if line.contains(".assets/logs/") => format!("{log}.[N].log"),
        _ => line.to_owned(),
    });
    cleaned.map(|it| it + "\n").collect()
}

/// Lines in any order.
fn comparable(text: &str) -> Vec<String> {
    Project::comparable(&without_attempts(text))
}

fn open_gate(project: &Project) {
    project.write("go", "");
}

fn is_gone(pid: i32) -> bool {
    rustix::process::test_kill_process(Pid::from_raw(pid).unwrap()) == Err(rustix::io::Errno::SRCH)
}

#[test]
fn a_run_of_fifty_in_a_pipe() {
    let project = fifty();
    open_gate(&project);
    let output = project.run(&["materialize", "-j", "8"]).exited(1);
    assert_eq!(output.stdout, "");
    expect![[r#"



        3 assets failed:
        Built base         files   [TIME]        5 B  never built
        Built flaky        files   [TIME]        2 B  never built
        Built parts        files   [TIME]        4 B  never built
        Built pooled/0     files   [TIME]        2 B  never built
        Built pooled/1     files   [TIME]        2 B  never built
        Built pooled/2     files   [TIME]        2 B  never built
        Built pooled/3     files   [TIME]        2 B  never built
        Built pooled/4     files   [TIME]        2 B  never built
        Built pooled/5     files   [TIME]        2 B  never built
        Built report       files   [TIME]        2 B  never built
        Built rest         files   [TIME]        2 B  never built
        Built tail/0       files   [TIME]        2 B  never built
        Built tail/1       files   [TIME]        2 B  never built
        Built tail/2       files   [TIME]        2 B  never built
        Built tail/3       files   [TIME]        2 B  never built
        Built tail/4       files   [TIME]        2 B  never built
        Built test         files   [TIME]        2 B  never built
        Built train        files   [TIME]        2 B  never built
        Built wide/00      files   [TIME]        2 B  never built
        Built wide/01      files   [TIME]        2 B  never built
        Built wide/02      files   [TIME]        2 B  never built
        Built wide/03      files   [TIME]        2 B  never built
        Built wide/04      files   [TIME]        2 B  never built
        Built wide/05      files   [TIME]        2 B  never built
        Built wide/06      files   [TIME]        2 B  never built
        Built wide/07      files   [TIME]        2 B  never built
        Built wide/08      files   [TIME]        2 B  never built
        Built wide/09      files   [TIME]        2 B  never built
        Built wide/10      files   [TIME]        2 B  never built
        Built wide/11      files   [TIME]        2 B  never built
        Built wide/12      files   [TIME]        2 B  never built
        Built wide/13      files   [TIME]        2 B  never built
        Built wide/14      files   [TIME]        2 B  never built
        Built wide/15      files   [TIME]        2 B  never built
        Built wide/16      files   [TIME]        2 B  never built
        Built wide/17      files   [TIME]        2 B  never built
        Built wide/18      files   [TIME]        2 B  never built
        Built wide/19      files   [TIME]        2 B  never built
        Built wide/20      files   [TIME]        2 B  never built
        Built wide/21      files   [TIME]        2 B  never built
        Built wide/22      files   [TIME]        2 B  never built
        Built wide/23      files   [TIME]        2 B  never built
        Failed bad/colored  files   [TIME]  exit status 3
        Failed bad/colored  files   [TIME]  exit status 3
        Failed bad/silent   files   [TIME]  exit status 1
        Failed bad/silent   files   [TIME]  exit status 1
        Failed late         files   [TIME]  timed out
        Failed late         files   [TIME]  timed out
        Finished 42 built, 3 failed, 5 skipped in [TIME]
        Retrying flaky, attempt 1 of 2 in [TIME]: exit status 7
        Skipped below/0      files  upstream bad/colored failed
        Skipped below/1      files  upstream bad/colored failed
        Skipped below/2      files  upstream bad/colored failed
        Skipped below/3      files  upstream bad/colored failed
        Skipped below/4      files  upstream bad/colored failed
        To run only what failed again: assets retry
        in row 7
        in row 7
        log: .assets/logs/[RUN]/bad.colored.[N].log
        log: .assets/logs/[RUN]/bad.colored.[N].log
        log: .assets/logs/[RUN]/bad.silent.[N].log
        log: .assets/logs/[RUN]/bad.silent.[N].log
        log: .assets/logs/[RUN]/late.[N].log
        log: .assets/logs/[RUN]/late.[N].log
        no such column: day
        no such column: day
        still here
        still here"#]]
    .assert_eq(&comparable(&output.stderr).join("\n"));
    // Failures stand in the order in which they came, and once more at the end.
    let told: Vec<&str> = output.stderr.lines().filter(|it| it.contains("Failed ")).collect();
    let order: Vec<&str> =
        told.iter().map(|it| it.split("Failed ").nth(1).unwrap().split(' ').next().unwrap()).collect();
    assert_eq!(order, ["late", "bad/colored", "bad/silent", "late", "bad/colored", "bad/silent"]);
    let ran = project.ran();
    assert_eq!((ran.len(), ran.iter().filter(|it| *it == "flaky").count()), (44, 2));
}

/// Columns of the summary and of what runs below it, from a screen.
fn live(screen: &str) -> (Vec<&str>, &str, Vec<&str>) {
    let lines: Vec<&str> = screen.lines().collect();
    let at: Vec<usize> = (0..lines.len()).filter(|it| lines[*it].trim_start().starts_with("Building ")).collect();
    assert_eq!(at.len(), 1, "one live region:\n{screen}");
    (lines[..at[0]].to_vec(), lines[at[0]], lines[at[0] + 1..].to_vec())
}

/// `1.2s` or `500ms`.
fn seconds(text: &str) -> f64 {
    match text.strip_suffix("ms") {
        Some(ms) => ms.parse::<f64>().unwrap() / 1000.0,
        None => text.trim_end_matches('s').parse().unwrap(),
    }
}

fn on_a_terminal(columns: u16, rows: u16, summary: &str, last: &Expect) {
    let project = fifty().env("TERM", "xterm");
    let pty = Pty::start(project.command(&["materialize", "-j", "12"]), columns, rows);
    pty.wait_for(summary);
    let screen = pty.screen();
    let (above, _, running) = live(&screen);
    assert!(above.iter().any(|it| it.contains("Built base ")), "{screen}");
    assert!(above.iter().all(|it| !it.contains("wide/")), "{screen}");
    assert_eq!(running.len(), 8, "{screen}");
    let seconds: Vec<f64> = running.iter().map(|it| seconds(it.split_whitespace().next().unwrap())).collect();
    assert!(seconds.is_sorted_by(|a, b| a >= b), "longest first:\n{screen}");
    open_gate(&project);
    let seen = pty.finish();
    assert_eq!(seen.code, 1);
    assert!(!seen.screen.contains("Building"), "{}", seen.screen);
    let end = seen.screen.find("3 assets failed:").map(|it| &seen.screen[it..]).expect("failures are told again");
    last.assert_eq(&without_attempts(&crate::support::cleaned(end)));
    // Every asset has its line, and nothing was drawn twice.
    let text = String::from_utf8(seen.bytes).unwrap();
    for number in 0..24 {
        assert_eq!(text.matches(&format!("\u{1b}[0m wide/{number:02}  ")).count(), 1, "wide/{number:02}");
    }
}

#[test]
fn a_run_of_fifty_on_a_small_terminal() {
    let last = expect![[r#"
        3 assets failed:
              Failed late         files   [TIME]  timed out
            still here
            log: .assets/logs/[RUN]/late.[N].log
              Failed bad/colored  files   [TIME]  exit status 3
            no such column: day
            in row 7
            log: .assets/logs/[RUN]/bad.colored.[N].log
              Failed bad/silent   files   [TIME]  exit status 1
            log: .assets/logs/[RUN]/bad.silent.[N].log

        To run only what failed again: assets retry

            Finished 42 built, 3 failed, 5 skipped in [TIME]
    "#]];
    on_a_terminal(80, 24, "] 1/48, 12 running, 1 waiting, ", &last);
}

#[test]
fn a_run_of_fifty_on_a_large_terminal() {
    let last = expect![[r#"
        3 assets failed:
              Failed late         files   [TIME]  timed out
            still here
            log: .assets/logs/[RUN]/late.[N].log
              Failed bad/colored  files   [TIME]  exit status 3
            no such column: day
            in row 7
            log: .assets/logs/[RUN]/bad.colored.[N].log
              Failed bad/silent   files   [TIME]  exit status 1
            log: .assets/logs/[RUN]/bad.silent.[N].log

        To run only what failed again: assets retry

            Finished 42 built, 3 failed, 5 skipped in [TIME]
    "#]];
    on_a_terminal(200, 50, "] 1/48, 12 running, 1 waiting, ", &last);
}

#[test]
fn a_very_narrow_terminal() {
    let project = fifty().env("TERM", "xterm");
    let pty = Pty::start(project.command(&["materialize", "-j", "12"]), 20, 10);
    pty.wait_for("wide/");
    let screen = pty.screen();
    let (_, summary, running) = live(&screen);
    assert!(summary.starts_with("Building 1/48"), "{screen}");
    assert!(running.len() == 8 && running.iter().all(|it| it.contains("s wide/")), "{screen}");
    open_gate(&project);
    assert_eq!(pty.finish().code, 1);
}

#[test]
fn ctrl_c_ends_a_run_and_the_next_goes_on() {
    let project = fifty().env("TERM", "xterm");
    let pty = Pty::session(project.command(&["materialize", "-s", "+tail/*", "-j", "12"]), 80, 24);
    pty.wait_for("1/31, 12 running");
    pty.press("\x03");
    let seen = pty.finish();
    assert_eq!(seen.code, 130);
    let screen = crate::support::cleaned(&seen.screen);
    let lines: Vec<&str> = screen.lines().map(str::trim).filter(|it| !it.starts_with("Stopped wide/")).collect();
    expect![[r#"
        Built base     files   [TIME]        5 B  never built
        Stopping waiting up to 5 s for 12 running; Ctrl-C again kills

        What is finished is kept. To go on: assets materialize -s '+tail/*' -j 12

        Interrupted 1 built, 30 skipped in [TIME]"#]]
    .assert_eq(&lines.join("\n"));
    assert_eq!(seen.screen.matches("Stopped wide/").count(), 12, "{}", seen.screen);
    assert_eq!(project.run(&["status", "-s", "base"]).code, 0);

    open_gate(&project);
    let output = project.run(&["materialize", "-s", "+tail/*"]).succeeded();
    assert!(output.stderr.contains("    Finished 30 built, 1 fresh in "), "{}", output.stderr);
}

#[test]
fn a_second_ctrl_c_kills() {
    let stubborn = "trap '' INT TERM; echo $$ > pid; while :; do sleep 0.05; done";
    let project = Project::new().manifest(&asset("stubborn", stubborn)).env("TERM", "xterm").env("LANG", "C.UTF-8");
    let pty = Pty::session(project.command(&["materialize", "--grace", "1000"]), 80, 24);
    pty.wait_for("stubborn");
    project.wait_for("pid");
    pty.press("\x03");
    pty.wait_for("Stopping waiting up to 1000 s for 1 running; Ctrl-C again kills");
    pty.press("\x03");
    let seen = pty.finish();
    assert_eq!(seen.code, 130);
    expect![[r#"
            Stopping waiting up to 1000 s for 1 running; Ctrl-C again kills
            Stopping killing 1 command
             Stopped stubborn  files   [TIME]  interrupted

        What is finished is kept. To go on: assets materialize --grace 1000

         Interrupted 1 skipped in [TIME]"#]]
    .assert_eq(&crate::support::cleaned(&seen.screen));
    assert!(is_gone(project.read("pid").trim().parse().unwrap()));
}

#[test]
fn ctrl_z_stops_everything_and_fg_goes_on() {
    let command = "until test -e go; do echo x >> beats; sleep 0.02; done; echo done > {{ output }}";
    let project = Project::new().manifest(&asset("slow", command)).env("TERM", "xterm").env("LANG", "C.UTF-8");
    let assets = project.command(&[]);
    let mut shell = Command::new("sh");
    shell.arg("-i").current_dir(project.root()).env_clear();
    shell.envs(assets.get_envs().filter_map(|it| Some((it.0, it.1?))));
    shell.env("PS1", "$ ").env("assets", assets.get_program());
    let pty = Pty::session(shell, 80, 24);
    pty.wait_for("$");
    pty.press("\"$assets\" materialize\n");
    pty.wait_for("] 0/1, 1 running");
    project.wait_for("beats");
    pty.press("\x1a");
    pty.wait_for("Stopped");
    // The command stands still as soon as it is told to.
    let pause = || std::thread::sleep(std::time::Duration::from_millis(300));
    let beats = || project.read("beats").len();
    let stands_still = |_: &u32| {
        let then = beats();
        pause();
        beats() == then
    };
    assert!((0..20).any(|it| stands_still(&it)), "the command goes on");
    let screen = pty.screen();
    assert!(!screen.contains("running"), "the live region is gone:\n{screen}");

    pty.press("fg\n");
    pty.wait_for("] 0/1, 1 running");
    open_gate(&project);
    pty.wait_for("Finished 1 built");
    pty.press("exit\n");
    let screen = crate::support::cleaned(&pty.finish().screen);
    assert_eq!(screen.matches("Building").count(), 0, "{screen}");
    assert_eq!(screen.matches("Built slow").count(), 1, "{screen}");
    assert_eq!(project.read("data/slow"), "done\n");
}

#[test]
fn a_window_that_is_closed_ends_the_run() {
    let project = Project::new().manifest(&asset("slow", "echo $$ > pid; exec sleep 1000")).env("TERM", "xterm");
    let pty = Pty::session(project.command(&["materialize"]), 80, 24);
    pty.wait_for("0/1, 1 running");
    project.wait_for("pid");
    assert_eq!(pty.hang_up(), 143);
    assert!(is_gone(project.read("pid").trim().parse().unwrap()));
    assert_eq!(project.run(&["status"]).exited(3).code, 3);
}

#[test]
fn a_request_to_end_is_as_good_as_ctrl_c() {
    let project = Project::new().manifest(&asset("slow", "touch started; exec sleep 1000"));
    let running = project.start(&["materialize"]);
    project.wait_for("started");
    running.signal(Signal::TERM);
    let output = running.finish().exited(143);
    expect![[r#"
        exit 143
        --- stderr
            Stopping waiting up to 5 s for 1 running; Ctrl-C again kills
        [1/1]      Stopped slow  files   [TIME]  interrupted

        What is finished is kept. To go on: assets materialize

         Interrupted 1 skipped in [TIME]
    "#]]
    .assert_eq(&output.transcript());
}

#[test]
fn ctrl_c_ends_what_comes_before_a_run_at_once() {
    let asks = "[source.slow]\ncommand = \"echo $$ > pid; exec sleep 1000\"\n";
    let project = Project::new().manifest(&format!("{asks}{}", asset_of("a", &["slow"], "echo x > {{ output }}")));
    let running = project.start(&["materialize"]);
    project.wait_for("pid");
    running.signal(Signal::INT);
    assert_eq!(running.finish().code, 130);
    assert!(is_gone(project.read("pid").trim().parse().unwrap()));
    assert!(project.run(&["runs", "--json"]).json()["runs"].as_array().unwrap().is_empty());
}

/// One that is made, one that fails in colours, one that is skipped; the first waits for `go`.
fn three() -> Project {
    let manifest = [
        asset("good", "until test -e go; do sleep 0.02; done; echo x > {{ output }}"),
        asset_of("bad", &["good"], r"printf '\033[31mno such column\033[0m\033[2J\n'; exit 3"),
        asset_of("never", &["bad"], "echo x > {{ output }}"),
    ];
    Project::new().manifest(&manifest.concat()).env("LANG", "C.UTF-8")
}

/// What a run says in a pipe, with escapes written out.
fn in_a_pipe(variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let mut project = three();
    open_gate(&project);
    for (name, value) in variables {
        project.set_env(name, value);
    }
    let output = project.run(&[&["materialize"], arguments].concat());
    without_attempts(&output.transcript().replace('\x1b', "^"))
}

/// Whether a run on a terminal has a live region, and whether it has colours.
fn live_and_colored(expected: bool, variables: &[(&str, &str)], arguments: &[&str]) -> (bool, bool) {
    let mut project = three().env("TERM", "xterm");
    for (name, value) in variables {
        project.set_env(name, value);
    }
    let pty = Pty::start(project.command(&[&["materialize", "-s", "good"], arguments].concat()), 80, 24);
    if expected {
        pty.wait_for("1 running");
    } else {
        // Longer than a live region takes to appear on a machine that is not busy.
        std::thread::sleep(std::time::Duration::from_millis(900));
    }
    open_gate(&project);
    let seen = pty.finish();
    assert_eq!(seen.code, 0, "{}", seen.screen);
    let text = String::from_utf8(seen.bytes).unwrap();
    (text.contains("\x1b[2K"), text.contains("\x1b[1m"))
}

#[test]
fn plain_lines_have_no_escapes() {
    expect![[r#"
        exit 1
        --- stderr
        [1/3]        Built good   files   [TIME]        2 B  never built
        [2/3]       Failed bad    files   [TIME]  exit status 3
            no such column
            log: .assets/logs/[RUN]/bad.[N].log
        [3/3]      Skipped never  files  upstream bad failed

        1 asset failed:
              Failed bad    files   [TIME]  exit status 3
            no such column
            log: .assets/logs/[RUN]/bad.[N].log

        To run only what failed again: assets retry

            Finished 1 built, 1 failed, 1 skipped in [TIME]
    "#]]
    .assert_eq(&in_a_pipe(&[], &[]));
}

#[test]
fn colours_can_be_had_in_a_pipe() {
    let said = in_a_pipe(&[("FORCE_COLOR", "1")], &[]);
    expect![[r#"
        exit 1
        --- stderr
        [1/3]        ^[1m^[32mBuilt^[0m good   files   [TIME]        2 B  never built
        [2/3]       ^[1m^[31mFailed^[0m bad    files   [TIME]  exit status 3
            ^[31mno such column^[0m
            ^[90mlog^[0m: .assets/logs/[RUN]/bad.[N].log
        [3/3]      ^[1m^[33mSkipped^[0m never  files  upstream bad failed

        ^[1m^[31m1 asset failed:^[0m
              ^[1m^[31mFailed^[0m bad    files   [TIME]  exit status 3
            ^[31mno such column^[0m
            ^[90mlog^[0m: .assets/logs/[RUN]/bad.[N].log

        To run only what failed again: ^[1massets retry^[0m

            ^[1m^[31mFinished^[0m 1 built, 1 failed, 1 skipped in [TIME]
    "#]]
    .assert_eq(&said);
    assert_eq!(in_a_pipe(&[("CLICOLOR_FORCE", "1")], &[]), said);
    assert_eq!(in_a_pipe(&[("NO_COLOR", "1")], &["--color", "always"]), said);
}

#[test]
fn quiet_tells_only_of_failures() {
    let said = in_a_pipe(&[], &["-q"]);
    expect![[r#"
        exit 1
        --- stderr
        [2/3]       Failed bad    files   [TIME]  exit status 3
            no such column
            log: .assets/logs/[RUN]/bad.[N].log

        To run only what failed again: assets retry

    "#]]
    .assert_eq(&said);
    assert_eq!(in_a_pipe(&[], &["--progress", "none"]), said);
    assert_eq!(in_a_pipe(&[("ASSETS_PROGRESS", "none")], &[]), said);
}

#[test]
fn on_github_there_are_annotations_and_a_summary() {
    let mut project = three();
    open_gate(&project);
    project.set_env("GITHUB_ACTIONS", "true");
    project.set_env("CI", "true");
    project.set_env("GITHUB_STEP_SUMMARY", project.path("../tmp/summary.md").to_str().unwrap());
    let output = project.run(&["materialize"]).exited(1);
    expect![[r#"
        exit 1
        --- stderr
        ::group::Built assets
        [1/3]        Built good   files   [TIME]        2 B  never built
        ::endgroup::
        [2/3]       Failed bad    files   [TIME]  exit status 3
            no such column
            log: .assets/logs/[RUN]/bad.[N].log
        [3/3]      Skipped never  files  upstream bad failed

        1 asset failed:
              Failed bad    files   [TIME]  exit status 3
            no such column
            log: .assets/logs/[RUN]/bad.[N].log

        To run only what failed again: assets retry

            Finished 1 built, 1 failed, 1 skipped in [TIME]
        ::error title=bad failed,file=assets.toml,line=6::exit status 3%0Ano such column
    "#]]
    .assert_eq(&without_attempts(&output.transcript()));
    let summary = fs::read_to_string(project.path("../tmp/summary.md")).unwrap();
    expect![[r#"
        ### assets: 1 built, 1 failed, 1 skipped in [TIME]

        | status | asset | duration | |
        | --- | --- | ---: | --- |
        | Failed | bad | [TIME] | exit status 3 |
        | Built | good | [TIME] |  |
        | Skipped | never | [TIME] |  |
    "#]]
    .assert_eq(&crate::support::cleaned(&summary));
}

#[test]
fn a_live_region_is_drawn_only_where_it_can_be() {
    assert_eq!(live_and_colored(true, &[], &[]), (true, true));
    assert_eq!(live_and_colored(true, &[("NO_COLOR", "1")], &[]), (true, false));
    assert_eq!(live_and_colored(true, &[], &["--color", "never"]), (true, false));
    assert_eq!(live_and_colored(false, &[("TERM", "dumb")], &[]), (false, false));
    assert_eq!(live_and_colored(false, &[("TERM", "dumb")], &["--progress", "bar"]), (false, false));
    assert_eq!(live_and_colored(false, &[("CI", "1")], &[]), (false, true));
    assert_eq!(live_and_colored(true, &[("CI", "1"), ("ASSETS_PROGRESS", "bar")], &[]), (true, true));
    assert_eq!(live_and_colored(false, &[("ASSETS_PROGRESS", "bar")], &["--progress", "plain"]), (false, true));
    assert_eq!(live_and_colored(false, &[], &["--progress", "none"]), (false, false));
    assert_eq!(live_and_colored(false, &[], &["-q"]), (false, false));
}

#[test]
fn a_way_to_show_progress_that_is_none_is_told_before_anything_runs() {
    for (variable, arguments) in [("", &["--progress", "fancy"][..]), ("fancy", &[])] {
        let mut project = three();
        project.set_env("ASSETS_PROGRESS", variable);
        let output = project.run(&[&["materialize"], arguments].concat()).exited(2);
        assert!(output.stderr.contains("fancy") && output.stderr.contains("plain"), "{}", output.stderr);
        assert_eq!(project.ran(), [""; 0]);
        assert!(project.run(&["runs", "--json"]).json()["runs"].as_array().unwrap().is_empty());
    }
}

#[test]
fn verbose_tells_of_what_was_not_run() {
    let project = Project::new()
        .manifest(&(asset("a", "echo x > {{ output }}") + &asset_of("b", &["a"], "cp {{ inputs.a }} {{ output }}")));
    project.run(&["materialize"]).succeeded();
    project.edit("assets.toml", "echo x > {{ output }}", "echo   x > {{ output }}");
    let output = project.run(&["materialize", "-v"]).succeeded();
    expect![[r#"
        exit 0
        --- stderr
        [1/2]    Unchanged a  files   [TIME]        2 B  code changed: command
        [2/2]      Cut off b  files
            Finished 1 built (1 unchanged), 1 cut off in [TIME]
    "#]]
    .assert_eq(&output.transcript());
    let output = project.run(&["materialize", "-v"]).succeeded();
    expect![[r#"
        exit 0
        --- stderr
        All 2 assets are fresh.
    "#]]
    .assert_eq(&output.transcript());
}

#[test]
fn json_stands_alone_on_stdout() {
    let project = three();
    open_gate(&project);
    for arguments in
        [&["materialize", "--json"][..], &["materialize", "--json", "-v"], &["materialize", "--json", "-q"]]
    {
        let output = project.run(arguments).exited(1);
        assert_eq!(output.json()["schema"], "assets.materialize/1");
        assert!(!output.raw_stdout.contains("\\u001b"), "{}", output.raw_stdout);
    }
    // On a terminal too, where people watch stderr.
    let mut command = project.command(&["materialize", "--json", "--color", "always"]);
    let output = command.stderr(Stdio::null()).output().unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["outcome"], "failed");
}

/// The writing end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_that_went_away_is_no_trouble() {
    let project = three();
    open_gate(&project);
    project.run(&["materialize"]).exited(1);
    let commands: [(&[&str], i32); 9] = [
        (&["status"], 3),
        (&["status", "--json"], 3),
        (&["list"], 0),
        (&["graph"], 0),
        (&["why", "bad"], 0),
        (&["plan"], 0),
        (&["materialize", "--json"], 1),
        (&["--help"], 0),
        (&["--version"], 0),
    ];
    for (arguments, code) in commands {
        let output = project.command(arguments).stdout(unread()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("roken pipe") && !said.contains("panic"), "{arguments:?}: {said}");
        if arguments[0] != "materialize" {
            assert_eq!(said, "", "{arguments:?}");
        }
        // The same with nobody to talk to.
        let output = project.command(arguments).stdout(Stdio::piped()).stderr(unread()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?} without stderr");
        assert!(!output.stdout.is_empty(), "{arguments:?} without stderr");
    }
    assert_eq!(project.shell("(assets status; echo $? > ../tmp/code) | head -0; cat ../tmp/code"), "3\n");
    assert_eq!(project.shell("assets status >&- 2>&-; echo $?"), "3\n");
    assert_eq!(project.shell("assets materialize >&- 2>&- <&-; echo $?"), "1\n");
}
