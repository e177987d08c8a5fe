//! A query as a step: this very program, told in a file what to run and what the names in it stand for.

use std::os::unix::ffi::OsStrExt;

use crate::{
    base::fs,
    exec::{
        query::{From, Input, Request, SUBCOMMAND},
        run::{
            context::RunContext,
            prepare::{PrepareError, SpecParts},
            render::Given,
        },
    },
    model::project::{IoId, IoKind, NodeBody, Sql, SqlTable},
};

/// Program and arguments.
///
/// # Errors
/// A place that cannot be written to.
pub fn query_argv(context: &RunContext<'_>, sql: &Sql, parts: &SpecParts<'_>) -> Result<Vec<Vec<u8>>, PrepareError> {
    let workspace = context.workspace;
    let project = &*workspace.project;
    let output = &parts.outputs[0];
    let io = project.nodes[output.node].asset().expect("a query makes an asset").io;
    let IoKind::Sqlite { path } = &project.io_managers[io].kind else {
        unreachable!("the manifest lets queries run in databases only")
    };
    let request = Request {
        sql: sql.text.clone(),
        shown: sql.name(),
        database: path.under(&workspace.root),
        inputs: sql.tables.iter().map(|it| input(context, it, io, parts)).collect(),
        output: output.staged.path.clone(),
    };
    let file = workspace.root.join(parts.log).with_extension("json");
    let failed = |message: String| PrepareError::Render { message, help: Vec::new() };
    let bytes = serde_json::to_vec_pretty(&request).map_err(|it| failed(it.to_string()))?;
    fs::write(&file, &bytes).map_err(|it| failed(it.to_string()))?;
    Ok(vec![b"/proc/self/exe".to_vec(), SUBCOMMAND.into(), file.as_os_str().as_bytes().to_vec()])
}

fn input(context: &RunContext<'_>, table: &SqlTable, io: IoId, parts: &SpecParts<'_>) -> Input {
    let from = match &context.workspace.project.nodes[table.node].body {
        NodeBody::Asset(it) if it.io == io => From::Table(it.path.to_string()),
        _ => {
            let given = parts.given.iter().find(|it| it.0 == table.node);
            From::Csv(match given.map(|it| &it.1) {
                Some(Given::One(path)) => vec![path.into()],
                Some(Given::Many(paths)) => paths.iter().map(Into::into).collect(),
                None => Vec::new(),
            })
        }
    };
    Input { name: table.name.clone(), from }
}
