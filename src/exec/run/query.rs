//! A query as a step: this very program, told what to run and what the names in it stand for.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    base::id::Id,
    exec::{
        io::{
            Loaded, Slice,
            adbc::open::database,
            maker::Maker,
            postgres::{connect::rendered, staged_table},
        },
        query::{Engine, From, Input, Part, Request, SUBCOMMAND, Written, adbc::INSIDE, postgres::Connection},
        run::{
            context::{RunContext, Workspace},
            prepare::{PrepareError, SpecParts},
            render::Given,
        },
    },
    model::{
        format::TableFormat,
        project::{
            AdbcDatabase, Asset, Home, IoId, IoKind, IoManager, NodeBody, NodeId, Project, Sql, SqlTable, SqlTemplate,
        },
        sql::{
            in_partition::in_partition,
            inputs::{source_format, table_format},
        },
    },
};

/// Program and arguments.
///
/// # Errors
/// Inputs that cannot be told.
pub fn query_argv(
    context: &RunContext<'_>,
    sql: &Sql,
    parts: &SpecParts<'_>,
    told: &BTreeMap<String, String>,
) -> Result<Vec<Vec<u8>>, PrepareError> {
    let workspace = context.workspace;
    let project = &*workspace.project;
    let output = &parts.outputs[0];
    let asset = project.nodes[output.node].asset().expect("a query makes an asset");
    let io = asset.io;
    let mut subcommand = SUBCOMMAND;
    let engine = match (&project.io_managers[io].kind, asset.format.as_deref()) {
        (IoKind::Sqlite { path }, _) => Engine::Sqlite { database: path.under(&workspace.root) },
        (IoKind::Postgres { .. }, _) => Engine::Postgres {
            connection: connection(project, asset).expect("it is a Postgres database"),
            table: staged_table(&output.path).expect("it is staged in a folder that is called so"),
        },
        (IoKind::Adbc(it), _) => {
            subcommand = INSIDE;
            Engine::Adbc {
                database: place_name(it, workspace),
                table: staged_table(&output.path).expect("it is staged in a folder that is called so"),
                publishes: is_published_as_it_is(context, asset, parts).then(|| asset.path.to_string()),
            }
        }
        (IoKind::Fs { .. } | IoKind::ObjectStore { .. }, Some(format)) => Engine::DataFusion {
            format: TableFormat::of_extension(format).expect("the manifest lets queries write tables only"),
            spill: spill(&workspace.root, parts.attempt),
        },
        _ => unreachable!("the manifest lets queries run only where there is an engine"),
    };
    let face = sql.face(parts.adds);
    let old = if parts.adds { Some(own(context, parts)?) } else { None };
    let of = |it: &SqlTable| match (&old, input(context, it, io, parts.given)) {
        (Some(from), _) if it.node == output.node => Input { name: it.name.clone(), from: from.clone() },
        // A view reads whatever the table holds when it is asked.
        (_, Input { name, from: From::Part { of, .. } }) if asset.publishing.view => Input { name, from: *of },
        (_, input) => input,
    };
    if asset.publishing.view
        && let Some(it) = face
            .tables
            .iter()
            .find(|it| context.workspace.deferred.as_ref().is_some_and(|that| that.lender(it.node).is_some()))
    {
        let key = project.key(it.node);
        let message = format!("a view cannot read {key}, which is in the database of another target");
        return Err(PrepareError::Render { message, help: vec![format!("select {key} too, so that it is made here")] });
    }
    let in_tables = matches!(engine, Engine::Postgres { .. } | Engine::Adbc { .. });
    let part = |(slice, path): &(Slice, PathBuf)| Part {
        slice: slice.clone(),
        output: path.clone(),
        table: staged_table(path).filter(|_| in_tables),
    };
    let (text, places) = in_partition(&face.text, told);
    let written = face.template.as_ref();
    let written = written.map(|it| Written { text: it.written.clone(), places: places.through(&it.places) });
    let home = face.home.as_ref();
    let home = home.map(|it| Home { text: text.clone(), places: places.through(&it.places), file: it.file.clone() });
    let request = Request {
        sql: text,
        written,
        secrets: face.template.iter().flat_map(SqlTemplate::secrets).map(str::to_owned).collect(),
        shown: sql.name(),
        home,
        root: workspace.root.clone(),
        engine,
        inputs: face.tables.iter().map(of).collect(),
        output: output.path.clone(),
        unique_key: sql.incremental.as_ref().map(|it| it.unique_key.clone()).unwrap_or_default(),
        view: asset.publishing.view,
        parts: parts.together.iter().map(part).collect(),
        old,
    };
    // A path that is no text cannot be told to a worker.
    let told = serde_json::to_vec(&request);
    let told = told.map_err(|it| PrepareError::Render { message: it.to_string(), help: Vec::new() })?;
    Ok(vec![b"/proc/self/exe".to_vec(), subcommand.into(), told])
}

/// Whether a table of an asset is made as a whole, and nothing looks at it or is done with it before others may see it.
fn is_published_as_it_is(context: &RunContext<'_>, asset: &Asset, parts: &SpecParts<'_>) -> bool {
    let (workspace, output) = (context.workspace, &parts.outputs[0]);
    let is_checked = !workspace.project.ops[asset.op].checks.is_empty();
    let is_whole = !parts.adds && parts.together.is_empty() && !workspace.partitions.cuts(output.node);
    is_whole && !is_checked && !asset.publishing.view && !asset.publishing.does_more()
}

/// Where a query puts what does not fit into memory.
pub fn spill(root: &Path, attempt: &str) -> PathBuf {
    root.join(".assets/tmp").join(format!("query-{attempt}"))
}

