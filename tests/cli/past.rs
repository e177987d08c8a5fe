//! `show`, `runs`, `logs`, `retry`: what was, and what failed of it once more.

use expect_test::expect;
use rustix::process::Signal;

use super::{built, project};
use crate::support::{Project, asset, asset_of, without_ages};

fn told(project: &Project, arguments: &[&str]) -> String {
    without_ages(&project.run(arguments).transcript())
}

#[test]
fn show_tells_all_that_is_known_of_an_asset() {
    let project = built();
    expect![[r#"
        exit 0
        --- stdout
        report (asset)
        How many orders

               state  fresh
           stored in  data/report.txt (files)
             command  echo report >> "$HOME/ran"
                      echo counting; wc -l < {{ inputs.orders }} | tr -d ' ' > {{ output }}
          depends on  orders
         declared in  assets.toml:10
        last attempt  succeeded [AGO], run [RUN]
               built  [AGO] in [TIME], 2 B, run [RUN], b9a1a3183dd3
    "#]]
    .assert_eq(&told(&project, &["show", "report"]));
    project.write("raw.csv", "1\n");
    expect![[r#"
        exit 0
        --- stdout
        orders (asset)

               state  stale: source changed: raw
           stored in  data/orders.csv (files)
             command  echo orders >> "$HOME/ran"
                      cp {{ inputs.raw }} {{ output }}
          depends on  raw
             used by  report
         declared in  assets.toml:5
        last attempt  succeeded [AGO], run [RUN]
               built  [AGO] in [TIME], 4 B, run [RUN], a37d46d908a5
    "#]]
    .assert_eq(&told(&project, &["show", "orders"]));
}

#[test]
fn show_tells_what_a_source_is_now() {
    expect![[r#"
        exit 0
        --- stdout
        raw (source)

           stored in  raw.csv
             used by  orders
         declared in  assets.toml:3
            observed  [AGO], 1 file, f4d1922c7870
    "#]]
    .assert_eq(&told(&project(), &["show", "raw"]));
}

#[test]
fn show_tells_why_it_failed() {
    let project = Project::new().manifest(&asset("broken", "echo no; exit 3"));
    project.run(&["materialize"]).exited(1);
    expect![[r#"
        exit 0
        --- stdout
        broken (asset)

               state  failed: never built, +1 more
           stored in  data/broken (files)
             command  echo broken >> "$HOME/ran"
                      echo no; exit 3
         declared in  assets.toml:3
        last attempt  failed [AGO]: exit status 3, run [RUN]
    "#]]
    .assert_eq(&told(&project, &["show", "broken"]));
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest() {
    expect![[r#"
        exit 2
        --- stderr
        error: there is no asset or source `repotr`
        help: did you mean `report`?
    "#]]
    .assert_eq(&told(&project(), &["show", "repotr"]));
}

#[test]
fn runs_are_listed_and_told_step_by_step() {
    let project = project();
    expect![[r#"
        exit 0
        --- stdout
        Nothing was run yet.
    "#]]
    .assert_eq(&told(&project, &["runs"]));
    project.run(&["materialize"]).succeeded();
    project.write("raw.csv", "1\n");
    project.run(&["materialize", "-s", "orders"]).succeeded();
    expect![[r#"
        exit 0
        --- stdout
           Succeeded [RUN]  [AGO]         [TIME]  1 built (materialize -s orders)
           Succeeded [RUN]  [AGO]         [TIME]  3 built (materialize)
    "#]]
    .assert_eq(&told(&project, &["runs"]));
    expect![[r#"
        exit 0
        --- stdout
           Succeeded [RUN]  [AGO]         [TIME]  1 built (materialize -s orders)
    "#]]
    .assert_eq(&told(&project, &["runs", "-n", "1"]));
    expect![[r#"
        exit 0
        --- stdout
               Built orders   [TIME]
           Succeeded [RUN] [AGO], 1 built (materialize -s orders)
    "#]]
    .assert_eq(&told(&project, &["runs", "latest"]));
}

#[test]
fn a_run_is_found_by_the_beginning_of_its_name() {
    let project = built();
    let runs = project.run(&["runs", "--json"]).json();
    let name = runs["runs"][0]["run"].as_str().unwrap();
    let whole = project.run(&["runs", name]).succeeded().stdout;
    let short = project.run(&["runs", &name[..name.len() - 2]]).succeeded().stdout;
    assert_eq!(without_ages(&whole), without_ages(&short));
    expect![[r#"
        exit 2
        --- stderr
        error: there is no run `nope`
        help: `assets runs` lists them; `latest` is the last one
    "#]]
    .assert_eq(&told(&project, &["runs", "nope"]));
    let near = format!("{}x", &name[..name.len() - 1]);
    assert!(project.run(&["runs", &near]).exited(2).stderr.contains("help: did you mean `[RUN]`?"));
}

#[test]
fn logs_are_what_commands_wrote() {
    let project = built();
    expect![[r#"
        exit 0
        --- stdout
        ==> report (succeeded) <==
        counting
        --- stderr
        wrote nothing: orders, other
    "#]]
    .assert_eq(&told(&project, &["logs"]));
    expect![[r#"
        exit 0
        --- stdout
        counting
    "#]]
    .assert_eq(&told(&project, &["logs", "report"]));
    expect![[r#"
        exit 0
        --- stderr
        orders wrote nothing in run [RUN] (succeeded)
    "#]]
    .assert_eq(&told(&project, &["logs", "latest", "orders"]));
}

#[test]
fn logs_of_several_commands_have_headings() {
    let project = Project::new().manifest(&[asset("a", "echo one; exit 1"), asset("b", "echo two; exit 4")].concat());
    project.run(&["materialize", "-j", "1"]).exited(1);
    let logs = project.run(&["logs"]).succeeded();
    let mut parts: Vec<&str> = logs.stdout.split_inclusive("==>").collect();
    parts.sort_unstable();
    expect![[r#"
         a (failed: exit status 1) <==
        one
        ==> b (failed: exit status 4) <==
        two
        ==>"#]]
    .assert_eq(&parts.concat());
}

#[test]
fn logs_that_are_not_there_are_named() {
    let project = project();
    expect![[r#"
        exit 2
        --- stderr
        error: nothing was run yet
        help: `assets materialize` does
    "#]]
    .assert_eq(&told(&project, &["logs"]));
    expect![[r#"
        exit 2
        --- stderr
        error: no attempt at report is known
        help: `assets materialize` makes one
    "#]]
    .assert_eq(&told(&project, &["logs", "report"]));
    project.run(&["materialize", "-s", "other"]).succeeded();
    expect![[r#"
        exit 2
        --- stderr
        error: report was not run in [RUN]
        help: `assets runs [RUN]` shows what was
    "#]]
    .assert_eq(&told(&project, &["logs", "latest", "report"]));
    expect![[r#"
        exit 2
        --- stderr
        error: there is no run or asset `reprot`
        help: did you mean `report`?
    "#]]
    .assert_eq(&told(&project, &["logs", "reprot"]));
    expect![[r#"
        exit 2
        --- stderr
        error: there is no run `nope`
        help: `assets runs` lists them; `latest` is the last one
    "#]]
    .assert_eq(&told(&project, &["logs", "nope", "report"]));
}

#[test]
fn a_colour_that_a_command_wrote_goes_where_colours_are_not_wanted() {
    let project = Project::new().manifest(&asset("a", r"printf '\033[1;31mred\033[0m [0m\n'; touch {{ output }}"));
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.run(&["logs", "a"]).succeeded().stdout, "red [0m\n");
    assert_eq!(project.run(&["logs", "a", "--color", "always"]).succeeded().stdout, "\x1b[1;31mred\x1b[0m [0m\n");
}

#[test]
fn a_log_is_followed_until_its_step_ends() {
    let command = "echo begun; touch begun; while [ ! -e go ]; do sleep 0.02; done; echo done; touch {{ output }}";
    let project = Project::new().manifest(&[asset("slow", command), asset("rest", "sleep 30")].concat());
    let run = project.start(&["materialize"]);
    project.wait_for("begun");
    let follow = project.start(&["logs", "slow", "--follow"]);
    project.write("go", "");
    // The run goes on; what was followed is over.
    assert_eq!(follow.finish().succeeded().stdout, "begun\ndone\n");
    let whole = project.start(&["logs", "-f"]);
    run.signal(Signal::INT);
    run.finish().exited(130);
    let seen = whole.finish().succeeded();
    assert!(seen.stdout.contains("begun\ndone\n"), "{}", seen.stdout);
}

/// `b` fails until the file `mended` is there; `c` is made from it; `d` is well.
fn failing() -> Project {
    let manifest = [
        asset("b", "test -e mended && touch {{ output }}"),
        asset_of("c", &["b"], "touch {{ output }}"),
        asset("d", "touch {{ output }}"),
    ];
    Project::new().manifest(&manifest.concat())
}

#[test]
fn retry_runs_what_failed_and_what_was_not_reached() {
    let project = failing();
    project.run(&["materialize"]).exited(1);
    assert_eq!(project.ran(), ["b", "d"]);
    project.run(&["retry"]).exited(1);
    assert_eq!(project.ran(), ["b"]);
    project.write("mended", "");
    project.run(&["retry"]).succeeded();
    assert_eq!(project.ran_in_order(), ["b", "c"]);
    expect![[r#"
        exit 0
        --- stderr
        Nothing to retry: in run [RUN] nothing failed and nothing was skipped.
    "#]]
    .assert_eq(&told(&project, &["retry"]));
    assert!(project.ran().is_empty());
}

#[test]
fn retry_of_an_older_run_makes_only_what_is_still_needed() {
    let project = failing();
    project.run(&["materialize"]).exited(1);
    let runs = project.run(&["runs", "--json"]).json();
    let first = runs["runs"][0]["run"].as_str().unwrap().to_owned();
    project.write("mended", "");
    project.run(&["materialize"]).succeeded();
    project.ran();
    expect![[r#"
        exit 0
        --- stderr
        All 2 assets are fresh.
    "#]]
    .assert_eq(&told(&project, &["retry", &first]));
    assert!(project.ran().is_empty());
}

#[test]
fn retry_after_a_kill_runs_what_was_at_work() {
    let command = "touch begun; test -e mended || sleep 30; touch {{ output }}";
    let project = Project::new().manifest(&[asset("slow", command), asset("quick", "touch {{ output }}")].concat());
    let run = project.start(&["materialize"]);
    project.wait_for("begun");
    run.signal(Signal::KILL);
    run.finish().exited(137);
    project.write("mended", "");
    project.ran();
    project.run(&["retry"]).succeeded();
    assert!(project.ran().contains(&"slow".to_owned()));
    project.run(&["status", "slow"]).succeeded();
}

#[test]
fn nothing_can_be_retried_before_anything_was_run() {
    expect![[r#"
        exit 0
        --- stderr
        Nothing to retry: nothing was run yet.
    "#]]
    .assert_eq(&told(&project(), &["retry"]));
}
