//! How the result of a query is kept: `materialized` and what goes with it.

use crate::{
    base::{diagnostic::Diagnostic, id::Id},
    model::{
        materialized::{Hook, Incremental, Index, Publishing, Strategy},
        project::{Action, Asset, IoKind, NodeId, Project, SqlTemplate, VersionKind},
        sql::{self, Dialect},
        template::Model,
    },
};

use super::{
    code,
    gather::{Declared, Gathered},
    query_text::QueryScope,
    raw::{Data, Value},
    report::Report,
    resolve::Resolver,
    sql::{Face, Made},
};

/// What only some kinds have a use for.
const OF_INCREMENTAL: [&str; 2] = ["strategy", "unique_key"];

impl<'a> Resolver<'a> {
    /// What the manifest says of the result of a query; `table` if nothing.
    fn materialized(&self, declared: &Declared) -> &'a str {
        let said = self.setting(declared, "materialized");
        match said.and_then(Value::text).map(|it| &**it) {
            Some("incremental") => "incremental",
            Some("view") => "view",
            _ => "table",
        }
    }

    /// What an asset says that is of no use to it.
    pub fn idle_settings(&mut self, declared: &Declared) {
        let is_query = declared.table.entry("sql").is_some();
        let is_incremental = is_query && self.materialized(declared) == "incremental";
        let keys = OF_INCREMENTAL.iter().filter(|_| !is_incremental);
        for key in std::iter::once(&"materialized").filter(|_| !is_query).chain(keys) {
            let Some(entry) = declared.table.entry(key) else { continue };
            let told = Diagnostic::error(code::BAD_VALUE, format!("`{key}` means nothing here")).at(entry.place);
            self.report.push(match *key {
                "materialized" => told.help("it goes with `sql`: a command makes what it makes"),
                _ => told.help("it goes with materialized = \"incremental\""),
            });
        }
    }

    /// The same asset, with what its database does when it is published.
    pub fn published(&mut self, declared: &Declared, asset: Asset) -> Asset {
        let is_view = declared.table.entry("sql").is_some() && self.materialized(declared) == "view";
        let Some(dialect) = self.io_kinds.get(asset.io.index()).and_then(IoKind::database) else {
            // A target that keeps in files what is a table else keeps the rows, and does no more.
            if !self.was_table(&asset) {
                self.no_database(declared, is_view);
            }
            return asset;
        };
        if dialect != Dialect::DuckDb && matches!(self.io_kinds.get(asset.io.index()), Some(IoKind::Adbc(_))) {
            self.not_by_driver(declared, is_view);
            return asset;
        }
        let this = self.table_name(&asset, dialect);
        let publishing = Publishing {
            view: is_view,
            pre_hooks: self.hooks(declared, "pre_hook", dialect, &this),
            post_hooks: self.hooks(declared, "post_hook", dialect, &this),
            indexes: self.indexes(declared, is_view),
        };
        let version = if is_view { self.version_of_view(declared, asset.version) } else { asset.version };
        Asset { publishing, version, ..asset }
    }

    /// A view holds nothing that could be read: its version is that of what it is made of.
    fn version_of_view(&mut self, declared: &Declared, version: VersionKind) -> VersionKind {
        match (declared.table.entry("version"), version) {
            (None, _) => VersionKind::Inputs,
            (Some(_), VersionKind::Inputs | VersionKind::Always) => version,
            (Some(entry), _) => {
                let told = Diagnostic::error(code::BAD_VALUE, "a view has no content of its own").at(entry.value.place);
                self.report.push(told.help("its version is that of what it reads: \"inputs\", which need not be said"));
                version
            }
        }
    }

    fn not_by_driver(&mut self, declared: &Declared, is_view: bool) {
        let view = declared.table.entry("materialized").map_or(declared.place, |it| it.value.place);
        let keys = ["pre_hook", "post_hook", "indexes"].into_iter();
        let said = keys.filter_map(|key| Some((key, declared.table.entry(key)?.place)));
        for (key, place) in said.chain(is_view.then_some(("materialized = \"view\"", view))) {
            let told = Diagnostic::error(code::NOT_SUPPORTED, format!("`{key}` is not supported yet by this database"));
            self.report.push(told.at(place).help("it is there for type = \"sqlite\", \"postgres\" and \"duckdb\""));
        }
    }

    fn no_database(&mut self, declared: &Declared, is_view: bool) {
        if is_view {
            let said = declared.table.entry("materialized").map_or(declared.place, |it| it.value.place);
            let told = Diagnostic::error(code::BAD_VALUE, format!("`{}` cannot be a view", declared.key)).at(said);
            self.report.push(told.help("views are made in databases, and this is kept in files"));
        }
        for key in ["pre_hook", "post_hook", "indexes"] {
            let Some(entry) = declared.table.entry(key) else { continue };
            let told = Diagnostic::error(code::BAD_VALUE, format!("`{key}` means nothing to a file"));
            self.report.push(told.at(entry.place).help("it is for tables that a database keeps"));
        }
    }

    /// As it is called in statements of its database.
    fn table_name(&self, asset: &Asset, dialect: Dialect) -> String {
        let (own, name) = asset.table();
        let schema = match self.io_kinds.get(asset.io.index()) {
            Some(IoKind::Postgres { schema, .. }) => own.as_ref().or(schema.as_ref()),
            Some(IoKind::Adbc(it)) => it.schema.as_ref(),
            _ => None,
        };
        let name = dialect.quoted(&name);
        schema.map_or_else(|| name.clone(), |it| format!("{}.{name}", dialect.quoted(it)))
    }

    fn hooks(&mut self, declared: &Declared, key: &str, dialect: Dialect, this: &str) -> Vec<Hook> {
        let Some(value) = declared.table.get(key) else { return Vec::new() };
        let items = match &value.data {
            Data::Text(_) => std::slice::from_ref(value),
            _ => value.items(),
        };
        items.iter().filter_map(|it| self.hook(it, key, dialect, this)).collect()
    }

    fn hook(&mut self, value: &Value, key: &str, dialect: Dialect, this: &str) -> Option<Hook> {
        let written = value.text().filter(|it| !it.trim().is_empty())?;
        let scope = |incremental| QueryScope {
            dialect,
            env: None,
            cut: None,
            batch: false,
            model: Some(Model { this, incremental }),
        };
        let query = self.query_text(written, value.place, &scope(false))?;
        let other = self.query_text(written, value.place, &scope(true))?;
        let told = match sql::check_statements(&query.text, dialect) {
            Err(error) => {
                let place = self.place_in(&query, error.at);
                Diagnostic::error(code::BAD_SQL, error.message).at(place).help("write statements of the database")
            }
            Ok(()) if query.text != other.text => {
                Diagnostic::error(code::BAD_SQL, "a hook is the same whether rows are added or not")
                    .at(value.place)
                    .help("take `is_incremental()` out")
            }
            Ok(()) if !query.refs.is_empty() => Diagnostic::error(code::BAD_SQL, "a hook cannot `ref` to an asset")
                .at(value.place)
                .help("write the table as its database calls it; its own is {{ this }}"),
            Ok(()) => {
                let path = self.sources.file(value.place.file).path.display();
                let shown = format!("{key} ({path}:{})", self.sources.line_column(value.place).0);
                return Some(Hook { text: query.text.to_string(), shown });
            }
        };
        self.report.push(told);
        None
    }

    fn indexes(&mut self, declared: &Declared, is_view: bool) -> Vec<Index> {
        let Some(entry) = declared.table.entry("indexes") else { return Vec::new() };
        if is_view {
            let told = Diagnostic::error(code::BAD_VALUE, "a view has no rows that could have an index");
            self.report.push(told.at(entry.place).help("materialized = \"table\" keeps rows"));
        }
        for item in entry.value.items().iter().filter(|it| it.table().is_some_and(|it| it.entry("columns").is_none())) {
            let told = Diagnostic::error(code::MISSING_KEY, "an index has no `columns`").at(item.place);
            self.report.push(told.help("write { columns = [\"a\", \"b\"] }"));
        }
        let index = |it: &Value| {
            let (columns, unique) = match it.table() {
                Some(table) => (
                    table.get("columns")?,
                    table.get("unique").is_some_and(|it| matches!(it.data, Data::Boolean(true))),
                ),
                None => (it, false),
            };
            let columns = columns.items().iter().filter_map(|it| it.text().map(|it| it.to_string())).collect();
            Some(Index { columns, unique })
        };
        entry.value.items().iter().filter_map(index).collect()
    }

    /// The second face of a query whose rows are added to those that are there. `made` is the first one.
    pub fn incremental(
        &mut self,
        declared: &Declared,
        asset: NodeId,
        face: &Face<'_>,
        made: &mut Made,
        this: &str,
    ) -> Option<Incremental> {
        if self.materialized(declared) != "incremental" {
            return None;
        }
        if let Some(place) = made.itself {
            let told = Diagnostic::error(code::BAD_SQL, format!("`{}` reads itself before it is there", declared.key));
            let help = "read it where it is there only: {% if is_incremental() %} ... {{ this }} ... {% endif %}";
            self.report.push(told.at(place).help(help));
        }
        let unique_key = self.unique_key(declared);
        let strategy = self.strategy(declared, !unique_key.is_empty());
        let adding = self.face(asset, face, Model { this, incremental: true })?;
        made.refs.extend(adding.refs);
        Some(Incremental { adding: adding.sql, strategy, unique_key })
    }

    fn unique_key(&mut self, declared: &Declared) -> Vec<String> {
        let Some(value) = declared.table.get("unique_key") else { return Vec::new() };
        let items = match &value.data {
            Data::Text(_) => std::slice::from_ref(value),
            _ => value.items(),
        };
        let mut columns: Vec<String> = Vec::new();
        for item in items {
            let Some(text) = item.text() else { continue };
            if columns.iter().any(|it| it.eq_ignore_ascii_case(text)) {
                let told = Diagnostic::error(code::REPEATED, format!("`{text}` is listed twice in unique_key"));
                self.report.push(told.at(item.place).label("again"));
            }
            columns.push(text.to_string());
        }
        columns
    }

    fn strategy(&mut self, declared: &Declared, has_key: bool) -> Strategy {
        let value = declared.table.get("strategy");
        let said = value
            .and_then(|it| Strategy::ALL.into_iter().find(|that| it.text().is_some_and(|it| **it == *that.name())));
        let strategy = said.unwrap_or(if has_key { Strategy::Merge } else { Strategy::Append });
        let Some(value) = value.filter(|_| has_key == (strategy == Strategy::Append)) else { return strategy };
        let told = Diagnostic::error(
            code::BAD_VALUE,
            match has_key {
                true => "`append` looks at no `unique_key`".to_owned(),
                false => format!("`{}` needs a `unique_key`", strategy.name()),
            },
        );
        self.report.push(told.at(value.place).help(match has_key {
            true => "take one of the two out; with \"merge\" a new row takes the place of the one with its key",
            false => "name the columns that tell rows apart: unique_key = \"id\"",
        }));
        strategy
    }
}

/// What a view cannot be made of: whatever its own database does not keep, and secrets.
pub fn check_views(project: &Project, from: &Gathered, report: &mut Report) {
    for op in project.ops.values() {
        let Action::Sql(sql) = &op.action else { continue };
        let Some(asset) = project.nodes[op.outputs[0]].asset().filter(|it| it.publishing.view) else { continue };
        let place = from.asset.entries[op.outputs[0].index()].table.entry("sql").map_or(op.place, |it| it.place);
        for table in &sql.tables {
            let node = &project.nodes[table.node];
            if node.asset().is_none_or(|it| it.io != asset.io) {
                let message = format!("the view `{}` cannot read `{}`", op.name, node.key);
                let told = Diagnostic::error(code::BAD_SQL, message).at(place).label("reads it");
                let told = told.other(node.place, "not a table of the same database");
                report.push(told.help("make a table of one of the two: materialized = \"table\""));
            }
        }
        if sql.template.iter().flat_map(SqlTemplate::secrets).next().is_some() {
            let told = Diagnostic::error(code::BAD_SQL, format!("the view `{}` would show a secret", op.name));
            let help = "the database tells everybody how its views are made: materialized = \"table\" keeps rows only";
            report.push(told.at(place).help(help));
        }
    }
}
