//! How a run behaves: retries, limits, failures, kinds of outputs, the environment of commands, being
//! interrupted, plans made earlier, and every exit code.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{
    Output, Project, Running, asset, asset_of,
    told::{steps, text},
};

/// Comes into a room, waits until `count` are in it, and leaves.
fn meet(count: usize) -> String {
    format!(
        "echo + >> room\nuntil [ $(grep -c + room) -ge {count} ]; do sleep 0.01; done\necho - >> room\ntouch {{{{ output }}}}"
    )
}

/// How many were in the room at once.
fn most_at_once(project: &Project) -> usize {
    let (mut now, mut most) = (0usize, 0);
    for line in project.read("room").lines() {
        if line == "+" {
            now += 1
        } else {
            now -= 1
        }
        most = most.max(now);
    }
    most
}

fn outcome_of(output: &Output, key: &str) -> String {
    steps(output, "outcome").into_iter().find(|it| it.0 == key).unwrap_or_else(|| panic!("{key} had no step")).1
}

/// The events of the only run, by kind.
fn events(project: &Project, kind: &str) -> Vec<serde_json::Value> {
    let logs = project.snapshot().into_iter().filter(|it| it.0.ends_with("events.jsonl"));
    let text: String = logs.map(|it| String::from_utf8(it.1).unwrap()).collect();
    let all = text.lines().map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap());
    all.filter(|it| it["event"] == kind || it["type"] == kind || it["kind"] == kind).collect()
}

// Retries and limits.

#[test]
fn a_command_that_fails_is_tried_again_with_growing_pauses() {
    let command = "n=$(cat tries 2> /dev/null || echo 0)\necho $((n + 1)) > tries\n[ $n -ge 2 ]\ntouch {{ output }}";
    let command = command.replace("[ $n -ge 2 ]", "[ $n -ge 2 ] || exit 3");
    let flaky = format!("{}retries = 3\nretry_delay = \"30ms\"\n", asset("flaky", &command));
    let project = Project::new().manifest(&flaky);
    let start = Instant::now();
    project.run(&["materialize"]).succeeded();
    assert!(start.elapsed() >= Duration::from_millis(90), "30 and 60 milliseconds were to be waited");
    assert_eq!(project.ran(), ["flaky"; 3]);
    let pauses: Vec<_> = events(&project, "retrying").iter().map(|it| it["delay_ms"].as_u64().unwrap()).collect();
    assert_eq!(pauses, [30, 60]);
    project.settled(&[]);
}

#[test]
fn retries_come_to_an_end() {
    let project = Project::new().manifest(&format!("{}retries = 2\n", asset("bad", "echo no >&2; exit 3")));
    let output = project.run(&["materialize"]).exited(1);
    assert_eq!(project.ran(), ["bad"; 3]);
    assert!(output.stderr.contains("exit status 3"), "{}", output.stderr);
}

#[test]
fn a_command_that_takes_too_long_is_ended() {
    for command in ["sleep 1000", "trap '' TERM INT HUP\nsleep 1000 & wait; sleep 1000"] {
        let project = Project::new().manifest(&format!("{}timeout = \"300ms\"\n", asset("slow", command)));
        let start = Instant::now();
        let output = project.run(&["materialize", "--grace", "1"]).exited(1);
        assert!(start.elapsed() < Duration::from_secs(20));
        assert!(output.stderr.contains("timed out"), "{}", output.stderr);
        assert!(!project.exists("data/slow"));
    }
}

#[test]
fn a_pool_limits_how_many_run_at_once() {
    let manifest: String =
        (0..6).map(|it| format!("{}pool = \"db\"\n", asset(&format!("a{it}"), &meet(2)))).collect::<String>()
            + "[pool.db]\nlimit = 2\n";
    let project = Project::new().manifest(&manifest);
    project.run(&["materialize", "-j", "6"]).succeeded();
    assert_eq!(most_at_once(&project), 2);
}

