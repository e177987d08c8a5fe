//! One asset, source or op: from its table to its model type.

use std::{collections::HashMap, time::Duration};

use crate::{
    base::{diagnostic::Diagnostic, id::Id, path::ProjectPath, span::Span},
    model::{
        format::TableFormat,
        key::declaring,
        materialized::Publishing,
        partitioning::PartitionsId,
        project::{Action, Asset, EnvName, FileSet, Identity, NodeId, Op, OpId, Pattern, Shape, Source, VersionKind},
        sql::inputs::table_format,
        template::{Names, Template},
    },
};

use super::{
    checks::OpParts,
    code, duration,
    gather::Declared,
    interpolate,
    keys::{ASSET, COMPUTATION},
    pattern,
    raw::{Data, Table, Value},
    resolve::Resolver,
};

impl<'a> Resolver<'a> {
    /// The `[op.*]` that makes an asset; `None` if it is made by an op of its own.
    pub fn op_of(&mut self, declared: &Declared, makes: &mut [Vec<NodeId>], id: NodeId) -> Option<OpId> {
        let table = &declared.table;
        let command = table.entry("command");
        // What was reported as not supported yet, or as `[asset.a.b]`, is not a missing command too.
        let other = table.entries.iter().any(|it| {
            matches!(&*it.key, "sql" | "python") || it.value.table().is_some() && ASSET.field(&it.key).is_none()
        });
        let Some(value) = table.get("op") else {
            if let (Some(command), Some(sql)) = (command, table.entry("sql")) {
                self.report.push(
                    Diagnostic::error(
                        code::NO_COMPUTATION,
                        format!("`{}` has both a `command` and `sql`", declared.key),
                    )
                    .at(sql.place)
                    .label("one way to make it")
                    .other(command.place, "another")
                    .help("take one of them out"),
                );
            }
            if command.is_none() && !other {
                self.report.push(
                    Diagnostic::error(code::NO_COMPUTATION, format!("nothing makes the asset `{}`", declared.key))
                        .at(declared.place)
                        .label("no `command`, `sql` or `op`")
                        .help("say how it is made: command = [...], sql = \"...\", or op = \"...\"")
                        .help(format!("if it is made elsewhere, declare it as a source: [source.{}]", declared.key)),
                );
            }
            return None;
        };
        if let Some(command) = command {
            self.report.push(
                Diagnostic::error(code::NO_COMPUTATION, format!("`{}` has both a `command` and an `op`", declared.key))
                    .at(command.place)
                    .label("one way to make it")
                    .other(value.place, "another")
                    .help("take one of them out"),
            );
        }
        for entry in table.entries.iter().filter(|it| &*it.key != "command" && COMPUTATION.contains(&&*it.key)) {
            self.report.push(
                Diagnostic::error(code::OP_DECIDES, format!("`{}` is for the op to say", entry.key))
                    .at(entry.place)
                    .other(value.place, "the asset is made by this op")
                    .help("move it to the [op.*]"),
            );
        }
        let op = self.op(value)?;
        makes[op.index()].push(id);
        Some(op)
    }

