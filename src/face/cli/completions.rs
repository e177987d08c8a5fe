//! `assets completions SHELL`: the few lines of shell that ask this program for completions.
//!
//! What it then answers is in `complete`.

use crate::face::{
    cli::{
        Context,
        args::{CompletionsArgs, Shell},
        complete,
        error::Failure,
        shells::SHELLS,
    },
    exit::Exit,
};

pub fn run(context: &Context, args: &CompletionsArgs) -> Result<Exit, Failure> {
    let name = match args.shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
        Shell::Elvish => "elvish",
        Shell::Powershell => "powershell",
    };
    let shell = SHELLS.completer(name).expect("every shell of the arguments is there");
    let mut script = Vec::new();
    shell.write_registration(complete::VARIABLE, "assets", "assets", "assets", &mut script)?;
    context.ui.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
