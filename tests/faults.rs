//! Faults of `docs/reliability.md` that no other file makes: projects that move, shortages, odd names,
//! manifests that change under a run, questions while it goes on.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, process::Command, thread, time::Duration};

use assets::base::sabotage::PANIC;

use crate::support::{Project, asset, asset_of};

fn chain(length: usize) -> String {
    let mut manifest = String::from("[source.input]\nfiles = [\"in.txt\"]\n");
    let mut upstream = "input".to_owned();
    for index in 0..length {
        let key = format!("a{index}");
        manifest += &asset_of(&key, &[&upstream], &format!("cat {{{{ inputs.{upstream} }}}} > {{{{ output }}}}"));
        upstream = key;
    }
    manifest
}

#[test]
fn a_project_that_is_moved_or_copied_stays_fresh() {
    let project = Project::new().file("in.txt", "1\n").manifest(&chain(3));
    project.run(&["materialize"]).succeeded();
    project.ran();
    let told = project.shell(
        "cp -r . ../copy && cd ../copy && assets status && assets materialize && cd .. && mv copy moved && cd moved\n\
         assets status && assets materialize && assets status --verify && echo all right",
    );
    assert!(told.ends_with("all right\n"), "{told}");
    assert_eq!(project.ran(), [""; 0]);
}

#[test]
fn a_copy_is_a_project_of_its_own() {
    let project = Project::new().file("in.txt", "1\n").manifest(&chain(2));
    project.run(&["materialize"]).succeeded();
    project.ran();
    let told =
        project.shell("cp -a . ../copy && cd ../copy && echo 2 > in.txt && assets materialize -q && cat data/a1");
    assert_eq!(told, "2\n");
    assert_eq!(project.ran(), ["a0", "a1"]);
    assert_eq!(project.read("data/a1"), "1\n");
    project.settled(&[]);
}

#[test]
fn a_shortage_of_open_files_loses_no_asset() {
    let manifest: String = (0..24).map(|it| asset(&format!("a{it}"), "sleep 0.01; touch {{ output }}")).collect();
    let project = Project::new().manifest(&manifest);
    let told = project.shell("ulimit -n 48; assets materialize -q -j 24 && echo all right");
    assert_eq!(told, "all right\n");
    assert_eq!(project.ran().len(), 24);
    project.settled(&[]);
}

#[test]
fn a_command_that_reads_its_input_stream_finds_it_empty() {
    let project = Project::new().manifest(&asset("out", "cat > {{ output }}"));
    let mut command = project.command(&["materialize"]);
    command.stdin(std::process::Stdio::piped());
    project.start_command(command).finish().succeeded();
    assert_eq!(project.read("data/out"), "");
}

#[test]
fn a_manifest_that_changes_under_a_run_counts_for_the_next() {
    let command = "touch started; until [ -e go ]; do sleep 0.01; done; echo 1 > {{ output }}";
    let project =
        Project::new().manifest(&(asset("a", command) + &asset_of("b", &["a"], "cp {{ inputs.a }} {{ output }}")));
    let running = project.start(&["materialize"]);
    project.wait_for("started");
    project.edit("assets.toml", "echo 1 >", "echo 2 >");
    project.edit("assets.toml", "cp {{", "cat {{");
    project.write("go", "");
    running.finish().succeeded();
    assert_eq!(project.ran(), ["a", "b"]);
    let told: Vec<_> = project.reasons(&[]).into_iter().map(|it| (it.0, it.1)).collect();
    let changed = "code_changed".to_owned();
    assert_eq!(told, [("a".to_owned(), changed.clone()), ("b".to_owned(), changed)]);
}

#[test]
fn questions_are_answered_while_a_run_goes_on() {
    let project = Project::new().file("in.txt", "1\n").manifest(&chain(8));
    let running = project.start(&["materialize", "-q"]);
    for _ in 0..12 {
        let output = project.run(&["status", "--json", "--exit-zero"]).succeeded();
        let document = output.json();
        assert_eq!(document["assets"].as_array().unwrap().len(), 8);
        assert_eq!(output.stderr, "");
        thread::sleep(Duration::from_millis(5));
    }
    running.finish().succeeded();
    project.ran();
    project.settled(&[]);
}

#[test]
fn files_with_odd_names_are_files() {
    let names: [&[u8]; 7] =
        [b"with space", b"-n", b"quote'\"", b"new\nline", b"dollar$(touch canary)", b"caf\xc3\xa9", b"not-utf8-\xff"];
    let command =
        r#"command = ["sh", "-c", "out=$1; shift; cat -- \"$@\" > \"$out\"", "x", "{{ output }}", "{{ inputs.odd }}"]"#;
    let project = Project::new()
        .manifest(&format!("[source.odd]\nfiles = [\"odd/*\"]\n[asset.all]\n{command}\ndeps = [\"odd\"]\n"));
    project.write("odd/a", "a");
    for name in names {
        std::fs::write(project.path("odd").join(OsStr::from_bytes(name)), "x").unwrap();
    }
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/all").matches('x').count(), names.len());
    assert!(!project.exists("canary"));
    project.settled(&[]);
    for name in names {
        std::fs::write(project.path("odd").join(OsStr::from_bytes(name)), "xx").unwrap();
        project.run(&["status"]).exited(3);
        project.run(&["why", "all"]).succeeded();
        project.run(&["materialize", "-q"]).succeeded();
        project.run(&["status"]).succeeded();
    }
}