    pub fn asset(&mut self, declared: &Declared, op: OpId, cut: Option<PartitionsId>) -> Asset {
        let table = &declared.table;
        let io = match self.setting(declared, "io") {
            Some(value) => self.io(value),
            None => self.default_io,
        };
        if io.is_none() && self.setting(declared, "io").is_none() && self.from.project.get("default_io").is_none() {
            self.report.push(
                Diagnostic::error(code::DEFAULT_IO, format!("which IO manager keeps `{}`?", declared.key))
                    .at(declared.place)
                    .label("it names none, and there are several")
                    .help("set `default_io` in [project], or `io` here"),
            );
        }
        let format = table.get("format").and_then(|it| self.format(it));
        let path = table.get("path");
        let text = path.and_then(|it| Some((it.text()?, it.place)));
        let text = text.and_then(|(text, place)| Some((self.render_path(text, place, cut)?, place)));
        let slash = text.as_ref().is_some_and(|(it, _)| it.ends_with('/'));
        let shape = match table.get("folder") {
            Some(Value { data: Data::Boolean(false), place }) if slash => {
                let told = Diagnostic::error(code::BAD_VALUE, "a path that ends in `/` is a folder").at(*place);
                self.report.push(told.label("but this says that it is none"));
                Shape::Folder
            }
            Some(Value { data: Data::Boolean(true), .. }) => Shape::Folder,
            _ if slash => Shape::Folder,
            _ => Shape::File,
        };
        let written = text.as_ref().and_then(|(it, place)| self.output_path(it, *place));
        let format = format.or_else(|| extension(written.as_ref()?));
        let path = written.unwrap_or_else(|| {
            let ending = format.as_deref().filter(|_| shape == Shape::File && path.is_none());
            self.default_path(&declared.key, ending, cut)
        });
        let asset = Asset {
            op,
            io: io.unwrap_or(Id::new(0)),
            path,
            format,
            shape,
            identity: Identity::Bytes,
            version: VersionKind::Content,
            publishing: Publishing::default(),
            allow_empty: read_boolean(table, "allow_empty"),
        };
        let asset = self.as_table(declared, asset, cut);
        let asset = self.versioned(declared, asset);
        self.idle_settings(declared);
        let asset = self.published(declared, asset);
        self.keepers.push((asset.io, table_format(&asset)));
        asset
    }

    fn output_path(&mut self, text: &str, place: Span) -> Option<ProjectPath> {
        let path = pattern::path(&ProjectPath::root(), text, place, self.report)?;
        if path.is_root() {
            let told = Diagnostic::error(code::BAD_PATH, "the path is the root of the IO manager").at(place);
            self.report.push(told.help("an asset is kept in a file or folder of its own below it"));
            return None;
        }
        Some(path)
    }

    fn format(&mut self, value: &Value) -> Option<String> {
        let text = value.text().filter(|it| !it.trim().is_empty() && !it.contains('\0'))?;
        let plain = text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-'));
        if !plain || !text.starts_with(|it: char| it.is_ascii_alphanumeric()) || text.ends_with('.') {
            self.report.push(
                Diagnostic::error(code::BAD_VALUE, format!("{text:?} cannot be a format"))
                    .at(value.place)
                    .help("a format is an extension without its dot: \"csv\", \"parquet\", \"tar.gz\""),
            );
            return None;
        }
        Some(text.to_string())
    }

    pub fn source(&mut self, declared: &'a Declared, cut: Option<PartitionsId>) -> Source {
        let table = &declared.table;
        let forms: Vec<_> = table.entries.iter().filter(|it| ["files", "command", "url"].contains(&&*it.key)).collect();
        let later = table.entry("table").or_else(|| table.entry("io")).is_some();
        match &forms[..] {
            [] if !later => self.report.push(
                Diagnostic::error(code::SOURCE_FORM, format!("the source `{}` says nothing to observe", declared.key))
                    .at(declared.place)
                    .label("no `files`, `command` or `url`"),
            ),
            [first, second, ..] => self.report.push(
                Diagnostic::error(code::SOURCE_FORM, format!("the source `{}` is observed in two ways", declared.key))
                    .at(second.place)
                    .label("and in another")
                    .other(first.place, "in one way")
                    .help("make two sources of it"),
            ),
            _ => {}
        }
        if let Some(entry) = table.entry("max_age")
            && table.entry("url").is_none()
        {
            let told = Diagnostic::error(code::SOURCE_FORM, "`max_age` goes with `url`").at(entry.place);
            self.report.push(told.label("there is no `url`"));
        }
        let folder = self.from.origins[declared.origin].folder.clone();
        match forms.first().map(|it| (&*it.key, &it.value)) {
            Some(("command", value)) => {
                let env = self.env_names(&[table]);
                let action = self.action(value, &[], &[], &env);
                Source::Command { action, folder, env }
            }
            Some(("url", value)) => {
                let url = value.text().and_then(|it| self.render(it, value.place));
                Source::Url {
                    url: url.map(|it| it.to_string()).unwrap_or_default(),
                    max_age: table.get("max_age").and_then(read_duration),
                }
            }
            _ => Source::Files(self.files_of(table, "files", &folder, cut)),
        }
    }

