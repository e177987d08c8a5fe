//! `assets init`: what it writes materializes at once, and nothing is ever overwritten.

use expect_test::expect;

use crate::support::{Project, assert_document};

#[test]
fn a_template_is_a_project_that_materializes_at_once() {
    for (template, assets) in [("shell", 4), ("sql", 5), ("python", 4), ("files", 4)] {
        let project = Project::new();
        assert_document("init", &project.run(&["init", template, "--json"]).succeeded().json());
        let all = format!("All {assets} assets are fresh.\n");
        project.run(&["validate"]).succeeded();
        project.run(&["materialize"]).succeeded();
        assert_eq!(project.run(&["status"]).succeeded().stdout, all, "{template}");
        assert_eq!(project.run(&["materialize"]).succeeded().stderr, all, "{template}");
    }
}

#[test]
fn what_the_templates_make_is_right() {
    let project = Project::new();
    project.run(&["init", "shell", "a"]).succeeded();
    project.run(&["init", "files", "b"]).succeeded();
    project.run(&["-C", "a", "materialize"]).succeeded();
    project.run(&["-C", "b", "materialize"]).succeeded();
    assert_eq!(project.read("a/data/report.txt"), "Best city:    Osaka (460)\nBest product: tea (320)\n");
    let summary = "3 texts\n17 words in one text only\n4 words in several\n";
    assert_eq!(project.read("b/data/summary.txt"), summary);
}

#[test]
fn it_says_what_it_wrote_and_how_to_go_on() {
    let project = Project::new();
    expect![[r#"
        exit 0
        --- stdout
        A project from the template `shell` is in this folder:

          assets.toml
          raw/sales.csv
          report.sh
          total.awk
          assets.schema.json
          .gitignore

        Next:

          assets materialize
          assets status
          assets show report
    "#]]
    .assert_eq(&project.run(&["init"]).transcript());
    expect![[r#"
        exit 0
        --- stdout
        A project from the template `python` is in deep/shop-2:

          assets.toml
          raw/sales.csv
          scripts/clean.py
          scripts/report.py
          scripts/total.py
          assets.schema.json
          .gitignore

        Next:

          cd deep/shop-2
          assets materialize
          assets status
    "#]]
    .assert_eq(&project.run(&["init", "python", "deep/shop-2"]).transcript());
    assert!(project.read("deep/shop-2/assets.toml").starts_with("#:schema assets.schema.json\n"));
    assert!(project.read("deep/shop-2/assets.toml").contains("name = \"shop-2\""), "it is named after its folder");
    assert_eq!(project.read("deep/shop-2/assets.schema.json"), project.run(&["schema"]).raw_stdout);
}

#[test]
fn nothing_is_overwritten() {
    let project = Project::new().file("report.sh", "mine").file("raw/sales.csv", "mine");
    let before = project.snapshot();
    expect![[r#"
        exit 2
        --- stderr
        error: nothing was written: raw/sales.csv, report.sh would be overwritten
        help: give another folder: `assets init TEMPLATE FOLDER`
    "#]]
    .assert_eq(&project.run(&["init"]).transcript());
    assert_eq!(project.snapshot(), before);
}

#[test]
fn what_git_ignores_already_stays_as_it_is() {
    let project = Project::new().file(".gitignore", "/data\ntarget");
    project.run(&["init"]).succeeded();
    assert_eq!(project.read(".gitignore"), "/data\ntarget\n/.assets/\n/assets.local.toml\n");
}

#[test]
fn an_unknown_template_is_answered_with_those_there_are() {
    let project = Project::new();
    expect![[r#"
        exit 2
        --- stderr
        error: there is no template `pyton`
        help: did you mean `python`?
    "#]]
    .assert_eq(&project.run(&["init", "pyton"]).transcript());
    expect![[r#"
        exit 2
        --- stderr
        error: there is no template `shop`
        help: there are shell, sql, python, files
        help: for a folder: `assets init shell shop`
    "#]]
    .assert_eq(&project.run(&["init", "shop"]).transcript());
    expect![[r#"
        exit 0
        --- stdout
        shell     a small diamond of commands; needs a POSIX shell and awk
        sql       queries over files, with checks of their rows; needs nothing
        python    scripts that are run by python3; its standard library is enough
        files     many files: a pattern, a folder, two assets of one command, a pool
    "#]]
    .assert_eq(&project.run(&["init", "--list"]).transcript());
    assert_document("templates", &project.run(&["init", "--list", "--json"]).succeeded().json());
}

#[test]
fn every_file_of_the_templates_is_written() {
    let templates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    for template in ["shell", "sql", "python", "files"] {
        let project = Project::new();
        project.run(&["init", template]).succeeded();
        for entry in walkdir::WalkDir::new(templates.join(template)).into_iter().map(Result::unwrap) {
            let name = entry.path().strip_prefix(templates.join(template)).unwrap();
            assert!(project.exists(name.to_str().unwrap()), "{template}: {} is not embedded", name.display());
        }
    }
}
