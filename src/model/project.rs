//! A project as it was meant: names are ids, defaults are applied, paths are below the root.
//!
//! Made by `model::manifest` from text; everything past the loader works on these types. Knows
//! nothing of what is on disk, of the environment's values or of what was built before.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    base::{
        id::{Id, IdVec},
        path::ProjectPath,
        places::Places,
        span::Span,
    },
    model::{
        check::{DataCheck, Share},
        format::TableFormat,
        graph::AssetGraph,
        key::{AssetKey, PartitionKey},
        materialized::{Incremental, Publishing},
        node_set::NodeSet,
        object_url::ObjectUrl,
        partitioning::{self, Partitioning},
        sql::{Dialect, in_partition::in_partition},
        template::Template,
    },
    typed_id,
};

typed_id! {
    /// An asset or a source: a node of the graph.
    NodeId
}
typed_id! {
    /// A computation that makes one or several assets.
    OpId
}
typed_id! {
    /// A named IO manager.
    IoId
}
typed_id! {
    /// A named concurrency limit.
    PoolId
}

/// Everything that was declared, resolved.
#[derive(Clone, Debug)]
pub struct Project {
    pub name: String,
    /// The `-t` target whose overrides were applied.
    pub target: Option<String>,
    /// `[vars]` after overrides: the value that templates see, as text.
    pub vars: BTreeMap<String, VarValue>,
    pub nodes: IdVec<NodeId, Node>,
    pub ops: IdVec<OpId, Op>,
    pub io_managers: IdVec<IoId, IoManager>,
    pub pools: IdVec<PoolId, Pool>,
    pub jobs: BTreeMap<String, Job>,
    pub partitioning: Partitioning,
    /// Patterns (`AWS_*`) of variables given to every computation and never fingerprinted or stored.
    pub pass_env: Vec<String>,
    pub durability: Durability,
    pub graph: AssetGraph,
    /// Every manifest file that was read, the main one first, and then files of SQL.
    pub manifests: Vec<ProjectPath>,
}

/// What a power loss may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// Nothing that was said to be done: everything is on the disk before a step counts.
    Strict,
    /// What a run made that had not ended: it is found out and made again.
    #[default]
    Epoch,
    /// Whatever the system had not written by itself: it is found out and made again.
    Off,
}

/// A value of `[vars]`: what TOML allows in a leaf or list.
#[derive(Clone, PartialEq, Debug)]
pub enum VarValue {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<VarValue>),
    Table(BTreeMap<String, VarValue>),
}

/// An asset or a source, with what people say of it.
#[derive(Clone, Debug)]
pub struct Node {
    pub key: AssetKey,
    /// Where the key was declared.
    pub place: Span,
    pub description: Option<String>,
    pub group: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub owners: Vec<String>,
    pub kinds: Vec<String>,
    pub body: NodeBody,
}

#[derive(Clone, Debug)]
pub enum NodeBody {
    Asset(Asset),
    Source(Source),
}

impl Node {
    pub fn asset(&self) -> Option<&Asset> {
        match &self.body {
            NodeBody::Asset(it) => Some(it),
            NodeBody::Source(_) => None,
        }
    }

    pub fn source(&self) -> Option<&Source> {
        match &self.body {
            NodeBody::Source(it) => Some(it),
            NodeBody::Asset(_) => None,
        }
    }
}

/// Data that an op makes and an IO manager keeps.
#[derive(Clone, Debug)]
pub struct Asset {
    pub op: OpId,
    pub io: IoId,
    /// Below the IO manager's root. Default: `<key>.<format>`. In a database, the name of the table.
    pub path: ProjectPath,
    /// `csv`, `parquet`, ... or any extension; `None` if the path has none.
    pub format: Option<String>,
    pub shape: Shape,
    pub identity: Identity,
    pub publishing: Publishing,
    /// Whether no rows may take the place of some; `None`: people are told.
    pub allow_empty: Option<bool>,
    pub version: VersionKind,
}

impl Asset {
    /// Schema and name of the table that it is in a database; no schema: that of its IO manager.
    pub fn table(&self) -> (Option<String>, String) {
        table_at(&self.path)
    }
}

/// The same of where a table is kept.
pub fn table_at(path: &ProjectPath) -> (Option<String>, String) {
    let path = path.to_string();
    match path.split_once('/') {
        Some((schema, name)) => (Some(schema.to_owned()), name.to_owned()),
        None => (None, path),
    }
}

