//! Finding and loading the library that speaks to a database. Each is loaded once, and stays loaded.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use adbc_core::{LOAD_FLAG_DEFAULT, options::AdbcVersion};
use adbc_driver_manager::ManagedDriver;

use crate::{base::fs, exec::io::IoError};

/// Names the library of DuckDB, before any other place is looked in.
pub const DUCKDB_VARIABLE: &str = "ASSETS_DUCKDB_LIBRARY";
const DUCKDB_ENTRYPOINT: &str = "duckdb_adbc_init";
const DUCKDB_FILE: &str = if cfg!(target_os = "macos") { "libduckdb.dylib" } else { "libduckdb.so" };

const NOT_FOUND: &str = match (cfg!(target_os = "macos"), cfg!(target_arch = "aarch64")) {
    (false, false) => {
        "`npm install @duckdb/node-bindings-linux-x64` beside assets.toml brings it; or say where it is: library = \"..\""
    }
    (false, true) => {
        "`npm install @duckdb/node-bindings-linux-arm64` beside assets.toml brings it; or say where it is: library = \"..\""
    }
    (true, true) => {
        "`npm install @duckdb/node-bindings-darwin-arm64` beside assets.toml brings it; or say where it is: library = \"..\""
    }
    (true, false) => {
        "`npm install @duckdb/node-bindings-darwin-x64` beside assets.toml brings it; or say where it is: library = \"..\""
    }
};

/// Which library is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Driver {
    DuckDb {
        /// What the manifest or the environment says.
        library: Option<PathBuf>,
        /// It is looked for from here upwards.
        folder: PathBuf,
    },
    Named {
        name: String,
        entrypoint: Option<String>,
    },
}

/// By what they were found.
static LOADED: Mutex<BTreeMap<String, ManagedDriver>> = Mutex::new(BTreeMap::new());

impl Driver {
    /// # Errors
    /// A library that is not there or cannot be loaded.
    pub fn load(&self) -> Result<ManagedDriver, IoError> {
        let name = format!("{self:?}");
        // Waited for: two must not load one library at once.
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = loaded.get(&name) {
            return Ok(driver.clone());
        }
        let driver = match self {
            Driver::DuckDb { library, folder } => duckdb(library.as_deref(), folder)?,
            Driver::Named { name, entrypoint } => {
                let entrypoint = entrypoint.as_deref().map(str::as_bytes);
                ManagedDriver::load_from_name(name, entrypoint, AdbcVersion::V110, LOAD_FLAG_DEFAULT, None).map_err(
                    |it| IoError::Store {
                        place: format!("ADBC driver {name}"),
                        cause: it.message,
                        help: "give the path of its library: driver = \"/path/to/libadbc_driver_NAME.so\"",
                    },
                )?
            }
        };
        loaded.insert(name, driver.clone());
        Ok(driver)
    }
}

fn duckdb(library: Option<&Path>, folder: &Path) -> Result<ManagedDriver, IoError> {
    let of_file = |file: &Path| {
        ManagedDriver::load_dynamic_from_filename(file, Some(DUCKDB_ENTRYPOINT.as_bytes()), AdbcVersion::V110)
            .map_err(|it| failed(format!("{} cannot be loaded: {}", file.display(), it.message)))
    };
    if let Some(file) = library {
        return match fs::look_through(file)? {
            Some(_) => of_file(file),
            None => Err(failed(format!("{} is not there", file.display()))),
        };
    }
    // A manifest of ADBC, or wherever the system keeps libraries.
    let entrypoint = Some(DUCKDB_ENTRYPOINT.as_bytes());
    if let Ok(driver) = ManagedDriver::load_from_name("duckdb", entrypoint, AdbcVersion::V110, LOAD_FLAG_DEFAULT, None)
    {
        return Ok(driver);
    }
    for folder in folder.ancestors() {
        for package in fs::list(&folder.join("node_modules/@duckdb")).ok().flatten().unwrap_or_default() {
            let file = package.path().join(DUCKDB_FILE);
            if fs::look_through(&file)?.is_some() {
                return of_file(&file);
            }
        }
    }
    let places = "no ADBC driver called `duckdb`, nothing on the system, nothing in node_modules";
    Err(failed(format!("its library {DUCKDB_FILE} was not found ({places})")))
}

fn failed(cause: String) -> IoError {
    IoError::Store { place: "DuckDB".to_owned(), cause, help: NOT_FOUND }
}
