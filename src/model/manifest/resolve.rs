//! Names to ids, defaults applied, checked tables to model types.
//!
//! Goes on after every mistake; what it returns is a project only if the report has no errors.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    base::{
        diagnostic::Diagnostic,
        id::{Id, IdVec},
        path::ProjectPath,
        span::{SourceMap, Span},
        suggest,
    },
    model::{
        format::TableFormat,
        graph::AssetGraph,
        key::AssetKey,
        partition::Definition,
        partitioning::{Partitioning, PartitionsId},
        project::{
            Durability, EnvName, IoId, IoKind, IoManager, Job, Node, NodeBody, NodeId, Op, OpId, Pool, PoolId, Project,
            VarValue,
        },
    },
};

use super::{
    Options, adbc, code,
    gather::{Declared, Gathered, Section},
    interpolate,
    keys::{IO, IO_TYPES, options_of},
    materialized, object_store, overlap, pattern, postgres,
    raw::{Data, Entry, Table, Value},
    report::Report,
    sql, validate,
};

/// Everything that resolving one asset, source or op needs to see.
pub struct Resolver<'a> {
    pub from: &'a Gathered,
    pub options: &'a Options<'a>,
    pub sources: &'a SourceMap,
    pub report: &'a mut Report,
    pub vars: BTreeMap<String, VarValue>,
    /// Variables of `[project]`, and whether each is secret.
    pub env: BTreeMap<String, bool>,
    /// By the number of the IO manager.
    pub io_kinds: Vec<IoKind>,
    /// Who keeps each asset, in order, and as what if that is a file with a table.
    pub keepers: Vec<(IoId, Option<TableFormat>)>,
    /// The IO manager of assets that name none.
    pub default_io: Option<IoId>,
    /// `[partitions.*]`, by name.
    pub definitions: &'a BTreeMap<String, Definition>,
    pub partitioning: Partitioning,
    /// Of ops that have partitions.
    pub op_partitions: HashMap<OpId, PartitionsId>,
    /// Assets first, then sources, each in the order declared.
    pub keys: HashMap<&'a str, NodeId>,
    /// The same for templates of SQL, as soon as there is one.
    pub key_set: Option<Arc<BTreeSet<String>>>,
    /// Files whose query asks for an order of its rows.
    pub ordered: BTreeSet<NodeId>,
}

/// Name and root of the IO manager of a project that declares none.
const DEFAULT_IO: (&str, &str) = ("files", "data");

pub fn resolve<'a>(
    from: &'a Gathered,
    definitions: &'a BTreeMap<String, Definition>,
    options: &'a Options<'a>,
    sources: &'a SourceMap,
    report: &'a mut Report,
) -> Option<Project> {
    let mut it = Resolver {
        from,
        options,
        sources,
        report,
        vars: BTreeMap::new(),
        env: BTreeMap::new(),
        io_kinds: Vec::new(),
        keepers: Vec::new(),
        default_io: None,
        definitions,
        partitioning: Partitioning::default(),
        op_partitions: HashMap::new(),
        keys: HashMap::with_capacity(from.asset.entries.len() + from.source.entries.len()),
        key_set: None,
        ordered: BTreeSet::new(),
    };
    let (name, pass_env, durability) = it.project();
    it.vars = it.variables();
    let io_managers = it.io_managers();
    it.io_kinds = io_managers.values().map(|it| it.kind.clone()).collect();
    it.default_io = it.default_io();
    let pools = it.pools();
    let jobs = it.jobs();
    it.number_keys();
    let (mut nodes, ops) = it.nodes_and_ops();
    sql::in_order(&it.ordered, &mut nodes);
    it.check_mappings(&ops, &nodes);
    it.check_pools(&ops, &pools, &jobs);
    let graph = validate::graph(&nodes, &ops, from, it.report);
    let project = Project {
        name,
        target: options.target.map(str::to_owned),
        vars: it.vars,
        nodes,
        ops,
        io_managers,
        pools,
        jobs,
        partitioning: it.partitioning,
        pass_env,
        durability,
        graph: graph.unwrap_or_default(),
        manifests: from.manifests.clone(),
    };
    overlap::check(&project, from, it.report);
    object_store::check(&project, from, it.report);
    adbc::check(&project, it.report);
    postgres::check(&project, it.report);
    sql::readable(&project, from, it.report);
    materialized::check_views(&project, from, it.report);
    validate::jobs(&project, sources, it.report);
    (!it.report.has_errors()).then_some(project)
}

