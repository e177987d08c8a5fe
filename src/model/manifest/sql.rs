//! Assets that are tables: what a database keeps, and what a query reads.
//!
//! Knows the names in a query, not what the engine makes of it.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    base::{
        diagnostic::Diagnostic,
        id::{Id, IdVec},
        path::ProjectPath,
        span::Span,
    },
    model::{
        format::TableFormat,
        partitioning::PartitionsId,
        project::{
            Action, Asset, CheckBody, EnvName, Identity, IoKind, Node, NodeBody, NodeId, Project, Shape, Source, Sql,
            SqlTable, VersionKind,
        },
        sql::{
            self, Dialect,
            inputs::{source_format, table_format},
        },
        template::Model,
    },
};

use super::{
    code,
    gather::{Declared, Gathered},
    query_text::QueryScope,
    report::Report,
    resolve::Resolver,
};

/// A query as it stands in a file or the manifest.
pub struct Face<'e> {
    pub written: Arc<str>,
    pub place: Span,
    pub file: Option<ProjectPath>,
    pub dialect: Dialect,
    pub env: &'e [EnvName],
}

/// What was made of it.
pub struct Made {
    pub sql: Sql,
    /// The keys that it refers to.
    pub refs: BTreeSet<String>,
    /// Where it reads its own table, if it does.
    pub itself: Option<Span>,
}

/// The form in which a command hands a table over, unless it is said.
const TABLE_FORMAT: &str = "csv";

/// Whether `sql` says where the query is, and not the query itself.
pub fn is_file(sql: &str) -> bool {
    let first = sql.trim_start().split(|it: char| !it.is_ascii_alphabetic()).next().unwrap_or_default();
    let begins_a_query = ["select", "with", "values"].iter().any(|it| first.eq_ignore_ascii_case(it));
    sql.ends_with(".sql") && !sql.contains('\n') && !(begins_a_query && sql.contains(char::is_whitespace))
}

impl<'a> Resolver<'a> {
    /// The same asset, as whoever runs its query or keeps its rows wants it.
    pub fn as_table(&mut self, declared: &Declared, asset: Asset, cut: Option<PartitionsId>) -> Asset {
        let query = declared.table.entry("sql");
        match (self.io_kinds.get(asset.io.index()), query) {
            (Some(IoKind::Sqlite { .. } | IoKind::Postgres { .. } | IoKind::Adbc(_)), _) => {
                self.in_database(declared, asset)
            }
            (Some(IoKind::Fs { .. } | IoKind::ObjectStore { .. }), None) if self.was_table(&asset) => {
                self.in_csv(declared, asset, cut)
            }
            (_, None) => asset,
            (Some(IoKind::Fs { .. } | IoKind::ObjectStore { .. }), Some(entry)) => {
                self.in_file(declared, entry.place, asset, cut)
            }
            (_, Some(entry)) => {
                let told = Diagnostic::error(code::NOT_SUPPORTED, "`sql` is not supported yet by this IO manager");
                let told = told.at(entry.place).label("runs where its asset is kept");
                self.report.push(told.help("keep it in files, in an object store, or in a database"));
                asset
            }
        }
    }

    /// A file that a query writes: parquet, unless it says otherwise.
    fn in_file(&mut self, declared: &Declared, place: Span, asset: Asset, cut: Option<PartitionsId>) -> Asset {
        let asset = match asset.format {
            None if declared.table.entry("path").is_none() => {
                let path = self.default_path(&declared.key, Some(TableFormat::Parquet.name()), cut);
                Asset { path, format: Some(TableFormat::Parquet.name().to_owned()), ..asset }
            }
            _ => asset,
        };
        if table_format(&asset).is_none() {
            let at = ["format", "path", "folder"]
                .iter()
                .find_map(|it| declared.table.entry(it))
                .map_or(place, |it| it.place);
            let told = Diagnostic::error(code::BAD_VALUE, "a query writes a table").at(at);
            self.report.push(told.help("give it a format that is one: parquet, csv, jsonl or arrow"));
        }
        Asset { identity: Identity::Rows, ..asset }
    }

    /// Whether its IO manager is a database without the target: what it hands over is then a table too.
    pub fn was_table(&self, asset: &Asset) -> bool {
        let was = self.from.io.entries.get(asset.io.index()).and_then(|it| it.was.as_deref());
        was.is_some_and(|it| !["fs", "object_store", "memory"].contains(&it))
    }

