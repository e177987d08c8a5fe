//! Small promises about commands that come after a run: `retry`, `clean`, `gc`, `show`.

use std::{fs, thread, time::Duration};

use rustix::process::Signal;

use crate::support::Project;

const IO: &str = "default_io = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n";

fn ran(project: &Project, arguments: &[&str]) -> Vec<String> {
    project.materialized(arguments).into_iter().map(|it| format!("{} {}", it.0, it.1)).collect()
}

/// What was forced and failed is forced again, also by the retry of a retry.
#[test]
fn retry_asks_for_what_the_run_was_asked_for() {
    let body = format!(
        "{IO}[source.rows]\nfiles = [\"rows.csv\"]\n\
         [asset.a]\nsql = \"select n from rows\"\nmaterialized = \"incremental\"\nformat = \"csv\"\n\
         checks = [{{ name = \"fine\", command = \"test -e fine\" }}]\n"
    );
    for (flag, extent) in [("--full-refresh", "full"), ("--force", "full"), ("--verify", "incremental")] {
        let project = Project::new().manifest(&body).file("rows.csv", "n\n1\n").file("fine", "");
        ran(&project, &[]);
        project.write("rows.csv", "n\n2\n");
        project.remove("fine");
        for arguments in [&["materialize", flag][..], &["retry"], &["retry"]] {
            project.run(arguments).exited(4);
        }
        project.write("fine", "");
        let run = project.run(&["retry", "--json"]).succeeded().json();
        assert_eq!(run["steps"][0]["extent"], extent, "{flag}: {run}");
        let all = if extent == "full" { "n\n2\n" } else { "n\n1\n2\n" };
        assert_eq!(project.read("data/a.csv"), all, "{flag}");
    }
}

/// As many steps at once, and stopped as early, unless that is said anew.
#[test]
fn retry_runs_as_the_run_did() {
    let busy = "mkdir busy-$ASSETS_KEY && ls -d busy-* | wc -l >> together && sleep 0.3; rmdir busy-$ASSETS_KEY; test -e fine && touch $ASSETS_OUTPUT";
    let assets: String =
        ["a", "b", "c", "d"].map(|it| format!("[asset.{it}]\ncommand = \"{busy}\"\nformat = \"txt\"\n")).concat();
    let project = Project::new().manifest(&format!("{IO}{assets}"));
    let together = |arguments: &[&str]| -> (usize, usize) {
        project.write("together", "");
        project.run(arguments).exited(1);
        let seen = project.read("together");
        (seen.lines().count(), seen.lines().map(|it| it.trim().parse().unwrap()).max().unwrap())
    };
    assert_eq!(together(&["materialize", "-j", "1", "-x"]), (1, 1));
    assert_eq!(together(&["retry"]), (1, 1));
    assert_eq!(together(&["retry", "-k"]), (4, 1), "the number is that of the run before, and -k goes before -x");
    let (ran, at_once) = together(&["retry", "-j", "4", "-k"]);
    assert!(ran == 4 && at_once > 1, "{at_once}");
    let (ran, at_once) = together(&["retry"]);
    assert!(ran == 4 && at_once > 1, "that of a retry is kept by the next: {at_once}");
}

/// What was read from another target is read there again.
#[test]
fn retry_defers_to_whom_the_run_did() {
    let body = format!(
        "{IO}[target.prod.io.files]\nroot = \"prod\"\n[asset.a]\nsql = \"select 1 as n\"\nformat = \"csv\"\n\
         [asset.b]\nsql = \"select n from a\"\nformat = \"csv\"\nchecks = [{{ name = \"fine\", command = \"test -e fine\" }}]\n"
    );
    let project = Project::new().manifest(&body);
    ran(&project, &["-t", "prod", "-s", "a"]);
    project.run(&["materialize", "-s", "b", "--defer", "prod"]).exited(4);
    project.write("fine", "");
    let said = project.run(&["retry"]).succeeded().stderr;
    assert!(said.contains("deferred to prod: a"), "{said}");
    assert_eq!(project.read("data/b.csv"), "n\n1\n");
}

