//! A text file in which a column has no value does not say of what type it is. Of one partition of many its neighbours
//! say that: a day without rows has the columns that the day before has.
//!
//! Knows nothing of rows: where there is a value, it is what it is.

use std::path::PathBuf;

use crate::{
    base::{fs, path::ProjectPath},
    exec::{
        copies::Copies,
        run::{
            context::{RunContext, Workspace},
            given::unread,
            prepare::PrepareError,
            render::Given,
        },
        table::{infer, read},
    },
    model::{
        format::TableFormat,
        key::PartitionKey,
        partitioning::path_of,
        project::{NodeBody, NodeId, Source},
        sql::inputs::{source_format, table_format},
    },
};

/// More than this is hardly without values, and not read twice.
const BYTES_MAX: u64 = 256 << 10;
/// So far away on both sides neighbours are looked for, and so many of them asked.
const NEAR: u64 = 40;
const ASKED_MAX: usize = 3;

/// What a query is given of the partitions `places` of `dep`, with types for columns that have none of their own.
///
/// # Errors
/// A place that cannot be written to.
pub fn typed(
    context: &RunContext<'_>,
    dep: NodeId,
    places: &[u64],
    given: Given,
    copies: &mut Copies,
) -> Result<Given, PrepareError> {
    let workspace = context.workspace;
    let format = match &workspace.project.nodes[dep].body {
        NodeBody::Asset(it) => table_format(it),
        NodeBody::Source(it) => source_format(it),
    };
    let Some(format) = format.filter(|it| matches!(it, TableFormat::Csv | TableFormat::Jsonl)) else {
        return Ok(given);
    };
    let files: Vec<PathBuf> = given.all().iter().map(PathBuf::from).collect();
    let sizes = files.iter().map(|it| fs::look_through(it).ok().flatten().map_or(u64::MAX, |it| it.len()));
    if files.is_empty() || sizes.fold(0, u64::saturating_add) > BYTES_MAX {
        return Ok(given);
    }
    // What cannot be read is told by whoever runs the query.
    let Ok(Some(schema)) = infer::filled(&files, &|| neighbours(workspace, dep, places), format) else {
        return Ok(given);
    };
    let key = workspace.project.key(dep).as_str();
    let copy = copies.of_rows(key, read::open_as(&files, format, schema), TableFormat::Arrow);
    Ok(Given::Columns(copy.map_err(|it| unread(key, it))?.into_os_string()))
}

/// Files of the nearest partitions that are there and not among `places`.
fn neighbours(workspace: &Workspace, node: NodeId, places: &[u64]) -> Vec<PathBuf> {
    let keys = workspace.partitions.of_node(node);
    let (Some(first), Some(last)) = (places.iter().min(), places.iter().max()) else { return Vec::new() };
    let around = (1..=NEAR).flat_map(|it| [first.checked_sub(it), last.checked_add(it)]).flatten();
    let path = |key: PartitionKey| match &workspace.project.nodes[node].body {
        NodeBody::Asset(_) => workspace.project.output_path_of(node, &key),
        NodeBody::Source(Source::Files(set)) => match &*set.patterns {
            [one] => ProjectPath::resolve(&set.folder, path_of(&one.text, &key)).ok(),
            _ => None,
        },
        NodeBody::Source(_) => None,
    };
    let there = |it: &PathBuf| fs::look_through(it).ok().flatten().is_some_and(|it| it.is_file());
    let paths = around.filter_map(|it| path(keys.key(it)?)).map(|it| it.under(&workspace.root));
    paths.filter(there).take(ASKED_MAX).collect()
}