#[test]
fn as_many_run_at_once_as_are_asked_for() {
    let manifest: String = (0..6).map(|it| asset(&format!("a{it}"), &meet(3))).collect();
    let project = Project::new().manifest(&manifest);
    project.run(&["materialize", "-j", "3"]).succeeded();
    assert_eq!(most_at_once(&project), 3);
    let manifest: String = (0..4).map(|it| asset(&format!("a{it}"), &meet(1))).collect();
    let project = Project::new().manifest(&manifest);
    project.run(&["materialize", "-j", "1"]).succeeded();
    assert_eq!(most_at_once(&project), 1);
}

// Failures.

/// `bad` fails; `below` and `lower` are made from it; `other` is not.
fn with_a_failure() -> Project {
    let manifest = asset("bad", "echo what went wrong >&2; [ -e mended ] && touch {{ output }}")
        + &asset_of("below", &["bad"], "touch {{ output }}")
        + &asset_of("lower", &["below"], "touch {{ output }}")
        + &asset("other", "touch {{ output }}");
    Project::new().manifest(&manifest)
}

#[test]
fn a_failure_holds_back_only_what_depends_on_it() {
    let project = with_a_failure();
    let output = project.run(&["materialize", "--json", "-j1"]).exited(1);
    let told: Vec<_> = steps(&output, "outcome").into_iter().map(|it| format!("{} {}", it.0, it.1)).collect();
    assert_eq!(told, ["bad failed", "below skipped", "lower skipped", "other built"]);
    assert_eq!(project.ran(), ["bad", "other"]);
    let states = project.states(&[]).into_iter().map(|it| format!("{} {}", it.0, it.1)).collect::<Vec<_>>();
    assert_eq!(states, ["bad failed", "below blocked", "lower blocked", "other fresh"]);
    project.write("mended", "");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["bad", "below", "lower"]);
    project.settled(&[]);
}

#[test]
fn the_first_failure_ends_the_run_if_that_is_wanted() {
    let project = with_a_failure();
    let output = project.run(&["materialize", "--json", "-j1", "-x"]).exited(1);
    // The longest chain begins first.
    assert_eq!(project.ran(), ["bad"]);
    assert_eq!(outcome_of(&output, "other"), "skipped");
}

#[test]
fn the_end_of_what_a_failed_command_said_is_shown() {
    let noise = "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i + 1)); done; echo the real cause >&2; exit 9";
    let project = Project::new().manifest(&asset("loud", noise));
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("the real cause"), "{}", output.stderr);
    assert!(output.stderr.contains("exit status 9"), "{}", output.stderr);
    assert!(!output.stderr.contains("line 17\n"), "only the end of it");
    let logs = project.run(&["logs", "latest", "loud"]).succeeded();
    assert!(logs.stdout.contains("line 17\n") && logs.stdout.contains("the real cause"));
}

#[test]
fn a_command_killed_by_a_signal_says_which() {
    let project = Project::new().manifest(&asset("killed", "kill -9 $$"));
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("signal 9"), "{}", output.stderr);
}

#[test]
fn what_is_needed_and_neither_there_nor_selected_is_told() {
    let project = Project::new()
        .manifest(&(asset("up", "touch {{ output }}") + &asset_of("down", &["up"], "touch {{ output }}")));
    let output = project.run(&["materialize", "-s", "down"]).exited(1);
    assert!(output.stderr.contains("up was never built"), "{}", output.stderr);
    assert_eq!(project.ran(), [""; 0]);
    project.run(&["materialize", "-s", "+down"]).succeeded();
    assert_eq!(project.ran(), ["down", "up"]);
}

// Outputs.

