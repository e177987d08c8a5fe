//! What has partitions: `partitions` of assets, ops and sources, the paths that name their keys, and how
//! one reads the partitions of another.
//!
//! Knows definitions, not the keys that there are: whether a mapping can be is told by its kind.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use crate::{
    base::{
        diagnostic::Diagnostic,
        id::{Id, IdVec},
        path::ProjectPath,
        span::Span,
    },
    model::{
        partition::{CannotMap, Definition, DimensionMapping, Keys, Mapping, Moment, Names, TableRow},
        partitioning::{
            self, Declared as DeclaredMapping, KEY_IN_PATH, KeyColumn, Partitions, PartitionsId, dimension_in_path,
        },
        project::{Asset, IoKind, Node, NodeId, Op, OpId},
        sql::Dialect,
    },
};

use super::{
    code,
    gather::Declared,
    interpolate,
    raw::{Data, Entry, Table, Value},
    resolve::Resolver,
};

/// What templates of commands and queries can say of a partition.
pub const OF_PARTITION: [&str; 3] = ["key", "start", "end"];

impl<'a> Resolver<'a> {
    /// The partitions that `declared` says it has.
    pub fn partitions(&mut self, declared: &Declared) -> Option<PartitionsId> {
        let value = declared.table.get("partitions")?;
        let name = value.text().filter(|it| !it.trim().is_empty())?;
        if let Some((id, _)) = self.partitioning.definitions.iter().find(|it| it.1.name == **name) {
            return Some(id);
        }
        if let Some(definition) = self.definitions.get(&**name) {
            let it = Partitions { name: name.to_string(), definition: definition.clone() };
            return Some(self.partitioning.definitions.push(it));
        }
        // What is declared with a mistake was told.
        if self.from.partitions.get(name).is_none() {
            let told = Diagnostic::error(code::UNKNOWN_NAME, format!("there are no partitions `{name}`"));
            let help = self.report.meant(name, self.from.partitions.keys());
            let help = help.unwrap_or_else(|| format!("declare them: [partitions.{name}]"));
            self.report.push(told.at(value.place).label("unknown partitions").help(help));
        }
        None
    }

    /// The columns that hold the keys of an asset that is kept in a table.
    pub fn key_columns(&mut self, declared: &Declared, id: NodeId, asset: &Asset, cut: Option<PartitionsId>) {
        if cut.is_some() {
            self.goes_without(declared);
        }
        let kind = self.io_kinds.get(asset.io.index());
        let entry = declared.table.entry("partition_column");
        let database = kind.and_then(IoKind::database);
        match (cut, entry) {
            (Some(_), _) if matches!(database, Some(Dialect::BigQuery | Dialect::Ansi)) => {
                let told = "its tables are not kept by partition: rows are not replaced in a transaction there";
                let told = Diagnostic::error(code::NOT_SUPPORTED, told);
                self.report.push(told.at(declared.place).help("keep them in files, or in another database"));
            }
            (Some(_), None) if database.is_some() => {
                let told = Diagnostic::error(code::MISSING_KEY, "a table with partitions has no `partition_column`");
                self.report.push(
                    told.at(declared.place).help("name the column that holds the key: partition_column = \"day\""),
                );
            }
            (None, Some(entry)) => {
                let told = Diagnostic::error(code::BAD_VALUE, "`partition_column` means nothing without `partitions`");
                self.report.push(told.at(entry.place));
            }
            // In files, the rows that a query gives are laid apart by it.
            (Some(cut), Some(entry)) if database.is_some() || declared.table.entry("sql").is_some() => {
                if let Some(columns) = self.columns_of(&entry.value, cut) {
                    self.partitioning.columns.insert(id, columns);
                }
            }
            // A target keeps in files what is a table else.
            (Some(_), Some(_)) if self.was_table(asset) => {}
            (Some(_), Some(entry)) => {
                let told = "`partition_column` is for queries, and for tables of a database";
                let told = Diagnostic::error(code::BAD_VALUE, told);
                self.report.push(told.at(entry.place).help("files have a place for each partition"));
            }
            _ => {}
        }
    }

    /// Tells of what a table that is replaced by partition cannot be besides.
    fn goes_without(&mut self, declared: &Declared) {
        if let Some(value) =
            self.setting(declared, "materialized").filter(|it| it.text().is_some_and(|it| **it != *"table"))
        {
            let kind = value.text().map(|it| it.to_string()).unwrap_or_default();
            let told = Diagnostic::error(code::NOT_SUPPORTED, format!("{kind} and partitions do not go together yet"));
            self.report.push(told.at(value.place).help("a table is replaced partition by partition as it is"));
        }
        if let Some(entry) = declared.table.entry("indexes") {
            let told = Diagnostic::error(code::NOT_SUPPORTED, "`indexes` and partitions do not go together yet");
            self.report
                .push(told.at(entry.place).help("make them by hand: the table stays when a partition is replaced"));
        }
    }

