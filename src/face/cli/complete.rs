//! What a shell is answered while somebody types: commands, options, and names of this project.
//!
//! Reads the manifest, of backfills the state, and nothing else, runs nothing, and is silent on any mistake: a broken
//! manifest completes to nothing.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Command, CommandFactory};
use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCompleter, CompletionCandidate},
};

use crate::{
    base::env::Environment,
    face::{
        app::{self, Opening},
        cli::{args::Cli, help, init, schema, shells::SHELLS},
    },
    model::project::Project,
    plan::{
        hash::boot,
        store::{
            StateStore,
            folder::{Access, StateFolder},
            sqlite::Disk,
        },
    },
};

/// Set by the shell's script to the name of the shell.
pub const VARIABLE: &str = "COMPLETE";

/// Answers if a shell asks. `true`: it did, and everything is said.
pub fn answer(arguments: &[OsString], env: &Environment) -> bool {
    if env.get(VARIABLE).is_none_or(str::is_empty) {
        return false;
    }
    let opening = Arc::new(opening(arguments, env));
    let here = crate::base::fs::canonical(Path::new(".")).ok();
    let answered = CompleteEnv::with_factory(|| command(&opening))
        .var(VARIABLE)
        .completer("assets")
        .shells(SHELLS)
        .try_complete(arguments.iter().cloned(), here.as_deref());
    // Nothing may be printed between a person and their prompt.
    answered.unwrap_or(true)
}

/// `-C` and `-t` as typed so far.
fn opening(arguments: &[OsString], env: &Environment) -> Opening {
    let words: Vec<&str> = arguments.iter().filter_map(|it| it.to_str()).collect();
    let after = |names: [&str; 2]| {
        let at = words.iter().position(|it| names.contains(it))?;
        words.get(at + 1).map(|it| (*it).to_owned())
    };
    Opening {
        start: after(["-C", "--directory"]).map_or_else(|| PathBuf::from("."), PathBuf::from),
        target: after(["-t", "--target"]).or_else(|| env.get("ASSETS_TARGET").map(str::to_owned)),
        vars: Vec::new(),
        env: env.clone(),
    }
}

/// The command line with what can be known of values.
fn command(opening: &Arc<Opening>) -> Command {
    let of_project = |found: fn(&Project, &str) -> Vec<String>| {
        let opening = opening.clone();
        ArgValueCompleter::new(move |typed: &OsStr| {
            let (Some(typed), Ok(read)) = (typed.to_str(), app::read(&opening)) else { return Vec::new() };
            candidates(found(&read.project, typed), typed)
        })
    };
    let fixed = |names: Vec<&'static str>| {
        ArgValueCompleter::new(move |typed: &OsStr| {
            candidates(names.iter().map(|it| (*it).to_owned()), typed.to_str().unwrap_or_default())
        })
    };
    let mut command = Cli::command();
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    for name in names {
        let topics = help::topics();
        command = command.mut_subcommand(&name, |it| {
            it.mut_args(|argument| {
                let completer = match (&*name, argument.get_id().as_str()) {
                    ("help", "words") => fixed(topics.clone()),
                    ("init", "template") => fixed(init::TEMPLATES.iter().map(|it| it.name).collect()),
                    ("schema", "name") => fixed(schema::ALL.iter().map(|it| it.0).collect()),
                    (_, "words" | "select" | "exclude" | "keys") => of_project(in_selection),
                    ("show", "key") => of_project(any_key),
                    (_, "key" | "old" | "new") => of_project(asset_key),
                    (_, "job") => of_project(|project, _| project.jobs.keys().cloned().collect()),
                    _ => return argument,
                };
                argument.add(completer)
            })
        });
    }
    let backfill = || {
        let opening = opening.clone();
        ArgValueCompleter::new(move |typed: &OsStr| {
            candidates(backfills(&opening).unwrap_or_default(), typed.to_str().unwrap_or_default())
        })
    };
    let of_known = ["show", "pause", "resume", "cancel", "retry"];
    command = command.mut_subcommand("backfill", |it| {
        of_known.iter().fold(it, |it, what| it.mut_subcommand(what, |it| it.mut_arg("name", |it| it.add(backfill()))))
    });
    let job = of_project(|project, _| project.jobs.keys().cloned().collect());
    command.mut_subcommand("job", |it| it.mut_subcommand("run", |it| it.mut_arg("name", |it| it.add(job))))
}

/// The names of the backfills that are known.
fn backfills(opening: &Opening) -> Option<Vec<String>> {
    let read = app::read(opening).ok()?;
    let folder = StateFolder::open(&read.root, Access::Read).ok()?;
    let folder = match &read.project.target {
        Some(target) => folder.of_target(target).ok()?,
        None => folder,
    };
    let disk = if boot::is_on_network(&read.root) { Disk::Network } else { Disk::Local };
    let all = folder.store(disk).ok()?.store.backfills().ok()?;
    Some(all.into_iter().map(|it| it.name).collect())
}

fn candidates(found: impl IntoIterator<Item = String>, typed: &str) -> Vec<CompletionCandidate> {
    let matching: BTreeSet<String> = found.into_iter().filter(|it| it.starts_with(typed)).collect();
    matching.into_iter().map(CompletionCandidate::new).collect()
}

fn any_key(project: &Project, _typed: &str) -> Vec<String> {
    project.nodes.values().map(|it| it.key.to_string()).collect()
}

fn asset_key(project: &Project, _typed: &str) -> Vec<String> {
    project.assets().map(|(_, node, _)| node.key.to_string()).collect()
}

/// What can stand where the cursor is in a selection: the last name of what is typed, whatever
/// operators stand before it.
fn in_selection(project: &Project, typed: &str) -> Vec<String> {
    let start = typed.rfind([',', '(', ' ', '+', '@']).map_or(0, |it| it + 1);
    let (before, word) = typed.split_at(start);
    let nodes = || project.nodes.values();
    let values: BTreeSet<String> = match word.split_once(':') {
        None => {
            let tests = ["tag:", "group:", "owner:", "kind:", "io:", "path:", "status:", "changed:"];
            let keys = nodes().map(|it| it.key.to_string());
            keys.chain(tests.map(str::to_owned).into_iter().filter(|_| !word.is_empty())).collect()
        }
        Some(("tag", _)) => {
            nodes().flat_map(|it| &it.tags).map(|(name, value)| format!("tag:{name}={value}")).collect()
        }
        Some(("group", _)) => nodes().filter_map(|it| it.group.as_ref()).map(|it| format!("group:{it}")).collect(),
        Some(("owner", _)) => nodes().flat_map(|it| &it.owners).map(|it| format!("owner:{it}")).collect(),
        Some(("kind", _)) => nodes().flat_map(|it| &it.kinds).map(|it| format!("kind:{it}")).collect(),
        Some(("io", _)) => project.io_managers.values().map(|it| format!("io:{}", it.name)).collect(),
        Some(("status", _)) => {
            crate::model::staleness::State::ALL.iter().map(|it| format!("status:{}", it.name())).collect()
        }
        Some(_) => BTreeSet::new(),
    };
    values.into_iter().map(|it| format!("{before}{it}")).collect()
}
