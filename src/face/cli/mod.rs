//! The command line: arguments in, an exit code out. One file for each command.

mod accept;
mod again;
pub mod args;
mod backfill;
mod backfill_args;
mod check;
mod check_step;
mod choosing;
mod clean;
mod codes;
pub mod complete;
mod completions;
mod defer;
mod diff;
mod doctor;
pub mod error;
mod foreign;
mod gc;
mod git;
mod graph;
mod help;
mod impact;
mod init;
mod inside;
mod job;
mod list;
mod logs;
mod man;
mod materialize;
mod mv;
mod partition_args;
mod partitions;
mod past;
mod plan;
mod preview;
mod query;
mod query_step;
mod refresh;
mod render;
mod retry;
mod rows;
mod runs;
mod schema;
mod selecting;
mod shells;
mod show;
mod status;
mod validate;
mod watch;
mod why;
mod work;

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use clap::Parser;

use crate::{
    base::env::Environment,
    face::{
        app::Opening,
        cli::{
            args::{Cli, Command, Global, When},
            error::Failure,
        },
        exit::Exit,
        ui::{Ui, Volume, color::ColorChoice},
    },
};

pub use work::work;

/// What every command is given.
pub struct Context {
    pub ui: Arc<Ui>,
    pub opening: Opening,
    pub json: bool,
    /// As typed, for the history of runs.
    pub typed: Vec<String>,
}

/// Runs one command.
pub fn main(arguments: Vec<OsString>, env: Environment) -> Exit {
    if complete::answer(&arguments, &env) {
        return Exit::Done;
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // clap's own words: help and version on stdout, mistakes on stderr.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let ui = Arc::new(ui(&cli.global, &env));
    let typed = arguments.iter().skip(1).map(|it| it.to_string_lossy().into_owned()).collect();
    let opening = match opening(&cli.global, env) {
        Ok(it) => it,
        Err(failure) => return tell(&ui, &failure),
    };
    let context = Context { ui, opening, json: cli.global.json, typed };
    match dispatch(&context, cli.command) {
        Ok(exit) => exit,
        Err(failure) => tell(&context.ui, &failure),
    }
}

fn ui(global: &Global, env: &Environment) -> Ui {
    let color = match global.color {
        When::Auto => ColorChoice::Auto,
        When::Always => ColorChoice::Always,
        When::Never => ColorChoice::Never,
    };
    let volume = match (global.quiet, global.verbose) {
        (true, _) => Volume::Quiet,
        (_, true) => Volume::Verbose,
        _ => Volume::Normal,
    };
    Ui::of_process(color, volume, env)
}

fn opening(global: &Global, env: Environment) -> Result<Opening, Failure> {
    let mut vars = Vec::new();
    for it in &global.var {
        let Some((name, value)) = it.split_once('=') else {
            return Err(Failure::usage(format!("`--var {it}` has no value")).hint("write `--var NAME=VALUE`"));
        };
        vars.push((name.to_owned(), value.to_owned()));
    }
    let target = global.target.clone().or_else(|| env.get("ASSETS_TARGET").map(str::to_owned));
    let target = target.filter(|it| !it.is_empty());
    Ok(Opening { start: global.directory.clone().unwrap_or_else(|| PathBuf::from(".")), target, vars, env })
}

fn tell(ui: &Ui, failure: &Failure) -> Exit {
    if failure.diagnostics.is_empty() {
        ui.error(&failure.message, &failure.hints);
    } else {
        ui.diagnostics(&failure.diagnostics, &failure.sources);
    }
    failure.exit
}

fn dispatch(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Validate => validate::run(context),
        Command::List(args) => list::run(context, &args),
        Command::Graph(args) => graph::run(context, &args),
        Command::Status(args) => status::run(context, &args),
        Command::Why(args) => why::run(context, &args),
        Command::Plan(args) => plan::run(context, &args),
        Command::Materialize(args) => materialize::run(context, &args),
        Command::Impact(args) => impact::run(context, &args),
        Command::Partitions(args) => partitions::run(context, &args),
        Command::Backfill(args) => backfill::run(context, &args),
        Command::Job(args) => job::run(context, &args),
        Command::Check(args) => check::run(context, &args),
        Command::Watch(args) => watch::run(context, &args),
        Command::Init(args) => init::run(context, &args),
        Command::Show(args) => show::run(context, &args),
        Command::Preview(args) => preview::run(context, &args),
        Command::Diff(args) => diff::run(context, &args),
        Command::Query(args) => query::run(context, &args),
        Command::Render(args) => render::run(context, &args),
        Command::Runs(args) => runs::run(context, &args),
        Command::Logs(args) => logs::run(context, &args),
        Command::Retry(args) => retry::run(context, &args),
        Command::Accept(args) => accept::run(context, &args),
        Command::Mv(args) => mv::run(context, &args),
        Command::Gc(args) => gc::run(context, &args),
        Command::Clean(args) => clean::run(context, &args),
        Command::Doctor => doctor::run(context),
        Command::Schema(args) => schema::run(context, &args),
        Command::Completions(args) => completions::run(context, &args),
        Command::Man(args) => man::run(context, &args),
        Command::Help(args) => help::run(context, &args),
    }
}