impl<'a> Resolver<'a> {
    /// Name, passed variables and durability; `env` is kept.
    fn project(&mut self) -> (String, Vec<String>, Durability) {
        let table = &self.from.project;
        let place = self.from.project_place.expect("set as soon as the main file is read");
        if table.entry("name").is_none() {
            self.report.push(
                Diagnostic::error(code::MISSING_KEY, "[project] has no `name`")
                    .at(place)
                    .help("begin the file with `[project]` and, in the next line, `name = \"...\"`"),
            );
        }
        if let Some(value) = table.get("requires") {
            self.requires(value);
        }
        self.env = self.env_names(&[table]).into_iter().map(|it| (it.name, it.secret)).collect();
        let mut pass_env = Vec::new();
        for item in table.get("pass_env").map(Value::items).unwrap_or_default() {
            if let Some(text) = item.text() {
                self.env_name(&text.replace('*', "x"), text, item.place);
                pass_env.push(text.to_string());
            }
        }
        let name = table.get("name").and_then(Value::text).map(|it| it.to_string());
        let durability = match table.get("durability").and_then(Value::text).map(|it| &**it) {
            Some("strict") => Durability::Strict,
            Some("off") => Durability::Off,
            // What is none of the three was told where it was read.
            _ => Durability::Epoch,
        };
        (name.unwrap_or_default(), pass_env, durability)
    }

    fn requires(&mut self, value: &Value) {
        let Some(text) = value.text().filter(|it| !it.trim().is_empty()) else { return };
        let ours = env!("CARGO_PKG_VERSION");
        let told = match semver::VersionReq::parse(text) {
            Ok(range) if semver::Version::parse(ours).is_ok_and(|it| range.matches(&it)) => return,
            Ok(_) => Diagnostic::error(code::REQUIRES, format!("the project requires assets {text}; this is {ours}"))
                .label("not this version")
                .help("install a version in the range"),
            Err(error) => Diagnostic::error(code::BAD_VALUE, format!("`requires` is not a range of versions: {error}"))
                .help("write it as Cargo does: \">=0.1, <2\""),
        };
        self.report.push(told.at(value.place));
    }

    fn variables(&mut self) -> BTreeMap<String, VarValue> {
        let mut vars = BTreeMap::new();
        for entry in &self.from.vars.entries {
            if !is_variable_name(&entry.key) {
                self.report.push(
                    Diagnostic::error(code::BAD_NAME, format!("{:?} cannot be the name of a variable", entry.key))
                        .at(entry.place)
                        .help("letters, digits and `_`, so that a template can name it: {{ vars.name }}"),
                );
            }
            vars.insert(entry.key.to_string(), self.variable(&entry.value));
        }
        for (name, value) in self.options.vars {
            if vars.contains_key(name) {
                vars.insert(name.clone(), VarValue::Text(value.clone()));
                continue;
            }
            let told = Diagnostic::error(code::UNKNOWN_VAR, format!("--var {name}: there is no variable `{name}`"));
            let help = self.report.meant(name, vars.keys().map(String::as_str));
            self.report.push(told.help(help.unwrap_or_else(|| format!("declare it: [vars] {name} = \"...\""))));
        }
        vars
    }

    /// Variables are values, not templates; one that looks like a template was meant to be one.
    fn variable(&mut self, value: &Value) -> VarValue {
        match &value.data {
            Data::Text(it) => {
                if it.contains("{{") || it.contains("{%") {
                    self.report.push(
                        Diagnostic::error(code::BAD_VALUE, "a variable is not a template")
                            .at(value.place)
                            .label("this would be taken as it stands")
                            .help("write the template where the variable is used"),
                    );
                }
                VarValue::Text(it.to_string())
            }
            Data::Integer(it) => VarValue::Integer(*it),
            Data::Float(it) => VarValue::Float(*it),
            Data::Boolean(it) => VarValue::Boolean(*it),
            Data::Datetime => VarValue::Text(String::new()),
            Data::List(them) => VarValue::List(them.iter().map(|it| self.variable(it)).collect()),
            Data::Table(them) => {
                VarValue::Table(them.entries.iter().map(|it| (it.key.to_string(), self.variable(&it.value))).collect())
            }
        }
    }

    fn io_managers(&mut self) -> IdVec<IoId, IoManager> {
        if self.from.io.entries.is_empty() {
            let (name, root) = DEFAULT_IO;
            let kind = IoKind::Fs { root: ProjectPath::root().join(root) };
            return IdVec::from_iter([IoManager { name: name.into(), place: None, kind }]);
        }
        let from = self.from;
        from.io
            .entries
            .iter()
            .map(|it| IoManager { name: it.key.to_string(), place: Some(it.place), kind: self.io_kind(it) })
            .collect()
    }

