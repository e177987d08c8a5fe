//! A query as a step: this very program, told in a file what to run and what the names in it stand for.

use std::os::unix::ffi::OsStrExt;

use crate::{
    base::{fs, path::ProjectPath},
    exec::{
        query::{Engine, From, Input, Request, SUBCOMMAND},
        run::{
            context::RunContext,
            prepare::{PrepareError, SpecParts},
            render::Given,
        },
    },
    model::{
        format::TableFormat,
        project::{IoId, IoKind, NodeBody, NodeId, Project, Sql, SqlTable},
        sql::inputs::{source_format, table_format},
    },
};

/// Program and arguments.
///
/// # Errors
/// A place that cannot be written to.
pub fn query_argv(context: &RunContext<'_>, sql: &Sql, parts: &SpecParts<'_>) -> Result<Vec<Vec<u8>>, PrepareError> {
    let workspace = context.workspace;
    let project = &*workspace.project;
    let output = &parts.outputs[0];
    let asset = project.nodes[output.node].asset().expect("a query makes an asset");
    let io = asset.io;
    let engine = match (&project.io_managers[io].kind, asset.format.as_deref()) {
        (IoKind::Sqlite { path }, _) => Engine::Sqlite { database: path.under(&workspace.root) },
        (IoKind::Fs { .. } | IoKind::ObjectStore { .. }, Some(format)) => Engine::DataFusion {
            format: TableFormat::of_extension(format).expect("the manifest lets queries write tables only"),
            spill: workspace.root.join(".assets/tmp").join(format!("query-{}", parts.attempt)),
        },
        _ => unreachable!("the manifest lets queries run only where there is an engine"),
    };
    let request = Request {
        sql: sql.text.clone(),
        shown: sql.name(),
        engine,
        inputs: sql.tables.iter().map(|it| input(context, it, io, parts.given)).collect(),
        output: output.path.clone(),
    };
    let file = workspace.root.join(parts.log).with_extension("json");
    let failed = |message: String| PrepareError::Render { message, help: Vec::new() };
    let bytes = serde_json::to_vec_pretty(&request).map_err(|it| failed(it.to_string()))?;
    fs::write(&file, &bytes).map_err(|it| failed(it.to_string()))?;
    Ok(vec![b"/proc/self/exe".to_vec(), SUBCOMMAND.into(), file.as_os_str().as_bytes().to_vec()])
}

/// The SQLite database that keeps it.
pub fn database_of(project: &Project, node: NodeId) -> Option<&ProjectPath> {
    match &project.io_managers[project.nodes[node].asset()?.io].kind {
        IoKind::Sqlite { path } => Some(path),
        _ => None,
    }
}

/// What a name in a query of the IO manager `io` stands for.
pub fn input(context: &RunContext<'_>, table: &SqlTable, io: IoId, given: &[(NodeId, Given)]) -> Input {
    let workspace = context.workspace;
    let given = || match given.iter().find(|it| it.0 == table.node).map(|it| &it.1) {
        Some(Given::One(path)) => vec![path.into()],
        Some(Given::Many(paths)) => paths.iter().map(Into::into).collect(),
        None => Vec::new(),
    };
    let from = match &workspace.project.nodes[table.node].body {
        NodeBody::Asset(it) => match database_of(&workspace.project, table.node) {
            Some(_) if it.io == io => From::Table(it.path.to_string()),
            Some(database) => From::Sqlite { database: database.under(&workspace.root), table: it.path.to_string() },
            None => From::Files { paths: given(), format: readable(table_format(it)) },
        },
        NodeBody::Source(source) => From::Files { paths: given(), format: readable(source_format(source)) },
    };
    Input { name: table.name.clone(), from }
}

fn readable(format: Option<TableFormat>) -> TableFormat {
    format.expect("the manifest lets queries read tables only")
}
