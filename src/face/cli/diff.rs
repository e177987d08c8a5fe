//! `assets diff KEY`: what is different between two versions of an asset, of one target or of two.

use std::path::PathBuf;

use crate::{
    base::fs,
    exec::{
        copies::Copies,
        diff::{self, FROM, Key, TO},
        io::Loaded,
        query::{From, Input},
        relation::{Relation, RelationError, relation},
        run::context::Workspace,
        table::{Rows, TableError},
    },
    face::{
        app::{App, Opening},
        cli::{
            Context,
            args::DiffArgs,
            choosing,
            defer::DEFAULT,
            error::Failure,
            past::{self, Named},
            why::asset,
        },
        exit::Exit,
        report::{
            Layout,
            data_diff::{self, Compared, DataDiff, SideDocument},
            diff::unified,
            json,
        },
    },
    model::{
        check::Rule,
        format::TableFormat,
        key::PartitionKey,
        project::{Action, CheckBody, NodeId},
        sql::inputs::table_format,
    },
    plan::{
        record::{Materialization, RunRecord},
        store::folder::Access,
    },
};

/// Larger files that hold no rows are not compared line by line.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// One of the two that are compared.
struct Side {
    told: SideDocument,
    content: Content,
}

enum Content {
    Files(Vec<PathBuf>, TableFormat),
    Rows(Rows),
    /// No table.
    File(PathBuf),
}

/// What a word, or the lack of one, stands for.
enum Chosen {
    Now,
    Recorded(Box<Materialization>),
    Elsewhere(String, Box<App>),
}

pub fn run(context: &Context, args: &DiffArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Read, false, &context.ui)?;
    let node = asset(app.project(), &args.key)?;
    let partition = choosing::partition_of(&app, node, args.partition.as_deref())?;
    let history = app.workspace.store.history(app.project().key(node), &partition)?;
    let to = choose(context, &app, node, args.to.as_deref(), &history)?.unwrap_or(Chosen::Now);
    let from = match choose(context, &app, node, args.from.as_deref(), &history)? {
        Some(it) => it,
        None => before(&app, node, &to, &history)?,
    };
    let part = (node, &partition);
    let sides = [side(&app, part, &from, &history)?, side(&app, part, &to, &history)?];
    let told = compare(&app, node, args, sides)?;
    if context.json {
        context.ui.print(&json(&data_diff::document(&told)))?;
    } else {
        let layout = Layout::of(context.ui.out(), context.ui.is_verbose(), app.workspace.clock.now());
        context.ui.print(&data_diff::text(&told, layout))?;
    }
    Ok(Exit::Done)
}

fn choose(
    context: &Context,
    app: &App,
    node: NodeId,
    word: Option<&str>,
    history: &[Materialization],
) -> Result<Option<Chosen>, Failure> {
    let Some(word) = word else { return Ok(None) };
    if let Named::Run(run) = past::find(app, word)? {
        return version_of(app, node, &run, history).map(|it| Some(Chosen::Recorded(Box::new(it))));
    }
    let target = Some(word.to_owned()).filter(|it| it != DEFAULT);
    if target == app.project().target {
        return Ok(Some(Chosen::Now));
    }
    let opening = Opening { target, ..context.opening.clone() };
    let other = App::open(&opening, Access::Read, false, &context.ui).map_err(|error| {
        let told = error.diagnostics.iter().any(|it| it.message.contains("there is no target"));
        let neither = Failure::usage(format!("`{word}` is neither a run nor a target"));
        if told { neither.hint("`assets runs` lists runs; a target is declared by [target.NAME]") } else { error }
    })?;
    Ok(Some(Chosen::Elsewhere(word.to_owned(), Box::new(other))))
}

/// The version that was there when a run was over. Names of runs are in no order: of those of one second chance decides.
fn version_of(
    app: &App,
    node: NodeId,
    run: &RunRecord,
    history: &[Materialization],
) -> Result<Materialization, Failure> {
    let own = history.iter().find(|it| it.run == run.id);
    let before = || history.iter().find(|it| run.ended_at.is_none_or(|end| it.at <= end));
    own.or_else(before).cloned().ok_or_else(|| {
        let key = app.project().key(node);
        let failure = Failure::usage(format!("nothing is recorded of {key} as it was after run {}", run.id.0));
        match history.last() {
            Some(oldest) => failure.hint(format!("the oldest version that is recorded is of run {}", oldest.run.0)),
            None => failure.hint(no_partitions(app, node)),
        }
    })
}