#[test]
fn an_output_of_the_wrong_kind_is_a_failure() {
    let cases = [
        ("true", "", "output is missing"),
        ("mkfifo {{ output }}", "", "FIFO"),
        ("mkdir {{ output }}", "", "folder"),
        ("ln -s /etc/hostname {{ output }}", "", "link"),
        ("echo 1 > {{ output }}", "path = \"out/\"\n", "folder"),
        ("mkdir {{ output }}; mkfifo {{ output }}/f", "path = \"out/\"\n", "FIFO"),
    ];
    for (command, more, word) in cases {
        let project = Project::new().manifest(&format!("{}{more}", asset("out", command)));
        let output = project.run(&["materialize"]).exited(1);
        assert!(output.stderr.contains(word), "{command}: {}", output.stderr);
        assert_eq!(project.states(&[])[0].1, "failed", "{command}");
        let left: Vec<_> = project.snapshot().into_iter().filter(|it| it.0.starts_with("data/")).collect();
        assert_eq!(left, [], "{command}");
    }
}

#[test]
fn several_outputs_are_published_together_or_not_at_all() {
    let manifest = "[op.split]\ncommand = '''cat in > {{ outputs.one }}; [ -e both ] && cat in > {{ outputs.two }}; true'''\n\
        [asset.one]\nop = \"split\"\nsources = [\"in\"]\n[asset.two]\nop = \"split\"\n";
    let manifest =
        manifest.replace("sources = [\"in\"]\n", "").replace("[op.split]\n", "[op.split]\nsources = [\"in\"]\n");
    let project = Project::new().file("in", "1").file("both", "").manifest(&manifest);
    project.run(&["materialize"]).succeeded();
    project.remove("both");
    project.write("in", "2");
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("data/two"), "{}", output.stderr);
    assert_eq!((project.read("data/one"), project.read("data/two")), ("1".to_owned(), "1".to_owned()));
    project.write("in", "1");
    project.settled(&[]);
}

#[test]
fn a_folder_is_replaced_whole() {
    let command = "mkdir {{ output }}; for f in $(cat in); do echo $f > {{ output }}/$f; done";
    let project = Project::new()
        .file("in", "a b c")
        .manifest(&format!("{}path = \"out/\"\nsources = [\"in\"]\n", asset("out", command)));
    project.run(&["materialize"]).succeeded();
    project.write("in", "c d");
    project.run(&["materialize"]).succeeded();
    let names: Vec<_> = project.snapshot().into_iter().map(|it| it.0).filter(|it| it.starts_with("data/")).collect();
    assert_eq!(names, ["data/out", "data/out/c", "data/out/d"]);
    project.ran();
    project.settled(&[]);
}

// The environment of a command.

#[test]
fn a_command_is_told_what_is_where_and_sees_nothing_else() {
    let show = "env | cut -d= -f1 | sort > {{ output }}";
    let manifest = format!(
        "[source.raw]\nfiles = [\"in\"]\n{}env = [\"MODE\", \"UNSET\"]\n",
        asset_of("a/b-c", &["raw", "up"], show)
    ) + &asset("up", "touch {{ output }}");
    let project =
        Project::new().file("in", "").manifest(&manifest).env("MODE", "1").env("UNDECLARED", "1").env("LC_TIME", "C");
    project.run(&["materialize"]).succeeded();
    let seen = project.read("data/a/b-c");
    let ours = ["PWD", "SHLVL", "_", "OLDPWD"];
    let seen: Vec<&str> = seen.lines().filter(|it| !ours.contains(it) && !it.starts_with("MAKE")).collect();
    let expected = [
        "ASSETS_ATTEMPT",
        "ASSETS_INPUT_RAW",
        "ASSETS_INPUT_UP",
        "ASSETS_KEY",
        "ASSETS_OUTPUT",
        "ASSETS_OUTPUT_A_B_C",
        "ASSETS_RUN_ID",
        "HOME",
        "LC_TIME",
        "MODE",
        "PATH",
        "TMPDIR",
    ];
    let without_jobs: Vec<&str> =
        seen.into_iter().filter(|it| !it.contains("JOBSERVER") && *it != "CARGO_MAKEFLAGS").collect();
    assert_eq!(without_jobs, expected);
}