    fn io_kind(&mut self, io: &Declared) -> IoKind {
        let Some(kind) = self.required(io, "io", "type") else { return object_store::unknown_place() };
        let kind = kind.text().map(|it| &**it).unwrap_or_default();
        let own = options_of(kind);
        let is_known = IO_TYPES.now.contains(&kind);
        if is_known {
            for entry in io.table.entries.iter().filter(|it| !own.contains(&&*it.key)) {
                self.not_of_type(entry, kind, own);
            }
        }
        // A slip was told; what follows is told of what was meant.
        let meant = if is_known { None } else { suggest::nearest(kind, IO_TYPES.now.iter().copied()) };
        let kind = meant.unwrap_or(kind);
        let folder = &self.from.origins[io.origin].folder;
        if kind == "sqlite" {
            let path = self.required(io, "io", "path").and_then(|it| Some((it.text()?, it.place)));
            let path = path.and_then(|(text, place)| Some((self.render(text, place)?, place)));
            let path = path.and_then(|(text, place)| pattern::path(folder, &text, place, self.report));
            return IoKind::Sqlite { path: path.unwrap_or_default() };
        }
        if kind == "postgres" {
            return self.postgres(io);
        }
        if kind == "object_store" {
            return self.object_store(io);
        }
        if kind == "duckdb" || kind == "adbc" {
            return self.adbc(io, kind == "duckdb");
        }
        if kind == "memory" {
            return IoKind::Memory;
        }
        if kind != "fs" {
            return object_store::unknown_place();
        }
        let root = io.table.get("root");
        let Some((root, place)) = root.and_then(|it| Some((it.text()?, it.place))) else {
            if root.is_none() {
                return IoKind::Fs { root: folder.join(DEFAULT_IO.1) };
            }
            return object_store::unknown_place();
        };
        let root = self.render(root, place).and_then(|it| pattern::path(folder, &it, place, self.report));
        IoKind::Fs { root: root.unwrap_or_default() }
    }

    fn not_of_type(&mut self, entry: &Entry, kind: &str, own: &[&str]) {
        if IO.field(&entry.key).is_none() {
            return;
        }
        self.report.push(
            Diagnostic::error(code::UNKNOWN_KEY, format!("`{}` means nothing to type = \"{kind}\"", entry.key))
                .at(entry.place)
                .label("an option of another type")
                .help(format!("this type has `{}`", own.join("`, `"))),
        );
    }

    /// A text with `vars` and `env` put in. A path below the project's root becomes relative to it.
    pub fn render(&mut self, text: &Arc<str>, place: Span) -> Option<Arc<str>> {
        if text.trim().is_empty() || text.contains('\0') {
            return None;
        }
        let rendered = interpolate::render(text, place, &self.vars, self.options, self.sources, self.report)?;
        let root = self.options.project_root.trim_end_matches('/');
        let below = rendered.strip_prefix(root).filter(|_| !root.is_empty()).and_then(|it| it.strip_prefix('/'));
        Some(below.map(Arc::from).unwrap_or(rendered))
    }

    fn default_io(&mut self) -> Option<IoId> {
        let from = self.from;
        let named = from.defaults.get("io").or_else(|| from.project.get("default_io"));
        match named {
            Some(value) => self.io(value),
            None if from.io.entries.len() <= 1 => Some(IoId::new(0)),
            None => None,
        }
    }

    /// The IO manager that `value` names.
    pub fn io(&mut self, value: &Value) -> Option<IoId> {
        let name = value.text()?;
        if self.from.io.entries.is_empty() && &**name == DEFAULT_IO.0 {
            return Some(IoId::new(0));
        }
        self.named(&self.from.io, "io", "IO manager", name, value.place).map(IoId::new)
    }

    pub fn pool(&mut self, value: &Value) -> Option<PoolId> {
        let name = value.text()?;
        self.named(&self.from.pool, "pool", "pool", name, value.place).map(PoolId::new)
    }

    pub fn op(&mut self, value: &Value) -> Option<OpId> {
        let name = value.text()?;
        self.named(&self.from.op, "op", "op", name, value.place).map(OpId::new)
    }

    /// Place of `name` in its section; if it is not there, that is reported.
    fn named(&mut self, section: &Section, table: &str, what: &str, name: &str, place: Span) -> Option<usize> {
        if name.trim().is_empty() {
            return None;
        }
        let found = section.index(name);
        if found.is_none() {
            let told = Diagnostic::error(code::UNKNOWN_NAME, format!("there is no {what} `{name}`"))
                .at(place)
                .label(format!("unknown {what}"));
            let help = self.report.meant(name, section.keys());
            self.report.push(told.help(help.unwrap_or_else(|| format!("declare it: [{table}.{name}]"))));
        }
        found
    }

