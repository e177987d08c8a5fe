//! From text to project: what is taken, and what is refused with which words.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use assets::{
    base::{
        diagnostic::{Diagnostic, Severity},
        path::ProjectPath,
        span::SourceMap,
    },
    model::manifest::{self, Files, Loaded, Options},
};

/// Files that exist only here.
#[derive(Clone, Default)]
pub struct Held(BTreeMap<String, Vec<u8>>);

impl Held {
    pub fn one(text: impl Into<Vec<u8>>) -> Held {
        Held(BTreeMap::from([("assets.toml".into(), text.into())]))
    }
}

impl Files for Held {
    fn read(&mut self, path: &ProjectPath) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.get(&path.to_string()).cloned())
    }

    fn matches(&mut self, folder: &ProjectPath, pattern: &str) -> Result<Vec<ProjectPath>, String> {
        assert!(folder.is_root(), "includes are seen from the main file");
        let glob = globset::Glob::new(pattern).map_err(|it| it.to_string())?.compile_matcher();
        let found = self.0.keys().filter(|it| glob.is_match(it));
        Ok(found.map(|it| ProjectPath::resolve(folder, it).unwrap()).collect())
    }
}

pub fn load(mut files: Held) -> Loaded {
    let env = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
    manifest::load(&mut files, &Options { target: None, vars: &[], env: &env, project_root: "/project" })
}

fn told(loaded: &Loaded) -> String {
    loaded.diagnostics.iter().map(|it| one(it, &loaded.sources)).collect()
}

/// `file:line:col: error[A0001]: message`, then labels and help.
fn one(it: &Diagnostic, sources: &SourceMap) -> String {
    let place = |span| {
        let (line, column) = sources.line_column(span);
        format!("{}:{line}:{column}", sources.file(span.file).path.display())
    };
    let severity = if it.severity == Severity::Error { "error" } else { "warning" };
    let at = it.place.map(|it| format!("{}: ", place(it))).unwrap_or_default();
    let mut text = format!("{at}{severity}[{}]: {}\n", it.code.0, it.message);
    if let Some(span) = it.place {
        let shown: String = sources.file(span.file).text.get(span.range()).unwrap_or("?").chars().take(60).collect();
        writeln!(text, "    `{}` {}", shown.escape_debug(), it.label).unwrap();
    }
    for (span, label) in &it.others {
        writeln!(text, "    {}: {label}", place(*span)).unwrap();
    }
    for help in &it.help {
        writeln!(text, "    help: {help}").unwrap();
    }
    text
}

fn samples(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifest").join(kind);
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    found.retain(|it| it.extension().is_some_and(|it| it == "toml"));
    found.sort();
    found
}

#[test]
fn valid_manifests_are_taken() {
    for path in samples("valid") {
        let loaded = load(Held::one(fs::read(&path).unwrap()));
        assert!(loaded.project.is_some(), "{}:\n{}", path.display(), told(&loaded));
    }
}
