//! What `docs/commands.md` and `docs/staleness.md` promise, each shown on a tiny project.

use rustix::process::Signal;

use crate::support::{Project, asset, asset_of, log};

/// `raw.txt` -> `first` -> `second`, built.
fn chain() -> Project {
    let first = format!("{}sources = [\"raw.txt\"]\n", asset("first", "cat raw.txt > {{ output }}"));
    let second = asset_of("second", &["first"], "wc -l < {{ inputs.first }} > {{ output }}");
    let project = Project::new().manifest(&format!("{first}{second}")).file("raw.txt", "one\ntwo\n");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran_in_order(), ["first", "second"]);
    project
}

/// Codes of the reasons that `status` gives for an asset.
fn codes(project: &Project, key: &str) -> Vec<String> {
    let document = project.run(&["status", "--json", "--exit-zero"]).succeeded().json();
    let assets = document["assets"].as_array().unwrap().clone();
    let asset = assets.iter().find(|it| it["key"] == key).unwrap_or_else(|| panic!("{key} is not in {document}"));
    asset["reasons"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn reruns(project: &Project, expected: &[&str]) {
    let before = project.snapshot();
    project.run(&["materialize", "-n"]).succeeded();
    assert!(project.ran().is_empty(), "a dry run ran something");
    let data =
        |them: Vec<(String, Vec<u8>)>| them.into_iter().filter(|it| !it.0.starts_with(".assets")).collect::<Vec<_>>();
    assert_eq!(data(before), data(project.snapshot()), "a dry run changed something");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), expected);
    project.run(&["status"]).succeeded();
    project.run(&["materialize"]).succeeded();
    assert!(project.ran().is_empty(), "a second run ran something");
}

/// Sets the times of a file to what they were, as `cp -p` and `tar -x` do.
fn touch_like(project: &Project, relative: &str, modified: std::time::SystemTime) {
    let file = std::fs::File::options().write(true).open(project.path(relative)).unwrap();
    file.set_modified(modified).unwrap();
}

#[test]
fn an_edit_of_the_same_size_with_its_time_set_back_is_seen() {
    let project = chain();
    let before = project.path("raw.txt").metadata().unwrap().modified().unwrap();
    project.write("raw.txt", "one\nTWO\n");
    touch_like(&project, "raw.txt", before);
    assert_eq!(codes(&project, "first"), ["source_changed"]);
    assert_eq!(codes(&project, "second"), ["upstream_stale"]);
    reruns(&project, &["first", "second"]);
}

#[test]
fn a_touched_file_is_the_same_file() {
    let project = chain();
    project.write("raw.txt", "one\ntwo\n");
    touch_like(&project, "raw.txt", std::time::SystemTime::UNIX_EPOCH);
    touch_like(&project, "data/first", std::time::SystemTime::UNIX_EPOCH);
    reruns(&project, &[]);
}

#[test]
fn an_output_edited_by_hand_is_remade() {
    let project = chain();
    project.write("data/first", "mine\n");
    assert_eq!(codes(&project, "first"), ["output_modified"]);
    reruns(&project, &["first"]);
    assert_eq!(project.read("data/first"), "one\ntwo\n");
}

#[test]
fn an_output_that_is_gone_is_remade() {
    let project = chain();
    project.remove("data/second");
    assert_eq!(codes(&project, "second"), ["output_missing"]);
    reruns(&project, &["second"]);
}

#[test]
fn an_asset_that_is_kept_elsewhere_now_is_missing_there() {
    let project = chain();
    project.edit("assets.toml", "[asset.second]\n", "[asset.second]\npath = \"elsewhere/second\"\n");
    assert!(codes(&project, "second").contains(&"output_missing".to_owned()));
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/elsewhere/second").trim(), "2");
}