    fn pools(&mut self) -> IdVec<PoolId, Pool> {
        let from = self.from;
        let pool = |it: &Declared| {
            let limit = match self.required(it, "pool", "limit").map(|it| &it.data) {
                Some(Data::Integer(limit)) => usize::try_from(*limit).unwrap_or(1),
                _ => 1,
            };
            let per = it.table.get("per").and_then(Value::text).map(|it| it.to_string());
            Pool { name: it.key.to_string(), limit, per }
        };
        from.pool.entries.iter().map(pool).collect()
    }

    fn jobs(&mut self) -> BTreeMap<String, Job> {
        let from = self.from;
        let mut jobs = BTreeMap::new();
        for job in &from.job.entries {
            if let Some((select, place)) =
                self.required(job, "job", "select").and_then(|it| Some((it.text()?, it.place)))
            {
                let text = |key: &str| job.table.get(key).and_then(Value::text).map(|it| it.to_string());
                let it = Job {
                    select: select.to_string(),
                    place,
                    description: text("description"),
                    partitions: text("partitions"),
                    vars: self.job_vars(job),
                    pool: job.table.get("pool").and_then(|it| self.pool(it)),
                };
                jobs.insert(job.key.to_string(), it);
            }
        }
        jobs
    }

    /// Variables that a job sets, which must be declared.
    fn job_vars(&mut self, job: &Declared) -> BTreeMap<String, String> {
        let entries = job.table.get("vars").and_then(Value::table).map(|it| &it.entries[..]).unwrap_or_default();
        let mut vars = BTreeMap::new();
        for entry in entries {
            if !self.vars.contains_key(&*entry.key) {
                let told = Diagnostic::error(code::UNKNOWN_VAR, format!("there is no variable `{}`", entry.key));
                let help = self.report.meant(&entry.key, self.vars.keys().map(String::as_str));
                let help = help.unwrap_or_else(|| format!("declare it: [vars] {} = \"...\"", entry.key));
                self.report.push(told.at(entry.place).help(help));
            }
            if let Some(value) = entry.value.text() {
                vars.insert(entry.key.to_string(), value.to_string());
            }
        }
        vars
    }