    /// What a command hands over, as the database would get it.
    fn in_csv(&self, declared: &Declared, asset: Asset, cut: Option<PartitionsId>) -> Asset {
        if asset.format.is_some() || asset.shape == Shape::Folder || declared.table.entry("path").is_some() {
            return asset;
        }
        let path = self.default_path(&declared.key, Some(TABLE_FORMAT), cut);
        Asset { path, format: Some(TABLE_FORMAT.to_owned()), ..asset }
    }

    fn in_database(&mut self, declared: &Declared, asset: Asset) -> Asset {
        let is_query = declared.table.entry("sql").is_some();
        // Said of the file that it is without the target.
        let was_file = self.from.io.entries.get(asset.io.index()).is_some_and(|it| it.was.is_some());
        for key in ["path", "folder", "in_place"].into_iter().filter(|it| !was_file || *it == "in_place") {
            if let Some(entry) = declared.table.entry(key) {
                let told = Diagnostic::error(code::BAD_VALUE, format!("`{key}` means nothing to a table"));
                self.report.push(told.at(entry.place).help("a table is named after its key, with `_` for `/`"));
            }
        }
        let handed_over = asset.format.as_deref().and_then(TableFormat::of_extension);
        if let Some(value) = declared.table.get("format")
            && !was_file
            && (is_query || handed_over.is_none())
        {
            let told = Diagnostic::error(code::BAD_VALUE, "a table has no such format").at(value.place);
            let help = match is_query {
                true => "rows that a query makes are in no file".to_owned(),
                false => format!("a command hands a table over as {}", TableFormat::listed()),
            };
            self.report.push(told.help(help));
        }
        if was_file && !is_query && handed_over.is_none() {
            self.no_table(declared, &asset);
        }
        let path = self.io_kinds.get(asset.io.index()).map(|it| it.table_path(&declared.key)).unwrap_or_default();
        let said = ["format", "path"].iter().any(|it| declared.table.entry(it).is_some());
        let handed_over = handed_over.filter(|_| said).map_or(TABLE_FORMAT, TableFormat::name);
        let format = (!is_query).then(|| handed_over.to_owned());
        Asset { path, format, shape: Shape::File, identity: Identity::Rows, ..asset }
    }

    /// Tells of a command whose file is no table, where a target keeps it as one.
    fn no_table(&mut self, declared: &Declared, asset: &Asset) {
        let Some(entry) = ["format", "path", "folder"].iter().find_map(|it| declared.table.entry(it)) else { return };
        let what = match (asset.shape, asset.format.as_deref()) {
            (Shape::Folder, _) => "a folder".to_owned(),
            (_, Some(format)) => format!("a file of {format}"),
            (_, None) => "a file without a known form".to_owned(),
        };
        let message = format!("{what} is no table, and this target keeps it in a database");
        let told = Diagnostic::error(code::BAD_VALUE, message).at(entry.place);
        self.report.push(told.help("give it an `io` of its own that keeps files in every target"));
    }

    /// The query of an asset. What it reads is added to what its `deps` say.
    pub fn sql(
        &mut self,
        declared: &'a Declared,
        asset: NodeId,
        deps: &mut Vec<NodeId>,
        inputs: &mut Vec<&'a str>,
        env: &[EnvName],
    ) -> Option<Sql> {
        let value = declared.table.get("sql")?;
        let from = self.from;
        let (written, place, file) = match from.sql.get(&asset.index()) {
            Some(it) => (it.text.clone(), Span::new(it.file, 0..it.text.len()), Some(it.path.clone())),
            None if is_file(value.text()?) => return None,
            None => (value.text()?.clone(), value.place, None),
        };
        let kind = self.keepers.get(asset.index()).and_then(|it| self.io_kinds.get(it.0.index()));
        let dialect = kind.and_then(IoKind::database).unwrap_or(Dialect::DataFusion);
        let this = dialect.quoted(&declared.key);
        let face = Face { written, place, file, dialect, env };
        let mut made = self.face(asset, &face, Model { this: &this, incremental: false })?;
        made.sql.incremental = self.incremental(declared, asset, &face, &mut made, &this).map(Box::new);
        let tables = made.sql.faces().flat_map(|it| &it.tables).map(|it| it.node);
        // It may stand where no table does.
        let refs = made.refs.iter().filter_map(|it| self.keys.get(&**it).copied());
        let is_own = |it: &NodeId| made.sql.incremental.is_some() && *it == asset;
        for node in tables.chain(refs).filter(|it| !is_own(it)).collect::<Vec<_>>() {
            if !deps.contains(&node) {
                deps.push(node);
                inputs.push(self.key_of(node));
            }
        }
        Some(made.sql)
    }

