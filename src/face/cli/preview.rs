//! `assets preview KEY`: the first rows of what is published, or of the files of a source.

use crate::{
    exec::relation::relation,
    face::{
        app::App,
        cli::{Context, args::PreviewArgs, error::Failure, rows::Printer, show::named},
        exit::Exit,
    },
    plan::store::folder::Access,
};

pub fn run(context: &Context, args: &PreviewArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Read, false, &context.ui)?;
    let node = named(app.project(), &args.key)?;
    let failed = |it: String| Failure::new(Exit::Failed, format!("{}: {it}", args.key));
    let from = relation(&app.workspace, node).map_err(|it| Failure::new(Exit::Failed, it.to_string()))?;
    let rows = from.rows().map_err(|it| failed(it.to_string()))?;
    let mut printer = Printer::new(context, args.format, Some(args.rows), rows.schema());
    for batch in rows {
        if !printer.take(&batch.map_err(|it| failed(it.to_string()))?)? {
            break;
        }
    }
    printer.finish()?;
    Ok(Exit::Done)
}