    pub fn explicit_op(&mut self, declared: &'a Declared, outputs: Vec<NodeId>) -> Op {
        if outputs.is_empty() {
            self.report.push(
                Diagnostic::error(code::OP_WITHOUT_ASSETS, format!("the op `{}` makes nothing", declared.key))
                    .at(declared.place)
                    .label("no asset names it")
                    .help(format!("declare what it makes: [asset.NAME] op = \"{}\"", declared.key)),
            );
        }
        if declared.table.entry("command").is_none() && declared.table.entry("python").is_none() {
            self.report.push(
                Diagnostic::error(code::MISSING_KEY, format!("[op.{}] has no `command`", declared.key))
                    .at(declared.place)
                    .label("`command` is missing"),
            );
        }
        if let Some(same) = self.from.asset.get(&declared.key)
            && same.table.entry("op").is_none()
        {
            self.report.push(
                Diagnostic::error(code::DUPLICATE_NAME, format!("`{}` is an op and an asset of its own", declared.key))
                    .at(declared.place)
                    .label("the op")
                    .other(same.place, "the asset, made by an op of the same name")
                    .help("rename one of the two"),
            );
        }
        self.computation(declared, outputs)
    }

    /// What an op, or an asset with a command of its own, is computed by.
    pub fn computation(&mut self, declared: &'a Declared, outputs: Vec<NodeId>) -> Op {
        let from = self.from;
        let table = &declared.table;
        let origin = &from.origins[declared.origin];
        let folder = &origin.folder;
        let env = self.env_of(declared);
        let (mut deps, mut inputs) = self.deps(table);
        let forms = self.forms(table);
        let query = table.get("sql").and_then(|_| self.sql(declared, outputs[0], &mut deps, &mut inputs, &env));
        let keys: Vec<&str> = outputs.iter().map(|it| &*from.asset.entries[it.index()].key).collect();
        let cut = outputs.first().and_then(|it| self.partitioning.of(*it));
        let action = match table.get("command") {
            Some(value) => {
                let names = self.names_in_command(declared, cut);
                self.action_of(value, &inputs, &keys, &env, &names)
            }
            None => query.map_or_else(|| Action::Argv(Vec::new()), |it| Action::Sql(Box::new(it))),
        };
        let mut checks = Vec::new();
        for output in &outputs {
            let mut op = OpParts { outputs: &outputs, deps: &mut deps, inputs: &mut inputs, env: &env };
            checks.extend(self.checks(*output, &mut op));
        }
        self.meeting("ASSETS_INPUT_", &inputs, declared.place);
        self.meeting("ASSETS_OUTPUT_", &keys, declared.place);
        let timeout = self.setting(declared, "timeout");
        Op {
            name: declared.key.to_string(),
            place: declared.place,
            action,
            folder: folder.clone(),
            code: self.files(table, "code", folder),
            deps,
            forms,
            sources: self.files(table, "sources", folder),
            env,
            code_version: table.get("code_version").and_then(|it| match &it.data {
                Data::Text(it) => Some(it.to_string()),
                Data::Integer(it) => Some(it.to_string()),
                _ => None,
            }),
            pool: self.setting(declared, "pool").and_then(|it| self.pool(it)),
            retries: match self.setting(declared, "retries").map(|it| &it.data) {
                Some(Data::Integer(it)) => u32::try_from(*it).unwrap_or(0),
                _ => 0,
            },
            retry_delay: self.setting(declared, "retry_delay").and_then(read_duration).unwrap_or(Duration::ZERO),
            timeout: timeout.and_then(|it| self.timeout(it)),
            in_place: matches!(table.get("in_place").map(|it| &it.data), Some(Data::Boolean(true))),
            outputs,
            checks,
        }
    }

    /// A limit on time; one of nothing is a mistake.
    pub fn timeout(&mut self, value: &Value) -> Option<Duration> {
        let timeout = read_duration(value)?;
        if timeout.is_zero() {
            let told = Diagnostic::error(code::BAD_VALUE, "a timeout of zero lets nothing finish").at(value.place);
            self.report.push(told.help("leave `timeout` out for no limit"));
        }
        Some(timeout)
    }