#[test]
fn a_command_sees_what_is_declared_and_nothing_else() {
    let command = "env | cut -d= -f1 | sort > {{ output }}";
    let manifest = format!("{}env = [\"STAGE\", \"UNSET\"]\n", asset("seen", command));
    let project = Project::new().manifest(&manifest).env("STAGE", "dev").env("STRAY", "1").env("LANG", "C");
    project.run(&["materialize"]).succeeded();
    let seen = project.read("data/seen");
    // Some shells add variables of their own; those for nested builds depend on what is installed.
    let may_be = ["CARGO_MAKEFLAGS", "MAKEFLAGS", "OLDPWD", "PWD", "SHLVL", "_"];
    let names: Vec<&str> = seen.lines().filter(|it| !may_be.contains(it)).collect();
    let ours = ["ASSETS_ATTEMPT", "ASSETS_KEY", "ASSETS_OUTPUT", "ASSETS_OUTPUT_SEEN", "ASSETS_RUN_ID"];
    assert_eq!(names, [&ours[..], &["HOME", "LANG", "PATH", "STAGE", "TMPDIR"]].concat());
}

#[test]
fn a_declared_variable_counts_also_when_it_is_set_or_unset() {
    let manifest = format!("{}env = [\"STAGE\"]\n", asset("seen", "echo ${STAGE-none} > {{ output }}"));
    let mut project = Project::new().manifest(&manifest);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["seen"]);
    project.set_env("STAGE", "");
    assert_eq!(codes(&project, "seen"), ["env_changed"]);
    reruns(&project, &["seen"]);
    project.unset_env("STAGE");
    assert_eq!(codes(&project, "seen"), ["env_changed"]);
    project.run(&["materialize"]).succeeded();
    assert!(project.ran().is_empty(), "the first version is restored");
    assert_eq!(project.read("data/seen"), "none\n");
}

#[test]
fn inserted_values_stay_one_word() {
    let manifest = format!(
        "[vars]\nname = \"it's $HOME; a  'b'\"\n{}",
        asset("said", "printf '%s' {{ vars.name }} > {{ output }}")
    );
    let project = Project::new().manifest(&manifest);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/said"), "it's $HOME; a  'b'");
}

#[test]
fn exit_0_without_an_output_is_a_failure() {
    let project = Project::new().manifest(&asset("lazy", "true"));
    let failed = project.run(&["materialize"]).exited(1);
    assert!(failed.stderr.contains("output is missing: data/lazy"), "{}", failed.stderr);
    assert!(failed.stderr.contains("ASSETS_OUTPUT"), "{}", failed.stderr);
}

#[test]
fn a_fifo_is_no_output() {
    let project = Project::new().manifest(&asset("pipe", "mkfifo {{ output }}"));
    project.run(&["materialize"]).exited(1);
    assert!(!project.exists("data/pipe"));
}

