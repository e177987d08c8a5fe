//! `assets help`: of a command, or of a topic that belongs to none.

use std::fmt::Write;

use clap::CommandFactory;

use crate::{
    base::suggest,
    exec::run::environment::PASSED,
    face::{
        cli::{
            Context,
            args::{Cli, HelpArgs},
            error::Failure,
        },
        exit::Exit,
        ui::words,
    },
    model::select,
};

/// Topics and what prints them.
/// A name, and what makes its text.
type Topic = (&'static str, fn() -> String);

const TOPICS: [Topic; 3] =
    [("selection", || select::REFERENCE.to_owned()), ("exit-codes", exit_codes), ("environment", environment)];

/// Names that stand for a topic too, because people type them.
const ALSO: [(&str, &str); 5] = [
    ("select", "selection"),
    ("selections", "selection"),
    ("exit-code", "exit-codes"),
    ("exit", "exit-codes"),
    ("env", "environment"),
];

/// Variables that this program itself reads.
const READ: [(&str, &str); 8] = [
    ("ASSETS_TARGET", "the target, as `-t` gives it"),
    ("ASSETS_PROGRESS", "how progress is shown, as `--progress` gives it: auto, bar, plain or none"),
    ("NO_COLOR", "set and not empty: no colour"),
    ("FORCE_COLOR, CLICOLOR_FORCE", "set and not empty or 0: colour also where it would not be"),
    ("CLICOLOR", "0: no colour"),
    ("TERM", "dumb: no colour and no progress bar"),
    ("LC_ALL, LC_CTYPE, LANG", "the first that is set: characters beyond ASCII if it is UTF-8"),
    ("CI, GITHUB_ACTIONS", "plain progress; annotations and groups for GitHub"),
];

/// Variables that commands are given by this program.
const GIVEN: [(&str, &str); 5] = [
    ("ASSETS_KEY", "the asset, or the op, that is made"),
    ("ASSETS_RUN_ID", "the run; differs each time and never counts as a change"),
    ("ASSETS_OUTPUT", "where to write, if one asset is made"),
    ("ASSETS_OUTPUT_<KEY>", "where to write each, if several are made"),
    ("ASSETS_INPUT_<KEY>", "where each dependency is; several files are one on each line"),
];

pub fn run(context: &Context, args: &HelpArgs) -> Result<Exit, Failure> {
    let [word] = args.words.as_slice() else {
        return match args.words.as_slice() {
            [] => of_command(context, None),
            _ => Err(Failure::usage("help is given on one thing at a time").hint("`assets help` lists the commands")),
        };
    };
    let name = ALSO.iter().find(|it| it.0 == word).map_or(&**word, |it| it.1);
    match TOPICS.iter().find(|it| it.0 == name) {
        Some((_, text)) => {
            context.ui.print(&text())?;
            Ok(Exit::Done)
        }
        None => of_command(context, Some(word)),
    }
}

/// Everything that help can be asked on.
pub fn topics() -> Vec<&'static str> {
    TOPICS.iter().map(|it| it.0).collect()
}

fn of_command(context: &Context, name: Option<&str>) -> Result<Exit, Failure> {
    let mut whole = Cli::command();
    whole.build();
    let mut found = match name {
        None => whole,
        Some(name) => whole.find_subcommand(name).cloned().ok_or_else(|| unknown(&whole, name))?,
    };
    let text = found.render_long_help();
    let text = if context.ui.style().color { text.ansi().to_string() } else { text.to_string() };
    context.ui.print(&text)?;
    Ok(Exit::Done)
}

fn unknown(whole: &clap::Command, name: &str) -> Failure {
    let commands: Vec<&str> = whole.get_subcommands().flat_map(|it| it.get_name_and_visible_aliases()).collect();
    let failure = Failure::usage(format!("there is no command or topic `{name}`"));
    match suggest::nearest(name, commands.into_iter().chain(topics())) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(format!("topics are {}; `assets help` lists the commands", topics().join(", "))),
    }
}

fn exit_codes() -> String {
    let mut text = String::from("Exit codes, the same with and without --json and -q:\n\n");
    for (exit, meaning) in Exit::ALL {
        let _ = writeln!(text, "{:>5}  {meaning}", exit.code());
    }
    text
}

fn environment() -> String {
    let mut text = String::from("Read by assets:\n\n");
    let table = |text: &mut String, rows: &[(&str, &str)]| {
        for (name, meaning) in rows {
            let _ = writeln!(text, "  {}  {meaning}", words::pad_right(name, 27));
        }
    };
    table(&mut text, &READ);
    text.push_str("\nGiven to every command:\n\n");
    table(&mut text, &GIVEN);
    text.push_str("\n<KEY> is the key in capitals with every other character as `_`.\n");
    text.push_str("Passed on to every command, if set:\n");
    for row in PASSED.chunks(8) {
        let _ = write!(text, "\n  {}", row.join(" "));
    }
    text.push_str("\n\nNothing else of the caller's environment reaches a command but what the manifest declares\n");
    text.push_str("with `env`, `secret_env` and `pass_env`.\n");
    text
}