#[test]
fn what_a_command_is_told_leads_to_the_right_places() {
    let command = "echo \"$ASSETS_KEY\" > \"$ASSETS_OUTPUT\"; cat \"$ASSETS_INPUT_RAW\" \"$ASSETS_INPUT_UP\" >> \"$ASSETS_OUTPUT_DOWN\"\n[ -n \"$ASSETS_RUN_ID\" ] && pwd >> $ASSETS_OUTPUT";
    let manifest = format!("[source.raw]\nfiles = [\"in\"]\n{}", asset_of("down", &["raw", "up"], command))
        + &asset("up", "echo up > {{ output }}");
    let project = Project::new().file("in", "raw\n").manifest(&manifest);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/down"), format!("down\nraw\nup\n{}\n", project.root().display()));
}

#[test]
fn a_secret_is_given_and_never_shown() {
    let command = "printf %s \"$TOKEN\" | cut -c1-4 >&2; printf %s \"$TOKEN\"; printf %s \"$TOKEN\" | base64; echo; echo \"x${TOKEN}y\" >&2\n[ $(printf %s \"$TOKEN\" | wc -c) = 14 ] && exit 4";
    let project = Project::new()
        .env("TOKEN", "s3cr3t-hunter2")
        .manifest(&format!("{}secret_env = [\"TOKEN\"]\n", asset("out", command)));
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("exit status 4"), "it was given: {}", output.stderr);
    let logs = project.run(&["logs", "latest", "out"]).succeeded();
    let shown = [output.stderr, output.stdout, logs.stdout].concat();
    for hidden in ["s3cr3t-hunter2", "czNjcjN0LWh1bnRlcjI"] {
        assert!(!shown.contains(hidden), "{shown}");
        for (name, content) in project.snapshot() {
            assert!(!String::from_utf8_lossy(&content).contains(hidden), "{name} holds the secret");
        }
    }
}

#[test]
fn what_a_command_prints_cannot_move_the_terminal() {
    let command = r"printf '\033]52;c;aGFjaw==\007\033]0;title\007\033[2J\033[31mred\033[0m\r\n' >&2; exit 1";
    let project = Project::new().manifest(&asset("rude", command));
    let output = project.run(&["materialize", "--color", "always"]).exited(1);
    let logs = project.run(&["logs", "latest", "rude"]).succeeded();
    for shown in [output.stderr, logs.stdout] {
        assert!(shown.contains("red"), "{shown:?}");
        assert!(!shown.contains("\u{1b}]") && !shown.contains("\u{1b}[2J"), "{shown:?}");
    }
}

// Signals.

/// `done` is made; then `waits` waits, and does on signals what `trap` says.
fn interrupted(trap: &str, arguments: &[&str]) -> (Project, Running) {
    let waits = format!("{trap}\ntouch started\nuntil [ -e go ]; do sleep 0.01; done\ntouch {{{{ output }}}}");
    let project = Project::new().manifest(
        &(asset("done", "touch {{ output }}")
            + &asset_of("waits", &["done"], &waits)
            + &asset_of("after", &["waits"], "touch {{ output }}")),
    );
    let running = project.start(&[&["materialize"], arguments].concat());
    project.wait_for("started");
    (project, running)
}

#[test]
fn ctrl_c_keeps_what_is_finished_and_says_how_to_go_on() {
    let (project, running) = interrupted("", &[]);
    running.signal(Signal::INT);
    let output = running.finish().exited(130);
    assert!(
        output.stderr.contains("assets materialize") || output.stderr.contains("assets retry"),
        "{}",
        output.stderr
    );
    assert_eq!(project.ran(), ["done", "waits"]);
    project.write("go", "");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["after", "waits"]);
    project.settled(&[]);
}

