//! `[[asset.KEY.checks]]`: what must be true of an asset's data, from tables to model types.
//!
//! Knows the form of a check, not how one is run; the arguments of those that ask rows are read in
//! [`data_checks`](super::data_checks).

use std::collections::HashMap;

use crate::{
    base::{diagnostic::Diagnostic, id::Id, span::Span},
    model::{
        check::{DataCheck, Share},
        project::{Check, CheckBody, EnvName, NodeId, Severity},
    },
};

use super::{
    check_keys::CHECK_KINDS,
    code,
    raw::{Data, Entry, Table, Value},
    resolve::Resolver,
};

/// Wrong rows that are shown if nobody says how many.
const SAMPLE: u64 = 20;

/// What the op of a check is made of so far. What a check reads is added.
pub struct OpParts<'p, 'a> {
    pub outputs: &'p [NodeId],
    pub deps: &'p mut Vec<NodeId>,
    pub inputs: &'p mut Vec<&'a str>,
    pub env: &'p [EnvName],
}

impl<'a> Resolver<'a> {
    /// The checks of one output of an op, whose inputs and variables they may name.
    pub fn checks(&mut self, asset: NodeId, op: &mut OpParts<'_, 'a>) -> Vec<Check> {
        let from = self.from;
        let declared = &from.asset.entries[asset.index()];
        let mut names: HashMap<String, Span> = HashMap::new();
        let mut checks = Vec::new();
        for item in declared.table.get("checks").map(Value::items).unwrap_or_default() {
            let Some(table) = item.table() else { continue };
            let Some(kind) = self.check_kind(item, table) else { continue };
            let body = match &*kind.key {
                "command" => {
                    self.only_for_rows(table);
                    CheckBody::Command(self.action(&kind.value, op.inputs, &[&*declared.key], op.env))
                }
                _ => match self.data_check(asset, kind, table) {
                    Some(it) => CheckBody::Data(Box::new(it)),
                    None => continue,
                },
            };
            if let CheckBody::Data(it) = &body {
                self.reads(asset, it, item.place, op);
            }
            let Some((name, place)) = self.check_name(item, table, kind, &body) else { continue };
            if let Some(first) = names.insert(name.clone(), place) {
                self.report.push(
                    Diagnostic::error(code::DUPLICATE_NAME, format!("two checks of `{}` are `{name}`", declared.key))
                        .at(place)
                        .label("again")
                        .other(first, "first here")
                        .help("give one of the two another `name`"),
                );
            }
            let warns = table.get("severity").and_then(Value::text).is_some_and(|it| &**it == "warn");
            checks.push(Check {
                asset,
                name,
                place: item.place,
                body,
                severity: if warns { Severity::Warn } else { Severity::Error },
                blocking: !matches!(table.get("blocking").map(|it| &it.data), Some(Data::Boolean(false))),
                threshold: table.get("threshold").map_or(Share::NONE, |it| self.share(it, "threshold")),
                sample: match table.get("sample").map(|it| &it.data) {
                    Some(Data::Integer(it)) => u64::try_from(*it).unwrap_or(0),
                    _ => SAMPLE,
                },
                timeout: table.get("timeout").and_then(|it| self.timeout(it)),
            });
        }
        checks
    }

    /// The one thing that a check looks at.
    fn check_kind<'t>(&mut self, item: &Value, table: &'t Table) -> Option<&'t Entry> {
        let kinds: Vec<&Entry> = table.entries.iter().filter(|it| CHECK_KINDS.contains(&&*it.key)).collect();
        match kinds[..] {
            [] => {
                let told = Diagnostic::error(code::MISSING_KEY, "the check looks at nothing").at(item.place);
                let kinds = CHECK_KINDS.join("`, `");
                self.report
                    .push(told.label("no kind of check").help(format!("say what it looks at: one of `{kinds}`")));
                None
            }
            [one] => Some(one),
            [first, second, ..] => {
                let told = Diagnostic::error(code::BAD_VALUE, "the check looks at two things").at(second.place);
                let told = told.label("and at another").other(first.place, "at one");
                self.report.push(told.help("make two checks of it"));
                None
            }
        }
    }

    /// A command tells nothing of itself; everything else has a name by what it asks.
    fn check_name(&mut self, item: &Value, table: &Table, kind: &Entry, body: &CheckBody) -> Option<(String, Span)> {
        match (table.entry("name"), body) {
            (Some(entry), _) => entry.value.text().map(|it| (it.to_string(), entry.value.place)),
            (None, CheckBody::Data(it)) => Some((it.rule.default_name(), kind.place)),
            (None, CheckBody::Command(_)) => {
                let told = Diagnostic::error(code::MISSING_KEY, "a check has no `name`").at(item.place);
                self.report.push(told.help("name it: it is what messages and reports call it"));
                None
            }
        }
    }

    /// A command looks at what it likes.
    fn only_for_rows(&mut self, table: &Table) {
        if let Some(entry) = table.entry("where") {
            let told = Diagnostic::error(code::BAD_VALUE, "`where` means nothing to a command").at(entry.place);
            self.report.push(told.help("let the command choose the rows that it looks at"));
        }
    }

    /// What a check reads is there before its asset is made, and is part of what that is made from.
    fn reads(&mut self, asset: NodeId, check: &DataCheck, place: Span, op: &mut OpParts<'_, 'a>) {
        for table in check.tables.iter().filter(|it| it.node != asset) {
            let from = self.from;
            if op.outputs.contains(&table.node) {
                let message =
                    format!("a check cannot read `{}`, which is made along with what it looks at", table.name);
                let told = Diagnostic::error(code::BAD_VALUE, message).at(place);
                self.report.push(told.help("nothing of a step is published before all its checks have passed"));
            } else if !op.deps.contains(&table.node) {
                op.deps.push(table.node);
                op.inputs.push(match from.asset.entries.get(table.node.index()) {
                    Some(it) => &it.key,
                    None => &from.source.entries[table.node.index() - from.asset.entries.len()].key,
                });
            }
        }
    }
}
