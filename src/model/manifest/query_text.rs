//! Texts of SQL with everything inserted: `vars`, `env` and `ref`, and what of it counts.
//!
//! Knows templates, not what a query means.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use crate::{
    base::{diagnostic::Diagnostic, id::Id, places::Places, span::Span},
    model::{
        partitioning::PartitionsId,
        project::{EnvName, Home, NodeId, SqlTemplate, VarValue, secret_mark, tagged},
        select,
        sql::{Dialect, TableName},
        template::{Model, Quoting, Scope, Template, TemplateError, Uses, placed, refer::Refs},
    },
};

use super::batch::OF_RANGE;
use super::{code, escapes, interpolate, raw::Value, resolve::Resolver};

/// A text, and what it became.
pub struct QueryText {
    pub written: Arc<str>,
    pub place: Span,
    /// With everything inserted; of a secret, its mark.
    pub text: Arc<str>,
    /// `None`: nothing was inserted.
    pub template: Option<SqlTemplate>,
    /// The keys that were referred to.
    pub refs: BTreeSet<String>,
}

/// What a text of SQL stands in, and who is told of what in it.
pub struct QueryScope<'a> {
    pub dialect: Dialect,
    /// Declared variables of the environment; `None` where none can be named.
    pub env: Option<&'a [EnvName]>,
    /// What it is to be, if it is the query of an asset.
    pub model: Option<Model<'a>>,
    /// The partitions of what the query makes.
    pub cut: Option<PartitionsId>,
    /// It is for several partitions at once.
    pub batch: bool,
}