#[test]
fn a_file_that_becomes_a_folder_or_a_link_and_back_is_seen() {
    let project = Project::new().file("raw/a", "1").file("elsewhere/a", "1").manifest(&format!(
        "{}sources = [\"raw/**\"]\n",
        asset("out", "find -L raw -type f -exec cat {} + > {{ output }}; find -L raw -type f >> {{ output }}")
    ));
    project.run(&["materialize"]).succeeded();
    let first = project.read("data/out");
    project.remove("raw/a");
    project.write("raw/a/b", "1");
    project.run(&["status"]).exited(3);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/out"), "1raw/a/b\n");
    project.remove("raw/a");
    project.write("raw/a", "1");
    project.ran();
    project.run(&["materialize"]).succeeded();
    assert_eq!((project.ran(), project.read("data/out")), (vec![], first));
}

#[test]
fn a_folder_that_is_replaced_by_another_is_seen() {
    let project = Project::new()
        .file("raw/a", "1")
        .file("other/a", "2")
        .manifest(&format!("{}sources = [\"raw/*\"]\n", asset("out", "cat raw/* > {{ output }}")));
    project.run(&["materialize"]).succeeded();
    let told =
        project.shell("mv raw was && mv other raw && assets status -q; echo $?; assets materialize -q && cat data/out");
    assert!(told.ends_with("3\n2"), "{told}");
    let told = project.shell("mv raw other && mv was raw && assets materialize -q && cat data/out");
    assert_eq!(told, "1");
    assert_eq!(project.ran(), ["out", "out"]);
}

#[test]
fn nothing_is_left_running_or_locked_after_a_run() {
    let project = Project::new().file("in.txt", "1\n").manifest(&chain(3));
    project.run(&["materialize"]).succeeded();
    let root = project.root();
    let open = Command::new("sh")
        .args(["-c", "for p in /proc/[0-9]*; do readlink $p/cwd; done 2> /dev/null | grep -c -- \"$0\""])
        .arg(&root)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&open.stdout).trim(), "0");
}

/// Functions in the tests of `folder`, as `file::function`, where the file is named without folders.
fn functions(folder: &str, into: &mut Vec<String>) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    for entry in walkdir::WalkDir::new(root).into_iter().flatten().filter(|it| it.path().extension().is_some()) {
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        let path = entry.path().display().to_string();
        let names = text.lines().filter_map(|it| it.trim().strip_prefix("fn ")?.split('(').next());
        into.extend(names.map(|it| format!("{path}::{it}")));
    }
}

#[test]
fn every_test_that_the_list_of_faults_names_is_there() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reliability.md")).unwrap();
    let table = page.split("## Faults and their tests").nth(1).unwrap().split("\n## ").next().unwrap();
    let named: Vec<&str> = table.split('`').skip(1).step_by(2).filter(|it| it.contains("::")).collect();
    assert!(named.len() > 60, "{}", named.len());
    let mut there = Vec::new();
    functions("tests", &mut there);
    functions("src", &mut there);
    for name in named {
        let (file, function) = name.rsplit_once("::").unwrap();
        let file = file.rsplit("::").next().unwrap();
        let found = there.iter().any(|it| it.ends_with(&format!("::{function}")) && it.contains(file));
        assert!(found, "there is no test {name}");
    }
}

#[test]
fn a_state_folder_that_goes_away_in_mid_run_is_told() {
    let project = Project::new().manifest(&asset("gone", "rm -rf \"$OLDPWD/.assets\" .assets; echo 1 > {{ output }}"));
    let output = project.run(&["materialize"]).exited(5);
    assert!(output.stderr.contains("was removed during the run: nothing of it is recorded"), "{}", output.stderr);
    project.run(&["materialize"]).exited(5);
    project.write_manifest(&asset("gone", "echo 1 > {{ output }}"));
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/gone"), "1\n");
}

/// A thread that fails is a step that fails, by its name; the run goes on, nothing hangs and nothing is lost.
#[test]
#[cfg_attr(not(debug_assertions), ignore = "a release build does not panic when it is told to")]
fn a_panic_is_a_failed_step() {
    let assets = asset("a", "echo a > {{ output }}")
        + &asset_of("b", &["a"], "echo b > {{ output }}")
        + &asset_of("c", &["b"], "echo c > {{ output }}")
        + &asset("d", "echo d > {{ output }}");
    for (doing, runs_again) in [("preparing", &["b", "c"][..]), ("finishing", &["b", "c"]), ("recording", &["c"])] {
        let mut project = Project::new().manifest(&assets).env(PANIC, &format!("{doing} b"));
        let output = project.run(&["materialize", "-j", "2"]).exited(1);
        assert!(output.stderr.contains("Failed b"), "{}", output.stderr);
        assert!(output.stderr.contains(&format!("told to panic while {doing} b")), "{}", output.stderr);
        let states: Vec<String> = project.states(&[]).into_iter().map(|it| format!("{} {}", it.0, it.1)).collect();
        assert!(
            states.contains(&"a fresh".to_owned()) && states.contains(&"d fresh".to_owned()),
            "{doing}: {states:?}"
        );
        assert!(!project.exists("data/c"), "{doing}");
        project.ran();
        project.unset_env(PANIC);
        project.run(&["materialize"]).succeeded();
        assert_eq!(project.ran(), runs_again, "{doing}");
        project.settled(&[]);
    }
}
