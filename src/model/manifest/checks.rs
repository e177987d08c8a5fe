//! `[[asset.KEY.checks]]`: what must be true of an asset's data, from tables to model types.
//!
//! Knows the form of a check, not how one is run.

use std::collections::HashMap;

use crate::{
    base::{diagnostic::Diagnostic, id::Id, span::Span},
    model::project::{Check, EnvName, NodeId, Severity},
};

use super::{
    code,
    keys::CHECK_KINDS,
    raw::{Entry, Table, Value},
    resolve::Resolver,
};

impl<'a> Resolver<'a> {
    /// The checks of one output of an op, whose inputs and variables they may name.
    pub fn checks(&mut self, asset: NodeId, inputs: &[&str], env: &[EnvName]) -> Vec<Check> {
        let from = self.from;
        let declared = &from.asset.entries[asset.index()];
        let mut names: HashMap<&str, Span> = HashMap::new();
        let mut checks = Vec::new();
        for item in declared.table.get("checks").map(Value::items).unwrap_or_default() {
            let Some(table) = item.table() else { continue };
            let Some(command) = self.check_command(item, table) else { continue };
            let Some((name, place)) = table.get("name").and_then(|it| Some((it.text()?, it.place))) else {
                if table.entry("name").is_none() {
                    let told = Diagnostic::error(code::MISSING_KEY, "a check has no `name`").at(item.place);
                    self.report.push(told.help("name it: it is what messages and reports call it"));
                }
                continue;
            };
            if let Some(first) = names.insert(name, place) {
                self.report.push(
                    Diagnostic::error(code::DUPLICATE_NAME, format!("two checks of `{}` are `{name}`", declared.key))
                        .at(place)
                        .label("again")
                        .other(first, "first here")
                        .help("rename one of the two"),
                );
            }
            let warns = table.get("severity").and_then(Value::text).is_some_and(|it| &**it == "warn");
            checks.push(Check {
                asset,
                name: name.to_string(),
                place: item.place,
                action: self.action(&command.value, inputs, &[&*declared.key], env),
                severity: if warns { Severity::Warn } else { Severity::Error },
                timeout: table.get("timeout").and_then(|it| self.timeout(it)),
            });
        }
        checks
    }

    /// The command of a check, which must be its one kind.
    fn check_command<'t>(&mut self, item: &Value, table: &'t Table) -> Option<&'t Entry> {
        let kinds: Vec<&Entry> = table.entries.iter().filter(|it| CHECK_KINDS.contains(&&*it.key)).collect();
        match kinds[..] {
            [] => {
                let told = Diagnostic::error(code::MISSING_KEY, "the check looks at nothing").at(item.place);
                self.report.push(told.label("`command` is missing"));
            }
            [one] => return (&*one.key == "command").then_some(one),
            [first, second, ..] => {
                let told = Diagnostic::error(code::BAD_VALUE, "the check looks at two things").at(second.place);
                let told = told.label("and at another").other(first.place, "at one");
                self.report.push(told.help("make two checks of it"));
            }
        }
        None
    }
}
