//! Every `--json` document, as the program prints it, is what its committed schema says.

use super::{built, project};
use crate::support::{Project, assert_document, asset};

#[track_caller]
fn check(project: &Project, name: &str, arguments: &[&str]) -> serde_json::Value {
    let output = project.run(&[arguments, &["--json"]].concat());
    let document = output.json();
    assert_document(name, &document);
    document
}

#[test]
fn of_a_project_that_was_never_built() {
    let project = project();
    for name in ["validate", "list", "graph", "status", "plan", "doctor", "runs"] {
        check(&project, name, &[name]);
    }
    check(&project, "show", &["show", "raw"]);
    check(&project, "show", &["show", "report"]);
    check(&project, "why", &["why", "report"]);
    check(&project, "plan", &["materialize", "-n"]);
    check(&project, "graph", &["graph", "--status"]);
    check(&project, "gc", &["gc", "-n"]);
    check(&project, "clean", &["clean", "--all", "-n"]);
}

#[test]
fn of_a_project_that_is_built_and_changed() {
    let project = project();
    let run = check(&project, "materialize", &["materialize"]);
    assert_eq!(run["counts"]["built"], 3);
    check(&project, "materialize", &["materialize"]);
    project.write("raw.csv", "1\n");
    project.edit("assets.toml", "echo counting", "echo counting more");
    for name in ["status", "plan", "runs", "graph", "doctor", "logs"] {
        check(&project, name, &[name]);
    }
    check(&project, "show", &["show", "report"]);
    assert!(!check(&project, "why", &["why", "report"])["roots"].as_array().unwrap().is_empty());
    check(&project, "runs", &["runs", "latest"]);
    let logs = check(&project, "logs", &["logs", "report"]);
    assert_eq!(logs["attempts"][0]["text"], "counting\n");
    check(&project, "accept", &["accept", "+report", "--reason", "same"]);
    check(&project, "mv", &["mv", "other", "another"]);
    assert_eq!(check(&project, "materialize", &["retry"])["outcome"], "succeeded");
}

#[test]
fn of_failures() {
    let manifest = asset("broken", "exit 3") + "retries = 1\nretry_delay = \"1ms\"\n";
    let project = Project::new().manifest(&manifest);
    assert_eq!(check(&project, "materialize", &["materialize"])["outcome"], "failed");
    assert_eq!(check(&project, "materialize", &["retry"])["outcome"], "failed");
    for name in ["status", "runs", "logs"] {
        check(&project, name, &[name]);
    }
    check(&project, "show", &["show", "broken"]);
    check(&project, "why", &["why", "broken"]);
    let name = project.run(&["runs", "--json"]).json()["runs"][0]["run"].as_str().unwrap().to_owned();
    let events = project.read(&format!(".assets/logs/{name}/events.jsonl"));
    assert!(events.lines().count() > 3, "{events}");
    for line in events.lines() {
        assert_document("events", &serde_json::from_str(line).unwrap());
    }
}

#[test]
fn of_removals() {
    let project = built();
    assert_eq!(check(&project, "clean", &["clean", "report", "-y"])["removed"][0]["path"], "data/report.txt");
    check(&project, "gc", &["gc", "--days", "0", "--runs", "0"]);
    check(&project, "materialize", &["retry"]);
}
