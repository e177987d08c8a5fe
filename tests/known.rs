//! What the status index lets `status` leave undone changes no answer: small random projects, random
//! edits, and after each the short answer beside the one of who knows nothing, reason by reason.
//!
//! A case is named by its seed. `ASSETS_KNOWN_CASES=500` tries more of them, `ASSETS_KNOWN_SEED=7` one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
};

use assets::{
    base::env::Environment,
    face::{
        app::{App, Opening},
        cli::args::Selection,
        quick::{self, Asking, Told},
        ui::{Ui, Volume, color::ColorChoice},
    },
    model::{node_set::NodeSet, project::NodeId},
    plan::{
        store::folder::Access,
        survey::{Forced, Request, Survey, Surveyed, survey, survey_states},
    },
};

use crate::{
    oracle::graph::Random,
    support::{Project, asset},
};

const STEPS: usize = 10;
const CASES: u64 = 8;

/// Files that something reads, and such as patterns would find.
const FILES: [&str; 8] =
    ["one.txt", "two.txt", "run.sh", "raw/a.txt", "raw/b.txt", "raw/in/c.txt", "raw/d.txt", "lib/e.sh"];

/// What files hold: two of them have one size, and one makes a command fail.
const CONTENTS: [&str; 4] = ["1\n", "2\n", "longer\n", "bad\n"];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|it| it.parse().expect("a number"))
}

/// A handful of assets that read some of the files as code, as sources or by a named source, and
/// share them.
fn manifest(random: &mut Random) -> String {
    let code = ["", "\"run.sh\"", "\"run.sh\", \"one.txt\"", "\"lib/*.sh\""];
    let sources = ["\"one.txt\"", "\"one.txt\", \"two.txt\"", "\"raw/**/*.txt\"", "\"raw/*.txt\", \"run.sh\"", ""];
    let mut text = "[source.named]\nfiles = [\"two.txt\", \"raw/in/*.txt\"]\n".to_owned();
    for at in 0..5 {
        let deps = match random.below(4) {
            _ if at == 0 => String::new(),
            0 => "\"named\"".to_owned(),
            1 => format!("\"a{}\"", random.below(at)),
            2 => format!("\"a{}\", \"named\"", at - 1),
            _ => String::new(),
        };
        let command = match random.below(4) {
            0 => "! grep -rqs bad one.txt raw && touch {{ output }}",
            1 => "cat one.txt > {{ output }} || touch {{ output }}",
            _ => "touch {{ output }}",
        };
        let (code, sources) = (random.pick(&code), random.pick(&sources));
        text += &asset(&format!("a{at}"), command);
        text += &format!("code = [{code}]\nsources = [{sources}]\ndeps = [{deps}]\n");
    }
    let (code, sources) = (random.pick(&code), random.pick(&sources));
    text += "[asset.left]\nop = \"both\"\n[asset.right]\nop = \"both\"\n[op.both]\ncommand = '''touch {{ outputs.left }} {{ outputs.right }}'''\n";
    text + &format!("code = [{code}]\nsources = [{sources}]\n")
}

