//! `assets list`: what a selection means.

use crate::face::{
    app::App,
    cli::{Context, args::SelectArgs, error::Failure, selecting},
    exit::Exit,
    report::list,
};

pub fn run(context: &Context, args: &SelectArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, crate::plan::store::folder::Access::Read, false, &context.ui)?;
    let nodes = selecting::select(app.project(), Some(&app), &args.words, &args.selection, &context.ui)?;
    if context.json {
        context.ui.print(&list::json(app.project(), &nodes))?;
    } else {
        context.ui.print(&list::text(app.project(), &nodes, context.ui.style()))?;
    }
    Ok(Exit::Done)
}
