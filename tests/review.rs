//! What an adversarial reading of the engine found: each test is a defect that was there once.

use crate::support::{Project, asset, asset_of, log};

/// Two outputs of one computation of `raw.txt`, and `use` of the second one.
fn split(command: &str) -> Project {
    let outputs = "[asset.train]\nop = \"split\"\n[asset.test]\nop = \"split\"\n";
    let op = format!("[op.split]\ncommand = '''{}\n{command}'''\nsources = [\"raw.txt\"]\n", log("split"));
    let used = asset_of("use", &["test"], "cat {{ inputs.test }} > {{ output }}");
    Project::new().manifest(&format!("{op}{outputs}{used}")).file("raw.txt", "1\n")
}

#[test]
fn what_is_made_along_counts_as_selected() {
    let project = split("cp raw.txt {{ outputs.train }}; cp raw.txt {{ outputs.test }}");
    project.run(&["materialize"]).succeeded();
    project.write("raw.txt", "2\n");
    project.ran();
    project.run(&["materialize", "-s", "train", "-s", "use"]).succeeded();
    assert_eq!(project.ran_in_order(), ["split", "use"]);
    project.run(&["status"]).succeeded();
}

#[test]
fn a_computed_name_of_the_environment_reaches_declared_variables_only() {
    let body = format!("[vars]\nname = \"HOME\"\n{}", asset("a", "echo {{ env[vars.name] }} > {{ output }}"));
    let project = Project::new().env("MODE", "x").manifest(&body);
    // `HOME` is passed to commands, but it is no part of what they are made from.
    project.run(&["materialize"]).exited(1);
    project.write_manifest(&body.replace("HOME", "MODE").replace("[asset.a]", "[asset.a]\nenv = [\"MODE\"]"));
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/a"), "x\n");
}