/// What makes two contents of an output the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// Every byte.
    Bytes,
    /// The rows of a table, in any order, and its columns.
    Rows,
    /// The same where their order was asked for: every byte of the file that holds them.
    Sequence,
    /// What a JSON text says, whatever its form.
    Json,
    /// Nothing of it is read.
    Unread,
}

/// What the data version of an asset is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum VersionKind {
    /// Its content: the bytes of a file, the rows of a table.
    #[default]
    Content,
    /// Its content, whatever the form of the file.
    Canonical,
    /// What its command reports.
    Reported,
    /// What it was made from.
    Inputs,
    /// A new one with every build.
    Always,
}

impl VersionKind {
    pub const ALL: [VersionKind; 5] =
        [VersionKind::Content, VersionKind::Canonical, VersionKind::Reported, VersionKind::Inputs, VersionKind::Always];

    pub fn name(self) -> &'static str {
        match self {
            VersionKind::Content => "content",
            VersionKind::Canonical => "canonical",
            VersionKind::Reported => "reported",
            VersionKind::Inputs => "inputs",
            VersionKind::Always => "always",
        }
    }
}

impl Asset {
    /// How an IO manager is to know its content.
    pub fn identity(&self) -> Identity {
        match self.version {
            VersionKind::Inputs => Identity::Unread,
            _ => self.identity,
        }
    }
}

/// What the output is on a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    File,
    Folder,
}

/// Data made elsewhere: observed, never made.
#[derive(Clone, Debug)]
pub enum Source {
    /// Files below the project that match.
    Files(FileSet),
    /// A command that prints a version on stdout; run by runs and `--refresh` only.
    Command { action: Action, folder: ProjectPath, env: Vec<EnvName> },
    /// An address whose ETag, Last-Modified or content is the version.
    Url { url: String, max_age: Option<Duration> },
}

/// Patterns of files, gitignore-style, seen from `folder`. A leading `!` takes files away again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FileSet {
    pub folder: ProjectPath,
    pub patterns: Vec<Pattern>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    pub text: String,
    pub place: Option<Span>,
}

/// One computation.
#[derive(Clone, Debug)]
pub struct Op {
    /// The op's name; for an implicit op, the key of its one asset.
    pub name: String,
    pub place: Span,
    pub action: Action,
    /// Working directory: the folder of the manifest that declares it.
    pub folder: ProjectPath,
    /// Files whose content is part of the code.
    pub code: FileSet,
    /// Assets and sources that it reads, in the order written, each once.
    pub deps: Vec<NodeId>,
    /// Those of which it wants the rows in a form of its own choice.
    pub forms: Vec<(NodeId, TableFormat)>,
    /// Files that it reads itself: an unnamed source.
    pub sources: FileSet,
    /// Variables given and fingerprinted, those of the project included, sorted.
    pub env: Vec<EnvName>,
    /// Declared version, bumped by hand.
    pub code_version: Option<String>,
    pub pool: Option<PoolId>,
    pub retries: u32,
    pub retry_delay: Duration,
    pub timeout: Option<Duration>,
    /// The command can only write to the final path; see `docs/commands.md`.
    pub in_place: bool,
    /// What it makes, in the order declared; never empty.
    pub outputs: Vec<NodeId>,
    /// What must be true of that before it is published: by output, each in the order declared.
    pub checks: Vec<Check>,
}

/// Something that must be true of an asset's data.
#[derive(Clone, Debug)]
pub struct Check {
    /// Which of the op's outputs it looks at.
    pub asset: NodeId,
    /// Unique among the checks of the asset.
    pub name: String,
    pub place: Span,
    pub body: CheckBody,
    pub severity: Severity,
    /// Whether what it says no to is kept from being published.
    pub blocking: bool,
    /// How many rows may be wrong.
    pub threshold: Share,
    /// How many wrong rows are shown and kept.
    pub sample: u64,
    pub timeout: Option<Duration>,
}

/// How a check looks.
#[derive(Clone, PartialEq, Debug)]
pub enum CheckBody {
    /// Is given the staged output, and passes by exit status 0.
    Command(Action),
    /// Asks the rows.
    Data(Box<DataCheck>),
}

impl Check {
    /// Without it nothing is published: it is part of what its asset is made from.
    pub fn refuses(&self) -> bool {
        self.severity == Severity::Error && self.blocking
    }

    /// Whether nobody misses it if what was published once is published again: it depends on nothing but the rows
    /// and what its asset is made from, and has let them pass or has told of them.
    pub fn is_lasting(&self) -> bool {
        match &self.body {
            CheckBody::Command(_) => false,
            CheckBody::Data(data) => (self.refuses() || self.severity == Severity::Warn) && data.is_of_rows_alone(),
        }
    }

