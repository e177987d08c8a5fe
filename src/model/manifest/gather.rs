//! Reads all files and makes one declaration of them: includes added, overrides merged in.
//!
//! Precedence, weakest first: the main file and what it includes, `assets.local.toml`, the target.
//! Knows the sections by name, not what is in them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::base::{
    diagnostic::Diagnostic,
    path::ProjectPath,
    span::{FileId, SourceMap, Span},
};

use super::{
    Files, LOCAL_FILE, MAIN_FILE, Options, check, code,
    keys::{NEVER_LOCAL, ONLY_IN_MAIN, ROOT, options_of},
    models, pattern,
    raw::{self, Data, Entry, Table, Value},
    report::Report,
    sql,
};

/// Everything declared, before names mean anything.
#[derive(Default)]
pub struct Gathered {
    pub project: Table,
    /// Where `[project]` stands, or else the start of the main file.
    pub project_place: Option<Span>,
    pub vars: Table,
    pub defaults: Table,
    pub io: Section,
    pub source: Section,
    pub asset: Section,
    pub op: Section,
    pub pool: Section,
    pub job: Section,
    pub partitions: Section,
    /// The files that declare, the main one first.
    pub origins: Vec<Origin>,
    /// Every manifest file that was read, the main one first, and then files of SQL.
    pub manifests: Vec<ProjectPath>,
    /// `[[models]]` of all files, with the place of the file among `origins`.
    pub models: Vec<(Table, usize)>,
    /// Texts of `.sql` files, by the place of their asset.
    pub sql: HashMap<usize, SqlFile>,
}

/// A query in a file of its own.
pub struct SqlFile {
    pub path: ProjectPath,
    pub file: FileId,
    pub text: Arc<str>,
}

/// A file that declares.
pub struct Origin {
    pub folder: ProjectPath,
    /// Of an included file: `[defaults]` for what it declares, over those of the main file.
    pub defaults: Table,
}

/// `[asset.*]` of all files.
#[derive(Default)]
pub struct Section {
    pub entries: Vec<Declared>,
    at: HashMap<Arc<str>, usize>,
}

/// One table under a name of the user's own.
pub struct Declared {
    pub key: Arc<str>,
    /// Where the name stands.
    pub place: Span,
    pub table: Table,
    /// Place in [`Gathered::origins`].
    pub origin: usize,
    /// Of an IO manager: the type that it had before an override gave it another.
    pub was: Option<Arc<str>>,
}

impl Section {
    pub fn get(&self, key: &str) -> Option<&Declared> {
        self.at.get(key).map(|it| &self.entries[*it])
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Declared> {
        self.at.get(key).map(|it| &mut self.entries[*it])
    }

    pub fn index(&self, key: &str) -> Option<usize> {
        self.at.get(key).copied()
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        self.entries.iter().map(|it| &*it.key)
    }

    fn add(&mut self, entry: Entry, origin: usize) {
        let Data::Table(table) = entry.value.data else { return };
        self.at.insert(entry.key.clone(), self.entries.len());
        self.entries.push(Declared { key: entry.key, place: entry.place, table, origin, was: None });
    }

    /// Adds what another file declares; a name that is there already is a mistake.
    pub fn declare(&mut self, entry: Entry, origin: usize, section: &str, report: &mut Report) {
        match self.get(&entry.key) {
            Some(first) => report.push(
                Diagnostic::error(code::DUPLICATE_NAME, format!("[{section}.{}] is declared twice", entry.key))
                    .at(entry.place)
                    .label("declared again here")
                    .other(first.place, "first declared here")
                    .help("keys of all files share one namespace; rename one of the two"),
            ),
            None => self.add(entry, origin),
        }
    }

    /// Merges an override over what is declared; what is not declared yet, it declares.
    fn merge(&mut self, entry: Entry) {
        match self.at.get(&entry.key) {
            None => self.add(entry, 0),
            Some(at) => {
                if let Data::Table(over) = entry.value.data {
                    self.entries[*at].table.merge(over);
                }
            }
        }
    }
}

impl Gathered {
    fn section(&mut self, name: &str) -> Option<&mut Section> {
        Some(match name {
            "io" => &mut self.io,
            "source" => &mut self.source,
            "asset" => &mut self.asset,
            "op" => &mut self.op,
            "pool" => &mut self.pool,
            "job" => &mut self.job,
            "partitions" => &mut self.partitions,
            _ => return None,
        })
    }