/// One thing that people and programs do to files.
fn edit(project: &Project, random: &mut Random) -> String {
    let file = *random.pick(&FILES);
    let path = project.path(file);
    let text = *random.pick(&CONTENTS);
    let beside = project.path("beside");
    let is_file = path.is_file();
    match random.below(12) {
        0 | 1 => {
            project.write(file, text);
            format!("wrote {text:?} to {file}")
        }
        2 if is_file => {
            let before = path.metadata().unwrap().modified().unwrap();
            let other = if project.read(file) == "1\n" { "2\n" } else { "1\n" };
            project.write(file, other);
            File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
            format!("wrote {other:?} to {file} and set its time back")
        }
        3 | 4 if is_file => {
            project.write(file, project.read(file));
            format!("touched {file}")
        }
        5 => {
            fs::write(&beside, text).unwrap();
            fs::rename(&beside, &path).unwrap();
            format!("renamed {text:?} over {file}")
        }
        6 if is_file && random.one_in(2) => {
            fs::remove_file(&path).unwrap();
            format!("removed {file}")
        }
        7 if is_file => {
            let mode = if random.one_in(2) { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            format!("gave {file} the mode {mode:o}")
        }
        8 if is_file && random.one_in(2) => {
            fs::remove_file(&path).unwrap();
            symlink(project.path("elsewhere.txt"), &path).unwrap();
            format!("made {file} a link")
        }
        9 => {
            project.write("elsewhere.txt", text);
            format!("wrote {text:?} to where links lead")
        }
        10 => {
            let output = project.path(&format!("data/a{}", random.below(5)));
            let _ = fs::write(&output, text);
            format!("wrote {text:?} to {}", output.display())
        }
        11 if random.one_in(3) => {
            project.write(&format!("raw/new{}.txt", random.below(3)), text);
            "made a new file for the pattern".to_owned()
        }
        _ => {
            project.write(file, text);
            project.write(file, "1\n");
            format!("wrote \"1\\n\" to {file}")
        }
    }
}

/// Everything that is known of every asset with the index is what is known without it. How many ops were
/// decided from moved files alone.
fn compare(project: &Project) -> usize {
    let env = Environment::of_process();
    let ui = Ui::of_process(ColorChoice::Never, Volume::Quiet, &env);
    let opening = Opening { start: project.root(), target: None, vars: Vec::new(), env };
    let Told::Some(vouched) = quick::ask(&opening, Asking::Status, &[], &Selection::default()) else { return 0 };
    let app = App::open(&opening, Access::Read, false, &ui).unwrap_or_else(|_| panic!("it can be opened"));
    let known = vouched.known(&app).expect("of this manifest");
    let all = NodeSet::of(app.project().len(), app.project().assets().map(|it| it.0));
    let request = Request { scope: &all, runs: &all, forced: Forced::Nothing, only: None };
    let told = |survey: &Survey| -> BTreeMap<String, Surveyed> {
        let of = |id| Some((app.project().key(id).to_string(), surveyed(survey, id)?));
        all.iter().filter_map(of).collect()
    };
    let world = app.workspace.world();
    let short = survey_states(&world, &request, Some(&known)).unwrap();
    assert_eq!(told(&short), told(&survey(&world, &request).unwrap()));
    known.edited.keys().filter(|it| !short.facts.ops.contains_key(it)).count()
}

/// What `status` tells of.
fn surveyed(survey: &Survey, id: NodeId) -> Option<Surveyed> {
    Some(Surveyed { fingerprint: None, ..survey.get(id)?.clone() })
}

/// Edits a project, compares, and builds it now and then. How often moved files alone decided.
fn case(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let project = Project::new().manifest(&manifest(&mut random)).file("elsewhere.txt", "1\n");
    FILES.iter().for_each(|it| project.write(it, "1\n"));
    project.run(&["materialize", "-q"]).succeeded();
    let (mut history, mut decided) = (Vec::new(), 0);
    for _ in 0..STEPS {
        if random.one_in(4) {
            // What fails by force leaves a fresh record, and a story to tell.
            let how = *random.pick(&["-q", "-qf"]);
            let built = project.run(&["materialize", how, "--keep-going"]);
            history.push(format!("built with {how}: {}", built.code));
        } else {
            history.push(edit(&project, &mut random));
        }
        eprintln!("seed {seed}: {}", history.last().expect("just pushed"));
        decided += compare(&project);
        let known = project.run(&["status", "--exit-zero"]).succeeded().stdout;
        let kept = fs::read(project.path(".assets/status.idx"));
        fs::remove_file(project.path(".assets/status.idx")).ok();
        let planned = project.run(&["status", "--exit-zero"]).succeeded().stdout;
        assert_eq!(known, planned, "seed {seed}: {history:#?}");
        if let Ok(kept) = kept {
            project.write(".assets/status.idx", kept);
        }
    }
    decided
}

#[test]
fn what_moved_files_alone_decide_is_what_everything_decides() {
    let seeds = 0..number("ASSETS_KNOWN_CASES").unwrap_or(CASES);
    let only = number("ASSETS_KNOWN_SEED");
    let decided: usize = seeds.filter(|it| only.is_none_or(|only| only == *it)).map(case).sum();
    assert!(decided > 0, "nothing was decided that way: the test shows nothing");
    eprintln!("{decided} ops were decided by their moved files alone");
}

/// A run by force failed, and what was made before still stands: what it is, is not for moved files alone
/// to say.
#[test]
fn a_failure_is_told_whatever_has_moved_since() {
    let picky = asset("picky", "[ ! -e bad ] && cat one.txt > {{ output }}");
    let project = Project::new().manifest(&format!("{picky}sources = [\"one.txt\"]\n")).file("one.txt", "1\n");
    project.run(&["materialize"]).succeeded();
    project.write("bad", "");
    project.run(&["materialize", "-f"]).exited(1);
    project.remove("bad");
    project.run(&["status"]).succeeded();
    project.write("one.txt", "2\n");
    assert_eq!(compare(&project), 0, "decided by its moved file alone");
    assert!(project.run(&["status"]).exited(3).stdout.contains("1 asset: 1 failed"));
}
