//! Checks of rows as a step: this very program, told in a file what to ask of which tables.
//!
//! Knows where an asset is looked at, staged or published; not what is made of the answer.

use std::path::{Path, PathBuf};

use crate::{
    base::{fs, id::Id},
    exec::{
        check::{Answer, Asked, Engine, Request, SUBCOMMAND, adbc::INSIDE},
        io::{
            Loaded, Staged,
            postgres::staged_table,
            sqlite::{staged_database, table::STAGED},
        },
        query::{From, Input},
        run::{
            context::RunContext,
            prepare::PrepareError,
            query::{connection, input, place_name},
            render::Given,
        },
    },
    model::{
        check::{DataCheck, Finding},
        key::PartitionKey,
        project::{Action, Asset, Check, IoKind, NodeId},
        sql::inputs::table_format,
    },
};

/// What is looked at.
pub struct Subject<'a> {
    pub node: NodeId,
    pub partition: &'a PartitionKey,
    pub attempt: &'a str,
    /// `None`: what is published.
    pub staged: Option<&'a Staged>,
    /// What other tables are given as.
    pub given: &'a [(NodeId, Given)],
    /// By the name of a check: the number of the version published before.
    pub last: &'a dyn Fn(&Check) -> Option<f64>,
}

/// Program and arguments that run `checks`, and where it will answer, beside `log`.
///
/// # Errors
/// What cannot be told.
pub fn check_argv(
    context: &RunContext<'_>,
    subject: &Subject<'_>,
    checks: &[&Check],
    log: &str,
) -> Result<(Vec<Vec<u8>>, PathBuf), PrepareError> {
    let workspace = context.workspace;
    let asset = workspace.project.nodes[subject.node].asset().expect("checks are of assets");
    let log = workspace.root.join(log);
    let answer = log.with_extension("answer.json");
    let table = workspace.project.key(subject.node).to_string();
    let (engine, own) = looked_at(context, subject, asset)?;
    // A view that is not there yet is a query over tables that are.
    let query = match (&own, &workspace.project.ops[asset.op].action) {
        (From::Query(_), Action::Sql(sql)) => sql.tables.as_slice(),
        _ => &[],
    };
    let mut inputs: Vec<Input> = query.iter().map(|it| input(context, it, asset.io, subject.given)).collect();
    inputs.push(Input { name: table.clone(), from: own.clone() });
    for (check, data) in checks.iter().filter_map(|it| Some((it, it.data()?))) {
        debug_assert_eq!(check.asset, subject.node);
        for named in &data.tables {
            if inputs.iter().all(|it| !it.name.eq_ignore_ascii_case(&named.name)) {
                let own = Input { name: named.name.clone(), from: own.clone() };
                let is_own = named.node == subject.node;
                inputs.push(if is_own { own } else { input(context, named, asset.io, subject.given) });
            }
        }
    }
    let asked = |check: &&Check| check.data().map(|it| asked(check, it, (subject.last)(check)));
    let checks = checks.iter().filter_map(asked).collect();
    let request = Request { engine, table, inputs, checks, answer, root: workspace.root.clone() };
    let told = serde_json::to_vec(&request);
    let told = told.map_err(|it| PrepareError::Render { message: it.to_string(), help: Vec::new() })?;
    let subcommand = if matches!(request.engine, Engine::Adbc { .. }) { INSIDE } else { SUBCOMMAND };
    let argv = vec![b"/proc/self/exe".to_vec(), subcommand.into(), told];
    Ok((argv, request.answer))
}

/// Who is asked, and where what is asked about lies.
fn looked_at(context: &RunContext<'_>, subject: &Subject<'_>, asset: &Asset) -> Result<(Engine, From), PrepareError> {
    let workspace = context.workspace;
    // Of what is published only the rows of its partition.
    let published = |table: String| match workspace.target(subject.node, subject.partition).slice {
        Some(slice) => From::Part { of: Box::new(From::Table(table)), slices: vec![slice] },
        None => From::Table(table),
    };
    if let IoKind::Sqlite { path } = &workspace.project.io_managers[asset.io].kind {
        let query = match &workspace.project.ops[asset.op].action {
            Action::Sql(sql) if asset.publishing.view && subject.staged.is_some() => Some(&sql.text),
            _ => None,
        };
        if let Some(text) = query {
            let own = From::Query(text.trim_end().trim_end_matches(';').to_owned());
            return Ok((Engine::Sqlite { database: path.under(&workspace.root) }, own));
        }
        let own = match subject.staged.and_then(|it| Some(staged_database(&it.target, it.path.parent()?))) {
            Some(database) => From::Sqlite { database, table: STAGED.to_owned() },
            None => published(asset.path.to_string()),
        };
        return Ok((Engine::Sqlite { database: path.under(&workspace.root) }, own));
    }
    if let IoKind::Adbc(it) = &workspace.project.io_managers[asset.io].kind {
        let own = match subject.staged.and_then(|it| staged_table(&it.path)) {
            Some(table) => From::Table(table),
            None => published(asset.path.to_string()),
        };
        return Ok((Engine::Adbc { database: place_name(it, workspace) }, own));
    }
    if let Some(connection) = connection(&workspace.project, asset) {
        let own = match subject.staged.and_then(|it| staged_table(&it.path)) {
            Some(table) => From::Table(table),
            None => published(asset.table().1),
        };
        return Ok((Engine::Postgres { connection }, own));
    }
    let path = match subject.staged {
        Some(staged) => staged.path.clone(),
        None => {
            let target = workspace.target(subject.node, subject.partition);
            match workspace.io_of(subject.node).load(&target)? {
                Loaded::Path(path) => path,
                Loaded::Rows(_) => unreachable!("what is in a database was asked there"),
            }
        }
    };
    let format = table_format(asset).expect("the manifest lets rows be asked of tables only");
    let spill = spill(&workspace.root, subject.attempt, subject.node);
    Ok((Engine::DataFusion { spill }, From::Files { paths: vec![path], format }))
}

/// Where the checks of an attempt put what does not fit into memory.
pub fn spill(root: &Path, attempt: &str, node: NodeId) -> PathBuf {
    root.join(".assets/tmp").join(format!("check-{attempt}-{}", node.index()))
}

fn asked(check: &Check, data: &DataCheck, last: Option<f64>) -> Asked {
    Asked {
        name: check.name.clone(),
        rule: data.rule.clone(),
        filter: data.filter.clone(),
        threshold: check.threshold,
        sample: usize::try_from(check.sample).unwrap_or(usize::MAX),
        last,
        homes: data.homes.clone(),
    }
}

/// What was answered to so many checks; `None` if there is no whole answer. It is taken away.
pub fn answered(file: &Path, checks: usize) -> Option<Vec<Finding>> {
    let bytes = fs::read_if_there(file).ok()??;
    // Read once: nothing is lost if it stays.
    let _ = fs::remove(file);
    let answer: Answer = serde_json::from_slice(&bytes).ok()?;
    (answer.findings.len() == checks).then_some(answer.findings)
}