    /// Each of `env` and `secret_env` comes from the table, or else from the defaults.
    fn env_of(&mut self, declared: &Declared) -> Vec<EnvName> {
        let from = self.from;
        let defaults = [&from.origins[declared.origin].defaults, &from.defaults];
        let none = ["env", "secret_env"].iter().all(|it| self.setting(declared, it).is_none());
        if none {
            return self.env_names(&[]);
        }
        let layers: Vec<Table> = ["env", "secret_env"]
            .iter()
            .filter_map(|key| {
                let entry = declared.table.entry(key).or_else(|| defaults.iter().find_map(|it| it.entry(key)));
                Some(Table { entries: vec![entry?.clone()] })
            })
            .collect();
        self.env_names(&layers.iter().collect::<Vec<_>>())
    }

    /// The nodes of `deps`, and their keys.
    /// The forms in which rows of dependencies are wanted.
    fn forms(&mut self, table: &'a Table) -> Vec<(NodeId, TableFormat)> {
        let items = table.get("deps").map(Value::items).unwrap_or_default();
        let mut forms = Vec::new();
        for item in items.iter().filter_map(Value::table) {
            let Some((value, text)) = item.get("format").and_then(|it| Some((it, it.text()?))) else { continue };
            let node = item.get("asset").and_then(Value::text).and_then(|it| self.keys.get(&**it).copied());
            match (TableFormat::of_extension(text), node) {
                (Some(format), Some(node)) => forms.push((node, format)),
                (Some(_), None) => {}
                (None, _) => {
                    let told = Diagnostic::error(code::BAD_VALUE, format!("`{text}` is no form of a table"));
                    let told = told.at(value.place);
                    let near = self.report.nearest(text, TableFormat::ALL.map(TableFormat::name));
                    self.report.push(match near {
                        Some(near) => told.help(format!("did you mean `{near}`?")),
                        None => told.help("rows are given as parquet, csv, jsonl or arrow"),
                    });
                }
            }
        }
        forms
    }

    fn deps(&mut self, table: &'a Table) -> (Vec<NodeId>, Vec<&'a str>) {
        let items = table.get("deps").map(Value::items).unwrap_or_default();
        let mut found: HashMap<&str, Span> = HashMap::new();
        let mut deps = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        for (item, key) in items.iter().filter_map(|it| Some((it, dep_key(it)?))) {
            let (place, key) = (key.place, key.text().map(|it| &**it).unwrap_or_default());
            if item.table().is_some_and(|it| it.entry("asset").is_none()) {
                let told = Diagnostic::error(code::MISSING_KEY, "a dependency has no `asset`").at(place);
                self.report.push(told.help("write { asset = \"key\" }"));
                continue;
            }
            if key.trim().is_empty() {
                continue;
            }
            let Some(id) = self.keys.get(key).copied() else {
                let told = Diagnostic::error(code::UNKNOWN_DEP, format!("there is no asset or source `{key}`"))
                    .at(place)
                    .label("unknown dependency");
                let help = self.report.nearest(key, self.from.asset.keys().chain(self.from.source.keys()));
                self.report.push(match help {
                    Some(near) => told.help(format!("did you mean `{near}`?")),
                    None => told.help(declaring(key)),
                });
                deps.1.push(key);
                continue;
            };
            // A short list is looked through sooner than hashed.
            let first = if items.len() > 16 {
                found.insert(key, place)
            } else {
                deps.1.contains(&key).then(|| {
                    items
                        .iter()
                        .filter_map(dep_key)
                        .find(|it| it.text().is_some_and(|it| &**it == key))
                        .map_or(place, |it| it.place)
                })
            };
            if let Some(first) = first {
                let told = Diagnostic::error(code::REPEATED, format!("`{key}` is listed twice in deps")).at(place);
                self.report.push(told.label("again").other(first, "first here"));
                continue;
            }
            deps.0.push(id);
            deps.1.push(key);
        }
        deps
    }

