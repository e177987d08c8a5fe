//! Facts for fingerprints: what the code, sources and settings of ops are right now.
//!
//! Reads files and the environment, decides nothing.

use std::collections::{BTreeMap, HashMap};

use crate::{
    base::{
        digest::Digest,
        id::{Id, IdVec},
        path::ProjectPath,
    },
    model::{
        check::Share,
        fingerprint::{Part, PartKind, PartValue},
        key::AssetKey,
        project::{Action, Check, CheckBody, FileSet, NodeBody, NodeId, Op, OpId, Source, VarValue},
        sql::normal_form,
        staleness::{Reason, ReasonCode},
        template::Uses,
    },
    plan::{
        hash::{FileFact, FileKind, GlobError, glob},
        record::{Observation, TrackedFile},
        world::World,
    },
};

/// blake3 derive-key contexts; the number is the version of the written form.
const SOURCE_CONTEXT: &str = "assets source files 1";
const SQL_CONTEXT: &str = "assets sql tokens 1";
const ENV_CONTEXT: &str = "assets environment value 1";

/// What an op is made of, dependencies aside.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OpFacts {
    pub parts: Vec<Part>,
    /// Code and source files that it reads.
    pub files: Vec<TrackedFile>,
    /// So many of these are code; they stand first.
    pub code_files: usize,
    /// Folders that were listed for its patterns, as they were.
    pub folders: Vec<TrackedFile>,
    /// Files that should be there and are not: it cannot be run.
    pub missing: Vec<Reason>,
}

/// What a source is.
#[derive(Clone, PartialEq, Debug)]
pub enum SourceFacts {
    Known {
        observation: Observation,
        /// Those of a `files` source, as they were found.
        files: Vec<TrackedFile>,
        /// Folders that were listed for its patterns.
        folders: Vec<TrackedFile>,
        /// Seen longer ago than its limit on age allows, or at another address.
        expired: bool,
    },
    Missing(String),
}

/// The facts of a scope, gathered in one sweep.
#[derive(Clone, Debug)]
pub struct Facts {
    pub ops: HashMap<OpId, OpFacts>,
    pub sources: HashMap<NodeId, SourceFacts>,
    /// Of sources with partitions, those that are there, by place.
    pub partitions: HashMap<NodeId, SourceParts>,
    /// Something was looked at that is not among the files: a folder taken as one thing.
    pub untracked: bool,
}

/// The partitions of a source that are there, by place.
pub type SourceParts = BTreeMap<u64, SourceFacts>;

impl Facts {
    /// Every code and source file among the facts.
    pub fn files(&self) -> impl Iterator<Item = &TrackedFile> {
        let parts = self.partitions.values().flat_map(BTreeMap::values);
        let of_sources = self.sources.values().chain(parts).filter_map(|it| match it {
            SourceFacts::Known { files, .. } => Some(files),
            SourceFacts::Missing(_) => None,
        });
        self.ops.values().map(|it| &it.files).chain(of_sources).flatten()
    }
}

/// Gathers the facts of `ops` and `sources`. `observed` are the latest observations of sources
/// that only a run asks (commands, addresses).
pub fn observe(world: &World<'_>, ops: &[OpId], sources: &[NodeId], observed: &HashMap<NodeId, Observation>) -> Facts {
    let project = world.project;
    let set_of = |id: &NodeId| match project.nodes[*id].source() {
        Some(Source::Files(set)) => Some(set),
        _ => None,
    };
    let of_ops = ops.iter().flat_map(|id| [&project.ops[*id].code, &project.ops[*id].sources]);
    let sets: Vec<&FileSet> = of_ops.chain(sources.iter().filter_map(set_of)).collect();
    let (expansions, looked) = look(world, &sets);
    let untracked =
        looked.iter().any(|it| matches!(it, FileFact::Present { signature, .. } if signature.kind == FileKind::Folder));
    let mut expansions = expansions.into_iter();
    let mut next = || expansions.next().expect("one for each set");
    let ops = ops.iter().map(|id| (*id, op_facts(world, *id, [next(), next()], &looked))).collect();
    let sources = sources
        .iter()
        .map(|id| match set_of(id) {
            Some(_) => (*id, files_source(world, *id, next(), &looked)),
            None => (*id, asked_source(world, *id, observed.get(id))),
        })
        .collect();
    Facts { ops, sources, partitions: HashMap::new(), untracked }
}

