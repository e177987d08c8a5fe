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

#[test]
fn gc_leaves_alone_what_a_run_of_another_target_is_writing() {
    let hold = "touch started; while [ ! -e go ]; do sleep 0.02; done";
    let body = format!(
        "[vars]\nx = \"dev\"\n[target.prod.vars]\nx = \"prod\"\n[asset.a]\nin_place = true\n\
         command = '''echo {{{{ vars.x }}}} > {{{{ output }}}}; {hold}'''\n"
    );
    let project = Project::new().manifest(&body).file("go", "");
    project.run(&["materialize"]).succeeded();
    project.remove("go");
    project.remove("started");
    let prod = project.start(&["-t", "prod", "materialize"]);
    project.wait_for("started");
    project.run(&["gc"]).succeeded();
    project.write("go", "");
    prod.finish().succeeded();
    assert_eq!(project.read("data/a"), "prod\n");
    project.run(&["-t", "prod", "status"]).succeeded();
}

#[test]
fn a_link_inside_a_linked_folder_stands_for_what_it_leads_to() {
    let body = format!("{}sources = [\"raw\"]\n", asset("a", "cat raw/store/x raw/store/deep/y > {{ output }}"));
    let project = Project::new().manifest(&body).file("blobs/b", "1\n").file("deeper/y", "1\n").file("store/z", "");
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, project.path(at)).unwrap();
    std::fs::create_dir(project.path("raw")).unwrap();
    link("../store", "raw/store");
    link("../blobs/b", "store/x");
    link("../deeper", "store/deep");
    // Round in a circle: nothing that is not looked at already.
    link(".", "deeper/self");
    link("../raw", "deeper/raw");
    project.run(&["materialize"]).succeeded();
    for (file, text) in [("blobs/b", "2\n"), ("deeper/y", "3\n")] {
        project.write(file, text);
        project.run(&["status"]).exited(3);
        project.run(&["materialize"]).succeeded();
    }
    assert_eq!(project.read("data/a"), "2\n3\n");
    project.run(&["status"]).succeeded();
}

#[test]
fn another_question_to_a_source_is_a_change() {
    let body = |ask: &str| {
        let used = asset_of("a", &["v"], "echo {{ inputs.v }} > {{ output }}");
        format!("[vars]\nn = \"1\"\n[source.v]\n{ask}\n{used}")
    };
    let project = Project::new().manifest(&body("command = \"echo {{ vars.n }}\""));
    project.run(&["materialize"]).succeeded();
    project.run(&["status"]).succeeded();
    project.run(&["status", "--var", "n=2"]).exited(3);
    project.write_manifest(&body("command = \"echo 3\""));
    project.run(&["status"]).exited(3);
    project.write_manifest(&body("url = \"http://example.invalid/a?token=hidden\""));
    project.run(&["status"]).exited(3);
    project.run(&["why", "a"]).succeeded();
}

#[test]
fn what_is_restored_of_several_outputs_is_of_one_attempt() {
    let command = "cat raw.txt; N=$(cat nonce); echo $N > {{ outputs.train }}; echo $N > {{ outputs.test }}";
    let project = split(command).file("nonce", "first\n");
    project.run(&["materialize", "split"]).exited(2);
    project.run(&["materialize", "-s", "train"]).succeeded();
    // The same fingerprint, another content: the command is not a function of what it declares.
    project.write("nonce", "second\n");
    project.run(&["materialize", "-f", "-s", "train"]).succeeded();
    project.write("raw.txt", "2\n");
    project.write("nonce", "third\n");
    project.run(&["materialize", "-s", "train"]).succeeded();
    // One of the two that belong together is lost.
    let kept = std::fs::read_dir(project.path(".assets/kept")).unwrap().map(|it| it.unwrap().path());
    let second: Vec<_> = kept.filter(|it| std::fs::read_to_string(it).unwrap() == "second\n").collect();
    assert_eq!(second.len(), 2);
    std::fs::remove_file(&second[0]).unwrap();
    project.write("raw.txt", "1\n");
    project.run(&["materialize", "-s", "train"]).succeeded();
    assert_eq!(project.read("data/train"), project.read("data/test"));
}