#[test]
fn a_command_may_finish_after_ctrl_c() {
    let (project, running) = interrupted("trap 'touch go' INT", &[]);
    running.signal(Signal::INT);
    running.finish().exited(130);
    project.ran();
    project.run(&["materialize"]).succeeded();
    let again = project.ran();
    assert!(again == ["after"] || again == ["after", "waits"], "{again:?}");
    project.settled(&[]);
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let (project, running) = interrupted("trap 'touch heard' INT; trap '' TERM HUP", &["--grace", "600"]);
    running.signal(Signal::INT);
    project.wait_for("heard");
    let start = Instant::now();
    running.signal(Signal::INT);
    running.finish().exited(130);
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(project.states(&[]).contains(&("done".to_owned(), "fresh".to_owned())));
}

#[test]
fn a_command_that_ignores_ctrl_c_is_killed_after_the_grace_period() {
    let (_project, running) = interrupted("trap '' INT TERM HUP", &["--grace", "1"]);
    running.signal(Signal::INT);
    running.finish().exited(130);
}

#[test]
fn being_terminated_has_a_code_of_its_own() {
    for signal in [Signal::TERM, Signal::HUP] {
        let (_project, running) = interrupted("", &[]);
        running.signal(signal);
        running.finish().exited(143);
    }
}

// Plans made earlier.

#[test]
fn a_plan_is_done_as_it_was_made_or_not_at_all() {
    let project =
        Project::new().file("in", "1").manifest(&format!("{}sources = [\"in\"]\n", asset("out", "cp in {{ output }}")));
    project.run(&["plan", "--out", "first.plan"]).succeeded();
    project.run(&["materialize", "--plan", "first.plan"]).succeeded();
    assert_eq!(project.ran(), ["out"]);
    let again = project.run(&["materialize", "--plan", "first.plan"]).exited(2);
    assert!(again.stderr.contains("does not hold any more"), "{}", again.stderr);
    project.write("in", "2");
    project.run(&["plan", "--out", "second.plan"]).succeeded();
    project.write("in", "3");
    project.run(&["materialize", "--plan", "second.plan"]).exited(2);
    assert_eq!(project.ran(), [""; 0]);
    project.write("in", "2");
    project.run(&["materialize", "--plan", "second.plan"]).succeeded();
    assert_eq!(project.ran(), ["out"]);
    project.run(&["materialize", "--plan", "in"]).exited(2);
}

// Exit codes.

#[test]
fn every_exit_code_is_reached_and_is_the_same_in_every_form() {
    let good = asset("a", "touch {{ output }}");
    let bad = asset("a", "exit 1");
    let wrong = "[asset.a]\nnonsense = 1\n";
    let refused = format!("{good}[[asset.a.checks]]\nname = \"never\"\ncommand = \"false\"\n");
    let cases: [(&str, &[&str], i32); 9] = [
        (&good, &["materialize"], 0),
        (&good, &["validate"], 0),
        (&good, &["plan"], 0),
        (&bad, &["materialize"], 1),
        (&refused, &["materialize"], 4),
        (wrong, &["status"], 2),
        (&good, &["materialize", "-s", "nobody"], 2),
        (&good, &["status"], 3),
        (&good, &["status", "--exit-zero"], 0),
    ];
    for (manifest, arguments, code) in cases {
        for form in [&[][..], &["--json"], &["-q"]] {
            let project = Project::new().manifest(manifest);
            project.run(&[arguments, form].concat()).exited(code);
        }
    }
}

#[test]
fn state_that_cannot_be_reached_has_a_code_of_its_own() {
    for form in [&[][..], &["--json"], &["-q"]] {
        let project = Project::new().file(".assets", "not a folder").manifest(&asset("a", "touch {{ output }}"));
        let output = project.run(&[&["materialize"], form].concat()).exited(5);
        assert!(output.stderr.contains(".assets"), "{}", output.stderr);
        assert_eq!(project.ran(), [""; 0]);
    }
}

#[test]
fn a_failure_is_told_in_json_too() {
    let project = Project::new().manifest(&asset("bad", "echo the cause >&2; exit 3"));
    let document = project.run(&["materialize", "--json"]).exited(1).json();
    assert_eq!(text(&document["outcome"]), "failed");
    let error = document["steps"][0]["error"].to_string();
    assert!(error.contains("exit status 3"), "{error}");
}
