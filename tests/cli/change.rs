//! `accept`, `mv`, `clean`, `gc`: what they change, and above all what they leave alone.

use expect_test::expect;
use rustix::process::Signal;

use super::{built, project};
use crate::support::{Project, asset, asset_of, without_ages};

fn told(project: &Project, arguments: &[&str]) -> String {
    without_ages(&project.run(arguments).transcript())
}

#[track_caller]
fn fresh(project: &Project) {
    project.run(&["status"]).succeeded();
    project.run(&["materialize"]).succeeded();
    assert!(project.ran().is_empty());
}

#[test]
fn what_is_accepted_is_fresh_and_says_why() {
    let project = built();
    project.write("data/report.txt", "by hand\n");
    project.run(&["status"]).exited(3);
    expect![[r#"
        exit 0
        --- stdout
        report counts as fresh now (8 B)
    "#]]
    .assert_eq(&told(&project, &["accept", "report", "--reason", "counted by hand"]));
    fresh(&project);
    assert_eq!(project.read("data/report.txt"), "by hand\n");
    let shown = project.run(&["show", "report"]).succeeded();
    assert!(shown.stdout.contains("taken as fresh: counted by hand"), "{}", shown.stdout);
    // It is a version like any other: what comes after is stale by it.
    project.write("raw.csv", "3\n");
    project.run(&["status", "report"]).exited(3);
}

#[test]
fn what_is_accepted_moves_what_is_made_from_it() {
    let project = built();
    project.write("data/orders.csv", "1\n2\n3\n");
    project.run(&["accept", "orders", "--reason", "a row was lost"]).succeeded();
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["report"]);
    assert_eq!(project.read("data/report.txt"), "3\n");
}

#[test]
fn a_change_of_code_is_accepted_from_upstream_down() {
    let project = built();
    project.edit("assets.toml", "echo counting", "echo counting again");
    project.edit("assets.toml", "cp {{ inputs.raw }}", "cp -p {{ inputs.raw }}");
    expect![[r#"
        exit 2
        --- stderr
        error: report is made from orders, which is stale
        help: accept or materialize orders first
    "#]]
    .assert_eq(&told(&project, &["accept", "report", "--reason", "same"]));
    expect![[r#"
        exit 0
        --- stdout
        orders counts as fresh now (4 B)
        report counts as fresh now (2 B)
    "#]]
    .assert_eq(&told(&project, &["accept", "+report", "--reason", "same"]));
    fresh(&project);
    expect![[r#"
        exit 0
        --- stdout
        report was fresh already
    "#]]
    .assert_eq(&told(&project, &["accept", "report", "--reason", "same"]));
}

#[test]
fn what_is_not_there_cannot_be_accepted() {
    let project = project();
    expect![[r#"
        exit 2
        --- stderr
        error: orders has no output: data/orders.csv is missing
        help: there is nothing to accept; `assets materialize -s orders` makes it
    "#]]
    .assert_eq(&told(&project, &["accept", "orders", "--reason", "x"]));
    expect![[r#"
        exit 2
        --- stderr
        error: the reason is empty
        help: say why: it is all that is left to know later
    "#]]
    .assert_eq(&told(&project, &["accept", "orders", "--reason", " "]));
    project.run(&["materialize"]).succeeded();
    project.remove("raw.csv");
    expect![[r#"
        exit 2
        --- stderr
        error: orders: source raw: nothing matches `raw.csv`
    "#]]
    .assert_eq(&told(&project, &["accept", "orders", "--reason", "x"]));
}

#[test]
fn a_rename_before_the_manifest_keeps_everything_fresh() {
    let project = built();
    expect![[r#"
        exit 0
        --- stdout
        orders is sales now
        moved data/orders.csv to data/sales.csv
        --- stderr
        Now rename it in the manifest too: [asset.orders] to [asset.sales], and where it is named.
    "#]]
    .assert_eq(&told(&project, &["mv", "orders", "sales"]));
    assert!(project.exists("data/sales.csv") && !project.exists("data/orders.csv"));
    let renamed = project.read("assets.toml").replace("orders", "sales");
    project.write("assets.toml", renamed.replace("How many sales", "How many orders"));
    project.edit("assets.toml", "echo sales >>", "echo orders >>");
    fresh(&project);
    let shown = project.run(&["show", "sales", "--json"]).succeeded().json();
    assert_eq!(shown["materializations"].as_array().unwrap().len(), 1);
    assert_eq!(shown["last_attempt"]["state"], "succeeded");
}

#[test]
fn a_rename_after_the_manifest_keeps_everything_fresh() {
    let project = built();
    let renamed = project.read("assets.toml").replace("[asset.orders]", "[asset.\"in/sales\"]");
    let renamed = renamed
        .replace("inputs.orders", "inputs[\"in/sales\"]")
        .replace("deps = [\"orders\"]", "deps = [\"in/sales\"]");
    project.write("assets.toml", renamed);
    project.run(&["status"]).exited(3);
    expect![[r#"
        exit 0
        --- stdout
        orders is in/sales now
        moved data/orders.csv to data/in/sales.csv
    "#]]
    .assert_eq(&told(&project, &["mv", "orders", "in/sales"]));
    assert!(project.exists("data/in/sales.csv") && !project.exists("data/orders.csv"));
    fresh(&project);
}

#[test]
fn a_rename_takes_over_what_was_moved_by_hand() {
    let project = built();
    std::fs::rename(project.path("data/other"), project.path("data/another")).unwrap();
    project.edit("assets.toml", "[asset.other]", "[asset.another]");
    expect![[r#"
        exit 0
        --- stdout
        other is another now
    "#]]
    .assert_eq(&told(&project, &["mv", "other", "another"]));
    fresh(&project);
}

#[test]
fn a_rename_hides_no_other_change() {
    let project = built();
    let renamed = project.read("assets.toml").replace("[asset.orders]", "[asset.sales]");
    let renamed = renamed.replace("inputs.orders", "inputs.sales").replace("deps = [\"orders\"]", "deps = [\"sales\"]");
    project.write("assets.toml", renamed.replace("echo counting", "echo inputs.sales"));
    project.run(&["mv", "orders", "sales"]).succeeded();
    let status = project.run(&["status", "--json"]).exited(3).json();
    let states: Vec<_> = status["assets"].as_array().unwrap().iter().map(|it| (&it["key"], &it["state"])).collect();
    assert!(states.contains(&(&"sales".into(), &"fresh".into())), "{states:?}");
    assert!(states.contains(&(&"report".into(), &"stale".into())), "{states:?}");
}

#[test]
fn one_of_several_assets_of_a_command_is_renamed() {
    let manifest = "[op.split]\ncommand = 'echo split >> \"$HOME/ran\"; touch {{ outputs.a }} {{ outputs.b }}'\n\
                    [asset.a]\nop = \"split\"\n[asset.b]\nop = \"split\"\n";
    let project = Project::new().manifest(manifest);
    project.run(&["materialize"]).succeeded();
    project.ran();
    project.write_manifest(&manifest.replace("outputs.b", "outputs.c").replace("[asset.b]", "[asset.c]"));
    project.run(&["mv", "b", "c"]).succeeded();
    fresh(&project);
}

#[test]
fn two_inputs_that_would_become_one_are_not_taken_for_one() {
    let manifest = asset("a", "echo 1 > {{ output }}") + &asset("b", "echo 2 > {{ output }}");
    let both = manifest.clone() + &asset_of("both", &["a", "b"], "cat $ASSETS_INPUT_B > {{ output }}");
    let project = Project::new().manifest(&both);
    project.run(&["materialize"]).succeeded();
    project.run(&["clean", "b", "-y"]).succeeded();
    project.run(&["mv", "a", "b"]).exited(2);
    let only_b = asset("b", "echo 1 > {{ output }}") + &asset_of("both", &["b"], "cat $ASSETS_INPUT_B > {{ output }}");
    project.write_manifest(&only_b);
    project.run(&["mv", "a", "b"]).succeeded();
    project.run(&["status", "both"]).exited(3);
}

#[test]
fn an_output_in_a_place_of_its_own_stays_there() {
    let project = Project::new().manifest(&(asset("a", "echo 1 > {{ output }}") + "path = \"kept/one.txt\"\n"));
    project.run(&["materialize"]).succeeded();
    project.ran();
    expect![[r#"
        exit 0
        --- stdout
        a is b now
        --- stderr
        Now rename it in the manifest too: [asset.a] to [asset.b], and where it is named.
    "#]]
    .assert_eq(&told(&project, &["mv", "a", "b"]));
    project.edit("assets.toml", "[asset.a]", "[asset.b]");
    fresh(&project);
    assert_eq!(project.read("data/kept/one.txt"), "1\n");
}

#[test]
fn nothing_is_moved_over_a_file_of_somebody_else() {
    let project = built();
    project.write("data/sales.csv", "mine");
    expect![[r#"
        exit 0
        --- stdout
        orders is sales now
        --- stderr
        warning: the output stays at data/orders.csv: data/sales.csv is in the way
        Now rename it in the manifest too: [asset.orders] to [asset.sales], and where it is named.
    "#]]
    .assert_eq(&told(&project, &["mv", "orders", "sales"]));
    assert_eq!(project.read("data/sales.csv"), "mine");
    assert_eq!(project.read("data/orders.csv"), "1\n2\n");
}

#[test]
fn renames_that_cannot_be_meant_are_refused() {
    let project = built();
    let before = project.read("data/report.txt");
    expect![[r#"
        exit 2
        --- stderr
        error: nothing is recorded of `repor`
        help: did you mean `report`?
    "#]]
    .assert_eq(&told(&project, &["mv", "repor", "x"]));
    expect![[r#"
        exit 2
        --- stderr
        error: both `orders` and `report` are in the manifest
        help: take orders out of the manifest, or give another name
    "#]]
    .assert_eq(&told(&project, &["mv", "orders", "report"]));
    expect![[r#"
        exit 2
        --- stderr
        error: `raw` is a source: it is observed, not made
    "#]]
    .assert_eq(&told(&project, &["mv", "raw", "rows"]));
    expect![[r#"
        exit 2
        --- stderr
        error: `a b` is no key: an asset key may not contain ' '
    "#]]
    .assert_eq(&told(&project, &["mv", "orders", "a b"]));
    expect![[r#"
        exit 2
        --- stderr
        error: the two keys are the same
    "#]]
    .assert_eq(&told(&project, &["mv", "orders", "orders"]));
    project.edit("assets.toml", "[asset.other]", "[asset.another]");
    project.run(&["materialize"]).succeeded();
    expect![[r#"
        exit 2
        --- stderr
        error: `another` was built already
        help: `assets clean another` forgets that and deletes what it made; then try again
    "#]]
    .assert_eq(&told(&project, &["mv", "other", "another"]));
    assert_eq!(project.read("data/report.txt"), before);
}

#[test]
fn clean_deletes_what_was_selected_and_nothing_else() {
    let project = built();
    expect![[r#"
        exit 2
        --- stderr
        error: nothing was selected
        help: name assets, or say `--all` or `--orphans`
    "#]]
    .assert_eq(&told(&project, &["clean"]));
    expect![[r#"
        exit 2
        --- stderr
        error: the outputs of 1 asset would be deleted, and nobody can be asked
        help: say `--yes` to do it, `-n` to see what would go
    "#]]
    .assert_eq(&told(&project, &["clean", "report"]));
    let before = project.snapshot();
    expect![[r#"
        exit 0
        --- stdout
        would remove report: data/report.txt (2 B)
    "#]]
    .assert_eq(&told(&project, &["clean", "report", "-n"]));
    assert_eq!(project.snapshot(), before);
    expect![[r#"
        exit 0
        --- stdout
        removed report: data/report.txt (2 B)
    "#]]
    .assert_eq(&told(&project, &["clean", "report", "-y"]));
    assert!(!project.exists("data/report.txt") && project.exists("data/orders.csv") && project.exists("raw.csv"));
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["report"], "its record is gone too: nothing is restored");
}

#[test]
fn clean_all_leaves_sources_and_what_assets_did_not_make() {
    let project = built();
    project.write("data/notes.txt", "mine");
    project.run(&["clean", "--all", "-y"]).succeeded();
    assert!(project.exists("raw.csv") && project.exists("data/notes.txt"));
    expect![[r#"
        exit 0
        --- stdout
        Nothing was made of these.
    "#]]
    .assert_eq(&told(&project, &["clean", "--all", "-y"]));
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["orders", "other", "report"]);
}

#[test]
fn orphans_are_deleted_only_if_they_are_what_was_made() {
    let project = Project::new().manifest(&["a", "b", "c", "d"].map(|it| asset(it, "echo 1 > {{ output }}")).concat());
    project.run(&["materialize"]).succeeded();
    expect![[r#"
        exit 0
        --- stdout
        Nothing is left of assets that are not in the manifest.
    "#]]
    .assert_eq(&told(&project, &["clean", "--orphans", "-y"]));
    project.write("data/b", "edited by hand");
    // What lies at `c` belongs to `e` now.
    project.write_manifest(
        &(asset("d", "echo 1 > {{ output }}") + &asset("e", "echo 1 > {{ output }}") + "path = \"c\"\n"),
    );
    expect![[r#"
        exit 0
        --- stdout
        removed a: data/a (2 B)
        removed b: its record
        removed c: its record
        left data/b: it is not what was recorded
        left data/c: it is where e is kept
    "#]]
    .assert_eq(&told(&project, &["clean", "--orphans", "-y"]));
    assert!(
        !project.exists("data/a") && project.exists("data/b") && project.exists("data/c") && project.exists("data/d")
    );
    expect![[r#"
        exit 0
        --- stdout
        Nothing is left of assets that are not in the manifest.
    "#]]
    .assert_eq(&told(&project, &["clean", "--orphans", "-y"]));
}

#[test]
fn clean_asks_on_a_terminal() {
    use crate::support::pty::Pty;
    let project = built();
    let asked = Pty::start(project.command(&["clean", "--all"]), 80, 24);
    asked.wait_for("Delete the outputs of 3 assets (8 B)? [y/N]");
    asked.signal(Signal::INT);
    asked.finish();
    assert!(project.exists("data/report.txt"));
    fresh(&project);
}

#[test]
fn gc_forgets_old_runs_and_never_an_output() {
    let project = built();
    for rows in ["3\n", "4\n"] {
        project.write("raw.csv", rows);
        project.run(&["materialize"]).succeeded();
    }
    project.ran();
    expect![[r#"
        exit 0
        --- stdout
        Nothing to remove.
    "#]]
    .assert_eq(&told(&project, &["gc"]));
    let before = project.snapshot();
    let dry = project.run(&["gc", "-n", "--runs", "1"]).succeeded().stdout;
    assert!(dry.starts_with("would remove the logs and history of 2 runs ("), "{dry}");
    assert_eq!(project.snapshot(), before);
    let done = project.run(&["gc", "--runs", "1", "--json"]).succeeded().json();
    assert_eq!(done["runs"].as_array().unwrap().len(), 2);
    let left = project.run(&["runs", "--json"]).succeeded().json();
    assert_eq!(left["runs"].as_array().unwrap().len(), 1);
    assert_eq!(std::fs::read_dir(project.path(".assets/logs")).unwrap().count(), 1);
    fresh(&project);
    project.write("raw.csv", "3\n");
    project.run(&["materialize"]).succeeded();
    assert!(project.ran().is_empty(), "young versions are still kept");
    project.run(&["gc", "--days", "0"]).succeeded();
    fresh(&project);
    assert_eq!(std::fs::read_dir(project.path(".assets/kept")).unwrap().count(), 0);
}

#[test]
fn gc_sweeps_up_after_a_kill_and_leaves_what_is_at_work() {
    let project = Project::new().manifest(&asset("slow", "echo half > {{ output }}; touch begun; sleep 30"));
    let staged = || {
        let entries = std::fs::read_dir(project.path("data")).unwrap().map(|it| it.unwrap().file_name());
        entries.filter(|it| it.to_str().unwrap().starts_with(".assets-")).count()
    };
    let run = project.start(&["materialize"]);
    project.wait_for("begun");
    let at_work = project.run(&["gc", "--days", "0", "--runs", "0", "--json"]).succeeded().json();
    assert_eq!((&at_work["runs"], &at_work["leftovers"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert_eq!(staged(), 1);
    run.signal(Signal::KILL);
    run.finish().exited(137);
    project.run(&["gc", "--days", "0"]).succeeded();
    assert_eq!(staged(), 0);
}

#[test]
fn an_asset_that_is_made_cannot_be_changed_meanwhile() {
    let slow = asset_of("slow", &["raw"], "touch begun; sleep 30; touch {{ output }}");
    let project =
        Project::new().manifest(&("[source.raw]\nfiles = [\"raw.csv\"]\n".to_owned() + &slow)).file("raw.csv", "1\n");
    project.edit("assets.toml", "sleep 30; ", "");
    project.run(&["materialize"]).succeeded();
    project.remove("begun");
    project.edit("assets.toml", "touch begun; ", "touch begun; sleep 30; ");
    let run = project.start(&["materialize"]);
    project.wait_for("begun");
    for arguments in [&["accept", "slow", "--reason", "x"][..], &["mv", "slow", "fast"], &["clean", "slow", "-y"]] {
        let refused = project.run(arguments).exited(5);
        assert!(refused.stderr.contains("slow is worked on by another process"), "{}", refused.stderr);
    }
    assert!(project.exists("data/slow"));
    run.signal(Signal::INT);
    run.finish().exited(130);
}