/// What files of a source are, set by set; `None` where none of them is there.
pub fn observe_sets(world: &World<'_>, source: NodeId, sets: &[FileSet]) -> Vec<Option<SourceFacts>> {
    let (expansions, looked) = look(world, &sets.iter().collect::<Vec<_>>());
    let one = |it: Expansion| (!it.absent).then(|| files_source(world, source, it, &looked));
    expansions.into_iter().map(one).collect()
}

/// The files of one set, or what is wrong with it.
#[derive(Default)]
struct Expansion {
    /// In byte order, each once.
    files: Vec<ProjectPath>,
    /// For each of them, where among all facts its own is.
    places: Vec<usize>,
    /// What was listed for it.
    folders: Vec<TrackedFile>,
    problems: Vec<String>,
    /// Nothing matches any of the patterns.
    absent: bool,
}

/// With the pattern as it is written, which the error only counts.
fn problem(error: &GlobError, set: &FileSet) -> String {
    let pattern = |at: &usize| set.patterns.get(*at).map_or("", |it| it.text.as_str());
    match error {
        GlobError::NoMatch { pattern: at, nearest: None } => format!("nothing matches `{}`", pattern(at)),
        GlobError::NoMatch { pattern: at, nearest: Some(near) } => {
            format!("nothing matches `{}`; there is `{near}`", pattern(at))
        }
        GlobError::Bad { pattern: at, why } => format!("`{}` is not a pattern: {why}", pattern(at)),
        GlobError::Unreadable { .. } => error.to_string(),
    }
}

impl Expansion {
    fn of(world: &World<'_>, set: &FileSet) -> Expansion {
        match world.sweep.expand(set) {
            Ok(listing) => {
                let folder = |(path, signature, racy)| TrackedFile { path, signature, digest: Digest([0; 32]), racy };
                let folders = listing.folders().map(folder).collect();
                Expansion { files: listing.files(), folders, ..Expansion::default() }
            }
            Err(errors) => {
                let problems = errors.iter().map(|it| problem(it, set)).collect();
                let bring = set.patterns.iter().filter(|it| !it.text.starts_with('!')).count();
                let absent = errors.len() == bring && errors.iter().all(|it| matches!(it, GlobError::NoMatch { .. }));
                Expansion { problems, absent, ..Expansion::default() }
            }
        }
    }

    /// If the set names its files one by one: the look at them then tells whether that is what they are.
    fn named(set: &FileSet) -> Option<Expansion> {
        let mut files = glob::named_files(set)?;
        files.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        files.dedup();
        Some(Expansion { files, ..Expansion::default() })
    }
}

/// The files of `sets` and what they are. Each file is looked at once, and no path is held twice: there
/// may be a million.
fn look(world: &World<'_>, sets: &[&FileSet]) -> (Vec<Expansion>, Vec<FileFact>) {
    let named: Vec<Option<Expansion>> = sets.iter().map(|it| Expansion::named(it)).collect();
    let paths = each_once(named.iter().flatten().flat_map(|it| &it.files));
    let facts = world.sweep.look_at_files(&paths);
    let (mut known, mut known_facts) = (HashMap::new(), Vec::new());
    for (path, fact) in paths.into_iter().zip(facts) {
        if let Some(fact) = fact {
            known.insert(path.clone(), known_facts.len());
            known_facts.push(fact);
        }
    }
    let is_there =
        |it: &ProjectPath| known.get(it).is_some_and(|it| matches!(known_facts[*it], FileFact::Present { .. }));
    let mut expansions: Vec<Expansion> = named
        .into_iter()
        .zip(sets)
        // A folder means what is in it, and of what is not there the pattern tells more.
        .map(|(it, set)| it.filter(|it| it.files.iter().all(is_there)).unwrap_or_else(|| Expansion::of(world, set)))
        .collect();
    let left = each_once(expansions.iter().flat_map(|it| &it.files).filter(|it| !known.contains_key(*it)));
    let mut facts = world.sweep.look(&left);
    let places: Vec<Vec<usize>> = expansions.iter().map(|it| places(&it.files, &left, &known)).collect();
    drop(left);
    facts.append(&mut known_facts);
    expansions.iter_mut().zip(places).for_each(|(it, places)| it.places = places);
    (expansions, facts)
}

/// Sorted by their bytes, each once.
fn each_once<'a>(paths: impl Iterator<Item = &'a ProjectPath>) -> Vec<&'a ProjectPath> {
    let mut paths: Vec<&ProjectPath> = paths.collect();
    // The sort is one for lists that are in order already.
    paths.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    paths.dedup();
    paths
}

