//! Write, audit, publish: what checks see, what a failed one keeps from being published, and what people
//! and programs are told.

use rustix::process::Signal;

use crate::support::{
    Project, asset, asset_of,
    told::{steps, text},
};

/// Copies `raw`, which must hold at least one line, and at most five or people are warned.
const ROWS: &str = r#"sources = ["raw"]
[[asset.rows.checks]]
name = "some rows"
command = "wc -l < {{ output }}; [ $(wc -l < {{ output }}) -ge 1 ]"
[[asset.rows.checks]]
name = "not many"
severity = "warn"
command = ["sh", "-c", "echo looked at $ASSETS_KEY for $ASSETS_CHECK; [ $(wc -l < $ASSETS_OUTPUT) -le 5 ]"]
"#;

/// Nothing that was to be published lies about.
fn nothing_staged(project: &Project) {
    let left = project.snapshot().into_iter().map(|it| it.0).filter(|it| it.contains(".assets-tmp-"));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}

fn rows() -> Project {
    let below = asset_of("below", &["rows"], "cat {{ inputs.rows }} > {{ output }}");
    Project::new().manifest(&format!("{}{ROWS}{below}", asset("rows", "cp raw {{ output }}"))).file("raw", "1\n")
}

#[test]
fn what_passes_is_published() {
    let project = rows();
    let output = project.run(&["materialize", "--json"]).succeeded();
    assert_eq!(project.read("data/below"), "1\n");
    let checks = &output.json()["steps"][0]["checks"];
    let told: Vec<_> = checks.as_array().unwrap().iter().map(|it| (text(&it["name"]), text(&it["outcome"]))).collect();
    assert_eq!(told, [("some rows".into(), "passed".into()), ("not many".into(), "passed".into())]);
    assert_eq!(text(&checks[1]["said"]), "looked at rows for not many");
    project.settled(&[]);
}

#[test]
fn what_a_check_refuses_is_not_published() {
    let project = rows();
    project.run(&["materialize"]).succeeded();
    project.write("raw", "");
    let output = project.run(&["materialize"]).exited(4);
    assert!(output.stderr.contains("check `some rows` failed: exit status 1"), "{}", output.stderr);
    assert!(output.stderr.contains("nothing of it was published"), "{}", output.stderr);
    // The old version stands, nothing was made from the new one, and nothing is left behind.
    assert_eq!((project.read("data/rows"), project.read("data/below")), ("1\n".to_owned(), "1\n".to_owned()));
    assert_eq!(project.ran_in_order(), ["rows", "below", "rows"]);
    nothing_staged(&project);
    // It is told until it is mended.
    let status = project.run(&["status", "--json"]).exited(3);
    let assets = &status.json()["assets"];
    assert_eq!(text(&assets[0]["state"]), "failed");
    let reasons: Vec<_> = assets[0]["reasons"].as_array().unwrap().iter().map(|it| text(&it["code"])).collect();
    assert_eq!(reasons, ["source_changed", "check_failed"]);
    project.run(&["materialize"]).exited(4);
    project.write("raw", "1\n");
    project.run(&["status"]).succeeded();
    project.write("raw", "2\n");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/below"), "2\n");
}

#[test]
fn a_refusal_is_told_whole() {
    let project = rows();
    project.write("raw", "");
    let output = project.run(&["materialize", "--json"]).exited(4);
    let document = output.json();
    assert_eq!(steps(&output, "outcome"), [("below".into(), "skipped".into()), ("rows".into(), "failed".into())]);
    let step = &document["steps"][0];
    assert_eq!(text(&step["error"]), "check `some rows` failed: exit status 1");
    let check = &step["checks"][0];
    assert_eq!((text(&check["outcome"]), text(&check["message"])), ("failed".into(), "exit status 1".into()));
    assert_eq!((text(&check["severity"]), text(&check["said"])), ("error".into(), "0".into()));
    assert_eq!(project.read(&text(&check["log"])), "0\n");
    assert!(project.run(&["logs", "rows"]).succeeded().stdout.contains("[check 1]\n0\n"));
}

#[test]
fn a_warning_is_told_and_the_data_published() {
    let project = rows();
    project.write("raw", "1\n2\n3\n4\n5\n6\n");
    let output = project.run(&["materialize"]).succeeded();
    assert!(
        output.stderr.contains("rows: check `not many` failed: exit status 1: looked at rows"),
        "{}",
        output.stderr
    );
    assert_eq!(project.read("data/below"), "1\n2\n3\n4\n5\n6\n");
    project.settled(&[]);
}

#[test]
fn an_asset_that_fails_otherwise_tells_more() {
    let project = rows();
    project.write("raw", "");
    let text = project.read("assets.toml");
    project.write("assets.toml", format!("{text}{}", asset("bad", "exit 7")));
    project.run(&["materialize"]).exited(1);
}

#[test]
fn a_failed_check_is_no_reason_to_try_again() {
    let project = rows();
    project.write("raw", "");
    project.edit("assets.toml", "sources = [\"raw\"]\n", "sources = [\"raw\"]\nretries = 3\n");
    project.run(&["materialize"]).exited(4);
    assert_eq!(project.ran(), ["rows"]);
}

