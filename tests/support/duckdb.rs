//! DuckDB's library as `.ci/run` brings it, and a look at a database file from outside of the tool.

use std::path::{Path, PathBuf};

use adbc_core::{
    Connection as _, Database as _, Driver as _, Statement as _,
    options::{AdbcVersion, OptionDatabase},
};
use adbc_driver_manager::{ManagedConnection, ManagedDatabase, ManagedDriver};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::tools;

const PACKAGE: &str =
    if cfg!(target_arch = "aarch64") { "node-bindings-linux-arm64" } else { "node-bindings-linux-x64" };

/// The library; `ASSETS_DUCKDB_LIBRARY` names another one.
pub fn library() -> PathBuf {
    let named = std::env::var_os("ASSETS_DUCKDB_LIBRARY").map(PathBuf::from);
    let file = named.unwrap_or_else(|| tools().join("duckdb/node_modules/@duckdb").join(PACKAGE).join("libduckdb.so"));
    assert!(file.exists(), "{} is not there: `.ci/run` installs it (section \"tools\")", file.display());
    file
}

/// An open database: nobody else can have it meanwhile.
pub struct Opened {
    connection: ManagedConnection,
    _database: ManagedDatabase,
}

impl Opened {
    pub fn new(file: &Path) -> Opened {
        let entrypoint: &[u8] = b"duckdb_adbc_init";
        let mut driver =
            ManagedDriver::load_dynamic_from_filename(library(), Some(entrypoint), AdbcVersion::V110).unwrap();
        let path = OptionDatabase::Other("path".to_owned());
        let database = driver.new_database_with_opts([(path, file.to_str().unwrap().into())]).unwrap();
        Opened { connection: database.new_connection().unwrap(), _database: database }
    }

    pub fn run(&mut self, sql: &str) {
        self.rows(sql);
    }

    /// Each row as its values with `|` between them.
    pub fn rows(&mut self, sql: &str) -> Vec<String> {
        let mut statement = self.connection.new_statement().unwrap();
        statement.set_sql_query(sql).unwrap();
        let mut rows = Vec::new();
        for batch in statement.execute().unwrap() {
            let batch = batch.unwrap();
            let options = FormatOptions::default();
            let columns: Vec<_> =
                batch.columns().iter().map(|it| ArrayFormatter::try_new(it, &options).unwrap()).collect();
            rows.extend(
                (0..batch.num_rows())
                    .map(|row| columns.iter().map(|it| it.value(row).to_string()).collect::<Vec<_>>().join("|")),
            );
        }
        rows
    }
}

/// Opens, does, closes.
pub fn run(file: &Path, sql: &str) {
    Opened::new(file).run(sql);
}

/// Opens, asks, closes.
pub fn rows(file: &Path, sql: &str) -> Vec<String> {
    Opened::new(file).rows(sql)
}