fn no_partitions(app: &App, node: NodeId) -> String {
    match app.workspace.partitions.cuts(node) {
        true => "it has partitions: say which: `--partition KEY`; or compare all of it with another target".to_owned(),
        false => format!("it was never built: `assets materialize -s {}`", app.project().key(node)),
    }
}

/// What there was before `to`; of another target: what is here.
fn before(app: &App, node: NodeId, to: &Chosen, history: &[Materialization]) -> Result<Chosen, Failure> {
    let later = match to {
        Chosen::Elsewhere(..) => return Ok(Chosen::Now),
        Chosen::Now => history.first(),
        Chosen::Recorded(it) => Some(&**it),
    };
    let earlier = later.and_then(|later| {
        let rest = history.iter().skip_while(|it| *it != later);
        rest.skip(1).find(|it| it.content() != later.content())
    });
    earlier.map(|it| Chosen::Recorded(Box::new(it.clone()))).ok_or_else(|| {
        let failure = Failure::usage(format!("no older version of {} is recorded", app.project().key(node)));
        match history.is_empty() {
            true => failure.hint(no_partitions(app, node)),
            false => failure.hint("`--to TARGET` compares with another target"),
        }
    })
}

fn side(
    app: &App,
    (node, partition): (NodeId, &PartitionKey),
    chosen: &Chosen,
    history: &[Materialization],
) -> Result<Side, Failure> {
    let key = app.project().key(node);
    let latest = history.first();
    match chosen {
        Chosen::Now => Ok(Side { told: told_of(latest, app, "now"), content: there(&app.workspace, node, partition)? }),
        Chosen::Elsewhere(name, other) => {
            let theirs = asset(other.project(), key.as_str())?;
            let record = other.workspace.store.latest(key, partition)?;
            let told = SideDocument { target: Some(name.clone()), ..told_of(record.as_ref(), other, name) };
            Ok(Side { told, content: there(&other.workspace, theirs, partition)? })
        }
        Chosen::Recorded(record) => {
            let told = told_of(Some(record), app, &record.run.0);
            if latest.is_some_and(|it| it.content() == record.content()) {
                return Ok(Side { told, content: there(&app.workspace, node, partition)? });
            }
            let target = app.workspace.target(node, partition);
            let kept = app.workspace.io_of(node).older(&target, &record.content());
            let kept = kept.map_err(|it| Failure::new(Exit::Failed, it.to_string()))?;
            match kept {
                Some(it) => Ok(Side { told, content: content_of(&app.workspace, node, it) }),
                None => Err(Failure::new(
                    Exit::Failed,
                    format!("the version of {key} of run {} is not kept any more", record.run.0),
                )
                .hint("of a file or object the last two versions that were replaced are kept; a database keeps none")),
            }
        }
    }
}

fn told_of(record: Option<&Materialization>, app: &App, name: &str) -> SideDocument {
    SideDocument {
        name: name.to_owned(),
        run: record.map(|it| it.run.0.clone()),
        target: app.project().target.clone(),
        data_version: record.map(|it| it.data_version.to_string()),
    }
}

fn content_of(workspace: &Workspace, node: NodeId, loaded: Loaded) -> Content {
    let format = workspace.project.nodes[node].asset().and_then(table_format);
    match (loaded, format) {
        (Loaded::Rows(rows), _) => Content::Rows(rows),
        (Loaded::Path(path), Some(format)) => Content::Files(vec![path], format),
        (Loaded::Path(path), None) => Content::File(path),
    }
}