/// Where each of `files` is: among `left`, or else behind them among what is known.
fn places(files: &[ProjectPath], left: &[&ProjectPath], known: &HashMap<ProjectPath, usize>) -> Vec<usize> {
    let mut next = 0;
    let place = |path: &ProjectPath| {
        let found = match left.get(next) {
            Some(it) if *it == path => Ok(next),
            _ => left.binary_search_by(|it| it.as_bytes().cmp(path.as_bytes())),
        };
        next = found.map_or(next, |it| it + 1);
        found.unwrap_or_else(|_| left.len() + known[path])
    };
    files.iter().map(place).collect()
}

fn op_facts(world: &World<'_>, id: OpId, sets: [Expansion; 2], looked: &[FileFact]) -> OpFacts {
    let op = &world.project.ops[id];
    let mut facts = OpFacts { parts: own_parts(world, op), ..OpFacts::default() };
    facts.parts.extend(given_as_one(world, id, op));
    let unrelated = world.partitions.unrelated(id).iter();
    facts
        .missing
        .extend(unrelated.map(|(dep, why)| missing(&format!("partitions of {}", world.project.key(*dep)), why)));
    let files: usize = sets.iter().map(|it| it.files.len()).sum();
    facts.parts.reserve_exact(files);
    facts.files.reserve_exact(files);
    for (kind, expansion) in [PartKind::Code, PartKind::SourceFile].into_iter().zip(sets) {
        for problem in &expansion.problems {
            facts.missing.push(missing(&op.name, problem));
        }
        facts.folders.extend(expansion.folders);
        for (path, place) in expansion.files.into_iter().zip(expansion.places) {
            match &looked[place] {
                fact @ FileFact::Present { digest, .. } => {
                    facts.parts.push(Part::new(kind, path.as_bytes(), PartValue::Digest(*digest)));
                    facts.files.extend(fact.tracked(path));
                }
                other => facts.missing.push(missing(&path.to_string(), &unusable(&path, other))),
            }
        }
        if kind == PartKind::Code {
            facts.code_files = facts.files.len();
        }
    }
    facts
}

fn missing(subject: &str, message: &str) -> Reason {
    Reason {
        code: ReasonCode::UpstreamMissing,
        subject: subject.to_owned(),
        old: None,
        new: None,
        message: message.to_owned(),
    }
}

fn unusable(path: &ProjectPath, fact: &FileFact) -> String {
    match fact {
        FileFact::Missing => format!("{path} is missing"),
        FileFact::Odd => format!("{path} is a socket, FIFO or device, which has no content to track"),
        FileFact::Unreadable(why) => format!("{path} cannot be read: {why}"),
        FileFact::Present { .. } => format!("{path} is there"),
    }
}

/// Command, variables, settings and version: everything that needs no file.
pub fn own_parts(world: &World<'_>, op: &Op) -> Vec<Part> {
    let mut parts = vec![computation(&op.action)];
    let mut uses = Uses::default();
    let asked = op.deps.iter().filter_map(|it| Some((world.project.key(*it), world.project.nodes[*it].source()?)));
    let asked: Vec<_> = asked.collect();
    let questions = asked.iter().filter_map(|(_, it)| match it {
        Source::Command { action, .. } => Some(action),
        Source::Files(_) | Source::Url { .. } => None,
    });
    let checks = op.checks.iter().filter(|it| it.refuses());
    let actions = std::iter::once(&op.action).chain(questions).chain(checks.clone().filter_map(Check::command));
    for template in actions.flat_map(Action::templates) {
        uses.merge(template.uses().unwrap_or_else(|_| Uses::everything()));
    }
    parts.extend(asked.iter().filter_map(|(key, it)| question(world, key, it)));
    // What was published passed them: with another check, nobody knows. Keys hold no dots.
    for check in checks {
        let name = format!("{}.checks.{}", world.project.key(check.asset), check.name);
        parts.push(Part::new(PartKind::Config, &name, PartValue::Text(check_text(check).into())));
    }
    for (name, value) in &world.project.vars {
        if uses.all_vars || uses.vars.contains(name) {
            parts.push(Part::new(PartKind::Var, name, PartValue::Text(value.to_string().into())));
        }
    }
    for name in &op.env {
        parts.push(env_part(world, &name.name, name.secret));
    }
    for name in &uses.env {
        if !op.env.iter().any(|it| it.name == *name) {
            parts.push(env_part(world, name, false));
        }
    }
    parts.extend(inserted(world, op));
    if let Action::Sql(sql) = &op.action
        && let Some(incremental) = &sql.incremental
    {
        let settings = incremental.settings().into_iter();
        parts.extend(settings.map(|(name, text)| Part::new(PartKind::Config, name, PartValue::Text(text.into()))));
    }
    for (node, form) in &op.forms {
        let name = format!("{}.format", world.project.key(*node));
        parts.push(Part::new(PartKind::Config, &name, PartValue::Text(form.name().into())));
    }
    if !op.folder.is_root() {
        parts.push(Part::new(PartKind::Config, "folder", PartValue::Text(op.folder.to_string().into())));
    }
    if op.in_place {
        parts.push(Part::new(PartKind::Config, "in_place", PartValue::Text("true".into())));
    }
    if let Some(version) = &op.code_version {
        parts.push(Part::new(PartKind::Version, "version", PartValue::Text(version.as_str().into())));
    }
    parts
}

