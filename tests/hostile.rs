//! Machines and projects that are against us: read-only and full disks, links that lead away, and a
//! stranger's project that is only looked at.
//!
//! Tests that need another view of the machine run commands in a user namespace.

use std::{os::unix::fs::symlink, process::Command};

use crate::support::{Output, Project, asset, asset_of, binary, needs_namespaces, needs_strace};

/// Runs a script in the project's folder, as root of a namespace in which mounts change nothing outside.
/// The tool is `$ASSETS`.
fn in_namespace(project: &Project, script: &str) -> Output {
    needs_namespaces();
    let sealed = project.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-ec", script]).current_dir(project.root()).env_clear();
    command.envs(sealed.get_envs().filter_map(|it| Some((it.0, it.1?))));
    command.env("ASSETS", binary());
    project.start_command(command).finish()
}

fn copy() -> Project {
    let manifest =
        asset_of("copy", &["input"], "cat in.txt > {{ output }}; if [ -e more ]; then cat more >> {{ output }}; fi");
    Project::new().file("in.txt", "1\n").manifest(&format!("[source.input]\nfiles = [\"in.txt\"]\n{manifest}"))
}

#[test]
fn a_read_only_project_answers_questions() {
    let project = copy();
    project.run(&["materialize"]).succeeded();
    project.ran();
    let script = "mount --bind . . && mount -o remount,ro,bind . && cd \"$PWD\"\n\
        for question in status 'why copy' plan 'materialize -n' list graph validate 'show copy' runs; do\n\
        $ASSETS $question > /dev/null || { echo \"$question: $?\"; }\ndone";
    let output = in_namespace(&project, script);
    assert_eq!((output.code, output.stdout.as_str()), (0, ""), "{}", output.stderr);
}

#[test]
fn a_run_of_a_read_only_project_says_what_cannot_be_written() {
    let project = copy();
    project.run(&["materialize"]).succeeded();
    project.write("in.txt", "2\n");
    project.ran();
    let script = "mount --bind . . && mount -o remount,ro,bind . && cd \"$PWD\"\n$ASSETS materialize";
    let output = in_namespace(&project, script);
    assert_eq!(output.code, 5, "{}", output.stderr);
    assert!(output.stderr.contains("read-only"), "{}", output.stderr);
    assert_eq!(project.ran(), [""; 0]);
    assert_eq!(project.read("data/copy"), "1\n");
}

#[test]
fn a_project_that_was_never_built_and_cannot_be_written_has_a_status() {
    let project = copy();
    let before = project.snapshot();
    let script = "mount --bind . . && mount -o remount,ro,bind . && cd \"$PWD\"\n$ASSETS status";
    let output = in_namespace(&project, script);
    assert_eq!(output.code, 3, "{}", output.stderr);
    assert_eq!(project.snapshot(), before);
}

#[test]
fn a_full_disk_loses_nothing() {
    let project = copy();
    // A project on a small disk; `fill` takes all that is left.
    let script = r#"
        mkdir disk && mount -t tmpfs -o size=4m t disk && cp assets.toml in.txt disk && cd disk
        fill() { cat /dev/zero > filler 2> /dev/null || true; }
        say() { echo "$1: $2 $(cat data/copy | head -c 20 | tr -d '\0')"; }
        code=0; $ASSETS materialize -q || code=$?; say first $code
        echo 2 > in.txt; head -c 2200000 /dev/zero > more
        code=0; $ASSETS materialize -q 2> told || code=$?; say staged $code
        grep -q 'No space\|no space' told || cat told
        rm more; fill
        code=0; $ASSETS materialize -q 2> /dev/null || code=$?; say full $code
        code=0; $ASSETS status -q > /dev/null || code=$?; say status $code
        rm filler
        code=0; $ASSETS materialize -q || code=$?; say freed $code
        code=0; $ASSETS status -q > /dev/null || code=$?; say status $code
        find data -name '.assets*'
    "#;
    let output = in_namespace(&project, script);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    assert_eq!(lines[0], "first: 0 1");
    assert_eq!(lines[1], "staged: 1 1", "{}", output.stdout);
    assert!(matches!(lines[2], "full: 1 1" | "full: 5 1"), "{}", output.stdout);
    assert_eq!(lines[3..], ["status: 3 1", "freed: 0 2", "status: 0 2"], "{}", output.stdout);
}