    /// Keys that would be given to the command in one variable.
    fn meeting(&mut self, prefix: &str, keys: &[&str], place: Span) {
        if keys.len() < 2 {
            return;
        }
        let name = |key: &str| -> String {
            key.chars().map(|it| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' }).collect()
        };
        let mut seen: HashMap<String, &str> = HashMap::with_capacity(keys.len());
        for key in keys {
            let variable = name(key);
            if let Some(first) = seen.get(&variable) {
                self.report.push(
                    Diagnostic::error(code::ENV_COLLISION, format!("`{first}` and `{key}` meet in {prefix}{variable}"))
                        .at(place)
                        .label("its command would be given one variable for both")
                        .help("rename one of the two"),
                );
            } else {
                seen.insert(variable, key);
            }
        }
    }

    pub fn action(&mut self, value: &Value, inputs: &[&str], outputs: &[&str], env: &[EnvName]) -> Action {
        self.action_of(value, inputs, outputs, env, &[])
    }

    /// The same, of what has partitions.
    pub fn action_of(
        &mut self,
        value: &Value,
        inputs: &[&str],
        outputs: &[&str],
        env: &[EnvName],
        partition: &[String],
    ) -> Action {
        let empty = match &value.data {
            Data::Text(it) => it.trim().is_empty(),
            Data::List(them) => them.is_empty() || them[0].text().is_some_and(|it| it.trim().is_empty()),
            _ => false,
        };
        if empty {
            let told = Diagnostic::error(code::BAD_VALUE, "the command is empty").at(value.place);
            self.report.push(told.label("nothing to run"));
        }
        let env: Vec<&str> = env.iter().map(|it| it.name.as_str()).collect();
        let partition: Vec<&str> = partition.iter().map(String::as_str).collect();
        let names = Names { vars: &self.vars, env: &env, inputs, outputs, partition: &partition };
        let mut template = |it: &Value| {
            let template = Template::new(it.text()?.clone(), Some(it.place));
            interpolate::check(&template, &names, self.sources, self.report);
            Some(template)
        };
        match &value.data {
            Data::List(them) => Action::Argv(them.iter().filter_map(template).collect()),
            _ => Action::Shell(template(value).unwrap_or_else(|| Template::new("", None))),
        }
    }

    /// The patterns under `key`; one text is a list of one.
    fn files(&mut self, table: &Table, key: &str, folder: &ProjectPath) -> FileSet {
        self.files_of(table, key, folder, None)
    }

    /// The same; of what is cut each names the partition.
    fn files_of(&mut self, table: &Table, key: &str, folder: &ProjectPath, cut: Option<PartitionsId>) -> FileSet {
        let value = table.get(key);
        let items = match value {
            Some(Value { data: Data::Text(_), .. }) => value.map(std::slice::from_ref).unwrap_or_default(),
            _ => value.map(Value::items).unwrap_or_default(),
        };
        let mut patterns = Vec::with_capacity(items.len());
        for item in items {
            let Some(text) = item.text().filter(|it| !it.trim().is_empty() && !it.contains('\0')) else { continue };
            let without = text.strip_prefix('!');
            if without.is_some() && patterns.is_empty() {
                self.report.push(
                    Diagnostic::error(code::BAD_PATTERN, "the first pattern takes files away")
                        .at(item.place)
                        .label("from nothing")
                        .help("put a pattern that brings files before it"),
                );
            }
            let rendered = match cut {
                Some(_) => self.render_path(text, item.place, cut),
                None => Some(text.clone()),
            };
            let Some(text) = rendered else { continue };
            let without = text.strip_prefix('!');
            pattern::check(folder, without.unwrap_or(&text), item.place, self.report);
            patterns.push(Pattern { text: text.to_string(), place: Some(item.place) });
        }
        FileSet { folder: folder.clone(), patterns }
    }
}

/// The value that holds a dependency's key, or the table that lacks it.
fn dep_key(item: &Value) -> Option<&Value> {
    match &item.data {
        Data::Text(_) => Some(item),
        Data::Table(table) => Some(table.get("asset").unwrap_or(item)),
        _ => None,
    }
}

pub fn read_duration(value: &Value) -> Option<Duration> {
    duration::parse(value.text()?).ok()
}

fn read_boolean(table: &Table, key: &str) -> Option<bool> {
    match table.get(key).map(|it| &it.data) {
        Some(Data::Boolean(it)) => Some(*it),
        _ => None,
    }
}

fn extension(path: &ProjectPath) -> Option<String> {
    Some(path.as_path().extension()?.to_str()?.to_owned())
}
