//! The one list of IO managers: what each kind of the manifest is made of.

use std::{collections::BTreeMap, path::Path};

use crate::{
    base::env::Environment,
    exec::io::{
        IoManager,
        adbc::{AdbcManager, open::database},
        fs::FsManager,
        maker::Maker,
        memory::MemoryManager,
        object_store::ObjectStoreManager,
        postgres::{PostgresManager, connect::rendered},
        sqlite::SqliteManager,
    },
    model::project::{Durability, IoKind, VarValue},
};

/// Makes the manager that the manifest of `project` declares. Nothing is opened or made on disk yet.
pub fn open(
    (project, project_root): (&str, &Path),
    kind: &IoKind,
    durability: Durability,
    vars: &BTreeMap<String, VarValue>,
    env: &Environment,
) -> Box<dyn IoManager> {
    let maker = Maker::new(project);
    match kind {
        IoKind::Fs { root } => {
            let manager = FsManager::new(project_root.to_owned(), root.clone());
            Box::new(if durability == Durability::Strict { manager.durable() } else { manager })
        }
        IoKind::Sqlite { path } => Box::new(SqliteManager::new(project_root.to_owned(), path, maker)),
        IoKind::Postgres { url, schema, .. } => {
            let url = rendered(url, vars, env);
            Box::new(PostgresManager::new(project_root.to_owned(), url, schema.as_deref(), maker))
        }
        IoKind::ObjectStore { url, options } => {
            Box::new(ObjectStoreManager::new(project_root.to_owned(), url, options, env))
        }
        IoKind::Adbc(it) => Box::new(AdbcManager::new(database(project_root, it, vars, env, maker))),
        IoKind::Memory => Box::new(MemoryManager::new(project_root.to_owned())),
    }
}