/// The index of the database's log is a file too, which nobody can make there.
#[test]
fn a_full_disk_answers_questions() {
    let project = copy();
    let script = r#"
        mkdir disk && mount -t tmpfs -o size=4m t disk && cp assets.toml in.txt disk && cd disk
        $ASSETS materialize -q
        rm .assets/*.idx .assets/state.db-shm
        cat /dev/zero > filler 2> /dev/null || true
        $ASSETS status
        code=0; $ASSETS materialize -q -f || code=$?; echo "run: $code"
        rm filler
        echo "$($ASSETS materialize 2>&1)"
    "#;
    let output = in_namespace(&project, script);
    assert_eq!((output.code, project.ran()), (0, vec!["copy".to_owned()]), "{}{}", output.stdout, output.stderr);
    assert_eq!(output.stdout.matches("1 asset is fresh").count(), 2, "{}", output.stdout);
    assert!(output.stdout.contains("run: 5\n"), "{}", output.stdout);
    assert!(output.stderr.contains("cannot be read as the disk is full"), "{}", output.stderr);
    assert!(output.stderr.contains("no space"), "{}", output.stderr);
}

#[test]
fn outputs_do_not_follow_links_out_of_the_project() {
    let project = copy();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), project.path("data")).unwrap();
    let output = project.run(&["materialize"]);
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains("leads out of the project"), "{}", output.stderr);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_link_that_is_swapped_in_while_the_command_runs_leads_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    let command = format!(
        "echo mine > {{{{ output }}}}; mkdir -p {out}/sub; cp -r data/sub/. {out}/sub; mv data/sub data/was; ln -s {out}/sub data/sub",
        out = outside.path().display()
    );
    let project = Project::new().manifest(&format!("{}path = \"sub/out\"\n", asset("out", &command)));
    let output = project.run(&["materialize"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(!outside.path().join("sub/out").exists(), "published outside of the project");
    assert_eq!(project.states(&[])[0].1, "failed");
}

#[test]
fn a_linked_output_is_not_written_through() {
    let project = copy();
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::create_dir(project.path("data")).unwrap();
    symlink(outside.path(), project.path("data/copy")).unwrap();
    project.run(&["materialize"]).succeeded();
    assert_eq!(std::fs::read_to_string(outside.path()).unwrap(), "");
    assert!(project.path("data/copy").symlink_metadata().unwrap().is_file());
}

/// System calls of a command, one a line.
fn traced(project: &Project, calls: &str, arguments: &[&str]) -> Vec<String> {
    needs_strace();
    let sealed = project.command(&[]);
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(trace.path()).args(["-e", &format!("trace={calls}")]);
    command.arg(binary()).args(arguments).current_dir(project.root()).env_clear();
    command.envs(sealed.get_envs().filter_map(|it| Some((it.0, it.1?))));
    project.start_command(command).finish();
    std::fs::read_to_string(trace.path()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn questions_execute_nothing_of_the_project() {
    let project = copy();
    let canary =
        "[source.asked]\ncommand = \"touch canary\"\n[asset.other]\ncommand = \"touch canary\"\ndeps = [\"asked\"]\n";
    let manifest = project.read("assets.toml") + canary;
    project.write("assets.toml", manifest);
    for question in [&["status"][..], &["why", "other"], &["plan"], &["materialize", "-n"], &["graph"], &["list"]] {
        let calls = traced(&project, "execve,execveat,connect", question);
        let ours = calls.iter().filter(|it| it.contains("execve")).count();
        assert_eq!(ours, 1, "{question:?} executed something: {calls:#?}");
        assert!(!calls.iter().any(|it| it.contains("connect(") && it.contains("AF_INET")), "{calls:#?}");
    }
    assert!(!project.exists("canary"));
}

#[test]
fn a_status_of_what_is_fresh_opens_no_data() {
    let inputs: String = (0..30).map(|it| asset_of(&format!("a{it}"), &["raw"], "cat raw/* > {{ output }}")).collect();
    let project = Project::new().manifest(&format!("[source.raw]\nfiles = [\"raw/*\"]\n{inputs}"));
    for index in 0..30 {
        project.write(&format!("raw/{index}"), "1");
    }
    project.run(&["materialize", "-q"]).succeeded();
    // What was young when it was written is read once more, and then known.
    std::thread::sleep(std::time::Duration::from_millis(50));
    project.run(&["materialize", "-q"]).succeeded();
    project.run(&["status"]).succeeded();
    let calls = traced(&project, "openat,open,openat2", &["status"]);
    let root = project.root();
    let data = |it: &&String| {
        let file = it.contains("raw/") || it.contains("data/") || it.contains("\"a1\"");
        file && !it.contains("O_DIRECTORY") && !it.contains("O_PATH") && !it.contains("ENOENT")
    };
    let opened: Vec<_> = calls.iter().filter(data).collect();
    assert!(opened.is_empty(), "{}: {opened:#?}", root.display());
}

/// Whether `status` reads the output `data/a`, as seen by the kernel; with another boot than the real one
/// if `rebooted`.
fn reads_output(project: &Project, rebooted: bool) -> bool {
    needs_strace();
    project.write("../boot", "11111111-2222-3333-4444-555555555555\n");
    let mount = if rebooted { "mount --bind ../boot /proc/sys/kernel/random/boot_id" } else { "true" };
    let trace = "strace -f -qq -o ../trace -e trace=openat $ASSETS status --json > /dev/null || true; cat ../trace";
    let output = in_namespace(project, &format!("{mount}\n{trace}"));
    assert_eq!(output.code, 0, "{}", output.stderr);
    output.raw_stdout.lines().any(|it| it.contains("\"data/a\"") && !it.contains("O_PATH"))
}

#[test]
fn after_a_power_loss_what_was_not_sealed_is_read_before_it_is_trusted() {
    let wait = "touch started; until [ -e go ]; do sleep 0.01; done; touch {{ output }}";
    let project = Project::new().manifest(&(asset("a", "echo a > {{ output }}") + &asset_of("b", &["a"], wait)));
    let running = project.start(&["materialize"]);
    project.wait_for("started");
    running.signal(rustix::process::Signal::KILL);
    running.finish();
    // What is as young as its record is read once more, and then known.
    reads_output(&project, false);
    assert!(!reads_output(&project, false), "a killed tool is no power loss");
    // Read for another reason, and remembered.
    project.shell("touch data/a; assets status -q");
    assert!(!reads_output(&project, false));
    assert!(reads_output(&project, true), "the power was lost before the run was sealed");
    project.write("go", "");
    project.run(&["materialize"]).succeeded();
    project.run(&["materialize", "-f"]).succeeded();
    project.ran();
    assert!(!reads_output(&project, true), "a run that came to its end is sealed");
    project.settled(&[]);
}

#[test]
fn what_was_never_synced_is_read_after_a_power_loss() {
    let project = Project::new();
    project.write(
        "assets.toml",
        "[project]\nname = \"p\"\ndurability = \"off\"\n".to_owned() + &asset("a", "echo a > {{ output }}"),
    );
    project.run(&["materialize"]).succeeded();
    reads_output(&project, false);
    assert!(!reads_output(&project, false), "a run that has ended is no power loss");
    assert!(reads_output(&project, true), "nothing was ever sealed");
}

/// Outputs below a mount are staged there, so that no rename crosses; what is kept elsewhere is not moved in.
#[test]
fn another_file_system_below_the_outputs_is_as_good() {
    let nested = asset_of("nested", &["input"], "cat in.txt > {{ output }}") + "path = \"disk/deep/out\"\n";
    let folder = asset_of("folder", &["nested"], "mkdir {{ output }} && cp {{ inputs.nested }} {{ output }}/copy")
        + "path = \"disk/folder/\"\n";
    let input = "[source.input]\nfiles = [\"in.txt\"]\n";
    let project = Project::new().file("in.txt", "1\n").manifest(&format!("{input}{nested}{folder}"));
    project.write("data/disk/.keep", "");
    let script = r#"
        say() { echo "$1: $(cat data/disk/deep/out data/disk/folder/copy | tr '\n' ' ')$(sort "$HOME/ran" | tr '\n' ' ')"; : > "$HOME/ran"; }
        echo 1 > in.txt; $ASSETS materialize -q; say first
        echo 2 > in.txt; $ASSETS materialize -q; say second
        mount -t tmpfs t data/disk
        echo 1 > in.txt; $ASSETS materialize -q; say mounted
        echo 2 > in.txt; $ASSETS materialize -q; say back
        echo 3 > in.txt; $ASSETS materialize -q; say third
        $ASSETS materialize -q; say again
        $ASSETS status -q > /dev/null && find data -name '.assets*'
        umount data/disk
        echo 2 > in.txt; $ASSETS materialize -q; say below
    "#;
    let output = in_namespace(&project, script);
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    let expected = [
        "first: 1 1 folder nested ",
        "second: 2 2 folder nested ",
        "mounted: 1 1 folder nested ",
        "back: 2 2 folder nested ",
        "third: 3 3 folder nested ",
        "again: 3 3 ",
        "below: 2 2 ",
    ];
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), expected, "{}", output.stderr);
}

#[test]
fn a_run_is_sealed_on_every_file_system_with_outputs() {
    needs_strace();
    let below = asset("below", "echo 1 > {{ output }}") + "path = \"disk/out\"\n";
    let project = Project::new().manifest(&(asset("here", "echo 1 > {{ output }}") + &below));
    project.write("data/disk/.keep", "");
    let script = "mount -t tmpfs t data/disk\n\
        strace -f -qq -y -o ../trace -e trace=syncfs $ASSETS materialize -q\n\
        sort -u ../trace | grep -c 'syncfs(.*= 0'";
    let output = in_namespace(&project, script);
    assert_eq!((output.code, output.stdout.as_str()), (0, "2\n"), "{}", output.stderr);
}
