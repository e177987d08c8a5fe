//! How the result of a query is kept: `materialized` and what goes with it.

use crate::{
    base::diagnostic::Diagnostic,
    model::{
        materialized::{Incremental, Strategy},
        project::NodeId,
        template::Model,
    },
};

use super::{
    code,
    gather::Declared,
    raw::{Data, Value},
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