    fn columns_of(&mut self, value: &Value, cut: PartitionsId) -> Option<Vec<KeyColumn>> {
        let dimensions = self.dimensions(cut);
        if let Some(table) = value.table() {
            let column = |name: &Arc<str>| {
                let column = table.get(name).and_then(Value::text)?.to_string();
                Some(KeyColumn { dimension: Some(name.to_string()), column })
            };
            let known = table.entries.iter().all(|it| dimensions.contains(&it.key));
            let found: Option<Vec<KeyColumn>> = dimensions.iter().map(column).collect();
            return found.filter(|it| known && !it.is_empty()).or_else(|| {
                let told = Diagnostic::error(code::BAD_VALUE, "each dimension has one column").at(value.place);
                let form = dimensions.iter().map(|it| format!("{it} = \"{it}\"")).collect::<Vec<_>>().join(", ");
                self.report.push(told.help(format!("as in partition_column = {{ {form} }}")));
                None
            });
        }
        Some(vec![KeyColumn { dimension: None, column: value.text()?.to_string() }])
    }

    /// Tells of a source that has no files to be cut by.
    pub fn has_files(&mut self, declared: &Declared) {
        if declared.table.entry("files").is_none()
            && let Some(entry) = declared.table.entry("partitions")
        {
            let told = Diagnostic::error(code::SOURCE_FORM, "only a source of files has partitions").at(entry.place);
            self.report.push(told.help("name them in its files: files = [\"raw/{{ partition.key }}.csv\"]"));
        }
    }

    /// Those of an asset: what its op says goes for it too.
    pub fn partitions_of_asset(&mut self, declared: &Declared) -> Option<PartitionsId> {
        let op = declared.table.get("op").and_then(Value::text).and_then(|it| self.from.op.get(it));
        self.partitions(op.unwrap_or(declared))
    }

    /// The names below `partition` of what is cut so.
    pub fn partition_names(&self, cut: Option<PartitionsId>) -> Vec<String> {
        let Some(cut) = cut else { return Vec::new() };
        let dimensions = self.dimensions(cut).into_iter().map(|it| format!("keys.{it}"));
        OF_PARTITION.iter().map(|it| (*it).to_owned()).chain(dimensions).collect()
    }

    /// What a query says of its partition stays as it is written until it is run, spelt one way.
    pub fn partition_in_text(&self, cut: Option<PartitionsId>) -> BTreeMap<String, String> {
        self.partition_names(cut).into_iter().map(|it| (it.clone(), format!("{{{{ partition.{it} }}}}"))).collect()
    }

