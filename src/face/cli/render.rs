//! `assets render KEY`: the SQL of an asset as it is run, with everything inserted.

use crate::{
    face::{
        app::App,
        cli::{Context, args::RenderArgs, choosing, error::Failure, show::named},
        exit::Exit,
    },
    model::project::Action,
    plan::store::folder::Access,
};

pub fn run(context: &Context, args: &RenderArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Read, false, &context.ui)?;
    let node = named(app.project(), &args.key)?;
    let op = app.project().op_of(node);
    let Some((op, Action::Sql(sql))) = op.map(|it| (it, &app.project().ops[it].action)) else {
        let failure = Failure::usage(format!("`{}` is not made by a query", args.key));
        return Err(failure.hint("`assets show KEY` tells what makes it"));
    };
    let face = match (args.incremental, &sql.incremental) {
        (false, _) => &**sql,
        (true, Some(it)) => &it.adding,
        (true, None) => {
            let failure = Failure::usage(format!("`{}` is not incremental", args.key));
            return Err(failure.hint("materialized = \"incremental\" makes it so"));
        }
    };
    let partition = choosing::partition_of(&app, node, args.partition.as_deref())?;
    let told = app.workspace.partitions.told(op, &partition);
    context.ui.print(&format!("{}\n", face.shown_of(&told).trim_end()))?;
    Ok(Exit::Done)
}
