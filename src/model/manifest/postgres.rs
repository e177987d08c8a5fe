//! `[io.*]` of type `postgres`: where the database is, and which tables cannot be kept there.
//!
//! The address is checked here and forgotten again: only the template that it is made from is kept.

use std::collections::HashMap;

use crate::{
    base::diagnostic::Diagnostic,
    model::project::{IoKind, NodeId, Project},
};

use super::{code, gather::Declared, raw::Data, report::Report, resolve::Resolver};

/// Postgres cuts longer names off, silently.
const NAME_BYTES_MAX: usize = 63;
/// What is ours in a schema begins so.
const RESERVED: &str = "_assets_";
const HELP: &str =
    "postgres://USER:PASSWORD@HOST:PORT/DATABASE; keep it in a variable: url = \"{{ env.DATABASE_URL }}\"";

impl Resolver<'_> {
    /// What is wrong was reported: it stays such a database, so that no more is told than that.
    pub fn postgres(&mut self, io: &Declared) -> IoKind {
        let schema = io.table.get("schema").and_then(|it| Some((self.render(it.text()?, it.place)?, it.place)));
        if let Some((schema, place)) = &schema
            && schema.len() > NAME_BYTES_MAX
        {
            self.report.push(too_long("schema", schema).at(*place));
        }
        let url = self.required(io, "io", "url").and_then(|it| Some((it.text()?.clone(), it.place)));
        if let Some((url, place)) = &url
            && let Some(rendered) = self.render(url, *place)
        {
            let is_address = ["postgres://", "postgresql://"].iter().any(|it| rendered.starts_with(it));
            // Not shown: it may hold a password all the same.
            let wrong = match is_address {
                false => Some("this is not the address of a Postgres database"),
                true => has_password(url).then_some("a password stands in the manifest"),
            };
            let told = wrong.map(|it| Diagnostic::error(code::BAD_VALUE, it).at(*place).help(HELP));
            told.into_iter().for_each(|it| self.report.push(it));
        }
        let from_key = io.table.get("schema_from_key").map(|it| &it.data);
        IoKind::Postgres {
            url: url.map(|it| it.0.to_string()).unwrap_or_default(),
            schema: schema.map(|it| it.0.to_string()),
            schema_from_key: matches!(from_key, Some(Data::Boolean(true))),
        }
    }
}

/// Whether a template has a password in it, and not only the name of one.
fn has_password(template: &str) -> bool {
    let rest = template.split_once("://").map_or("", |it| it.1);
    let user = rest.rsplit_once('@').map_or("", |it| it.0);
    let asked = rest.split_once("password=").map(|it| it.1);
    let literal = |it: &str| !it.is_empty() && !it.starts_with("{{");
    user.split_once(':').is_some_and(|it| literal(it.1)) || asked.is_some_and(literal)
}

fn too_long(what: &str, name: &str) -> Diagnostic {
    Diagnostic::error(code::BAD_VALUE, format!("the name of the {what} is longer than {NAME_BYTES_MAX} bytes: {name}"))
        .help("Postgres would cut it off; choose a shorter one")
}

/// Tables that Postgres could not keep apart, or at all.
pub fn check(project: &Project, report: &mut Report) {
    let mut seen: HashMap<(&str, String, String), NodeId> = HashMap::new();
    for (id, node, asset) in project.assets() {
        let IoKind::Postgres { url, schema, .. } = &project.io_managers[asset.io].kind else { continue };
        let (own_schema, name) = asset.table();
        for (what, name) in own_schema.iter().map(|it| ("schema", it)).chain([("table", &name)]) {
            if name.len() > NAME_BYTES_MAX {
                report.push(too_long(what, name).at(node.place));
            }
            if name.starts_with(RESERVED) {
                let told = Diagnostic::error(code::BAD_VALUE, format!("a {what} of that name is not for data: {name}"));
                let help = format!("names that begin with `{RESERVED}` are kept for this tool");
                report.push(told.at(node.place).help(help));
            }
            if what == "schema" && name.to_lowercase().starts_with("pg_") {
                let told = Diagnostic::error(code::BAD_VALUE, format!("Postgres has no such schema for data: {name}"));
                report.push(told.at(node.place).help("names that begin with `pg_` are its own: rename the key"));
            }
        }
        // A query that does not quote a name means the one in lower case. Where nobody says, it is nearly always
        // this schema.
        let within = own_schema.as_deref().or(schema.as_deref()).unwrap_or("public");
        let first = *seen.entry((url, within.to_lowercase(), name.to_lowercase())).or_insert(id);
        if first != id {
            let (a, b) = (project.key(first), &node.key);
            let table = own_schema.map_or_else(|| name.clone(), |it| format!("{it}.{name}"));
            report.push(
                Diagnostic::error(code::OVERLAP, format!("`{a}` and `{b}` would both be the table {table}"))
                    .at(node.place)
                    .label("the same table")
                    .other(project.nodes[first].place, "as this")
                    .help("a table is named after its key, with `_` for `/`; rename one of the two"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_told_from_the_name_of_one() {
        for fine in [
            "{{ env.URL }}",
            "postgres://host/db",
            "postgres://me@host/db",
            "postgres://me:{{ env.PASSWORD }}@host:5432/db",
            "postgres://host/db?user=me&password={{ env.PASSWORD }}",
        ] {
            assert!(!has_password(fine), "{fine}");
        }
        for bad in ["postgres://me:pass@host/db", "postgresql://me:p@ss@host/db", "postgres://host/db?password=x"] {
            assert!(has_password(bad), "{bad}");
        }
    }
}