#[test]
fn what_was_put_back_in_part_is_looked_at_again() {
    let project = split("cp raw.txt {{ outputs.train }}; cp raw.txt {{ outputs.test }}");
    project.run(&["materialize"]).succeeded();
    project.write("raw.txt", "2\n");
    project.run(&["materialize"]).succeeded();
    // Of one of the two kept versions only the name is left.
    let kept = std::fs::read_dir(project.path(".assets/kept")).unwrap().map(|it| it.unwrap().path());
    for path in kept.collect::<Vec<_>>() {
        project.run(&["status"]).succeeded();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, "x\n").unwrap();
        project.write("raw.txt", "1\n");
        project.run(&["materialize"]).succeeded();
        project.run(&["status"]).succeeded();
        assert_eq!((project.read("data/train"), project.read("data/test")), ("1\n".to_owned(), "1\n".to_owned()));
        drop(text);
        project.write("raw.txt", "2\n");
        project.run(&["materialize"]).succeeded();
    }
}

#[test]
fn a_plan_for_other_variables_does_not_hold() {
    let first = asset("a", "echo 1 > {{ output }}");
    let second = asset_of("b", &["a"], "echo {{ vars.x }} > {{ output }}");
    let project = Project::new().manifest(&format!("[vars]\nx = \"1\"\n{first}{second}"));
    project.run(&["plan", "--out", "plan.json"]).succeeded();
    project.run(&["materialize", "--plan", "plan.json", "--var", "x=2"]).exited(2);
    assert!(project.ran().is_empty());
    project.run(&["materialize", "--plan", "plan.json"]).succeeded();
}

#[test]
fn changed_since_a_revision_sees_variables_formats_and_files_that_are_gone() {
    let git = "git -c user.name=t -c user.email=t@t";
    let used = asset("of_var", "echo {{ vars.x }} > {{ output }}");
    let formatted = format!("{}format = \"csv\"\n", asset("formatted", "echo 1 > {{ output }}"));
    let reading = format!("{}sources = [\"raw/*.csv\"]\n", asset("reading", "cat raw/*.csv > {{ output }}"));
    let body = format!("[vars]\nx = \"1\"\n{used}{formatted}{reading}{}", asset("other", "echo 1 > {{ output }}"));
    let project = Project::new().manifest(&body).file("raw/a.csv", "1\n").file("raw/b.csv", "1\n");
    let changed = || {
        let listed = project.run(&["list", "-s", "changed:HEAD", "--json"]).succeeded().json();
        let assets = listed["assets"].as_array().unwrap().iter();
        assets.map(|it| it["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    project.shell(&format!("git init -q . && git add assets.toml raw && {git} commit -qm 1"));
    assert!(changed().is_empty());
    project.remove("raw/b.csv");
    assert_eq!(changed(), ["reading"]);
    project.write_manifest(&body.replace("x = \"1\"", "x = \"2\""));
    assert_eq!(changed(), ["of_var", "reading"]);
    project.write_manifest(&body.replace("\"csv\"", "\"json\""));
    assert_eq!(changed(), ["formatted", "reading"]);
}

#[test]
fn what_a_power_loss_left_whole_is_read_once_and_then_trusted() {
    use assets::plan::{
        record::Session,
        store::{
            Change, StateStore,
            folder::{Access, StateFolder},
            sqlite::Disk,
        },
    };
    let project = Project::new().manifest(&asset("a", "echo 1 > {{ output }}"));
    project.run(&["materialize"]).succeeded();
    project.ran();
    let doubted = |lose: bool| {
        let folder = StateFolder::open(&project.root(), Access::Write).unwrap();
        let store = folder.store(Disk::Local).unwrap().store;
        let record = store.latest_all().unwrap().swap_remove(0);
        if lose {
            let session = Session { id: record.session.clone(), boot: "another".to_owned(), sealed: false };
            store.commit(&[Change::SessionOpened(session)]).unwrap();
        }
        store.sessions().unwrap().iter().any(|it| it.id == record.session && !it.sealed)
    };
    assert!(doubted(true));
    project.run(&["status"]).succeeded();
    project.run(&["materialize"]).succeeded();
    assert!(project.ran().is_empty() && !doubted(false));
    // One that was lost is found by its content.
    doubted(true);
    project.write("data/a", "2\n");
    project.run(&["status"]).exited(3);
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.ran(), ["a"]);
}
