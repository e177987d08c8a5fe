//! Which nodes of a project are cut into partitions, how, and what of one belongs to what of another.
//!
//! Kept beside the nodes and not in them: a project without partitions holds nothing of this. Knows no
//! moment, so no keys.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    base::{id::IdVec, span::Span},
    model::{
        key::PartitionKey,
        partition::{Definition, DimensionMapping, Mapping},
        project::{NodeId, OpId},
    },
    typed_id,
};

typed_id! {
    /// One `[partitions.NAME]` that something uses.
    PartitionsId
}

/// Everything that a project says of partitions.
#[derive(Clone, Debug, Default)]
pub struct Partitioning {
    pub definitions: IdVec<PartitionsId, Partitions>,
    /// The assets and sources that are cut.
    pub nodes: HashMap<NodeId, PartitionsId>,
    /// How an op reads a dependency, where it says so.
    pub mappings: HashMap<(OpId, NodeId), Declared>,
    /// The columns of a table that hold the key of its partition, or the parts of that by dimension.
    pub columns: HashMap<NodeId, Vec<KeyColumn>>,
    /// Ops whose command is given several partitions at once: how many at most.
    pub batches: HashMap<OpId, usize>,
}

/// A column that holds a key, or one dimension of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyColumn {
    pub dimension: Option<String>,
    pub column: String,
}

/// One definition and its name.
#[derive(Clone, Debug)]
pub struct Partitions {
    pub name: String,
    pub definition: Definition,
}

/// A mapping and where it stands.
#[derive(Clone, Debug)]
pub struct Declared {
    pub mapping: Mapping,
    pub place: Span,
}

impl Partitioning {
    /// Nothing is cut into partitions.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn of(&self, node: NodeId) -> Option<PartitionsId> {
        self.nodes.get(&node).copied()
    }

    /// The columns of a table, and the values in them, that one partition has.
    pub fn slice(&self, node: NodeId, partition: &PartitionKey) -> Option<Vec<(String, String)>> {
        let columns = self.columns.get(&node).filter(|_| !partition.is_whole())?;
        let value = |of: &KeyColumn| match &of.dimension {
            None => Some(partition.as_str()),
            Some(name) => partition.as_str().split(',').find_map(|it| it.strip_prefix(&format!("{name}="))),
        };
        columns.iter().map(|it| Some((it.column.clone(), value(it)?.to_owned()))).collect()
    }

    /// How `op`, which is cut so, reads `dep`.
    pub fn mapping(&self, op: OpId, own: Option<PartitionsId>, dep: NodeId) -> Cow<'_, Mapping> {
        match self.mappings.get(&(op, dep)) {
            Some(it) => Cow::Borrowed(&it.mapping),
            None => Cow::Owned(self.same_dimension(self.of(dep), own).unwrap_or_default()),
        }
    }

    /// If one side is the very definition of one dimension of the other, that is what belongs together: what
    /// keys of the two have in common may change with the day.
    fn same_dimension(&self, upstream: Option<PartitionsId>, downstream: Option<PartitionsId>) -> Option<Mapping> {
        let definition = |it: PartitionsId| &self.definitions[it].definition;
        let (up, down) = (definition(upstream?), definition(downstream?));
        let one = |of: &Definition, is: &Definition| match of {
            Definition::Multi(them) if !matches!(is, Definition::Multi(_)) => {
                let mut same = them.iter().filter(|it| it.definition == *is).map(|it| it.name.clone());
                same.next().filter(|_| same.next().is_none())
            }
            _ => None,
        };
        let (upstream, downstream) = (one(up, down), one(down, up));
        let is_there = upstream.is_some() || downstream.is_some();
        let mapping = || DimensionMapping { upstream, downstream, mapping: Mapping::Natural };
        is_there.then(|| Mapping::Dimensions([mapping()].into()))
    }
}

/// How a key is named in a path, spelt the one way that is kept.
pub const KEY_IN_PATH: &str = "{{ partition.key }}";

/// The name in a path of one dimension of a key.
pub fn dimension_in_path(name: &str) -> String {
    format!("{{{{ partition.keys.{name} }}}}")
}

/// The path of one partition, of a template that names its key or the dimensions of that.
pub fn path_of(template: &str, partition: &PartitionKey) -> String {
    let key = partition.as_str();
    let mut path = template.replace(KEY_IN_PATH, key);
    for (name, value) in key.split(',').filter_map(|it| it.split_once('=')) {
        path = path.replace(&dimension_in_path(name), value);
    }
    path
}

/// Such a template of a path, of which that is known.
pub fn template_of(path: &str, partition: &PartitionKey) -> String {
    let key = partition.as_str();
    if path.contains(key) {
        return path.replace(key, KEY_IN_PATH);
    }
    let dimensions = key.split(',').filter_map(|it| it.split_once('='));
    dimensions.fold(path.to_owned(), |path, (name, value)| path.replace(value, &dimension_in_path(name)))
}

/// Where an asset lies if nobody says: partitions in a folder, named after their keys, or one below the other by
/// dimension.
pub fn default_path(key: &str, format: Option<&str>, cut: Option<&Definition>) -> String {
    let ending = format.map_or_else(String::new, |it| format!(".{it}"));
    match cut {
        None => format!("{key}{ending}"),
        Some(Definition::Multi(dimensions)) => {
            let each = dimensions.iter().map(|it| format!("{}={}", it.name, dimension_in_path(&it.name)));
            format!("{key}/{}{ending}", each.collect::<Vec<_>>().join("/"))
        }
        Some(_) => format!("{key}/{KEY_IN_PATH}{ending}"),
    }
}

/// What of such a template is the same for all: the folders before the first that names a key.
pub fn common_folder(template: &str) -> &str {
    match template.find("{{") {
        Some(at) => template[..at].rfind('/').map_or("", |it| &template[..it]),
        None => template,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_key_or_its_parts() {
        let key = PartitionKey::new("day=2026-01-02,region=jp");
        assert_eq!(path_of("a/{{ partition.key }}.csv", &key), "a/day=2026-01-02,region=jp.csv");
        let template = "a/{{ partition.keys.region }}/{{ partition.keys.day }}.csv";
        assert_eq!(path_of(template, &key), "a/jp/2026-01-02.csv");
        assert_eq!(template_of("a/jp/2026-01-02.csv", &key), template);
        assert_eq!(template_of("a/day=2026-01-02,region=jp.csv", &key), "a/{{ partition.key }}.csv");
        assert_eq!(common_folder(template), "a");
        assert_eq!(common_folder("x{{ partition.key }}.csv"), "");
    }
}
