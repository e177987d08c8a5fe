//! `watch`: what is edited is remade, and nothing else happens.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Project, asset, asset_of};

/// Longer than any test takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// `assets watch --json` at work on a project.
struct Watch<'a> {
    project: &'a Project,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl<'a> Watch<'a> {
    /// Starts it and waits until it is done with what there was to do.
    fn start(project: &'a Project, arguments: &[&str]) -> Watch<'a> {
        let watch = Watch::spawn(project, &[&["watch", "--json"], arguments].concat());
        watch.until("it watches", || watch.said().contains("watching for changes"));
        watch.calm();
        project.ran();
        watch
    }

    fn spawn(project: &'a Project, arguments: &[&str]) -> Watch<'a> {
        let mut command = project.command(arguments);
        // Beside the project: what is written there is no change of it.
        let stdout = project.path("../tmp/stdout");
        let stderr = project.path("../tmp/stderr");
        command.stdin(Stdio::null());
        command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        Watch { project, child: command.spawn().unwrap(), stdout, stderr }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.stdout).unwrap();
        let whole = text.rfind('\n').map_or(0, |it| it + 1);
        text[..whole].lines().map(|it| serde_json::from_str(it).unwrap()).collect()
    }

    fn runs(&self) -> usize {
        self.events().iter().filter(|it| it["event"] == "run_finished").count()
    }

    #[track_caller]
    fn until(&self, what: &str, mut reached: impl FnMut() -> bool) {
        let start = Instant::now();
        while !reached() {
            assert!(start.elapsed() < DEADLINE, "{what}: never\n{}", self.said());
            sleep(Duration::from_millis(5));
        }
    }

    /// What is kept as `relative` becomes `text`.
    #[track_caller]
    fn becomes(&self, relative: &str, text: &str) {
        self.until(relative, || fs::read_to_string(self.project.path(relative)).is_ok_and(|it| it == text));
        self.calm();
    }

    /// Waits until it sleeps: the main thread neither ran nor was woken for a while.
    fn calm(&self) {
        let mut before = self.wakes();
        let mut calm_since = Instant::now();
        self.until("it sleeps", || {
            let now = self.wakes();
            if now != before || !self.is_asleep() {
                before = now;
                calm_since = Instant::now();
            }
            calm_since.elapsed() > Duration::from_millis(400)
        });
    }

    fn is_asleep(&self) -> bool {
        self.status().lines().any(|it| it.starts_with("State:") && it.contains('S'))
    }

    fn status(&self) -> String {
        fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap()
    }

    /// How often the main thread was put to sleep.
    fn wakes(&self) -> u64 {
        let status = self.status();
        let line = status.lines().find(|it| it.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_whitespace().last().unwrap().parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Exit code and all that it said.
    fn end(mut self) -> (i32, String) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
                return (code, self.said());
            }
            assert!(start.elapsed() < DEADLINE, "it does not end\n{}", self.said());
            sleep(Duration::from_millis(5));
        }
    }

    fn interrupt(self) -> String {
        self.signal(Signal::INT);
        let (code, said) = self.end();
        assert_eq!(code, 130, "{said}");
        said
    }
}

impl Drop for Watch<'_> {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two chains: `left` then `left2`, `right` then `right2`.
fn two_chains() -> Project {
    let mut manifest = String::new();
    for side in ["left", "right"] {
        manifest += &format!("[source.raw_{side}]\nfiles = [\"raw/{side}/*.csv\"]\n");
        let command = format!("cat raw/{side}/*.csv > {{{{ output }}}}");
        manifest += &asset_of(side, &[&format!("raw_{side}")], &command);
        let command = format!("cat {{{{ inputs.{side} }}}} > {{{{ output }}}}");
        manifest += &asset_of(&format!("{side}2"), &[side], &command);
    }
    Project::new().manifest(&manifest).file("raw/left/a.csv", "1\n").file("raw/right/a.csv", "1\n")
}

#[test]
fn only_what_depends_on_an_edit_is_remade() {
    let project = two_chains();
    let watch = Watch::start(&project, &[]);
    assert_eq!(project.read("data/right2"), "1\n");
    assert_eq!(watch.runs(), 1);

    project.write("raw/left/a.csv", "2\n");
    watch.becomes("data/left2", "2\n");
    assert_eq!(project.ran_in_order(), ["left", "left2"]);

    // Saved as editors do.
    project.write("raw/right/.a.csv.swp", "3\n");
    fs::rename(project.path("raw/right/.a.csv.swp"), project.path("raw/right/a.csv")).unwrap();
    watch.becomes("data/right2", "3\n");
    assert_eq!(project.ran_in_order(), ["right", "right2"]);

    // What it made itself is no change, and while nothing changes it does nothing at all.
    let (runs, wakes) = (watch.runs(), watch.wakes());
    sleep(Duration::from_secs(2));
    assert_eq!((watch.runs(), watch.wakes()), (runs, wakes));
    assert_eq!(project.ran(), [""; 0]);

    // Saved without a change.
    project.write("raw/left/a.csv", "2\n");
    project.write("notes.txt", "not an input\n");
    watch.until("it looked", || watch.wakes() > wakes);
    watch.calm();
    assert_eq!(watch.runs(), runs);
    watch.interrupt();
}