/// Of what has partitions a command is given one path, or a folder of several: by the mapping, not by what is there.
fn given_as_one<'a>(world: &'a World<'_>, id: OpId, op: &'a Op) -> impl Iterator<Item = Part> + 'a {
    let deps = op.deps.iter().filter(|_| !matches!(op.action, Action::Sql(_)));
    let one = deps.filter(move |it| world.partitions.related(id, **it).is_some_and(|it| it.is_of_one()));
    one.map(|it| {
        let name = format!("{}.partitions", world.project.key(*it));
        Part::new(PartKind::Config, &name, PartValue::Text("one".into()))
    })
}

/// Everything of a check that its answer depends on.
fn check_text(check: &Check) -> String {
    let text = match &check.body {
        CheckBody::Command(action) => command_text(action),
        CheckBody::Data(it) => it.written(),
    };
    if check.threshold == Share::NONE { text } else { format!("{text} threshold {}", check.threshold) }
}

/// The command as written; of a query the tokens: how they are set out does not count.
pub fn computation(action: &Action) -> Part {
    match action {
        Action::Sql(sql) => {
            let mut form = sql.dialect.name().as_bytes().to_vec();
            for face in sql.faces() {
                form.push(0);
                form.extend(normal_form(face.outline(), sql.dialect));
            }
            Part::new(PartKind::Code, sql.name(), PartValue::Digest(Digest::derive(SQL_CONTEXT, &form)))
        }
        Action::Argv(_) | Action::Shell(_) => {
            Part::new(PartKind::Command, "", PartValue::Text(command_text(action).into()))
        }
    }
}

/// What was inserted into a query: each value, and what came of it.
fn inserted(world: &World<'_>, op: &Op) -> Vec<Part> {
    let Action::Sql(sql) = &op.action else { return Vec::new() };
    let var = |name: &String| {
        let value = world.project.vars.get(name)?;
        Some(Part::new(PartKind::Var, name, PartValue::Text(value.to_string().into())))
    };
    let (mut parts, mut forms) = (Vec::new(), Vec::new());
    for (face, template) in sql.faces().filter_map(|it| Some((it, it.template.as_ref()?))) {
        parts.extend(template.vars.iter().filter_map(var));
        parts.extend(template.env.iter().map(|it| env_part(world, &it.name, it.secret)));
        forms.extend(template.outline.is_some().then(|| normal_form(&face.text, face.dialect)));
    }
    if !forms.is_empty() {
        let digest = Digest::derive(SQL_CONTEXT, &forms.join(&0));
        parts.push(Part::new(PartKind::Rendered, sql.name(), PartValue::Digest(digest)));
    }
    parts
}

/// What a source is asked for: the version that another question was answered with tells nothing.
fn question(world: &World<'_>, key: &AssetKey, source: &Source) -> Option<Part> {
    let (name, value) = match source {
        Source::Files(_) => return None,
        Source::Command { action, folder, .. } => {
            let text = format!(
                "{}{}",
                if folder.is_root() { String::new() } else { format!("{folder}: ") },
                command_text(action)
            );
            ("command", PartValue::Text(text.into()))
        }
        // It may hold a password.
        Source::Url { url, .. } => {
            ("url", PartValue::Digest(blake3::keyed_hash(world.secret_key, url.as_bytes()).into()))
        }
    };
    Some(Part::new(PartKind::Config, format!("{key}.{name}").as_str(), value))
}

/// What a recorded command that is a text for the shell begins with.
pub const SHELL: &str = "sh -c ";

