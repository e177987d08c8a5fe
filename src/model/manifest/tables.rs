//! What stands in the FROM of a query: a table that is declared or known to be there, or a mistake.

use crate::{
    base::{diagnostic::Diagnostic, span::Span},
    model::{
        key::declaring,
        project::NodeId,
        sql::{Dialect, TableName},
    },
};

use super::{code, query_text::QueryText, resolve::Resolver};

impl<'a> Resolver<'a> {
    /// The key that a table's name means: as it is spelt, or as the database calls that table. `None` for one that
    /// is known to be there, and after a mistake.
    pub fn table_key(&mut self, asset: NodeId, table: &TableName, place: Span, dialect: Dialect) -> Option<&'a str> {
        let from = self.from;
        let keys = || from.asset.keys().chain(from.source.keys());
        let name = table.parts.join("/");
        let found = table.meant(|it| self.keys.get_key_value(it).map(|it| *it.0), keys());
        if found.is_some() {
            return found;
        }
        let external = self.is_external(asset, table);
        if external && dialect != Dialect::DataFusion {
            return None;
        }
        let near = keys().find(|it| *it == name).or_else(|| self.report.nearest(&name, keys()));
        // `main.orders` is no other table than `orders`.
        let last = table.parts.last().and_then(|last| keys().find(|it| it.eq_ignore_ascii_case(last)));
        let shown = if near.is_some() { &name } else { &table.parts.join(".") };
        let told = Diagnostic::error(code::UNKNOWN_DEP, format!("there is no asset or source `{shown}`"));
        let told = told.at(place).label("unknown table");
        self.report.push(match near {
            _ if external => {
                told.help("`external_tables` are those of a database, and this query reads files: declare a source")
            }
            Some(near) if table.parts.len() > 1 => told.help(format!("write it as one name: \"{near}\"")),
            Some(near) => told.help(format!("did you mean `{near}`?")),
            None if table.parts.len() > 1 && last.is_some() => {
                told.help(format!("write it by its key alone: {}", dialect.quoted(last.unwrap_or_default())))
            }
            None if dialect == Dialect::DataFusion => told.help(declaring(&name)),
            None if table.parts.len() > 1 => told.help(listing(table)),
            None => told.help(declaring(&name)).help(listing(table)),
        });
        None
    }

    /// Tells of functions that read what nobody sees, but for those that `external_tables` name.
    pub fn unseen(&mut self, asset: NodeId, functions: &[TableName], query: &QueryText) {
        for function in functions.iter().filter(|it| !self.is_external(asset, it)).collect::<Vec<_>>() {
            let name = function.parts.join(".");
            let told = Diagnostic::error(code::UNKNOWN_DEP, format!("what `{name}` reads is not seen"));
            let told = told.at(self.place_in(query, Some(function.at.clone()))).label("may read anything");
            let told = told.help("declare a file as a source, and read that: a change of it makes this stale then");
            self.report.push(told.help(listing(function)));
        }
    }
}

/// How what is meant and not tracked is said.
fn listing(name: &TableName) -> String {
    format!("if it is meant, and need not be tracked: external_tables = [{:?}]", name.parts.join("."))
}