#[test]
fn outputs_that_others_spoil_are_mended() {
    let folder = "mkdir -p {{ output }}/deep && cp {{ inputs.a }} {{ output }}/deep/a";
    let manifest = asset("a", "echo a > {{ output }}") + &asset_of("f", &["a"], folder) + "path = \"f/\"\n";
    let project = Project::new().manifest(&manifest);
    let watch = Watch::start(&project, &[]);

    project.remove("data/a");
    watch.becomes("data/a", "a\n");
    project.write("data/a", "spoilt\n");
    watch.becomes("data/a", "a\n");
    project.write("data/f/deep/a", "spoilt\n");
    watch.becomes("data/f/deep/a", "a\n");
    // The folder is another one now.
    project.write("data/f/deep/a", "spoilt\n");
    watch.becomes("data/f/deep/a", "a\n");
    project.remove("data");
    watch.becomes("data/f/deep/a", "a\n");
    watch.becomes("data/a", "a\n");
    watch.interrupt();
}

#[test]
fn a_broken_manifest_is_shown_and_the_last_good_one_goes_on() {
    let project = two_chains();
    let watch = Watch::start(&project, &[]);
    let good = project.read("assets.toml");

    project.write("assets.toml", good.replace("[asset.left2]", "[asset.left2"));
    watch.until("it is shown", || watch.said().contains("this is not TOML"));
    project.write("raw/right/a.csv", "2\n");
    watch.becomes("data/right2", "2\n");
    assert_eq!(project.ran_in_order(), ["right", "right2"]);

    project.write("assets.toml", good.replace("cat {{ inputs.left }}", "wc -l < {{ inputs.left }}"));
    watch.becomes("data/left2", "1\n");
    assert_eq!(project.ran(), ["left2"]);
    let said = watch.interrupt();
    assert_eq!(said.matches("this is not TOML").count(), 1, "{said}");
    assert_eq!(said.matches("going on with the manifest as it was").count(), 1, "{said}");
    assert_eq!(said.matches("the manifest is in order again").count(), 1, "{said}");
}

#[test]
fn new_files_and_folders_are_noticed() {
    let manifest = format!(
        "include = [\"pipelines/*/assets.toml\"]\n[source.raw]\nfiles = [\"raw/**/*.csv\"]\n{}",
        asset_of("all", &["raw"], "find raw -name '*.csv' | sort | xargs cat > {{ output }}"),
    );
    let project = Project::new().manifest(&manifest).file("raw/a.csv", "a\n");
    project.write("pipelines/one/assets.toml", asset("one", "echo 1 > {{ output }}"));
    let watch = Watch::start(&project, &[]);

    project.write("raw/b.csv", "b\n");
    watch.becomes("data/all", "a\nb\n");
    project.write("raw/x/y/z/c.csv", "c\n");
    watch.becomes("data/all", "a\nb\nc\n");
    project.write("raw/x/y/z/c.csv", "d\n");
    watch.becomes("data/all", "a\nb\nd\n");
    // Another folder of the same name.
    project.remove("raw");
    project.write("raw/e.csv", "e\n");
    watch.becomes("data/all", "e\n");
    project.write("raw/e.csv", "f\n");
    watch.becomes("data/all", "f\n");
    project.remove("raw/e.csv");
    watch.until("it is missed", || watch.said().contains("`raw/**/*.csv`"));
    project.write("raw/e.csv", "g\n");
    watch.becomes("data/all", "g\n");

    fs::create_dir(project.path("pipelines/two")).unwrap();
    watch.calm();
    project.write("pipelines/two/assets.toml", asset("two", "echo 2 > {{ output }}"));
    watch.becomes("data/two", "2\n");
    watch.interrupt();
}

#[test]
fn what_fails_is_tried_again_only_when_it_could_end_otherwise() {
    let manifest = [
        "[source.raw]\nfiles = [\"raw.txt\"]\n[source.other]\nfiles = [\"other.txt\"]\n".to_owned(),
        asset_of("picky", &["raw"], "grep good {{ inputs.raw }} > {{ output }}"),
        asset_of("below", &["picky", "other"], "cat {{ inputs.picky }} {{ inputs.other }} > {{ output }}"),
        asset_of("other_asset", &["other"], "cp {{ inputs.other }} {{ output }}"),
    ];
    let project = Project::new().manifest(&manifest.concat()).file("raw.txt", "bad\n").file("other.txt", "1\n");
    let watch = Watch::spawn(&project, &["watch", "--json"]);
    watch.until("it watches", || watch.said().contains("watching for changes"));
    watch.calm();
    assert_eq!(project.ran(), ["other_asset", "picky"]);

    // What others read is no reason, nor is a touch.
    project.write("other.txt", "2\n");
    watch.becomes("data/other_asset", "2\n");
    project.write("raw.txt", "bad\n");
    watch.calm();
    assert_eq!(project.ran(), ["other_asset"]);
    assert!(watch.said().contains("left alone until what made it fail changes: picky, below\n"), "{}", watch.said());

    project.write("raw.txt", "worse\n");
    watch.until("it is tried", || watch.runs() == 3);
    watch.calm();
    assert_eq!(project.ran(), ["picky"]);

    project.write("raw.txt", "good\n");
    watch.becomes("data/below", "good\n2\n");
    assert_eq!(project.ran(), ["below", "picky"]);
    watch.interrupt();
}