    /// The command that it is, if it is one.
    pub fn command(&self) -> Option<&Action> {
        match &self.body {
            CheckBody::Command(action) => Some(action),
            CheckBody::Data(_) => None,
        }
    }

    /// What it asks of rows, if it does.
    pub fn data(&self) -> Option<&DataCheck> {
        match &self.body {
            CheckBody::Data(it) => Some(it),
            CheckBody::Command(_) => None,
        }
    }

    /// As the manifest calls what it does.
    pub fn kind(&self) -> &'static str {
        match &self.body {
            CheckBody::Command(_) => "command",
            CheckBody::Data(it) => it.rule.kind(),
        }
    }
}

/// What a failed check means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// People are told.
    Warn,
    /// The data is not published, and nothing downstream is made from it.
    Error,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warn => "warn",
            Severity::Error => "error",
        }
    }
}

/// A variable of the environment that a computation is given.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EnvName {
    pub name: String,
    /// Its value never appears in clear in state, logs or output.
    pub secret: bool,
}

/// How an op is run.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Each element is one argument, as it is.
    Argv(Vec<Template>),
    /// One text for `sh -c`.
    Shell(Template),
    /// A query, run by the engine of the IO manager that keeps the asset.
    Sql(Box<Sql>),
}

/// A query whose rows are an asset.
#[derive(Clone, PartialEq, Debug)]
pub struct Sql {
    /// With everything inserted.
    pub text: String,
    /// Where it was written, if not in the manifest.
    pub file: Option<ProjectPath>,
    pub dialect: Dialect,
    /// The tables that it reads.
    pub tables: Vec<SqlTable>,
    /// What `text` was made from; `None`: it stands as it was written.
    pub template: Option<SqlTemplate>,
    /// `None`: all its rows are made anew each time.
    pub incremental: Option<Box<Incremental>>,
    /// In the manifest, if it stands there as it is.
    pub home: Option<Home>,
}

/// A text of SQL that stands in a manifest: so what an engine says of it is shown there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Home {
    pub file: String,
    /// With everything inserted.
    pub text: String,
    /// Where each part of it stands in the file.
    pub places: Places,
}

/// A query as it was written, and what was inserted.
#[derive(Clone, PartialEq, Debug)]
pub struct SqlTemplate {
    pub written: String,
    /// Where in it the parts of the text stand.
    pub places: Places,
    /// The text with names in place of values; `None` if it cannot be made without them.
    pub outline: Option<String>,
    /// Values of `[vars]` that it names.
    pub vars: Vec<String>,
    /// Variables of the environment that it names.
    pub env: Vec<EnvName>,
}

impl SqlTemplate {
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.env.iter().filter(|it| it.secret).map(|it| it.name.as_str())
    }
}

const TAG: &str = "__ASSETS_TAG_";
const TAG_END: &str = "__";

/// A word that stands for `{{ path }}`, so that a text with it is still read as a query.
pub fn tagged(path: &str) -> String {
    let hex: String = path.bytes().map(|it| format!("{it:02x}")).collect();
    format!("{TAG}{hex}{TAG_END}")
}

/// For people: with tags in place of such words.
fn untagged(text: &str) -> String {
    let mut parts = text.split(TAG);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let path = part.split_once(TAG_END).and_then(|(hex, rest)| {
            let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
            let bytes = (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
            Some((String::from_utf8(bytes).ok()?, rest))
        });
        match path {
            Some((path, rest)) => told.push_str(&format!("{{{{ {path} }}}}{rest}")),
            None => told.push_str(&format!("{TAG}{part}")),
        }
    }
    told
}

/// What stands for a secret in a text until it is run.
pub fn secret_mark(name: &str) -> String {
    format!("__ASSETS_SECRET_{name}__")
}

/// A name in a query, and what it stands for.
#[derive(Clone, PartialEq, Debug)]
pub struct SqlTable {
    pub name: String,
    pub node: NodeId,
}

impl Sql {
    /// For people: without secrets.
    pub fn shown(&self) -> String {
        let secrets = self.template.iter().flat_map(SqlTemplate::secrets);
        // A name may be how another one begins.
        let mut marks: Vec<String> = secrets.map(secret_mark).collect();
        marks.sort_by_key(|it| std::cmp::Reverse(it.len()));
        marks.iter().fold(self.text.clone(), |text, mark| text.replace(mark, "***"))
    }