    /// One rendering of a query.
    pub fn face(&mut self, asset: NodeId, face: &Face<'_>, model: Model<'_>) -> Option<Made> {
        let dialect = face.dialect;
        let batch = self.from.asset.entries[asset.index()].table.entry("batch").is_some();
        let scope =
            QueryScope { dialect, env: Some(face.env), model: Some(model), cut: self.partitioning.of(asset), batch };
        let query = self.query_text(&face.written, face.place, &scope)?;
        let reads = match sql::reads(&query.text, dialect) {
            Ok(reads) => reads,
            Err(error) => {
                let told = Diagnostic::error(code::BAD_SQL, error.message).at(self.place_in(&query, error.at));
                self.report.push(told.help("an asset is made by one query, in the words of its database"));
                return None;
            }
        };
        self.unseen(asset, &reads.unseen, &query);
        // A table has no order, a file has.
        if reads.ordered && dialect == Dialect::DataFusion {
            self.ordered.insert(asset);
        }
        let (mut read, mut itself) = (Vec::with_capacity(reads.tables.len()), None);
        for table in reads.tables {
            let place = self.place_in(&query, Some(table.at.clone()));
            let Some(key) = self.table_key(asset, &table, place, dialect) else { continue };
            let node = self.keys[key];
            itself = itself.or((node == asset).then_some(place));
            read.push(SqlTable { name: table.parts.join("."), node });
        }
        let (text, file) = (query.text.to_string(), face.file.clone());
        let home = if file.is_some() { None } else { self.home(&query) };
        let sql = Sql { text, file, dialect, tables: read, template: query.template, incremental: None, home };
        Some(Made { sql, refs: query.refs, itself })
    }

    fn key_of(&self, node: NodeId) -> &'a str {
        let from = self.from;
        let assets = &from.asset.entries;
        assets.get(node.index()).map_or_else(|| &*from.source.entries[node.index() - assets.len()].key, |it| &*it.key)
    }
}

/// Files in which the order of rows counts: a query asks for it, and nobody said what their version is.
pub fn in_order(ordered: &BTreeSet<NodeId>, nodes: &mut IdVec<NodeId, Node>) {
    for node in ordered {
        if let NodeBody::Asset(asset) = &mut nodes[*node].body
            && (asset.identity, asset.version) == (Identity::Rows, VersionKind::Content)
        {
            asset.identity = Identity::Sequence;
        }
    }
}

/// What a query reads must be a table, in a database or in files.
pub fn readable(project: &Project, from: &Gathered, report: &mut Report) {
    for op in project.ops.values() {
        if let Action::Sql(sql) = &op.action {
            let place = from.asset.entries[op.outputs[0].index()].table.entry("sql").map_or(op.place, |it| it.place);
            sql.faces().for_each(|it| unreadable(project, &it.tables, place, report));
        }
        for (node, form) in &op.forms {
            let node = &project.nodes[*node];
            if !is_table(project, node) {
                report.push(
                    Diagnostic::error(code::BAD_VALUE, format!("`{}` cannot be given as {}", node.key, form.name()))
                        .at(op.place)
                        .label("wants it so")
                        .other(node.place, "neither a table of a database nor a file that holds one"),
                );
            }
        }
        for check in &op.checks {
            if let CheckBody::Data(it) = &check.body {
                unreadable(project, &it.tables, check.place, report);
            }
        }
    }
}

/// Tells of those that no engine can read.
fn unreadable(project: &Project, tables: &[SqlTable], place: Span, report: &mut Report) {
    for table in tables {
        let node = &project.nodes[table.node];
        if !is_table(project, node) {
            report.push(
                Diagnostic::error(code::BAD_SQL, format!("a query cannot read `{}`", node.key))
                    .at(place)
                    .label("reads it")
                    .other(node.place, "neither a table of a database nor a file that holds one")
                    .help(match &node.body {
                        NodeBody::Source(Source::Files(_)) => {
                            "all its patterns must end in the same form: .parquet, .csv, .jsonl, .ndjson or .arrow"
                        }
                        _ => "a query reads tables, and files that are parquet, csv, jsonl or arrow",
                    }),
            );
        }
    }
}

fn is_table(project: &Project, node: &Node) -> bool {
    match &node.body {
        NodeBody::Asset(it) => {
            let in_database = project.io_managers[it.io].kind.database().is_some();
            in_database || table_format(it).is_some()
        }
        NodeBody::Source(source) => source_format(source).is_some(),
    }
}