#[test]
fn a_selection_limits_it() {
    let project = two_chains();
    let watch = Watch::start(&project, &["-s", "+left2"]);
    assert!(!project.exists("data/right"));
    project.write("raw/right/a.csv", "2\n");
    project.write("raw/left/a.csv", "2\n");
    watch.becomes("data/left2", "2\n");
    assert_eq!(project.ran(), ["left", "left2"]);

    // What is selected is gone from the manifest: told, and waited for.
    let good = project.read("assets.toml");
    project.write("assets.toml", good.replace("left2", "links2"));
    watch.until("it is told", || watch.said().contains("left2"));
    project.write("assets.toml", good.replace("cat {{ inputs.left }}", "wc -l < {{ inputs.left }}"));
    watch.becomes("data/left2", "1\n");
    watch.interrupt();

    let wrong = Watch::spawn(&project, &["watch", "-s", "nobody"]);
    assert_eq!(wrong.end().0, 2);
}

#[test]
fn an_interrupt_ends_it_with_everything_below() {
    let project = two_chains();
    let watch = Watch::start(&project, &[]);
    watch.signal(Signal::TERM);
    assert_eq!(watch.end().0, 143);

    project.edit("assets.toml", "cat raw/left/*.csv > {{ output }}", "echo $$ > pid; exec sleep 1000");
    let watch = Watch::spawn(&project, &["watch", "--grace", "1"]);
    watch.until("it runs", || fs::read_to_string(project.path("pid")).is_ok_and(|it| it.ends_with('\n')));
    let command: i32 = project.read("pid").trim().parse().unwrap();
    let said = watch.interrupt();
    assert!(said.contains("What is finished is kept. To go on: assets watch --grace 1\n"), "{said}");
    let gone = rustix::process::test_kill_process(Pid::from_raw(command).unwrap());
    assert_eq!(gone, Err(rustix::io::Errno::SRCH));
}

#[test]
fn materialize_can_go_on_watching() {
    let project = two_chains();
    let watch = Watch::spawn(&project, &["materialize", "--watch", "left+"]);
    watch.until("it watches", || watch.said().contains("watching for changes"));
    watch.calm();
    project.write("raw/left/a.csv", "2\n");
    watch.becomes("data/left2", "2\n");
    assert!(!project.exists("data/right"));
    watch.interrupt();
}

#[test]
fn another_process_may_work_at_the_same_time() {
    let project = two_chains();
    let watch = Watch::start(&project, &[]);
    for round in 2..6 {
        let text = format!("{round}\n");
        project.write("raw/left/a.csv", &text);
        project.write("raw/right/a.csv", &text);
        project.run(&["materialize"]).succeeded();
        watch.becomes("data/left2", &text);
        watch.becomes("data/right2", &text);
        // Whoever came first did it, and nobody did it twice.
        assert_eq!(project.ran(), ["left", "left2", "right", "right2"]);
    }
    project.run(&["status"]).succeeded();
    watch.interrupt();
}

#[test]
fn every_event_is_a_line_of_json() {
    let project = two_chains();
    let watch = Watch::start(&project, &[]);
    project.write("raw/left/a.csv", "2\n");
    watch.becomes("data/left2", "2\n");
    let events = watch.events();
    watch.interrupt();
    let schema = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/events.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    for event in &events {
        assert!(schema.is_valid(event), "{event}");
    }
    let runs: Vec<&str> =
        events.iter().filter(|it| it["event"] == "run_started").filter_map(|it| it["run"].as_str()).collect();
    assert_eq!(runs.len(), 2);
    // The same lines as in the logs of the runs.
    let logs: String = runs.iter().map(|it| project.read(&format!(".assets/logs/{it}/events.jsonl"))).collect();
    let without_time = |it: &Value| {
        let mut it = it.clone();
        it.as_object_mut().unwrap().remove("at");
        it
    };
    let logged: Vec<Value> = logs.lines().map(|it| without_time(&serde_json::from_str(it).unwrap())).collect();
    assert_eq!(events.iter().map(without_time).collect::<Vec<_>>(), logged);
}

#[test]
fn it_ends_when_nobody_reads_its_events_any_more() {
    let project = two_chains();
    let mut command = project.command(&["watch", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