#[test]
fn clean_leaves_what_somebody_has_changed() {
    let project = Project::new().manifest(&format!(
        "{IO}[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"\n[asset.a]\ncommand = \"echo 1 > {{{{ output }}}}\"\nformat = \"txt\"\n\
         [asset.t]\nsql = \"select 1 as n\"\nio = \"db\"\n"
    ));
    ran(&project, &[]);
    project.write("data/a.txt", "mine\n");
    rusqlite::Connection::open(project.path("db.sqlite")).unwrap().execute_batch("update t set n = 2").unwrap();
    for arguments in [&["clean", "-n", "a", "t"][..], &["clean", "-y", "a", "t"], &["clean", "-y", "--all"]] {
        let said = project.run(arguments).succeeded().stdout;
        for part in ["left data/a.txt: it was changed by hand", "left its output: ", "`assets accept t`"] {
            assert!(said.contains(part) && !said.contains("remove"), "{arguments:?} {part}: {said}");
        }
        assert_eq!(project.read("data/a.txt"), "mine\n");
    }
    // It is still known what it was.
    assert_eq!(project.reasons(&["-s", "a"])[0].1, "output_modified");
    project.run(&["accept", "a", "t", "--reason", "mine"]).succeeded();
    let said = project.run(&["clean", "-y", "a", "t"]).succeeded().stdout;
    assert!(said.contains("removed a: data/a.txt") && said.contains("removed t: "), "{said}");
    assert!(!project.exists("data/a.txt"));
}

#[test]
fn gc_leaves_the_logs_of_sources_that_are_being_asked() {
    let project = Project::new().manifest(&format!(
        "{IO}[source.s]\ncommand = \"echo 1\"\n[asset.a]\ncommand = \"echo 1 > {{{{ output }}}}\"\ndeps = [\"s\"]\nformat = \"txt\"\n"
    ));
    ran(&project, &[]);
    let folder = project.path(".assets/logs/sources");
    let young = folder.join("young.log");
    let old = folder.join("old.log");
    fs::write(&young, "x").unwrap();
    fs::write(&old, "x").unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(400 * 24 * 3600);
    fs::File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
    project.run(&["gc"]).succeeded();
    assert!(young.exists() && !old.exists());
}

/// What a query that was killed had written to the disk goes with the next run, and the rest with `gc`.
#[test]
fn what_did_not_fit_into_memory_does_not_stay() {
    let project = Project::new().manifest(&format!(
        "{IO}[asset.a]\nsql = \"select count(*) as n from generate_series(1, 100000000000) as t(x)\"\n"
    ));
    let left = || -> Vec<String> {
        let there = fs::read_dir(project.path(".assets/tmp")).into_iter().flatten().flatten();
        there.map(|it| it.file_name().to_string_lossy().into_owned()).filter(|it| it.starts_with("query-")).collect()
    };
    let run = project.start(&["materialize"]);
    while left().is_empty() {
        thread::sleep(Duration::from_millis(10));
    }
    run.signal(Signal::KILL);
    run.finish();
    let folder = project.path(".assets/tmp").join(&left()[0]);
    // The worker goes too, and may take its folder along.
    thread::sleep(Duration::from_millis(500));
    fs::create_dir_all(&folder).unwrap();
    project.edit("assets.toml", "100000000000", "10");
    ran(&project, &[]);
    assert_eq!(left(), [""; 0]);
    let others = ["ask-999999999", "diff-999999999", "query-of-nobody"].map(|it| project.path(".assets/tmp").join(it));
    others.iter().for_each(|it| fs::create_dir_all(it).unwrap());
    let own = project.path(&format!(".assets/tmp/ask-{}", std::process::id()));
    fs::create_dir_all(&own).unwrap();
    project.run(&["gc"]).succeeded();
    assert!(others.iter().all(|it| !it.exists()) && own.exists());
}

