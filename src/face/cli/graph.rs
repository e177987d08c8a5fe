//! `assets graph`: what is made from what.

use crate::{
    face::{
        app::App,
        cli::{
            Context,
            args::{GraphArgs, GraphFormat},
            error::Failure,
            selecting,
        },
        exit::Exit,
        report::graph::{self, Lineage},
    },
    plan::{
        store::folder::Access,
        survey::{Forced, Request, Survey, survey},
    },
};

pub fn run(context: &Context, args: &GraphArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Read, false, &context.ui)?;
    let project = app.project();
    let nodes = selecting::select(project, Some(&app), &args.words, &args.selection, &context.ui)?;
    let surveyed: Option<Survey> = if args.status {
        let scope = project.assets_with_upstream(&nodes);
        Some(survey(
            &app.workspace.world(),
            &Request { scope: &scope, runs: &scope, forced: Forced::Nothing, only: None },
        )?)
    } else {
        None
    };
    let format = if context.json { GraphFormat::Json } else { args.format };
    let state = |node| surveyed.as_ref().and_then(|it: &Survey| it.state(node));
    let lineage = Lineage { project, nodes: &nodes, states: &state };
    context.ui.print(&match format {
        GraphFormat::Text => graph::text(lineage, context.ui.style()),
        GraphFormat::Mermaid => graph::mermaid(lineage),
        GraphFormat::Dot => graph::dot(lineage),
        GraphFormat::Json => graph::json(lineage),
    })?;
    Ok(Exit::Done)
}