#[test]
fn a_failed_command_leaves_the_last_good_version() {
    let project = chain();
    project.write("raw.txt", "three\n");
    project.edit("assets.toml", "cat raw.txt > {{ output }}", "cat raw.txt > {{ output }}; exit 3");
    let failed = project.run(&["materialize"]).exited(1);
    assert!(failed.stderr.contains("exit status 3"), "{}", failed.stderr);
    assert_eq!(project.read("data/first"), "one\ntwo\n");
    let left: Vec<String> = project.snapshot().into_iter().map(|it| it.0).filter(|it| it.contains("tmp")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn in_place_is_put_back_when_the_command_fails() {
    let command = "echo half > data/fixed.txt; cat ok > data/fixed.txt";
    let manifest = format!("{}in_place = true\nformat = \"txt\"\n", asset("fixed", command));
    let project = Project::new().manifest(&manifest).file("ok", "whole\n");
    project.run(&["materialize"]).succeeded();
    project.remove("ok");
    project.run(&["materialize", "-f"]).exited(1);
    assert_eq!(project.read("data/fixed.txt"), "whole\n");
}

#[test]
fn an_input_that_changes_while_it_is_read_makes_the_attempt_void() {
    // The first attempt edits its own input after reading it; the second finds it still.
    let command = "cp raw.txt {{ output }}\nif [ ! -e once ]; then touch once; echo late >> raw.txt; fi";
    let project = Project::new()
        .manifest(&format!("{}sources = [\"raw.txt\"]\n", asset("copy", command)))
        .file("raw.txt", "early\n");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["copy", "copy"]);
    assert_eq!(project.read("data/copy"), "early\nlate\n");
    project.run(&["status"]).succeeded();
}

#[test]
fn nothing_outlives_a_killed_tool_and_nothing_is_to_be_unlocked() {
    let slow = format!("{}\n(setsid sh -c 'touch begun; sleep 600') &\nsleep 600\ntouch {{{{ output }}}}", log("slow"));
    let project = Project::new().manifest(&format!("[asset.slow]\ncommand = '''{slow}'''\n"));
    let running = project.start(&["materialize"]);
    project.wait_for("begun");
    running.signal(Signal::KILL);
    // `finish` waits until the last process that holds the output is gone.
    assert_eq!(running.finish().code, 128 + 9);
    assert!(!project.exists("data/slow"));
    project.edit("assets.toml", &slow, "touch {{ output }}");
    project.run(&["materialize"]).succeeded();
    project.run(&["status"]).succeeded();
}

#[test]
fn two_runs_at_once_run_a_command_once() {
    let command = "touch begun\nwhile [ ! -e go ]; do sleep 0.01; done\ntouch {{ output }}";
    let project = Project::new().manifest(&asset("slow", command));
    let first = project.start(&["materialize"]);
    project.wait_for("begun");
    let second = project.start(&["materialize"]);
    project.write("go", "");
    first.finish().succeeded();
    second.finish().succeeded();
    assert_eq!(project.ran(), ["slow"]);
}

/// A question about a part may be answered from the status index; `--json` always asks the planner.
#[test]
fn a_question_about_a_part_is_answered_as_the_planner_would() {
    let assets = [
        format!("{}sources = [\"one.txt\"]\n", asset("one", "cat one.txt > {{ output }}")),
        format!("{}sources = [\"two/*.txt\"]\n", asset("two", "cat two/*.txt > {{ output }}")),
        asset_of("both", &["one", "two"], "cat {{ inputs.one }} {{ inputs.two }} > {{ output }}"),
        asset("alone", "echo alone > {{ output }}"),
    ];
    let project = Project::new().manifest(&assets.concat()).file("one.txt", "1\n").file("two/a.txt", "2\n");
    project.run(&["materialize"]).succeeded();
    let agree = |when: &str| {
        project.run(&["status", "--exit-zero"]).succeeded();
        for key in ["one", "two", "both", "alone"] {
            let asked = project.run(&["status", "-s", key, "--json", "--exit-zero"]).succeeded().json();
            let fresh = asked["assets"][0]["state"] == "fresh";
            let answered = project.run(&["status", "-s", key]);
            assert_eq!(answered.code, if fresh { 0 } else { 3 }, "{key} {when}");
            assert_eq!(answered.stdout.contains("1 asset is fresh."), fresh, "{key} {when}");
        }
    };
    agree("after a run");
    project.write("one.txt", "changed\n");
    agree("after an edit of one.txt");
    project.run(&["materialize", "-s", "one"]).succeeded();
    agree("after a run of a part");
    project.write("two/b.txt", "new\n");
    agree("after a new file for a pattern");
    project.run(&["materialize"]).succeeded();
    project.remove("data/alone");
    agree("after an output was removed");
    project.run(&["materialize"]).succeeded();
    project.write("assets.toml", project.read("assets.toml").replace("echo alone", "echo other"));
    agree("after an edit of the manifest");
}

/// After an edit the status index vouches for what does not rest on it: the same is told without it.
#[test]
fn what_is_known_already_changes_no_answer() {
    let copy = |name: &str| {
        format!("{}sources = [\"{name}.txt\"]\n", asset(name, &format!("cat {name}.txt > {{{{ output }}}}")))
    };
    let picky = "grep -v bad {{ inputs.one }} > {{ output }}";
    let assets = [
        copy("one"),
        copy("two"),
        asset_of("picky", &["one"], picky),
        asset_of("after", &["picky", "two"], "cat {{ inputs.picky }} {{ inputs.two }} > {{ output }}"),
        asset("alone", "echo alone > {{ output }}"),
    ];
    let project = Project::new().manifest(&assets.concat()).file("one.txt", "1\n").file("two.txt", "2\n");
    let same = |when: &str, counts: &str| {
        let known = project.run(&["status", "--exit-zero"]).succeeded().stdout;
        project.remove(".assets/status.idx");
        let planned = project.run(&["status", "--exit-zero"]).succeeded().stdout;
        assert_eq!(known, planned, "{when}");
        assert!(known.contains(counts), "{when}: {known}");
    };
    project.run(&["materialize"]).succeeded();
    same("after a run", "5 assets are fresh");
    project.write("two.txt", "other\n");
    same("after an edit", "5 assets: 2 stale, 3 fresh");
    project.remove("data/alone");
    same("after an output was removed too", "5 assets: 1 missing, 2 stale, 2 fresh");
    project.write("one.txt", "bad\n");
    project.run(&["materialize"]).exited(1);
    same("after a failure", "5 assets: 1 failed, 1 blocked, 3 fresh");
    project.write("two.txt", "third\n");
    same("after a failure and an edit", "5 assets: 1 failed, 1 blocked, 1 stale, 2 fresh");
    project.write("one.txt", "good\n");
    project.run(&["materialize"]).succeeded();
    project.write("two.txt", "third\n");
    same("after a touch", "5 assets are fresh");
    project.write("assets.toml", project.read("assets.toml").replace("echo alone", "echo other"));
    project.write("one.txt", "fourth\n");
    same("after an edit of the manifest and a source", "5 assets: 4 stale, 1 fresh");
}

#[test]
fn a_manifest_that_comes_to_be_where_includes_are_looked_for_is_seen() {
    let project = Project::new()
        .file("assets.toml", "[project]\nname = \"p\"\ninclude = [\"pipelines/*/assets.toml\"]\n")
        .file("pipelines/a/assets.toml", &asset("one", "echo 1 > {{ output }}"));
    project.run(&["materialize"]).succeeded();
    // Asked twice: the second time the status index may answer.
    for _ in 0..2 {
        assert!(project.run(&["status"]).succeeded().stdout.contains("1 asset is fresh."));
    }
    project.write("pipelines/b/assets.toml", asset("two", "echo 2 > {{ output }}"));
    assert!(project.run(&["status"]).exited(3).stdout.contains("2 assets: 1 missing, 1 fresh"));
    project.run(&["materialize"]).succeeded();
    project.remove("pipelines/b/assets.toml");
    assert!(project.run(&["status"]).succeeded().stdout.contains("1 asset is fresh."));
}

/// The manifest is kept as it was resolved: by the content of its files, and only if it is whole.
#[test]
fn a_kept_manifest_is_no_other_manifest() {
    let project = chain();
    let kept = project.path(".assets/project.idx");
    let bytes = std::fs::read(&kept).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 20) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        std::fs::write(&kept, damaged).unwrap();
        std::fs::remove_file(project.path(".assets/status.idx")).ok();
        project.run(&["status"]).succeeded();
    }
    let before = project.path("assets.toml").metadata().unwrap().modified().unwrap();
    project.write("assets.toml", project.read("assets.toml").replace("wc -l", "wc -c"));
    touch_like(&project, "assets.toml", before);
    assert_eq!(codes(&project, "second"), ["code_changed"]);
    reruns(&project, &["second"]);
    project.write("assets.toml", format!("{}[asset.third]\n", project.read("assets.toml")));
    project.run(&["status"]).exited(2);
    project.run(&["status"]).exited(2);
}

/// A folder that a pattern leads into by a name that is not there yet.
#[test]
fn a_file_that_arrives_where_a_pattern_waits_for_it_is_seen() {
    let project = Project::new()
        .manifest("[asset.all]\ncommand = 'cat raw/*/day.csv > {{ output }}'\nsources = ['raw/*/day.csv']\n")
        .file("raw/1/day.csv", "1\n")
        .file("raw/2/notes.txt", "late\n");
    project.run(&["materialize"]).succeeded();
    // Until the quick answer is kept, too.
    for _ in 0..5 {
        project.run(&["status"]).succeeded();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    project.write("raw/2/day.csv", "2\n");
    let status = project.run(&["status"]).exited(3).stdout;
    assert!(status.contains("raw/2/day.csv"), "{status}");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/all"), "1\n2\n");
}