impl Resolver<'_> {
    /// The text with everything inserted; `None` after a mistake.
    pub fn query_text(&mut self, written: &Arc<str>, place: Span, scope: &QueryScope<'_>) -> Option<QueryText> {
        if written.contains('\0') {
            let told = Diagnostic::error(code::BAD_SQL, "the query holds a NUL character").at(place);
            self.report.push(told);
            return None;
        }
        let template = Template::new(written.clone(), Some(place));
        let plain = |text| QueryText { written: written.clone(), place, text, template: None, refs: BTreeSet::new() };
        if template.is_plain() {
            return Some(plain(written.clone()));
        }
        let refs = Refs::new(self.all_keys(), scope.dialect);
        let mut partition = self.partition_in_text(scope.cut);
        partition.retain(|name, _| !scope.batch || OF_RANGE.contains(&&**name));
        let rendered = self.uses(&template, scope).and_then(|uses| {
            let placed =
                self.rendered(&template, &self.vars, &self.values(&uses, scope)?, &refs, scope.model, &partition)?;
            Ok((uses, placed))
        });
        let (uses, placed) = match rendered {
            Ok(it) => it,
            Err(error) => {
                let told = interpolate::told(error, written, place, self.sources);
                self.report.push(told);
                return None;
            }
        };
        // With names in place of values it stays the same when they change.
        let outline = {
            let vars = self.vars.iter().map(|(name, it)| (name.clone(), named(it, &format!("vars.{name}")))).collect();
            let env = uses.env.iter().map(|it| (it.clone(), tagged(&format!("env.{it}")))).collect();
            self.rendered(&template, &vars, &env, &refs, scope.model, &partition).ok().map(|it| it.text)
        };
        let vars = self.vars.keys().filter(|it| uses.all_vars || uses.vars.contains(*it)).cloned().collect();
        let secret = |it: &String| scope.env.unwrap_or_default().iter().any(|own| own.name == *it && own.secret);
        let env = uses.env.iter().map(|it| EnvName { secret: secret(it), name: it.clone() }).collect();
        let template = SqlTemplate { written: written.to_string(), places: placed.places, outline, vars, env };
        Some(QueryText { template: Some(template), refs: refs.asked(), ..plain(placed.text.into()) })
    }

    /// Every key of the project, put together once.
    fn all_keys(&mut self) -> Arc<BTreeSet<String>> {
        let keys = &self.keys;
        self.key_set.get_or_insert_with(|| Arc::new(keys.keys().map(ToString::to_string).collect())).clone()
    }

    /// What the text names, if all of that can be had before anything is run.
    fn uses(&self, template: &Template, scope: &QueryScope<'_>) -> Result<Uses, TemplateError> {
        let uses = template.uses()?;
        let wrong = |message: &str, help: &str, at| TemplateError {
            message: message.to_owned(),
            at,
            unknown: Some(String::new()),
            help: Some(help.to_owned()),
        };
        if uses.output || uses.run || !uses.inputs.is_empty() || !uses.outputs.is_empty() {
            let help = "only `vars`, `env`, `project.root` and `ref(\"KEY\")` can be named here";
            return Err(wrong("a query is known before anything is run", help, None));
        }
        // Its value is put in when it is made; what the query reads is known before.
        if let Some(at) = template.works_on_partition() {
            let help =
                "write {{ partition.key }} and no more, and let the query decide: where region = '{{ partition.key }}'";
            return Err(wrong(
                "a query is one for all partitions: what is made can be inserted, and nothing else",
                help,
                Some(at),
            ));
        }
        let Some(declared) = scope.env else {
            if uses.env.is_empty() && !uses.all_env {
                return Ok(uses);
            }
            let help = "put the value into [vars], and name that: {{ vars.NAME }}";
            return Err(wrong("`env` cannot be named here", help, None));
        };
        if uses.all_env {
            let help = "write {{ env.NAME }}, so that it is known which variables count";
            return Err(wrong("which variable of the environment is meant?", help, None));
        }
        let secrets = declared.iter().filter(|it| it.secret && uses.env.contains(&it.name));
        for secret in secrets {
            if let Some(at) = template.worked_on(&secret.name) {
                let help = format!("write {{{{ env.{} }}}} and no more: its value is not known here", secret.name);
                return Err(wrong("a secret can be inserted, and nothing else", &help, Some(at)));
            }
        }
        Ok(uses)
    }

    /// What the variables stand for: of those that are not set, nothing.
    fn values(&self, uses: &Uses, scope: &QueryScope<'_>) -> Result<BTreeMap<String, String>, TemplateError> {
        let secret = |name: &str| scope.env.unwrap_or_default().iter().any(|it| it.secret && it.name == name);
        let value = |name: &String| match secret(name) {
            true => Some(secret_mark(name)),
            false => (self.options.env)(name),
        };
        Ok(uses.env.iter().filter_map(|it| Some((it.clone(), value(it)?))).collect())
    }

    fn rendered(
        &self,
        template: &Template,
        vars: &BTreeMap<String, VarValue>,
        env: &BTreeMap<String, String>,
        refs: &Arc<Refs>,
        model: Option<Model<'_>>,
        partition: &BTreeMap<String, String>,
    ) -> Result<placed::Placed, TemplateError> {
        template.render_placed(&Scope {
            vars,
            env,
            project_root: self.options.project_root,
            inputs: &BTreeMap::new(),
            outputs: &BTreeMap::new(),
            run_id: "",
            partition,
            quoting: Quoting::AsIs,
            refs: Some(refs),
            model,
        })
    }

    /// Where what stands at `at` in the rendered text was written.
    pub fn place_in(&self, query: &QueryText, at: Option<Range<usize>>) -> Span {
        let all = match query.place.range().len() {
            // A file of its own: nobody wants all of it underlined.
            it if it == query.written.len() => Span::new(query.place.file, 0..0),
            _ => query.place,
        };
        let Some(at) = at else { return all };
        let written = match &query.template {
            None => Some(at),
            Some(it) => it.places.origin_of(at),
        };
        written.map_or(all, |it| interpolate::inside(&query.written, query.place, it, self.sources))
    }

    /// Where it stands in the manifest, if that is where it stands.
    pub fn home(&self, query: &QueryText) -> Option<Home> {
        let source = self.sources.file(query.place.file);
        let range = query.place.range();
        let in_string = escapes::places(source.text.get(range.clone())?, &query.written)?;
        let length = query.written.len();
        let written = query.template.as_ref().map_or_else(|| Places::plain(length, 0), |it| it.places.clone());
        let places = written.through(&in_string).through(&Places::plain(range.len(), range.start));
        Some(Home { file: source.path.display().to_string(), text: query.text.to_string(), places })
    }

    /// Whether a table that is nowhere declared is known to be there: `external_tables` say so.
    pub fn is_external(&self, asset: NodeId, table: &TableName) -> bool {
        let name = table.parts.join(".").to_lowercase();
        self.external_patterns(asset).any(|it| select::matches(&it.to_lowercase(), &name))
    }

    /// The patterns that hold for an asset: its own, of its IO manager, of the project.
    fn external_patterns(&self, asset: NodeId) -> impl Iterator<Item = &str> {
        const KEY: &str = "external_tables";
        let io = self.keepers.get(asset.index()).and_then(|it| self.from.io.entries.get(it.0.index()));
        let tables = [self.from.asset.entries.get(asset.index()).map(|it| &it.table), io.map(|it| &it.table)];
        let tables = tables.into_iter().flatten().chain([&self.from.project]);
        tables.filter_map(|it| it.get(KEY)).flat_map(Value::items).filter_map(|it| it.text().map(|it| &**it))
    }
}

/// The same value with, for each text or number in it, what stands for the tag that would insert it.
fn named(value: &VarValue, path: &str) -> VarValue {
    match value {
        VarValue::Table(them) => VarValue::Table(
            them.iter().map(|(name, it)| (name.clone(), named(it, &format!("{path}.{name}")))).collect(),
        ),
        _ => VarValue::Text(tagged(path)),
    }
}
