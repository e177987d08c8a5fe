//! From `[io.*]` to a database: its driver, and its options with everything put in. Opens nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    database::{Database, Place},
    driver::{DUCKDB_VARIABLE, Driver},
    engine::Engine,
};
use crate::{
    base::{digest::Digest, env::Environment, fs},
    exec::io::{maker::Maker, postgres::connect::rendered},
    model::{
        project::{AdbcDatabase, VarValue},
        sql::Dialect,
    },
};

/// The database that the manifest means.
pub fn database(
    root: &Path,
    of: &AdbcDatabase,
    vars: &BTreeMap<String, VarValue>,
    env: &Environment,
    maker: Maker,
) -> Arc<Database> {
    let render = |it: &String| rendered(it, vars, env);
    let named = of.driver.as_ref().and_then(|it| render(it).ok());
    let driver = match &of.file {
        Some(_) => Driver::DuckDb {
            library: named
                .map(PathBuf::from)
                .or_else(|| env.get(DUCKDB_VARIABLE).filter(|it| !it.is_empty()).map(PathBuf::from))
                .map(|it| root.join(it)),
            folder: root.to_owned(),
        },
        None => Driver::Named { name: named.unwrap_or_default(), entrypoint: of.entrypoint.clone() },
    };
    let options: BTreeMap<String, Result<String, String>> = of
        .options
        .iter()
        .map(|(key, it)| (key.clone(), render(it).map(|it| option(root, of.dialect, key, it))))
        .collect();
    let from_env = |key: &String| of.options[key].contains("env.");
    let secrets = options.iter().filter(|(key, _)| from_env(key)).filter_map(|it| it.1.clone().ok());
    let secrets: Vec<String> = secrets.filter(|it| !it.is_empty()).collect();
    let file = of.file.as_ref().map(|it| it.under(root));
    let shown = match &of.file {
        Some(path) => path.to_string(),
        // As it is written: what it becomes may be secret.
        None => {
            let written = format!("{:?} {:?}", of.options, of.schema);
            format!("{} {}", of.dialect.name(), Digest::of(written.as_bytes()).short())
        }
    };
    // By whatever links there are to it: two that are open in one process would write over each other.
    let file = file.map(|it| itself(&it));
    let name = match &file {
        Some(file) => file.display().to_string(),
        None => format!("{driver:?} {options:?} {:?}", of.schema),
    };
    let name = Digest::of(name.as_bytes()).hex();
    let engine = Engine::of(of.dialect);
    let schema = of.schema.as_ref().and_then(|it| render(it).ok());
    let project_root = root.to_owned();
    Database::of(Place { driver, engine, options, secrets, file, schema, shown, name, project_root, maker })
}

/// Where a file lies, or will, whatever links lead there.
fn itself(file: &Path) -> PathBuf {
    let in_folder = || Some(fs::canonical(file.parent()?).ok()?.join(file.file_name()?));
    fs::canonical(file).ok().or_else(in_folder).unwrap_or_else(|| file.to_owned())
}

/// A file is meant from the project's folder, wherever the tool is called.
fn option(root: &Path, dialect: Dialect, key: &str, value: String) -> String {
    let is_file = dialect == Dialect::Sqlite && key == "uri" && !value.contains(':');
    if is_file { root.join(value).display().to_string() } else { value }
}