/// How the database is called in this process.
pub fn place_name(it: &AdbcDatabase, workspace: &Workspace) -> String {
    let maker = Maker::new(&workspace.project.name);
    database(&workspace.root, it, &workspace.project.vars, &workspace.env, maker).place.name.clone()
}

/// Whether a query of `io` needs a copy of the rows of `node`: its database is another (that of a target which
/// lends it always is), and open to this process only.
pub fn is_copied(project: &Project, node: NodeId, io: IoId, lent: bool) -> bool {
    let asset = project.nodes[node].asset();
    asset.is_some_and(|it| (it.io != io || lent) && matches!(project.io_managers[it.io].kind, IoKind::Adbc(_)))
}

/// What is there of the asset that is made.
fn own(context: &RunContext<'_>, parts: &SpecParts<'_>) -> Result<From, PrepareError> {
    let (workspace, node) = (context.workspace, parts.outputs[0].node);
    let asset = workspace.project.nodes[node].asset().expect("a query makes an asset");
    if workspace.project.is_in_database(node) {
        return Ok(From::Table(asset.table().1));
    }
    let loaded = workspace.io_of(node).load(&workspace.target(node, &parts.step.partition))?;
    let Loaded::Path(path) = loaded else { unreachable!("what no database keeps lies in files") };
    Ok(From::Files { paths: vec![path], format: readable(table_format(asset)) })
}

/// How a process of ours reaches the Postgres database of an asset, and its schema there.
pub fn connection(project: &Project, asset: &Asset) -> Option<Connection> {
    match &project.io_managers[asset.io].kind {
        IoKind::Postgres { schema, .. } => {
            Some(Connection { variable: variable(OWN, asset.io), schema: asset.table().0.or(schema.clone()) })
        }
        _ => None,
    }
}

/// What the variables with our addresses begin with, and those with addresses of the target that lends.
const OWN: &str = "ASSETS_CONNECTION_";
const LENT: &str = "ASSETS_LENT_CONNECTION_";

fn variable(whose: &str, io: IoId) -> String {
    format!("{whose}{}", io.index())
}

/// What such a process is told in its environment, and in no file: the addresses of all Postgres databases.
pub fn connections(context: &RunContext<'_>) -> Vec<(String, String)> {
    let own = addresses(context.workspace, OWN);
    let lent = context.workspace.deferred.as_ref().map(|it| addresses(it.workspace(), LENT));
    own.into_iter().chain(lent.into_iter().flatten()).collect()
}

fn addresses(workspace: &Workspace, whose: &str) -> Vec<(String, String)> {
    let managers = workspace.project.io_managers.iter();
    let address = |(io, it): (IoId, &IoManager)| match &it.kind {
        // What is wrong with it is told by whoever asks the database.
        IoKind::Postgres { url, .. } => {
            Some((variable(whose, io), rendered(url, &workspace.project.vars, &workspace.env).ok()?))
        }
        _ => None,
    };
    managers.filter_map(address).collect()
}

/// What a name in a query of the IO manager `io` stands for.
pub fn input(context: &RunContext<'_>, table: &SqlTable, io: IoId, given: &[(NodeId, Given)]) -> Input {
    let (workspace, node) = context.workspace.keeper(table.node);
    let is_lent = context.workspace.deferred.as_ref().is_some_and(|it| it.lender(table.node).is_some());
    let slices = given.iter().find(|it| it.0 == table.node).map(|it| &it.1);
    let given = || slices.map(|it| it.all().iter().map(Into::into).collect()).unwrap_or_default();
    let from = match &workspace.project.nodes[node].body {
        _ if matches!(slices, Some(Given::Columns(_))) => From::Files { paths: given(), format: TableFormat::Arrow },
        // The rows of the partitions that are read, and no others.
        NodeBody::Asset(it) if matches!(slices, Some(Given::Slices(_))) => {
            let Some(Given::Slices(slices)) = slices else { unreachable!("it was looked at") };
            let of = match connection(&workspace.project, it) {
                Some(connection) => From::Postgres { connection, table: it.table().1 },
                None => From::Table(it.path.to_string()),
            };
            From::Part { of: Box::new(of), slices: slices.clone() }
        }
        NodeBody::Asset(it)
            if slices.is_some()
                && workspace.partitions.cuts(node)
                && workspace.project.io_managers[it.io].kind.database().is_some() =>
        {
            From::Files { paths: given(), format: TableFormat::Arrow }
        }
        NodeBody::Asset(it) => match &workspace.project.io_managers[it.io].kind {
            // Its tables are in several schemas.
            IoKind::Postgres { schema, schema_from_key, .. } if *schema_from_key || it.io != io || is_lent => {
                let (own, table) = it.table();
                let variable = variable(if is_lent { LENT } else { OWN }, it.io);
                From::Postgres { connection: Connection { variable, schema: own.or(schema.clone()) }, table }
            }
            kind if kind.database().is_some() && it.io == io && !is_lent => From::Table(it.path.to_string()),
            IoKind::Sqlite { path } => {
                From::Sqlite { database: path.under(&workspace.root), table: it.path.to_string() }
            }
            IoKind::Adbc(_) => From::Files { paths: given(), format: TableFormat::Arrow },
            _ => From::Files { paths: given(), format: readable(table_format(it)) },
        },
        NodeBody::Source(source) => From::Files { paths: given(), format: readable(source_format(source)) },
    };
    Input { name: table.name.clone(), from }
}

fn readable(format: Option<TableFormat>) -> TableFormat {
    format.expect("the manifest lets queries read tables only")
}