    fn dimensions(&self, cut: PartitionsId) -> Vec<Arc<str>> {
        match &self.partitioning.definitions[cut].definition {
            Definition::Multi(them) => them.iter().map(|it| it.name.clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// A path with everything put in but what names the partition, which stays, spelt one way.
    pub fn render_path(&mut self, text: &Arc<str>, place: Span, cut: Option<PartitionsId>) -> Option<Arc<str>> {
        let Some(cut) = cut else { return self.render(text, place) };
        if text.trim().is_empty() || text.contains('\0') {
            return None;
        }
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        known.insert("key".to_owned(), KEY_IN_PATH.to_owned());
        for name in self.dimensions(cut) {
            known.insert(format!("keys.{name}"), dimension_in_path(&name));
        }
        let rendered =
            interpolate::render_with(text, place, (&self.vars, &known), self.options, self.sources, self.report)?;
        // Two partitions in one place would overwrite each other.
        let dimensions = self.dimensions(cut);
        let each = dimensions.iter().all(|it| rendered.contains(&dimension_in_path(it))) && !dimensions.is_empty();
        if !each && !rendered.contains(KEY_IN_PATH) && !rendered.starts_with('!') {
            let told = Diagnostic::error(code::BAD_PATH, "the path is the same for every partition").at(place);
            self.report.push(told.help("name the partition in it: {{ partition.key }}"));
            return None;
        }
        Some(rendered)
    }

    /// Where partitions lie if nobody says: a folder named after the key.
    pub fn default_path(&self, key: &str, format: Option<&str>, cut: Option<PartitionsId>) -> ProjectPath {
        let cut = cut.map(|it| &self.partitioning.definitions[it].definition);
        ProjectPath::resolve(&ProjectPath::root(), partitioning::default_path(key, format, cut)).unwrap_or_default()
    }

    /// How the op at `place` reads what `deps` say more of than their key.
    pub fn mappings(&mut self, op: OpId, table: &'a Table) {
        let items = table.get("deps").map(Value::items).unwrap_or_default();
        for item in items.iter().filter_map(Value::table) {
            let Some(entry) = item.entry("partitions") else { continue };
            let node = item.get("asset").and_then(Value::text).and_then(|it| self.keys.get(&**it).copied());
            if let (Some(node), Some(mapping)) = (node, self.mapping(&entry.value, op, node)) {
                let declared = DeclaredMapping { mapping, place: entry.place };
                self.partitioning.mappings.insert((op, node), declared);
            }
        }
    }

    fn mapping(&mut self, value: &Value, op: OpId, dep: Option<NodeId>) -> Option<Mapping> {
        match &value.data {
            Data::Text(it) => match &**it {
                "same" => Some(Mapping::Identity),
                "overlap" => Some(Mapping::Natural),
                "all" => Some(Mapping::All),
                "last" => Some(Mapping::Last),
                other => {
                    let told = Diagnostic::error(code::BAD_VALUE, format!("`{other}` is no way to read partitions"));
                    let near = self.report.nearest(other, ["same", "overlap", "all", "last"]);
                    let help = near.map(|it| format!("did you mean \"{it}\"?"));
                    let help = help.unwrap_or_else(|| "\"same\", \"overlap\", \"all\" or \"last\"".to_owned());
                    self.report.push(told.at(value.place).help(help));
                    None
                }
            },
            Data::List(them) => {
                let each: Option<Vec<Mapping>> = them.iter().map(|it| self.mapping(it, op, dep)).collect();
                each.map(|it| Mapping::Union(it.into()))
            }
            Data::Table(table) => self.mapping_table(table, value.place, op, dep),
            _ => None,
        }
    }

    fn mapping_table(&mut self, table: &Table, place: Span, op: OpId, dep: Option<NodeId>) -> Option<Mapping> {
        let [Entry { key, value, .. }] = &table.entries[..] else {
            let told = Diagnostic::error(code::BAD_VALUE, "partitions are read in one way").at(place);
            self.report.push(told.help("one of `offset`, `window`, `table`, `dimension`; several ways are a list"));
            return None;
        };
        let number = |it: &Value| match it.data {
            Data::Integer(it) => Some(it),
            _ => None,
        };
        match &**key {
            "offset" => number(value).map(|it| Mapping::Window { from: it, to: it }),
            "window" => match value.items() {
                [from, to] => Some(Mapping::Window { from: number(from)?, to: number(to)? }),
                _ => {
                    let told = Diagnostic::error(code::BAD_VALUE, "a window has two ends").at(value.place);
                    self.report.push(told.help("as in window = [-6, 0]: the last seven"));
                    None
                }
            },
            "table" => {
                let rows = value.table()?.entries.iter().map(|it| TableRow {
                    downstream: it.key.clone(),
                    upstream: match it.value.text() {
                        Some(one) => vec![one.clone()],
                        None => it.value.items().iter().filter_map(|it| it.text().cloned()).collect(),
                    },
                });
                Some(Mapping::Table(rows.collect()))
            }
            "dimension" => {
                let name = value.text()?.clone();
                // Whichever side has dimensions is meant.
                let has = |it: Option<PartitionsId>| {
                    it.is_some_and(|it| matches!(self.partitioning.definitions[it].definition, Definition::Multi(_)))
                };
                let upstream = dep.is_some_and(|it| has(self.partitioning.of(it)));
                let downstream = has(self.op_partitions.get(&op).copied());
                let it = DimensionMapping {
                    upstream: upstream.then(|| name.clone()),
                    downstream: downstream.then_some(name),
                    mapping: Mapping::Natural,
                };
                Some(Mapping::Dimensions([it].into()))
            }
            "dimensions" => {
                let each = value.table()?.entries.iter().map(|it| {
                    let (to, mapping) = match &it.value.data {
                        Data::Table(more) => {
                            let how = more.get("partitions").map(|it| self.mapping(it, op, dep));
                            (more.get("to").and_then(Value::text).cloned(), how.unwrap_or(Some(Mapping::Natural))?)
                        }
                        _ => (it.value.text().cloned(), Mapping::Natural),
                    };
                    Some(DimensionMapping { upstream: Some(it.key.clone()), downstream: to, mapping })
                });
                let each: Option<Vec<DimensionMapping>> = each.collect();
                each.map(|it| Mapping::Dimensions(it.into()))
            }
            _ => None,
        }
    }

    /// Every mapping that cannot be, of ops that read partitions or have some.
    pub fn check_mappings(&mut self, ops: &IdVec<OpId, Op>, nodes: &IdVec<NodeId, Node>) {
        if self.partitioning.is_empty() && self.partitioning.mappings.is_empty() {
            return;
        }
        let mut wrong = Vec::new();
        for (id, op) in ops.iter() {
            let own = op.outputs.first().and_then(|it| self.partitioning.of(*it));
            for dep in &op.deps {
                let of_dep = self.partitioning.of(*dep);
                let declared = self.partitioning.mappings.get(&(id, *dep));
                if own.is_none() && of_dep.is_none() && declared.is_none() {
                    continue;
                }
                let is_view = op.outputs.iter().any(|it| nodes[*it].asset().is_some_and(|it| it.publishing.view));
                if let Some(it) = declared.filter(|it| is_view && of_dep.is_some() && it.mapping != Mapping::All) {
                    let told = Diagnostic::error(code::BAD_VALUE, "a view reads all partitions, whichever there are");
                    wrong.push(told.at(it.place).help("select them in its query, or make it a table"));
                }
                let mapping = self.partitioning.mapping(id, own, *dep);
                if let Err(why) = self.try_mapping(&mapping, of_dep, own) {
                    let place = declared.map_or(op.place, |it| it.place);
                    let (reader, read) = (&op.name, &nodes[*dep].key);
                    let message = format!("`{reader}` cannot read the partitions of `{read}`: {}", why.message);
                    let told = Diagnostic::error(code::BAD_VALUE, message).at(place);
                    wrong.push(match why.help {
                        Some(help) => told.help(help),
                        None => told,
                    });
                }
            }
        }
        wrong.into_iter().for_each(|it| self.report.push(it));
    }

    fn try_mapping(
        &self,
        mapping: &Mapping,
        up: Option<PartitionsId>,
        down: Option<PartitionsId>,
    ) -> Result<(), CannotMap> {
        let definition = |it: PartitionsId| &self.partitioning.definitions[it].definition;
        let dynamic = [up, down].into_iter().flatten().any(|it| is_dynamic(definition(it)));
        if dynamic && names_keys(mapping) {
            return Ok(());
        }
        let keys = |it: Option<PartitionsId>| match it {
            None => Ok(Keys::Whole),
            Some(it) => definition(it).keys(far()).map_err(|it| CannotMap { message: it.to_string(), help: None }),
        };
        mapping.relate(&keys(up)?, &keys(down)?).map(drop)
    }
}

/// A moment at which everything that is declared begins, for what only kinds decide.
fn far() -> Moment<'static> {
    const SECONDS: i64 = 4_102_444_800;
    Moment { now: Timestamp::from_second(SECONDS).unwrap_or(Timestamp::MAX), dynamic: &|_| Names::default() }
}

fn is_dynamic(definition: &Definition) -> bool {
    match definition {
        Definition::Dynamic(_) => true,
        Definition::Multi(them) => them.iter().any(|it| is_dynamic(&it.definition)),
        Definition::Time(_) | Definition::Static(_) => false,
    }
}

/// Whether it names keys, which dynamic partitions may not have yet.
fn names_keys(mapping: &Mapping) -> bool {
    match mapping {
        Mapping::Table(_) => true,
        Mapping::Dimensions(them) => them.iter().any(|it| names_keys(&it.mapping)),
        Mapping::Union(them) => them.iter().any(names_keys),
        Mapping::Natural | Mapping::Identity | Mapping::All | Mapping::Last | Mapping::Window { .. } => false,
    }
}

/// A pattern of a partitioned source as what it could match, for whoever looks for overlaps.
pub fn any_partition(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        told.push_str(before);
        told.push('*');
        rest = after.split_once("}}").map_or("", |it| it.1);
    }
    told.push_str(rest);
    told
}

#[cfg(test)]
mod tests {
    use super::any_partition;

    #[test]
    fn what_names_a_partition_could_be_anything() {
        assert_eq!(any_partition("raw/{{ partition.key }}/x.csv"), "raw/*/x.csv");
        assert_eq!(any_partition("raw/x.csv"), "raw/x.csv");
    }
}
