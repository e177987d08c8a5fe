//! `doctor`, `schema`, `completions`, `man`, `help`: of the machine and of the program itself.

use expect_test::expect;

use super::{built, project};
use crate::support::Project;

fn verdicts(project: &Project, code: i32) -> Vec<(String, String)> {
    let document = project.run(&["doctor", "--json"]).exited(code).json();
    let text = |it: &serde_json::Value| it.as_str().unwrap().to_owned();
    document["checks"].as_array().unwrap().iter().map(|it| (text(&it["name"]), text(&it["verdict"]))).collect()
}

fn verdict(project: &Project, code: i32, name: &str) -> String {
    verdicts(project, code).into_iter().find(|it| it.0 == name).expect("there is such a check").1
}

#[test]
fn a_healthy_project_passes_every_check() {
    let project = built();
    let names: Vec<String> = verdicts(&project, 0).into_iter().map(|it| it.0).collect();
    let expected = [
        "manifest",
        "file system",
        "disk space",
        "state",
        "database",
        "locks",
        "killed runs",
        "clock",
        "programs",
        "git",
    ];
    assert_eq!(names, expected);
    for name in ["manifest", "state", "database", "locks", "killed runs", "programs", "git"] {
        assert_eq!(verdict(&project, 0, name), "ok", "{name}");
    }
    let before = project.snapshot();
    project.run(&["doctor"]).succeeded();
    assert_eq!(project.snapshot(), before);
}