/// Targets have states of their own, and share the folder for what does not fit into memory.
#[test]
fn gc_leaves_what_a_run_of_another_target_has_on_the_disk() {
    let project = Project::new().manifest(&format!(
        "{IO}[target.other.vars]\n[vars]\n[asset.a]\nsql = \"select count(*) as n from generate_series(1, 100000000000) as t(x)\"\n\
         [asset.b]\ncommand = \"echo 1 > {{{{ output }}}}\"\nformat = \"txt\"\n"
    ));
    ran(&project, &["-s", "b"]);
    let left = || -> Vec<String> {
        let there = fs::read_dir(project.path(".assets/tmp")).into_iter().flatten().flatten();
        there.map(|it| it.file_name().to_string_lossy().into_owned()).filter(|it| it.starts_with("query-")).collect()
    };
    let run = project.start(&["materialize", "-t", "other", "-s", "a"]);
    while left().is_empty() {
        thread::sleep(Duration::from_millis(10));
    }
    project.run(&["gc"]).succeeded();
    assert_eq!(left().len(), 1, "it is at work");
    run.signal(Signal::INT);
    run.finish();
}

#[test]
fn show_tells_a_query_from_a_command() {
    let project = Project::new().manifest(&format!(
        "{IO}[asset.a]\nsql = \"select 1 as n\"\n[asset.b]\ncommand = \"true\"\nformat = \"txt\"\n"
    ));
    let shown = |key: &str| project.run(&["show", key]).succeeded().stdout;
    let line = |key: &str, name: &str| shown(key).lines().any(|it| it.trim_start().starts_with(name));
    assert!(line("a", "query ") && !line("a", "command "), "{}", shown("a"));
    assert!(line("b", "command ") && !line("b", "query "), "{}", shown("b"));
    assert_eq!(project.run(&["show", "a", "--json"]).succeeded().json()["query"], "select 1 as n");
}

#[test]
fn the_length_of_a_shell_variable_is_told_how_to_write() {
    let project = Project::new()
        .manifest(&format!("{IO}[asset.a]\ncommand = \"X=abc; echo ${{#X}} > {{{{ output }}}}\"\nformat = \"txt\"\n"));
    let said = project.run(&["validate"]).exited(2).stderr;
    assert!(said.contains("{% raw %}${#NAME}{% endraw %}"), "{said}");
    project.edit("assets.toml", "${#X}", "{% raw %}${#X}{% endraw %}");
    ran(&project, &[]);
    assert_eq!(project.read("data/a.txt"), "3\n");
}

/// Ctrl-Z: what stands still does not run out of time.
#[test]
fn the_timeout_of_a_query_waits_while_the_tool_is_stopped() {
    let project = Project::new().manifest(&format!(
        "{IO}[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"\n[asset.a]\ntimeout = \"12s\"\nio = \"db\"\n\
         sql = \"with recursive n(i) as (select 1 union all select i + 1 from n where i < 6000000) select count(*) as n from n\"\n"
    ));
    let run = project.start(&["materialize"]);
    thread::sleep(Duration::from_millis(300));
    run.signal(Signal::TSTP);
    thread::sleep(Duration::from_secs(14));
    run.signal(Signal::CONT);
    run.finish().succeeded();
}

#[test]
fn gc_sweeps_wherever_the_paths_of_partitions_lead() {
    let project = Project::new().manifest(
        r#"
[partitions.day]
type = "static"
keys = ["mon", "tue"]
[partitions.region]
type = "static"
keys = ["jp", "us"]
[partitions.both]
type = "multi"
dimensions = { day = "day", region = "region" }
[asset.daily]
command = "echo > {{ output }}"
format = "txt"
partitions = "day"
[asset.deep]
command = "echo > {{ output }}"
path = "deep/{{ partition.keys.region }}/x/{{ partition.keys.day }}/a.txt"
partitions = "both"
"#,
    );
    project.run(&["materialize", "-q"]).succeeded();
    let left = |folder: &str| format!("data/{folder}.assets-tmp-20200101-000000-abcd-0-1-a.txt");
    let gone = [left("daily/"), left("deep/jp/x/mon/"), left("deep/us/x/tue/")];
    // There no output lies, so nothing of ours does.
    let stays = [left("deep/jp/"), left("deep/jp/y/mon/")];
    gone.iter().chain(&stays).for_each(|it| project.write(it, "x"));
    let told = project.run(&["gc", "--json"]).succeeded().json();
    assert_eq!(told["leftovers"], serde_json::json!(gone));
    assert!(gone.iter().all(|it| !project.exists(it)) && stays.iter().all(|it| project.exists(it)));
    project.run(&["status", "-q"]).succeeded();
}