    pub fn required<'t>(&mut self, of: &'t Declared, section: &str, key: &str) -> Option<&'t Value> {
        let found = of.table.get(key);
        if found.is_none() {
            self.report.push(
                Diagnostic::error(code::MISSING_KEY, format!("[{section}.{}] has no `{key}`", of.key))
                    .at(of.place)
                    .label(format!("`{key}` is missing")),
            );
        }
        found
    }

    /// `env` and `secret_env` of several tables, sorted; secret anywhere is secret.
    pub fn env_names(&mut self, tables: &[&Table]) -> Vec<EnvName> {
        let mut names = self.env.clone();
        for table in tables {
            for (key, secret) in [("env", false), ("secret_env", true)] {
                for item in table.get(key).map(Value::items).unwrap_or_default() {
                    let Some(text) = item.text() else { continue };
                    self.env_name(text, text, item.place);
                    *names.entry(text.to_string()).or_default() |= secret;
                }
            }
        }
        names.into_iter().map(|(name, secret)| EnvName { name, secret }).collect()
    }

    fn env_name(&mut self, name: &str, shown: &str, place: Span) {
        if name.trim().is_empty() || name.contains('\0') {
            return;
        }
        if !is_variable_name(name) {
            self.report.push(
                Diagnostic::error(code::BAD_NAME, format!("{shown:?} cannot be the name of a variable"))
                    .at(place)
                    .help("a variable of the environment has letters, digits and `_`"),
            );
        } else if name.starts_with("ASSETS_") {
            self.report.push(
                Diagnostic::error(code::RESERVED, format!("`{shown}` is set by the tool"))
                    .at(place)
                    .label("reserved")
                    .help("choose a name that does not begin with ASSETS_"),
            );
        }
    }

    fn number_keys(&mut self) {
        let from = self.from;
        let all = from.asset.entries.iter().chain(&from.source.entries);
        for (index, it) in all.enumerate() {
            let id = NodeId::new(index);
            let first = *self.keys.entry(&*it.key).or_insert(id);
            if first != id {
                let asset = &from.asset.entries[first.index()];
                self.report.push(
                    Diagnostic::error(code::DUPLICATE_NAME, format!("`{}` is an asset and a source", it.key))
                        .at(it.place)
                        .label("the source")
                        .other(asset.place, "the asset")
                        .help("assets and sources share one namespace; rename one of the two"),
                );
            }
        }
    }

    fn nodes_and_ops(&mut self) -> (IdVec<NodeId, Node>, IdVec<OpId, Op>) {
        let from = self.from;
        let mut makes = vec![Vec::new(); from.op.entries.len()];
        let mut nodes = IdVec::new();
        let mut implicit = Vec::new();
        for declared in &from.asset.entries {
            let id = NodeId::new(nodes.len());
            let op = self.op_of(declared, &mut makes, id).unwrap_or_else(|| {
                implicit.push((declared, id));
                OpId::new(from.op.entries.len() + implicit.len() - 1)
            });
            let cut = self.partitions_of_asset(declared);
            if let Some(cut) = cut {
                self.partitioning.nodes.insert(id, cut);
                self.op_partitions.insert(op, cut);
            }
            let asset = self.asset(declared, op, cut);
            self.key_columns(declared, id, &asset, cut);
            nodes.push(self.node(declared, NodeBody::Asset(asset)));
        }
        for declared in &from.source.entries {
            let cut = self.partitions(declared);
            if let Some(cut) = cut {
                self.partitioning.nodes.insert(NodeId::new(nodes.len()), cut);
            }
            self.has_files(declared);
            let source = self.source(declared, cut);
            nodes.push(self.node(declared, NodeBody::Source(source)));
        }
        let mut ops = IdVec::new();
        for (declared, outputs) in from.op.entries.iter().zip(makes) {
            self.mappings(OpId::new(ops.len()), &declared.table);
            let op = self.explicit_op(declared, outputs);
            self.batch(declared, OpId::new(ops.len()), &op, &nodes);
            ops.push(op);
        }
        for (declared, id) in implicit {
            self.mappings(OpId::new(ops.len()), &declared.table);
            let op = self.computation(declared, vec![id]);
            self.batch(declared, OpId::new(ops.len()), &op, &nodes);
            ops.push(op);
        }
        (nodes, ops)
    }

    fn node(&mut self, declared: &Declared, body: NodeBody) -> Node {
        let key = AssetKey::parse(&declared.key)
            .unwrap_or_else(|_| AssetKey::parse("_").expect("an underscore is a key; the bad name was reported"));
        let label = |value: Option<&Value>| value.and_then(Value::text).map(|it| it.to_string());
        let labels = |value: Option<&Value>| -> Vec<String> {
            value.map(Value::items).unwrap_or_default().iter().filter_map(|it| label(Some(it))).collect()
        };
        Node {
            key,
            place: declared.place,
            description: label(declared.table.get("description")),
            group: label(self.setting(declared, "group")),
            tags: self.tags(declared),
            owners: labels(self.setting(declared, "owners")),
            kinds: labels(self.setting(declared, "kinds")),
            body,
        }
    }

    /// Tags are merged key by key with those of the defaults.
    fn tags(&self, declared: &Declared) -> BTreeMap<String, String> {
        let layers = [&self.from.defaults, &self.from.origins[declared.origin].defaults, &declared.table];
        let mut tags = BTreeMap::new();
        for table in layers.into_iter().filter_map(|it| it.get("tags")?.table()) {
            for entry in &table.entries {
                if let Some(value) = entry.value.text() {
                    tags.insert(entry.key.to_string(), value.to_string());
                }
            }
        }
        tags
    }

    /// What is declared, or else what the defaults of its file say, or else those of the project.
    pub fn setting<'t>(&self, declared: &'t Declared, key: &str) -> Option<&'t Value>
    where
        'a: 't,
    {
        let from = self.from;
        declared
            .table
            .get(key)
            .or_else(|| from.origins[declared.origin].defaults.get(key))
            .or_else(|| from.defaults.get(key))
    }
}

/// The graph without a project: what reads what, per node.
pub fn graph_of(
    nodes: &IdVec<NodeId, Node>,
    ops: &IdVec<OpId, Op>,
) -> Result<AssetGraph, Vec<crate::model::graph::Cycle>> {
    let keys = nodes.values().map(|it| it.key.clone()).collect();
    let reads = nodes
        .values()
        .map(|it| it.asset().and_then(|it| ops.get(it.op)).map(|it| it.deps.clone()).unwrap_or_default())
        .collect();
    AssetGraph::build(&keys, &reads)
}

/// Letters, digits and `_`, not beginning with a digit.
fn is_variable_name(text: &str) -> bool {
    text.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
        && text.chars().next().is_some_and(|it| !it.is_ascii_digit())
}
