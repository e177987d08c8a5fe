//! `[io.*]` of type `duckdb` and `adbc`: which library speaks to which database, and which tables cannot be kept
//! there.
//!
//! Templates are tried and then kept as they stand: what they become may be secret.

use std::collections::{BTreeMap, HashMap};

use crate::{
    base::diagnostic::Diagnostic,
    model::{
        project::{AdbcDatabase, IoKind, Project},
        sql::Dialect,
    },
};

use super::{code, gather::Declared, pattern, raw::Data, report::Report, resolve::Resolver};

/// What is ours in a database begins so.
const RESERVED: &str = "_assets_";
/// Of any part of a name, in the engine that has the least room.
const POSTGRES_BYTES_MAX: usize = 63;

impl Resolver<'_> {
    /// What is wrong was reported: it stays such a database, so that no more is told than that.
    pub fn adbc(&mut self, io: &Declared, is_duckdb: bool) -> IoKind {
        let schema = self.tried(io, "schema").map(|it| it.1);
        let entrypoint = self.tried(io, "entrypoint").map(|it| it.1);
        let options = self.options_of(io);
        if is_duckdb {
            let folder = self.from.origins[io.origin].folder.clone();
            let path = self.required(io, "io", "path").and_then(|it| Some((it.text()?.clone(), it.place)));
            let path = path.and_then(|(text, place)| Some((self.render(&text, place)?, place)));
            let path = path.and_then(|(text, place)| pattern::path(&folder, &text, place, self.report));
            let driver = self.tried(io, "library").map(|it| it.0);
            let file = Some(path.unwrap_or_default());
            return IoKind::Adbc(Box::new(AdbcDatabase {
                driver,
                entrypoint,
                dialect: Dialect::DuckDb,
                file,
                schema,
                options,
            }));
        }
        let dialect = self.required(io, "io", "dialect").and_then(|it| Dialect::named(it.text()?));
        self.required(io, "io", "driver");
        let dialect = dialect.unwrap_or(Dialect::Ansi);
        let driver = self.tried(io, "driver").map(|it| it.0);
        IoKind::Adbc(Box::new(AdbcDatabase { driver, entrypoint, dialect, file: None, schema, options }))
    }

    /// A template, as it stands and as it is now.
    fn tried(&mut self, io: &Declared, key: &str) -> Option<(String, String)> {
        let value = io.table.get(key)?;
        let text = value.text()?.clone();
        let rendered = self.render(&text, value.place)?;
        Some((text.to_string(), rendered.to_string()))
    }

    fn options_of(&mut self, io: &Declared) -> BTreeMap<String, String> {
        let Some(Data::Table(table)) = io.table.get("options").map(|it| &it.data) else { return BTreeMap::new() };
        let mut options = BTreeMap::new();
        for entry in &table.entries {
            let Some(text) = entry.value.text() else { continue };
            self.render(text, entry.value.place);
            if is_secret(&entry.key) && !text.is_empty() && !text.contains("{{") {
                let told = Diagnostic::error(code::BAD_VALUE, "a secret stands in the manifest").at(entry.value.place);
                self.report.push(told.help(format!("keep it in a variable: {} = \"{{{{ env.NAME }}}}\"", entry.key)));
            }
            options.insert(entry.key.to_string(), text.to_string());
        }
        options
    }
}

/// Whether an option of this name holds what nobody else may know.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "secret", "token", "private_key"].iter().any(|it| key.contains(it))
}

/// Tables that the database could not keep apart, or at all.
pub fn check(project: &Project, report: &mut Report) {
    let mut seen = HashMap::new();
    for (id, node, asset) in project.assets() {
        let IoKind::Adbc(database) = &project.io_managers[asset.io].kind else { continue };
        let name = asset.path.to_string();
        if database.dialect == Dialect::Postgres && name.len() > POSTGRES_BYTES_MAX {
            let told = format!("the name of the table is longer than {POSTGRES_BYTES_MAX} bytes: {name}");
            report.push(Diagnostic::error(code::BAD_VALUE, told).at(node.place).help("Postgres would cut it off"));
        }
        if name.starts_with(RESERVED) {
            let told = Diagnostic::error(code::BAD_VALUE, format!("a table of that name is not for data: {name}"));
            report.push(told.at(node.place).help(format!("names that begin with `{RESERVED}` are kept for this tool")));
        }
        // One file may have several managers; what else is the same database nobody knows.
        let manager = if database.file.is_some() { usize::MAX } else { crate::base::id::Id::index(asset.io) };
        let place = (database.file.as_ref(), manager, database.schema.as_deref(), name.to_lowercase());
        let first = *seen.entry(place).or_insert(id);
        if first != id {
            let (a, b) = (project.key(first), &node.key);
            report.push(
                Diagnostic::error(code::OVERLAP, format!("`{a}` and `{b}` would both be the table {name}"))
                    .at(node.place)
                    .label("the same table")
                    .other(project.nodes[first].place, "as this")
                    .help("a table is named after its key, with `_` for `/`; rename one of the two"),
            );
        }
    }
}