#[test]
fn doctor_says_what_to_do() {
    let project = Project::new().manifest("[asset.a]\ncommand = [\"no-such-program\", \"{{ output }}\"]\n");
    let told = project.run(&["doctor"]).transcript();
    let told: String = told.lines().filter(|it| !it.contains("disk space")).map(|it| format!("{it}\n")).collect();
    expect![[r#"
        exit 1
        --- stdout
                  ok manifest     test, 1 asset
                  ok file system  local
                  ok state        not made yet; the first run makes it
                fail programs     not found: `no-such-program` (a)
                                  install them, or put their folder on PATH
                  ok git          the project is in no repository
    "#]]
    .assert_eq(&told);
    project.write("assets.toml", "[project]\nnam = \"x\"\n");
    assert_eq!(verdict(&project, 1, "manifest"), "fail");
    project.remove("assets.toml");
    assert_eq!(verdict(&project, 1, "manifest"), "fail");
}

#[test]
fn doctor_sees_damage_and_what_killed_runs_left() {
    let project = built();
    let database = project.path(".assets/state.db");
    let mut bytes = std::fs::read(&database).unwrap();
    for byte in &mut bytes[4096..] {
        *byte ^= 0x5a;
    }
    std::fs::write(&database, bytes).unwrap();
    assert_eq!(verdict(&project, 0, "database"), "warn");
    project.run(&["materialize"]).succeeded();
    assert!(project.ran().is_empty());
    assert_eq!(verdict(&project, 0, "database"), "ok");
}

#[test]
fn schemas_are_printed_by_name() {
    let project = project();
    let manifest = project.run(&["schema"]).succeeded();
    assert_eq!(manifest.raw_stdout, project.run(&["schema", "assets"]).raw_stdout);
    let status = project.run(&["schema", "assets.status/1"]).succeeded();
    assert_eq!(status.json()["title"], "assets.status/1");
    expect![[r#"
        exit 2
        --- stderr
        error: there is no schema `statsu`
        help: did you mean `status`?
        help: there are assets, accept, backfill, backfills, check, clean, diff, doctor, events, gc, graph, impact, init, jobs, list, logs, materialize, mv, partitions, plan, rows, runs, show, status, templates, validate, why
    "#]].assert_eq(&project.run(&["schema", "statsu"]).transcript());
}

#[test]
fn every_committed_schema_is_printed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let project = Project::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".schema.json").unwrap().to_owned();
        let printed = project.run(&["schema", &name]).succeeded().raw_stdout;
        assert_eq!(printed, std::fs::read_to_string(&path).unwrap(), "{name}");
    }
}

/// What bash would offer for the words typed so far.
fn completed(project: &Project, words: &[&str]) -> Vec<String> {
    let mut command = project.command(&["--", "assets"]);
    command.args(words).env("COMPLETE", "bash").env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_TYPE", "9");
    command.env("_CLAP_COMPLETE_INDEX", words.len().to_string()).env("_CLAP_COMPLETE_SPACE", "true");
    let offered = project.start_command(command).finish().succeeded();
    assert_eq!(offered.stderr, "");
    offered.stdout.lines().filter(|it| !it.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn names_of_the_project_are_completed() {
    let project = project();
    let body = project
        .read("assets.toml")
        .replace("[asset.other]", "[asset.other]\ngroup = \"marts\"\ntags = { pii = \"no\" }");
    project.write("assets.toml", body + "[job.nightly]\nselect = \"report\"\n");
    assert_eq!(completed(&project, &["mat"]), ["materialize"]);
    assert_eq!(completed(&project, &["why", "o"]), ["orders", "other"]);
    assert_eq!(completed(&project, &["show", "r"]), ["raw", "report"]);
    assert_eq!(completed(&project, &["status", "-s", "+re"]), ["+report"]);
    assert_eq!(completed(&project, &["list", "orders,ra"]), ["orders,raw"]);
    assert_eq!(completed(&project, &["list", "tag:"]), ["tag:pii=no"]);
    assert_eq!(completed(&project, &["list", "group:m"]), ["group:marts"]);
    assert_eq!(completed(&project, &["list", "not gro"]), ["not group:"]);
    assert_eq!(completed(&project, &["run", "--job", ""]), ["nightly"]);
    assert_eq!(completed(&project, &["init", "p"]), ["python"]);
    assert_eq!(completed(&project, &["help", "sel"]), ["selection"]);
    assert_eq!(completed(&project, &["mv", "orders", "oth"]), ["other"]);
    assert_eq!(completed(&project, &["job", "run", "n"]), ["nightly"]);
    assert!(completed(&project, &["backfill", "resume", ""]).is_empty());
    project.run(&["backfill", "start", "march", "-s", "raw+", "-q"]);
    assert_eq!(completed(&project, &["backfill", "resume", "m"]), ["march"]);
    assert!(completed(&project, &["backfill", "start", "m"]).is_empty());
}

#[test]
fn completion_is_silent_about_mistakes() {
    let project = Project::new().file("assets.toml", "[project\n");
    assert!(completed(&project, &["why", "o"]).is_empty());
    assert!(completed(&Project::new(), &["why", "o"]).is_empty());
    assert!(completed(&project, &["-C", "/nowhere", "why", "o"]).is_empty());
}

#[test]
fn completion_of_ten_thousand_assets_reads_the_manifest_only() {
    let assets: String = (0..10_000).map(|it| format!("[asset.a{it}]\ncommand = \"true\"\n")).collect();
    let project = Project::new().manifest(&assets);
    let before = project.snapshot();
    assert_eq!(completed(&project, &["why", "a999"]).len(), 11);
    assert_eq!(project.snapshot(), before);
}

#[test]
fn bash_completes_a_selection_as_one_word() {
    let project = project();
    project.edit("assets.toml", "[asset.other]", "[asset.other]\ngroup = \"marts\"");
    let script = r#"
        eval "$(assets completions bash)"
        try() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9; _clap_complete_assets assets "$typed"; echo "${COMPREPLY[@]}"; }
        typed= try assets list group :
        typed=m try assets list group : m
        typed=+re try assets materialize -s +re
    "#;
    project.write("try.bash", script);
    assert_eq!(project.shell("bash try.bash"), "marts\nmarts\n+report\n");
}

#[test]
fn every_shell_is_given_a_script() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = project.run(&["completions", shell]).succeeded().raw_stdout;
        assert!(script.contains("COMPLETE") && script.contains("assets"), "{shell}: {script}");
    }
    project.run(&["completions", "tcsh"]).exited(2);
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let project = Project::new();
    let page = project.run(&["man"]).succeeded().raw_stdout;
    assert!(page.contains(".SH SYNOPSIS") && page.contains("materialize"), "{page}");
    expect![[r#"
        exit 0
        --- stderr
        32 pages written to pages
    "#]]
    .assert_eq(&project.run(&["man", "pages"]).transcript());
    let page = project.read("pages/assets-accept.1");
    assert!(page.contains("\\-\\-reason") && page.contains("Examples:") && page.contains("\\-\\-json"), "{page}");
}

#[test]
fn help_is_given_on_commands_and_topics() {
    let project = Project::new();
    let of_command = project.run(&["help", "why"]).succeeded().stdout;
    assert!(of_command.contains("Usage: assets why") && of_command.contains("assets explain A0012"), "{of_command}");
    assert_eq!(project.run(&["help", "explain"]).succeeded().stdout, of_command);
    assert!(project.run(&["help", "selection"]).succeeded().stdout.starts_with("# Selecting assets"));
    assert!(project.run(&["help", "environment"]).succeeded().stdout.contains("ASSETS_OUTPUT"));
    expect![[r#"
        exit 0
        --- stdout
        Exit codes, the same with and without --json and -q:

            0  done, or everything is fresh
            1  an asset failed
            2  wrong usage, or a mistake in the manifest
            3  `status` found something that is not fresh, or a backfill was paused or cancelled
            4  a blocking check failed
            5  the state cannot be reached, or is locked
          130  interrupted (Ctrl-C)
          143  terminated (SIGTERM, SIGHUP)
    "#]]
    .assert_eq(&project.run(&["help", "exit-codes"]).transcript());
    expect![[r#"
        exit 2
        --- stderr
        error: there is no command or topic `selektion`
        help: did you mean `selection`?
    "#]]
    .assert_eq(&project.run(&["help", "selektion"]).transcript());
    expect![[r#"
        exit 2
        --- stderr
        error: there is no command or topic `nothing-like-it`
        help: topics are selection, exit-codes, environment; `assets help` lists the commands
    "#]]
    .assert_eq(&project.run(&["help", "nothing-like-it"]).transcript());
    let all = project.run(&["help"]).succeeded().stdout;
    assert!(all.contains("Commands:") && all.contains("retry"), "{all}");
}

#[test]
fn every_code_is_explained() {
    let project = Project::new();
    for code in ["A0012", "a0901", "error[A0901]"] {
        let told = project.run(&["explain", code]).succeeded().stdout;
        let name = code.trim_start_matches("error[").trim_end_matches(']').to_uppercase();
        assert!(told.starts_with(&format!("{name}: ")), "{told}");
    }
}