#[test]
fn a_check_that_blocks_is_part_of_what_was_made_and_one_that_warns_is_not() {
    let project = rows();
    project.run(&["materialize"]).succeeded();
    project.edit("assets.toml", "-le 5", "-le 6");
    project.run(&["status"]).succeeded();
    project.edit("assets.toml", "-ge 1", "-ge 2");
    let status = project.run(&["status"]).exited(3);
    assert!(status.stdout.contains("configuration changed: rows.checks.some rows"), "{}", status.stdout);
    project.run(&["materialize"]).exited(4);
    assert_eq!(project.read("data/rows"), "1\n");
    project.edit("assets.toml", "-ge 2", "-ge 1");
    project.run(&["status"]).succeeded();
}

#[test]
fn a_check_sees_inputs_and_only_its_own_output() {
    let manifest = r#"
[op.split]
command = "head -n 1 raw > {{ outputs.train }}; tail -n +2 raw > {{ outputs.test }}"
sources = ["raw"]
[asset.train]
op = "split"
[[asset.train.checks]]
name = "one"
command = "[ $(wc -l < {{ output }}) = 1 ]"
[asset.test]
op = "split"
[[asset.test.checks]]
name = "some"
command = ["grep", "-q", ".", "{{ output }}"]
[asset.sum]
command = "cat {{ inputs.train }} {{ inputs.test }} > {{ output }}"
deps = ["train", "test"]
[[asset.sum.checks]]
name = "all"
command = "cat {{ inputs.train }} {{ inputs.test }} | cmp - {{ output }}"
"#;
    let project = Project::new().manifest(manifest).file("raw", "1\n2\n");
    project.run(&["materialize"]).succeeded();
    // One says no: neither is published.
    project.write("raw", "3\n");
    let output = project.run(&["materialize", "--json"]).exited(4);
    assert_eq!(project.read("data/train"), "1\n");
    let step = &output.json()["steps"];
    let failed: Vec<_> = step.as_array().unwrap().iter().map(|it| text(&it["outcome"])).collect();
    assert_eq!(failed, ["failed", "failed", "skipped"]);
    assert_eq!(text(&step[0]["checks"][0]["outcome"]), "passed");
    assert_eq!(text(&step[1]["checks"][0]["outcome"]), "failed");
}

#[test]
fn a_check_that_changes_the_data_proves_nothing() {
    let check = "[[asset.a.checks]]\nname = \"sly\"\ncommand = \"echo 2 > {{ output }}\"\n";
    let project = Project::new().manifest(&format!("{}{check}", asset("a", "echo 1 > {{ output }}")));
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("a check changed the data"), "{}", output.stderr);
    assert!(!project.exists("data/a"));
}

#[test]
fn nothing_is_checked_that_was_not_made() {
    let check = "[[asset.a.checks]]\nname = \"never\"\ncommand = \"touch seen\"\n";
    for command in ["true", "exit 3"] {
        let project = Project::new().manifest(&format!("{}{check}", asset("a", command)));
        project.run(&["materialize"]).exited(1);
        assert!(!project.exists("seen"));
    }
}

#[test]
fn a_check_that_hangs_or_cannot_be_started_has_failed() {
    for (check, told) in [
        ("command = \"sleep 1000\"\ntimeout = \"200ms\"", "check `it` failed: timed out"),
        ("command = [\"no-such-program\"]", "check `it` failed: could not be started"),
        ("command = \"kill -9 $$\"", "check `it` failed: killed by signal 9"),
    ] {
        let check = format!("[[asset.a.checks]]\nname = \"it\"\n{check}\n");
        let project = Project::new().manifest(&format!("{}{check}", asset("a", "echo 1 > {{ output }}")));
        let output = project.run(&["materialize"]).exited(4);
        assert!(output.stderr.contains(told), "{}", output.stderr);
    }
}

#[test]
fn what_is_written_in_place_is_put_back() {
    let check = "[[asset.a.checks]]\nname = \"one\"\ncommand = \"[ $(cat {{ output }}) = 1 ]\"\n";
    let manifest = format!("{}in_place = true\nsources = [\"raw\"]\n{check}", asset("a", "cp raw data/a"));
    let project = Project::new().manifest(&manifest).file("raw", "1\n");
    project.run(&["materialize"]).succeeded();
    project.write("raw", "2\n");
    project.run(&["materialize"]).exited(4);
    assert_eq!(project.read("data/a"), "1\n");
    nothing_staged(&project);
}

#[test]
fn a_run_that_is_stopped_or_killed_while_a_check_runs_publishes_nothing() {
    let check = "[[asset.a.checks]]\nname = \"slow\"\ncommand = \"touch at-it; sleep 1000\"\n";
    let manifest = format!("{}{check}", asset("a", "echo 1 > {{ output }}"));
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        let project = Project::new().manifest(&manifest);
        let run = project.start(&["materialize"]);
        project.wait_for("at-it");
        run.signal(signal);
        let output = run.finish();
        if let Some(code) = code {
            output.exited(code);
        }
        assert!(!project.exists("data/a"));
        project.write_manifest(&asset("a", "echo 1 > {{ output }}"));
        project.run(&["materialize"]).succeeded();
        assert_eq!(project.read("data/a"), "1\n");
        nothing_staged(&project);
    }
}