    /// The same of one partition, of which this is told: how it is run.
    pub fn shown_of(&self, told: &BTreeMap<String, String>) -> String {
        in_partition(&self.shown(), told).0
    }

    /// The text that tells edits from new values.
    pub fn outline(&self) -> &str {
        self.template.as_ref().and_then(|it| it.outline.as_deref()).unwrap_or(&self.text)
    }

    /// The query that makes all rows, or the one that adds to them.
    pub fn face(&self, adds: bool) -> &Sql {
        self.incremental.as_deref().filter(|_| adds).map_or(self, |it| &it.adding)
    }

    /// Every query that it may be run as.
    pub fn faces(&self) -> impl Iterator<Item = &Sql> {
        let adding = self.incremental.iter().map(|it| &it.adding);
        std::iter::once(self).chain(adding.filter(|it| it.text != self.text || it.outline() != self.outline()))
    }

    /// All of them as they tell edits from new values, one after the other.
    pub fn told(&self) -> String {
        let texts: Vec<String> = self.faces().map(|it| untagged(it.outline())).collect();
        texts.join("\n-- and if it is incremental:\n")
    }

    /// What the text is called in messages and reasons.
    pub fn name(&self) -> String {
        self.file.as_ref().map_or_else(|| "sql".to_owned(), ToString::to_string)
    }
}

impl Action {
    pub fn templates(&self) -> &[Template] {
        match self {
            Action::Argv(them) => them,
            Action::Shell(it) => std::slice::from_ref(it),
            Action::Sql(_) => &[],
        }
    }
}

/// A named place where assets are kept.
#[derive(Clone, Debug)]
pub struct IoManager {
    pub name: String,
    pub place: Option<Span>,
    pub kind: IoKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IoKind {
    /// Files below `root`, a folder of the project.
    Fs { root: ProjectPath },
    /// Tables of one SQLite database, a file of the project.
    Sqlite { path: ProjectPath },
    /// Tables in one schema of a Postgres database.
    Postgres {
        /// A template, as it stands in the manifest: what it becomes is a secret, and is made when it is used.
        url: String,
        /// `None`: where the connection looks first.
        schema: Option<String>,
        /// A key with a prefix is a table in the schema of that name.
        schema_from_key: bool,
    },
    /// Objects in a bucket or folder.
    ObjectStore { url: ObjectUrl, options: ObjectOptions },
    /// Tables of a database that is spoken to by an ADBC driver, a library that is loaded.
    Adbc(Box<AdbcDatabase>),
    /// Kept in this process; for tests of everything that takes an IO manager.
    Memory,
}

impl IoKind {
    /// Where a database keeps what has this key: its table, below its schema if the key tells that.
    pub fn table_path(&self, key: &str) -> ProjectPath {
        let name = match key.rsplit_once('/') {
            Some((prefix, name)) if matches!(self, IoKind::Postgres { schema_from_key: true, .. }) => {
                format!("{}/{name}", prefix.replace('/', "_"))
            }
            _ => key.replace('/', "_"),
        };
        ProjectPath::resolve(&ProjectPath::root(), name).unwrap_or_default()
    }

    /// Whose SQL is spoken where the tables are kept; `None` for what is no database.
    pub fn database(&self) -> Option<Dialect> {
        match self {
            IoKind::Sqlite { .. } => Some(Dialect::Sqlite),
            IoKind::Postgres { .. } => Some(Dialect::Postgres),
            IoKind::Adbc(it) => Some(it.dialect),
            IoKind::Fs { .. } | IoKind::ObjectStore { .. } | IoKind::Memory => None,
        }
    }
}

/// A database behind an ADBC driver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdbcDatabase {
    /// Name or path of the library; `None`: wherever that of the dialect is found. A template, as it stands in
    /// the manifest.
    pub driver: Option<String>,
    /// Of the library, if not the usual one.
    pub entrypoint: Option<String>,
    pub dialect: Dialect,
    /// The file that it is, if it is one of the project: `type = "duckdb"`.
    pub file: Option<ProjectPath>,
    /// `None`: where the connection looks first.
    pub schema: Option<String>,
    /// What the driver is told: templates, as they stand in the manifest. What they become may be secret.
    pub options: BTreeMap<String, String>,
}

/// How an object store is reached. Who we are is not said here: that is the environment's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ObjectOptions {
    /// Another server than the service's own.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Without encryption.
    pub allow_http: bool,
    /// As nobody in particular: for buckets that everybody may read and write.
    pub skip_signature: bool,
}