    fn declare(&mut self, root: Table, origin: usize, targets: &mut Table, report: &mut Report) {
        for entry in root.entries {
            if &*entry.key == "models" {
                let tables = entry.value.items().iter().filter_map(Value::table).cloned();
                self.models.extend(tables.map(|it| (it, origin)));
            }
            let Data::Table(table) = entry.value.data else { continue };
            match (&*entry.key, origin) {
                ("project", 0) => {
                    self.project_place = Some(entry.place);
                    self.project = table;
                }
                ("vars", 0) => self.vars = table,
                ("target", 0) => *targets = table,
                ("defaults", 0) => self.defaults = table,
                ("defaults", _) => self.origins[origin].defaults = table,
                (name, _) => {
                    if let Some(section) = self.section(name) {
                        table.entries.into_iter().for_each(|it| section.declare(it, origin, name, report));
                    }
                }
            }
        }
    }

    fn override_with(&mut self, over: Table, targets: &mut Table, report: &mut Report) {
        for entry in over.entries {
            no_models(&entry, report);
            let Data::Table(table) = entry.value.data else { continue };
            match &*entry.key {
                "project" => self.project.merge(table),
                "vars" => self.vars.merge(table),
                "defaults" => self.defaults.merge(table),
                "target" => targets.merge(table),
                name => {
                    let is_io = name == "io";
                    if let Some(section) = self.section(name) {
                        for it in table.entries {
                            if is_io {
                                other_type(section, &it);
                            }
                            section.merge(it);
                        }
                    }
                }
            }
        }
    }
}

/// Of an IO manager that becomes one of another type, what means nothing to that type goes.
fn other_type(section: &mut Section, over: &Entry) {
    let kind_of = |table: &Table| table.get("type").and_then(Value::text).cloned();
    let (Some(declared), Some(over)) = (section.get_mut(&over.key), over.value.table()) else { return };
    let was = kind_of(&declared.table);
    if let Some(kind) = kind_of(over).filter(|it| was.as_ref().is_some_and(|was| was != it)) {
        declared.was = was;
        // Where two types share a word they mean different things by it.
        let shared = ["type", "external_tables"];
        declared.table.entries.retain(|it| shared.contains(&&*it.key) && options_of(&kind).contains(&&*it.key));
    }
}

/// `None` if a file is not TOML, or the main one is not there: what names mean cannot be told then.
pub fn gather(
    files: &mut dyn Files,
    options: &Options<'_>,
    sources: &mut SourceMap,
    report: &mut Report,
) -> Option<Gathered> {
    let main = ProjectPath::root().join(MAIN_FILE);
    let local = ProjectPath::root().join(LOCAL_FILE);
    let mut reader = Reader { files, sources, report, whole: true };
    let mut gathered = Gathered { manifests: vec![main.clone()], ..Gathered::default() };
    let mut targets = Table::default();
    let Some((file, root)) = reader.read(&main, Role::Main)? else {
        let told = Diagnostic::error(code::UNREADABLE, format!("there is no {MAIN_FILE}"));
        report.push(told.help("`assets init` writes one"));
        return None;
    };
    gathered.project_place = Some(Span::new(file, 0..0));
    let included = root.as_ref().map(|it| reader.included(it, [&main, &local])).unwrap_or_default();
    gathered.origins.push(Origin { folder: ProjectPath::root(), defaults: Table::default() });
    gathered.declare(root.unwrap_or_default(), 0, &mut targets, reader.report);
    for path in included {
        if let Some(Some((_, Some(root)))) = reader.read(&path, Role::Included) {
            let folder = path.parent().unwrap_or_default();
            gathered.origins.push(Origin { folder, defaults: Table::default() });
            gathered.declare(root, gathered.origins.len() - 1, &mut targets, reader.report);
        }
        gathered.manifests.push(path);
    }
    if let Some((_, root)) = reader.read(&local, Role::Local).flatten() {
        gathered.override_with(root.unwrap_or_default(), &mut targets, reader.report);
        gathered.manifests.push(local);
    }
    if !reader.whole {
        return None;
    }
    let mut over = None;
    if let Some(name) = options.target {
        match targets.take(name).map(|it| it.value.data) {
            Some(Data::Table(it)) => over = Some(it),
            Some(_) => {}
            None => reader.report.push(unknown_target(name, &targets, reader.report)),
        }
    }
    if let Some(over) = over {
        gathered.override_with(over, &mut Table::default(), reader.report);
    }
    for target in targets.entries.iter().filter_map(|it| it.value.table()) {
        target.entries.iter().for_each(|it| no_models(it, reader.report));
    }
    models::declare(&mut gathered, reader.files, reader.report);
    reader.sql_files(&mut gathered);
    Some(gathered)
}

/// A list has no names by which its tables could be overridden.
fn no_models(entry: &Entry, report: &mut Report) {
    if &*entry.key == "models" {
        let told = Diagnostic::error(code::ONLY_IN_MAIN, "[[models]] cannot be overridden").at(entry.place);
        report.push(told.help("override what is to differ, model by model: [target.NAME.asset.MODEL]"));
    }
}

fn unknown_target(name: &str, targets: &Table, report: &Report) -> Diagnostic {
    let told = Diagnostic::error(code::UNKNOWN_NAME, format!("there is no target `{name}`"));
    match report.meant(name, targets.entries.iter().map(|it| &*it.key)) {
        Some(help) => told.help(help),
        None => told.help(format!("declare [target.{name}]")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Main,
    Included,
    Local,
}

struct Reader<'a> {
    files: &'a mut dyn Files,
    sources: &'a mut SourceMap,
    report: &'a mut Report,
    /// Every file so far could be read as TOML.
    whole: bool,
}

/// Spans are 32 bits; nobody writes this much.
const BYTES_MAX: usize = 1 << 30;

impl Reader<'_> {
    /// Outer `None`: it is there and cannot be read (reported). `Some(None)`: it is not there.
    /// The table is missing if the text is not TOML (reported).
    #[expect(clippy::option_option, reason = "three answers, explained above")]
    fn read(&mut self, path: &ProjectPath, role: Role) -> Option<Option<(FileId, Option<Table>)>> {
        let bytes = match self.files.read(path) {
            Ok(None) => return Some(None),
            Ok(Some(bytes)) if bytes.len() <= BYTES_MAX => bytes,
            Ok(Some(_)) => return self.unreadable(format!("{path} is larger than 1 GiB")),
            Err(error) => return self.unreadable(error),
        };
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let file = self.sources.add(path.as_path(), text);
                self.whole = false;
                self.report.push(
                    Diagnostic::error(code::UNREADABLE, format!("{path} is not UTF-8"))
                        .at(Span::new(file, at..at + '\u{fffd}'.len_utf8()))
                        .label("this byte is not")
                        .help("save the file as UTF-8"),
                );
                return Some(Some((file, None)));
            }
        };
        let file = self.sources.add(path.as_path(), text);
        let text = self.sources.file(file).text.clone();
        let root = raw::parse(file, &text, self.report);
        self.whole &= root.is_some();
        if let Some(root) = &root {
            check::root(root, &ROOT, self.report);
            only_in_main(root, role, self.report);
        }
        Some(Some((file, root)))
    }

    /// Reads what `sql = "path.sql"` leads to.
    fn sql_files(&mut self, gathered: &mut Gathered) {
        let mut known: HashSet<ProjectPath> = gathered.manifests.iter().cloned().collect();
        for (index, asset) in gathered.asset.entries.iter().enumerate() {
            let Some((text, place)) = asset.table.get("sql").and_then(|it| Some((it.text()?, it.place))) else {
                continue;
            };
            if !sql::is_file(text) {
                continue;
            }
            let folder = &gathered.origins[asset.origin].folder;
            let Some(path) = pattern::path(folder, text, place, self.report) else { continue };
            let told = match self.files.read(&path).map(|it| it.map(String::from_utf8)) {
                Ok(Some(Ok(text))) if text.len() <= BYTES_MAX => {
                    // Some editors begin a file with a mark of the order of bytes, which nobody sees.
                    let text = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned);
                    let file = self.sources.add(path.as_path(), text);
                    let text = self.sources.file(file).text.clone();
                    if known.insert(path.clone()) {
                        gathered.manifests.push(path.clone());
                    }
                    gathered.sql.insert(index, SqlFile { path, file, text });
                    continue;
                }
                Ok(Some(Ok(_))) => format!("{path} is larger than 1 GiB"),
                Ok(Some(Err(_))) => format!("{path} is not UTF-8"),
                Ok(None) => format!("there is no file {path}"),
                Err(error) => error,
            };
            let told = Diagnostic::error(code::UNREADABLE, told).at(place);
            self.report
                .push(told.help("a `sql` that ends in .sql is the path of a file, relative to this one's folder"));
        }
    }

    fn unreadable<T>(&mut self, message: String) -> Option<T> {
        self.whole = false;
        self.report.push(Diagnostic::error(code::UNREADABLE, message));
        None
    }

    /// The files that `include` leads to, sorted, each once.
    fn included(&mut self, root: &Table, not: [&ProjectPath; 2]) -> Vec<ProjectPath> {
        let patterns = root.get("project").and_then(|it| it.table()).and_then(|it| it.get("include"));
        let mut found = Vec::new();
        for item in patterns.map(|it| it.items()).unwrap_or_default() {
            let Some(text) = item.text().filter(|it| !it.trim().is_empty() && !it.contains('\0')) else { continue };
            if !pattern::check(&ProjectPath::root(), text, item.place, self.report) {
                continue;
            }
            let told = match self.files.matches(&ProjectPath::root(), text) {
                Ok(them) if them.is_empty() => {
                    Diagnostic::error(code::INCLUDE, format!("`{text}` leads to no manifest")).label("nothing matches")
                }
                Ok(them) => {
                    found.extend(them.into_iter().filter(|it| !not.contains(&it)));
                    continue;
                }
                Err(error) => Diagnostic::error(code::INCLUDE, error),
            };
            self.report.push(told.at(item.place).help("paths are relative to the folder of the main assets.toml"));
        }
        found.sort();
        found.dedup();
        found
    }
}

fn only_in_main(root: &Table, role: Role, report: &mut Report) {
    let mut wrong: Vec<(&Entry, String)> = Vec::new();
    match role {
        Role::Main => {}
        Role::Included => {
            let not_here = root.entries.iter().filter(|it| ONLY_IN_MAIN.contains(&&*it.key));
            wrong.extend(not_here.map(|it| (it, format!("[{}] belongs in the main {MAIN_FILE}", it.key))));
        }
        Role::Local => {
            let project = root.get("project").and_then(|it| it.table());
            let not_here = project.into_iter().flat_map(|it| &it.entries).filter(|it| NEVER_LOCAL.contains(&&*it.key));
            wrong.extend(not_here.map(|it| (it, format!("`{}` cannot be overridden in {LOCAL_FILE}", it.key))));
        }
    }
    for (entry, message) in wrong {
        report.push(
            Diagnostic::error(code::ONLY_IN_MAIN, message)
                .at(entry.place)
                .label("not here")
                .help(format!("move it to the main {MAIN_FILE}")),
        );
    }
}
