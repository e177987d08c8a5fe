//! `assets query SQL`: one question over assets and sources, wherever they are kept, by their keys.

use crate::{
    base::span::SourceMap,
    exec::{
        copies::Copies,
        query::{Failed, From, Input, datafusion::Session},
        relation::{Relation, relation},
    },
    face::{
        app::App,
        cli::{
            Context,
            args::{QueryArgs, RowFormat},
            error::Failure,
            query_step::placed,
            rows::Printer,
            show::named,
        },
        exit::Exit,
    },
    model::{
        format::TableFormat,
        project::{NodeId, Project},
        sql::{self, Dialect, TableName},
    },
    plan::store::folder::Access,
};

/// Rows that people look at.
const TABLE_ROWS: usize = 100;

pub fn run(context: &Context, args: &QueryArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Read, false, &context.ui)?;
    let tables = sql::tables(&args.sql, Dialect::DataFusion).map_err(|it| {
        failure(Exit::Usage, &args.sql, Failed { message: it.message, at: it.at.map(|it| it.start), help: None })
    })?;
    let mut inputs = Vec::with_capacity(tables.len());
    // A query may read its tables more than once and in no order: they must lie somewhere.
    let mut copies = Copies::none(&app.workspace.root);
    for table in tables {
        let node = meant(app.project(), &table)?;
        let name = table.parts.join(".");
        let unread = |it: String| Failure::new(Exit::Failed, it);
        let from = match relation(&app.workspace, node).map_err(|it| unread(it.to_string()))? {
            Relation::Files { paths, format } => From::Files { paths, format },
            Relation::Rows(rows) => {
                let copy = copies.of_rows(app.project().key(node).as_str(), rows, TableFormat::Arrow);
                let copy = copy.map_err(|it| unread(format!("{name}: {it}")))?;
                From::Files { paths: vec![copy], format: TableFormat::Arrow }
            }
        };
        inputs.push(Input { name, from });
    }
    let folder = app.workspace.root.join(".assets/tmp").join(format!("ask-{}", std::process::id()));
    let failed = |it: Failed| failure(Exit::Failed, &args.sql, it);
    let session = Session::of(&inputs, &folder).map_err(failed)?;
    let limit = args.rows.or((args.format == RowFormat::Table).then_some(TABLE_ROWS));
    let mut printer: Option<Printer<'_>> = None;
    let mut trouble = None;
    let asked = session.each(&args.sql, &mut |batch| {
        let printer = printer.get_or_insert_with(|| Printer::new(context, args.format, limit, batch.schema()));
        printer.take(batch).map_err(|error| {
            trouble = Some(error);
            Failed::plain("the rows could not be printed")
        })
    });
    if let Some(error) = trouble {
        return Err(error);
    }
    let schema = asked.map_err(failed)?;
    printer.unwrap_or_else(|| Printer::new(context, args.format, limit, schema)).finish()?;
    Ok(Exit::Done)
}

fn failure(exit: Exit, sql: &str, failed: Failed) -> Failure {
    let plain = Failure::new(exit, failed.message.clone());
    let mut sources = SourceMap::default();
    match placed("query", sql, &failed, &mut sources) {
        Some(told) => Failure { diagnostics: vec![told], sources, ..plain },
        None => failed.help.into_iter().fold(plain, Failure::hint),
    }
}

/// The asset or source that a table's name means.
fn meant(project: &Project, table: &TableName) -> Result<NodeId, Failure> {
    let keys = || project.nodes.iter().map(|it| it.1.key.as_str());
    let exact = |name: &str| project.node(name).map(|it| project.key(it).as_str());
    if let Some(node) = table.meant(exact, keys()).and_then(|it| project.node(it)) {
        return Ok(node);
    }
    let name = table.parts.join("/");
    match project.node(&name) {
        Some(_) => {
            let failure = Failure::usage(format!("there is no asset or source `{}`", table.parts.join(".")));
            Err(failure.hint(format!("write it as one name: \"{name}\"")))
        }
        None => named(project, &name),
    }
}
