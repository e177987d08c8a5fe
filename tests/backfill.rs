//! Backfills, end to end: asked for under a name, paused, gone on with, called off, tried again, two at once.

#[path = "backfill/kills.rs"]
mod kills;

use std::collections::BTreeMap;

use rustix::process::Signal;

use crate::support::{Project, assert_document};

/// `days` days from 1 January 2020 on, and their months. `slow` is a command that runs before.
fn days(days: i64, slow: &str) -> Project {
    Project::new().manifest(&manifest(days, slow))
}

fn manifest(days: i64, slow: &str) -> String {
    let end = jiff::civil::date(2020, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
    format!(
        r#"
[vars]
mode = "plain"

[partitions.daily]
type = "time"
every = "day"
start = "2020-01-01"
end = "{end}"

[partitions.monthly]
type = "time"
every = "month"
start = "2020-01-01"
end = "2020-03-01"

[asset.daily]
command = "{slow}echo {{{{ partition.key }}}} >> ran.log; test ! -e bad.{{{{ partition.key }}}} && echo {{{{ vars.mode }}}} > {{{{ output }}}}"
format = "txt"
partitions = "daily"

[asset.monthly]
command = "echo {{{{ partition.key }}}} >> ran.log; cat \"$ASSETS_INPUT_DAILY\"/* | wc -l > {{{{ output }}}}"
deps = ["daily"]
format = "txt"
partitions = "monthly"
"#
    )
}

/// How often each partition was made.
fn made(project: &Project) -> BTreeMap<String, usize> {
    let mut made = BTreeMap::new();
    for key in in_order(project) {
        *made.entry(key).or_default() += 1;
    }
    made
}

fn in_order(project: &Project) -> Vec<String> {
    match project.exists("ran.log") {
        true => project.read("ran.log").lines().map(str::to_owned).collect(),
        false => Vec::new(),
    }
}

fn wait_for_lines(project: &Project, count: usize) {
    let start = std::time::Instant::now();
    while in_order(project).len() < count {
        assert!(start.elapsed().as_secs() < 60, "{count} partitions were not begun");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

fn show(project: &Project, name: &str) -> serde_json::Value {
    let document = project.run(&["backfill", "show", name, "--json"]).succeeded().json();
    assert_document("backfill", &document);
    document
}

#[test]
fn a_dry_run_tells_what_would_be_made_and_asks_for_nothing() {
    let project = days(40, "");
    project.run(&["materialize", "-q", "-s", "daily", "--partition", "2020-01-01..2020-01-11"]).succeeded();
    let planned = project.run(&["backfill", "start", "early", "--partition", "..2020-02", "-n", "--json"]).succeeded();
    let planned = planned.json();
    assert_document("backfill", &planned);
    assert_eq!((&planned["state"], &planned["name"]), (&"planned".into(), &"early".into()));
    let daily = &planned["assets"][0];
    assert_eq!(
        (&daily["counts"]["total"], &daily["counts"]["fresh"], &daily["counts"]["left"]),
        (&31.into(), &10.into(), &21.into())
    );
    assert_eq!(daily["left"], "2020-01-11..2020-02-01");
    assert!(daily["estimated_ms"].is_u64(), "ten were made before");
    assert_eq!(planned["assets"][1]["partitions"], "2020-01");
    let said = project.run(&["backfill", "start", "-s", "daily", "-n"]).succeeded();
    assert!(said.stdout.starts_with("new  planned  10 of 40 partitions fresh, 30 left, about "), "{}", said.stdout);
    let none = project.run(&["backfill", "list", "--json"]).succeeded().json();
    assert_document("backfills", &none);
    assert_eq!(none["backfills"], serde_json::json!([]));
    assert_eq!(made(&project).len(), 10);
}

#[test]
fn it_makes_what_is_not_fresh_and_is_done() {
    let project = days(40, "");
    project.run(&["materialize", "-q", "-s", "daily", "--partition", "2020-01-01..2020-01-11"]).succeeded();
    let done = project.run(&["backfill", "start", "-j", "3", "--json"]).succeeded().json();
    assert_document("backfill", &done);
    assert_eq!((&done["name"], &done["state"], &done["jobs"]), (&"daily-1".into(), &"done".into(), &3.into()));
    assert_eq!((&done["counts"]["total"], &done["counts"]["fresh"]), (&42.into(), &42.into()));
    assert!(made(&project).values().all(|it| *it == 1));
    let list = project.run(&["backfill", "list", "--json"]).succeeded().json();
    assert_document("backfills", &list);
    assert_eq!((&list["backfills"][0]["name"], &list["backfills"][0]["fresh"]), (&"daily-1".into(), &().into()));
    // It had nothing to do with the next one, which is called otherwise.
    let next = project.run(&["backfill", "start", "-s", "daily", "--json"]).succeeded().json();
    assert_eq!((&next["name"], &next["state"]), (&"daily-2".into(), &"done".into()));
    assert!(made(&project).values().all(|it| *it == 1));
    let over = project.run(&["backfill", "resume", "daily-1"]).exited(2);
    assert!(over.stderr.contains("daily-1 is done"), "{}", over.stderr);
    let over = project.run(&["backfill", "pause", "daily-1"]).exited(2);
    assert!(over.stderr.contains("daily-1 is done already"), "{}", over.stderr);
    let said = project.run(&["backfill", "retry", "daily-1"]).succeeded();
    assert!(said.stderr.contains("Nothing to retry"), "{}", said.stderr);
}

#[test]
fn names_are_used_once_and_mistyped_ones_are_told() {
    let project = days(3, "");
    project.run(&["backfill", "start", "early", "-s", "daily"]).succeeded();
    let taken = project.run(&["backfill", "start", "early", "-s", "daily"]).exited(2);
    assert!(taken.stderr.contains("there is a backfill `early` already (done)"), "{}", taken.stderr);
    assert!(taken.stderr.contains("choose another name, or leave it out"), "{}", taken.stderr);
    let wrong = project.run(&["backfill", "show", "eraly"]).exited(2);
    assert!(wrong.stderr.contains("did you mean `early`?"), "{}", wrong.stderr);
    let asset = project.run(&["backfill", "start", "daily"]).exited(2);
    assert!(asset.stderr.contains("assets backfill start -s daily"), "{}", asset.stderr);
    let odd = project.run(&["backfill", "start", "a/b", "-s", "daily"]).exited(2);
    assert!(odd.stderr.contains("a name may not contain '/'"), "{}", odd.stderr);
    let nothing = project.run(&["backfill", "start", "-s", "daily", "--partition", "failed"]).exited(2);
    assert!(nothing.stderr.contains("there is nothing to make"), "{}", nothing.stderr);
}

#[test]
fn a_pause_lets_what_runs_end_and_it_goes_on_where_it_stood() {
    let project = days(60, "sleep 0.02; while test -e hold; do sleep 0.01; done; ");
    let running = project.start(&["backfill", "start", "whole", "-s", "daily", "-j", "1", "--newest-first"]);
    wait_for_lines(&project, 5);
    project.write("hold", "");
    assert_eq!(show(&project, "whole")["state"], "running");
    let elsewhere = project.run(&["backfill", "resume", "whole"]).exited(5);
    assert!(elsewhere.stderr.contains("another process works on whole (process "), "{}", elsewhere.stderr);
    let said = project.run(&["backfill", "pause", "whole"]).succeeded();
    assert!(said.stderr.contains("whole is paused; what is at work is finished first"), "{}", said.stderr);
    project.remove("hold");
    let paused = running.finish().exited(3);
    assert!(paused.stderr.contains("To go on: assets backfill resume whole"), "{}", paused.stderr);
    let stood = show(&project, "whole");
    let (fresh, left) = (stood["counts"]["fresh"].as_u64().unwrap(), stood["counts"]["left"].as_u64().unwrap());
    assert_eq!((&stood["state"], fresh + left), (&"paused".into(), 60));
    assert!((5..60).contains(&fresh), "{fresh}");
    assert_eq!(in_order(&project).len() as u64, fresh, "what was at work came to its end");
    project.run(&["backfill", "pause", "whole"]).succeeded();
    project.run(&["backfill", "resume", "whole"]).succeeded();
    assert_eq!(show(&project, "whole")["state"], "done");
    let order = in_order(&project);
    assert!(order.is_sorted_by(|a, b| a > b) && order.len() == 60, "newest first, each once: {order:?}");
}

#[test]
fn a_pause_just_before_a_resume_is_not_lost() {
    let project = days(60, "sleep 0.02; ");
    let running = project.start(&["backfill", "start", "whole", "-s", "daily", "-j", "2"]);
    wait_for_lines(&project, 3);
    project.run(&["backfill", "pause", "whole"]).succeeded();
    // The one before is about to end: it is waited for.
    project.run(&["backfill", "resume", "whole", "-q"]).succeeded();
    running.finish().exited(3);
    assert!(made(&project).len() == 60 && made(&project).values().all(|it| *it == 1));
}

#[test]
fn what_is_called_off_stays_as_it_is() {
    let project = days(60, "sleep 0.02; ");
    let running = project.start(&["backfill", "start", "whole", "-s", "daily", "-j", "2"]);
    wait_for_lines(&project, 3);
    project.run(&["backfill", "cancel", "whole"]).succeeded();
    running.finish().exited(3);
    let list = project.run(&["backfill", "list", "--json"]).succeeded().json();
    assert_eq!(list["backfills"][0]["state"], "cancelled");
    assert!(made(&project).len() < 60);
    project.run(&["backfill", "cancel", "whole"]).succeeded();
    let paused = project.run(&["backfill", "pause", "whole"]).exited(2);
    assert!(paused.stderr.contains("whole is cancelled already"), "{}", paused.stderr);
    project.run(&["backfill", "resume", "whole", "-q"]).succeeded();
    assert!(made(&project).len() == 60 && made(&project).values().all(|it| *it == 1));
}

#[test]
fn ctrl_c_leaves_it_to_be_gone_on_with() {
    let project = days(60, "sleep 0.02; ");
    let running = project.start(&["backfill", "start", "whole", "-s", "daily", "-j", "2"]);
    wait_for_lines(&project, 3);
    running.signal(Signal::INT);
    let stopped = running.finish().exited(130);
    assert!(stopped.stderr.contains("To go on: assets backfill resume whole"), "{}", stopped.stderr);
    assert_eq!(show(&project, "whole")["state"], "interrupted");
    project.run(&["backfill", "resume", "whole", "-q"]).succeeded();
    assert_eq!(show(&project, "whole")["counts"]["fresh"], 60);
}

#[test]
fn a_retry_makes_what_failed_and_what_is_below_it() {
    let project = days(60, "");
    project.write("bad.2020-01-07", "");
    project.write("bad.2020-02-09", "");
    let failed = project.run(&["backfill", "start", "whole"]).exited(1);
    assert!(failed.stderr.contains("assets backfill retry whole"), "{}", failed.stderr);
    let stood = show(&project, "whole");
    assert_eq!(
        (&stood["state"], &stood["counts"]["failed"], &stood["counts"]["left"]),
        (&"failed".into(), &2.into(), &4.into())
    );
    assert_eq!(stood["assets"][0]["left"], "2020-01-07,2020-02-09");
    project.remove("bad.2020-01-07");
    project.remove("ran.log");
    project.run(&["backfill", "retry", "whole"]).exited(1);
    let tried = ["2020-01", "2020-01-07", "2020-02-09"].map(|it| (it.to_owned(), 1));
    assert_eq!(made(&project), BTreeMap::from(tried));
    assert_eq!(show(&project, "whole")["state"], "failed");
    project.remove("bad.2020-02-09");
    project.remove("ran.log");
    project.run(&["backfill", "retry", "whole"]).succeeded();
    assert_eq!(made(&project), BTreeMap::from(["2020-02", "2020-02-09"].map(|it| (it.to_owned(), 1))));
    assert_eq!(show(&project, "whole")["state"], "done");
    assert_eq!(project.read("data/monthly/2020-02.txt").trim(), "29");
}

#[test]
fn a_forced_one_makes_what_is_fresh_too_and_a_retry_of_it_what_failed() {
    let project = days(3, "");
    project.run(&["materialize", "-q"]).succeeded();
    project.remove("ran.log");
    let planned = project.run(&["backfill", "start", "-n", "-f", "--json"]).succeeded().json();
    assert_eq!((&planned["counts"]["fresh"], &planned["counts"]["left"]), (&0.into(), &5.into()));
    project.write("bad.2020-01-02", "");
    project.run(&["backfill", "start", "again", "--force", "-q"]).exited(1);
    let stood = show(&project, "again");
    assert_eq!((&stood["counts"]["fresh"], &stood["counts"]["failed"]), (&3.into(), &1.into()), "{stood:#}");
    project.remove("bad.2020-01-02");
    project.remove("ran.log");
    project.run(&["backfill", "retry", "again", "-q"]).succeeded();
    assert_eq!(in_order(&project), ["2020-01-02", "2020-01"]);
    assert_eq!(show(&project, "again")["state"], "done");
}

#[test]
fn two_at_once_make_nothing_twice() {
    let project = days(300, "");
    let one =
        project.start(&["backfill", "start", "one", "-s", "daily", "--partition", "2020-01-01..2020-07-19", "-j", "3"]);
    let other =
        ["backfill", "start", "other", "-s", "daily", "--partition", "2020-04-10..", "-j", "3", "--newest-first"];
    let other = project.start(&other);
    one.finish().succeeded();
    other.finish().succeeded();
    let made = made(&project);
    assert!(made.len() == 300 && made.values().all(|it| *it == 1), "{made:?}");
    for name in ["one", "other"] {
        let stood = show(&project, name);
        assert_eq!((&stood["state"], &stood["counts"]["fresh"]), (&"done".into(), &200.into()), "{stood:#}");
    }
}

#[test]
fn variables_are_those_that_it_was_started_with() {
    let project = days(4, "");
    project.write("bad.2020-01-02", "");
    project.run(&["backfill", "start", "whole", "-s", "daily", "--var", "mode=full"]).exited(1);
    project.remove("bad.2020-01-02");
    assert_eq!(project.run(&["backfill", "resume", "whole", "--json"]).succeeded().json()["vars"]["mode"], "full");
    assert_eq!(project.read("data/daily/2020-01-02.txt"), "full\n");
    assert!(made(&project).iter().all(|it| *it.1 == 1 + usize::from(it.0 == "2020-01-02")));
}

#[test]
fn a_manifest_that_was_edited_meanwhile_is_told() {
    let project = days(60, "");
    project.write("bad.2020-01-02", "");
    project.run(&["backfill", "start", "whole", "--partition", "2020-01..2020-03"]).exited(1);
    // Fewer days, and no months.
    let edited = manifest(20, "");
    let edited = edited.split("[asset.monthly]").next().unwrap();
    project.write_manifest(edited);
    let stood = show(&project, "whole");
    assert_eq!((&stood["counts"]["undefined"], &stood["counts"]["fresh"]), (&42.into(), &19.into()), "{stood:#}");
    project.remove("bad.2020-01-02");
    let said = project.run(&["backfill", "resume", "whole"]).succeeded();
    assert!(
        said.stderr.contains("whole: of daily, 40 of 60 partitions are not in the manifest any more; left out"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("whole: monthly is not in the manifest any more; left out"), "{}", said.stderr);
    assert_eq!(made(&project)["2020-01-02"], 2);
    assert!(made(&project).iter().all(|it| *it.1 == 1 || *it.0 == "2020-01-02"));
    project.run(&["backfill", "start", "next", "-s", "daily"]).succeeded();
    project.write_manifest("[asset.a]\ncommand = \"echo a > {{ output }}\"\nformat = \"txt\"\n");
    let gone = project.run(&["backfill", "resume", "next"]).exited(2);
    assert!(gone.stderr.contains("next is done"), "{}", gone.stderr);
    assert_eq!(show(&project, "next")["counts"]["undefined"], 20);
}