/// What is published.
fn there(workspace: &Workspace, node: NodeId, partition: &PartitionKey) -> Result<Content, Failure> {
    let failed = |it: String| Failure::new(Exit::Failed, it);
    if !partition.is_whole() {
        let loaded = workspace.io_of(node).load(&workspace.target(node, partition));
        return Ok(content_of(workspace, node, loaded.map_err(|it| failed(it.to_string()))?));
    }
    match relation(workspace, node) {
        Ok(Relation::Files { paths, format }) => Ok(Content::Files(paths, format)),
        Ok(Relation::Rows(rows)) => Ok(Content::Rows(rows)),
        Err(RelationError::NoTable(_)) => {
            let loaded = workspace.io_of(node).load(&workspace.target(node, &PartitionKey::whole()));
            Ok(content_of(workspace, node, loaded.map_err(|it| failed(it.to_string()))?))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

fn compare(app: &App, node: NodeId, args: &DiffArgs, sides: [Side; 2]) -> Result<DataDiff, Failure> {
    let failed = |it: String| Failure::new(Exit::Failed, it);
    let key = match &args.partition {
        Some(it) => format!("{}@{it}", app.project().key(node)),
        None => app.project().key(node).to_string(),
    };
    let [from, to] = sides;
    let told = [from.told, to.told];
    let files = match (&from.content, &to.content) {
        (Content::File(a), Content::File(b)) => Some((a.clone(), b.clone())),
        (Content::File(_), _) | (_, Content::File(_)) => {
            return Err(failed(format!("{key} holds rows on one side only")));
        }
        _ => None,
    };
    if let Some((a, b)) = files {
        return Ok(DataDiff { key, sides: told, compared: texts(&a, &b)? });
    }
    let mut copies = Copies::none(&app.workspace.root);
    let mut input = |content: Content, name: &str| -> Result<Input, TableError> {
        let from = match content {
            Content::Rows(rows) => {
                // Read more than once: it must lie somewhere.
                let copy = copies.of_rows(name, rows, TableFormat::Arrow)?;
                From::Files { paths: vec![copy], format: TableFormat::Arrow }
            }
            Content::Files(paths, format) => From::Files { paths, format },
            Content::File(_) => return Err(TableError("it holds no rows".to_owned())),
        };
        Ok(Input { name: name.to_owned(), from })
    };
    let unread = |it: TableError| failed(format!("{key}: {it}"));
    let from = input(from.content, FROM).map_err(unread)?;
    let to = input(to.content, TO).map_err(unread)?;
    let known = known_key(app, node);
    let by = if args.columns.is_empty() { Key::Perhaps(&known) } else { Key::Said(&args.columns) };
    let spill = app.workspace.root.join(".assets/tmp").join(format!("diff-{}", std::process::id()));
    let found = diff::diff(from, to, &by, args.rows, &spill).map_err(|it| {
        let failure = failed(it.message);
        it.help.into_iter().fold(failure, Failure::hint)
    })?;
    Ok(DataDiff { key, sides: told, compared: Compared::Tables(Box::new(found)) })
}

/// What the manifest says tells its rows apart.
fn known_key(app: &App, node: NodeId) -> Vec<String> {
    let project = app.project();
    let Some(op) = project.op_of(node).map(|it| &project.ops[it]) else { return Vec::new() };
    if let Action::Sql(sql) = &op.action
        && let Some(incremental) = &sql.incremental
        && !incremental.unique_key.is_empty()
    {
        return incremental.unique_key.clone();
    }
    let unique = op.checks.iter().filter(|it| it.asset == node).find_map(|it| match &it.body {
        CheckBody::Data(data) => match &data.rule {
            Rule::Unique { columns } if data.filter.is_none() => Some(columns.clone()),
            _ => None,
        },
        CheckBody::Command(_) => None,
    });
    unique.unwrap_or_default()
}

/// Files that hold no rows: line by line, if they are texts.
fn texts(from: &std::path::Path, to: &std::path::Path) -> Result<Compared, Failure> {
    let text = |path: &std::path::Path| -> Result<Option<String>, Failure> {
        let is_file = fs::look_through(path)?.is_some_and(|it| it.is_file());
        let bytes = if is_file { fs::read_at_most(path, TEXT_BYTES_MAX)? } else { None };
        Ok(bytes.and_then(|it| String::from_utf8(it).ok()))
    };
    Ok(match (text(from)?, text(to)?) {
        (Some(from), Some(to)) => Compared::Text(unified(&from, &to)),
        _ => Compared::Bytes([fs::bytes_of(from), fs::bytes_of(to)]),
    })
}