/// The command as written. A list is JSON, which begins with `[`; a text for the shell begins with
/// `sh -c`, so the two can never be the same.
pub fn command_text(action: &Action) -> String {
    match action {
        Action::Argv(words) => {
            let words: Vec<&str> = words.iter().map(|it| it.text()).collect();
            serde_json::to_string(&words).expect("strings are JSON")
        }
        Action::Shell(text) => format!("{SHELL}{}", text.text()),
        Action::Sql(sql) => sql.text.clone(),
    }
}

fn env_part(world: &World<'_>, name: &str, secret: bool) -> Part {
    use std::os::unix::ffi::OsStrExt;
    let value = world.env.get_os(name);
    if secret {
        let value = value.map_or(PartValue::Absent, |it| {
            PartValue::Digest(blake3::keyed_hash(world.secret_key, it.as_bytes()).into())
        });
        return Part::new(PartKind::Secret, name, value);
    }
    let value = value.map_or(PartValue::Absent, |it| match it.to_str() {
        Some(text) => PartValue::Text(text.into()),
        None => PartValue::Digest(Digest::derive(ENV_CONTEXT, it.as_bytes())),
    });
    Part::new(PartKind::Env, name, value)
}

fn files_source(world: &World<'_>, id: NodeId, expansion: Expansion, looked: &[FileFact]) -> SourceFacts {
    if let Some(problem) = expansion.problems.first() {
        return SourceFacts::Missing(format!("source {}: {problem}", world.project.key(id)));
    }
    let mut files = Vec::with_capacity(expansion.files.len());
    let mut tracked = Vec::with_capacity(expansion.files.len());
    let mut hasher = blake3::Hasher::new_derive_key(SOURCE_CONTEXT);
    for (path, place) in expansion.files.into_iter().zip(expansion.places) {
        match &looked[place] {
            fact @ FileFact::Present { digest, .. } => {
                tracked.extend(fact.tracked(path.clone()));
                hasher.update(&(path.as_bytes().len() as u64).to_le_bytes());
                hasher.update(path.as_bytes());
                hasher.update(&digest.0);
                files.push((path, *digest));
            }
            other => return SourceFacts::Missing(unusable(&path, other)),
        }
    }
    let key = world.project.key(id).clone();
    let data_version = hasher.finalize().into();
    let observation = Observation { key, data_version, at: world.now, shown: None, files };
    SourceFacts::Known { observation, files: tracked, folders: expansion.folders, expired: false }
}

fn asked_source(world: &World<'_>, id: NodeId, observed: Option<&Observation>) -> SourceFacts {
    match observed {
        Some(observation) => {
            let (max_age, is_elsewhere) = match world.project.nodes[id].source() {
                Some(Source::Url { url, max_age }) => (*max_age, !observation.is_of(url)),
                _ => (None, false),
            };
            let age = world.now.duration_since(observation.at);
            // Seen in the future, by a clock that was set back since: not young.
            let expired = is_elsewhere || max_age.is_some_and(|max| age.is_negative() || age.unsigned_abs() >= max);
            SourceFacts::Known { observation: observation.clone(), files: Vec::new(), folders: Vec::new(), expired }
        }
        None => SourceFacts::Missing(format!(
            "source {} was never asked for its version: `assets materialize` or `--refresh` does that",
            world.project.key(id)
        )),
    }
}

/// The sources among the dependencies of `ops` that have no partitions, each once.
pub fn sources_of(world: &World<'_>, ops: &[OpId]) -> Vec<NodeId> {
    let mut seen = IdVec::<NodeId, bool>::filled(false, world.project.len());
    let mut found = Vec::new();
    for op in ops {
        for dep in &world.project.ops[*op].deps {
            if matches!(world.project.nodes[*dep].body, NodeBody::Source(_))
                && !seen[*dep]
                && !world.partitions.cuts(*dep)
            {
                seen[*dep] = true;
                found.push(*dep);
            }
        }
    }
    found.sort_by_key(|it| it.index());
    found
}

impl std::fmt::Display for VarValue {
    /// As TOML writes it, so that 1 and "1" differ.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            VarValue::Text(it) => write!(f, "{it:?}"),
            VarValue::Integer(it) => write!(f, "{it}"),
            VarValue::Float(it) => write!(f, "{it:?}"),
            VarValue::Boolean(it) => write!(f, "{it}"),
            VarValue::List(them) => {
                f.debug_list().entries(them.iter().map(|it| format_args!("{it}").to_string())).finish()
            }
            VarValue::Table(them) => {
                f.debug_map().entries(them.iter().map(|(name, it)| (name, format_args!("{it}").to_string()))).finish()
            }
        }
    }
}
