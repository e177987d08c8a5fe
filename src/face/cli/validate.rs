//! `assets validate`: the manifest alone, offline; and its queries, as far as the engines that are built in can tell
//! what they do not know.

use crate::face::{
    app,
    cli::{Context, error::Failure, foreign},
    exit::Exit,
    report::{
        json,
        validate::{SCHEMA, ValidateDocument},
    },
    ui::words,
};

pub fn run(context: &Context) -> Result<Exit, Failure> {
    let mut read = app::read(&context.opening)?;
    if !read.warnings.is_empty() {
        context.ui.diagnostics(&read.warnings, &read.sources);
    }
    let ops = read.project.ops.values();
    let mistakes = foreign::mistakes(&read.project, &read.root, ops, &mut read.sources);
    if !mistakes.is_empty() {
        return Err(Failure::of_diagnostics(mistakes, read.sources));
    }
    let assets = read.project.assets().count();
    let sources = read.project.len() - assets;
    if context.json {
        context.ui.print(&json(&ValidateDocument {
            schema: SCHEMA,
            project: read.project.name.clone(),
            target: read.project.target.clone(),
            manifests: read.project.manifests.iter().map(ToString::to_string).collect(),
            assets,
            sources,
        }))?;
    } else {
        let files = words::count(read.project.manifests.len(), "file");
        let (assets, sources) = (words::count(assets, "asset"), words::count(sources, "source"));
        context.ui.print(&format!("{}: {assets}, {sources} in {files}, no mistakes\n", read.project.name))?;
    }
    Ok(Exit::Done)
}
