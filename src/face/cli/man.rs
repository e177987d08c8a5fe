//! `assets man`: the manual, made from the same words as `--help`.

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::{
    base::fs,
    face::{
        cli::{
            Context,
            args::{Cli, ManArgs},
            error::Failure,
        },
        exit::Exit,
    },
};

pub fn run(context: &Context, args: &ManArgs) -> Result<Exit, Failure> {
    let Some(folder) = &args.folder else {
        context.ui.print(&rendered(Cli::command())?)?;
        return Ok(Exit::Done);
    };
    fs::create_folder(folder)?;
    let pages = pages()?;
    for (name, text) in &pages {
        fs::write(&folder.join(name), text.as_bytes())?;
    }
    context.ui.say(&format!("{} pages written to {}", pages.len(), folder.display()));
    Ok(Exit::Done)
}

/// Name and text of the page of the program and of each command.
fn pages() -> Result<Vec<(String, String)>, Failure> {
    let mut whole = Cli::command();
    whole.build();
    let mut pages = vec![("assets.1".to_owned(), rendered(Cli::command())?)];
    for it in whole.get_subcommands().filter(|it| !it.is_hide_set()) {
        // What is built knows its full name, and the options that are taken everywhere.
        pages.push((Man::new(it.clone()).get_filename(), rendered(it.clone())?));
    }
    Ok(pages)
}

fn rendered(command: Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