#[derive(Clone, Debug)]
pub struct Pool {
    pub name: String,
    pub limit: usize,
    /// The dimension of partitions of which each value has a limit of its own.
    pub per: Option<String>,
}

/// A named selection.
#[derive(Clone, Debug)]
pub struct Job {
    pub select: String,
    pub place: Span,
    pub description: Option<String>,
    /// As `--partition` has it.
    pub partitions: Option<String>,
    /// As `--var` has them.
    pub vars: BTreeMap<String, String>,
    /// How many steps of its run are at work at once.
    pub pool: Option<PoolId>,
}

impl Project {
    pub fn node(&self, key: &str) -> Option<NodeId> {
        self.graph.find(key)
    }

    pub fn key(&self, id: NodeId) -> &AssetKey {
        &self.nodes[id].key
    }

    /// The op that makes `id`; `None` for a source.
    pub fn op_of(&self, id: NodeId) -> Option<OpId> {
        self.nodes[id].asset().map(|it| it.op)
    }

    /// Whether a database keeps it.
    pub fn is_in_database(&self, id: NodeId) -> bool {
        self.nodes[id].asset().is_some_and(|it| self.io_managers[it.io].kind.database().is_some())
    }

    /// Whether what `op` runs sees `dep` as the database has it that keeps both, and not a copy of its rows.
    pub fn reads_in_place(&self, op: &Op, dep: NodeId) -> bool {
        let io = |it: NodeId| self.nodes[it].asset().map(|it| it.io);
        matches!(op.action, Action::Sql(_))
            && self.is_in_database(dep)
            && op.outputs.iter().all(|it| io(*it) == io(dep))
    }

    /// Whether it is made by adding to what is there, if that can be.
    pub fn is_added_to(&self, id: NodeId) -> bool {
        let op = self.op_of(id).and_then(|it| self.ops.get(it));
        op.is_some_and(|it| matches!(&it.action, Action::Sql(sql) if sql.incremental.is_some()))
    }

    pub fn assets(&self) -> impl Iterator<Item = (NodeId, &Node, &Asset)> {
        self.nodes.iter().filter_map(|(id, node)| Some((id, node, node.asset()?)))
    }

    /// The assets among `nodes`, and every asset upstream of any of them.
    pub fn assets_with_upstream(&self, nodes: &NodeSet) -> NodeSet {
        let mut set = nodes.clone();
        let mut queue: Vec<NodeId> = nodes.iter().collect();
        while let Some(node) = queue.pop() {
            queue.extend(self.graph.upstream(node).iter().copied().filter(|it| set.insert(*it)));
        }
        NodeSet::of(self.len(), set.iter().filter(|it| self.nodes[*it].asset().is_some()))
    }

    /// Where an asset of an `fs` IO manager lies below the project; `None` for other kinds. Of one with
    /// partitions, the folder that holds them all.
    pub fn output_path(&self, id: NodeId) -> Option<ProjectPath> {
        let asset = self.nodes.get(id)?.asset()?;
        match self.partitioning.of(id) {
            None => self.below_root(asset, asset.path.clone()),
            Some(_) => {
                let folder = partitioning::common_folder(&asset.path.to_string()).to_owned();
                self.below_root(asset, ProjectPath::resolve(&ProjectPath::root(), folder).ok()?)
            }
        }
    }

    /// Where one partition of such an asset lies.
    pub fn output_path_of(&self, id: NodeId, partition: &PartitionKey) -> Option<ProjectPath> {
        let asset = self.nodes.get(id)?.asset()?;
        self.below_root(asset, self.path_of(id, partition))
    }

    /// The path of one partition of an asset below the root of its IO manager.
    pub fn path_of(&self, id: NodeId, partition: &PartitionKey) -> ProjectPath {
        let asset = self.nodes[id].asset().expect("only assets have a path");
        if partition.is_whole() {
            return asset.path.clone();
        }
        let path = partitioning::path_of(&asset.path.to_string(), partition);
        ProjectPath::resolve(&ProjectPath::root(), path).unwrap_or_else(|_| asset.path.clone())
    }

    fn below_root(&self, asset: &Asset, path: ProjectPath) -> Option<ProjectPath> {
        match &self.io_managers[asset.io].kind {
            IoKind::Fs { root } => Some(ProjectPath::resolve(root, path.as_path()).expect("both are below the root")),
            IoKind::Sqlite { .. }
            | IoKind::Postgres { .. }
            | IoKind::ObjectStore { .. }
            | IoKind::Adbc(_)
            | IoKind::Memory => None,
        }
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.index())
    }
}
