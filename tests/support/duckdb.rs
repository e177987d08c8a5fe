//! DuckDB's library as `.ci/run` brings it, and a look at a database file from outside of the tool.

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use adbc_core::{
    Connection as _, Database as _, Driver as _, Statement as _,
    options::{AdbcVersion, OptionDatabase},
};
use adbc_driver_manager::{ManagedConnection, ManagedDatabase, ManagedDriver};
use arrow::{
    array::RecordBatchReader as _,
    util::display::{ArrayFormatter, FormatOptions},
};

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
        Opened::tried(file).unwrap()
    }

    /// Or why not: somebody else may have it.
    pub fn tried(file: &Path) -> Result<Opened, Box<dyn Error>> {
        let entrypoint: &[u8] = b"duckdb_adbc_init";
        let mut driver = ManagedDriver::load_dynamic_from_filename(library(), Some(entrypoint), AdbcVersion::V110)?;
        let path = OptionDatabase::Other("path".to_owned());
        let database = driver.new_database_with_opts([(path, file.to_str().unwrap().into())])?;
        Ok(Opened { connection: database.new_connection()?, _database: database })
    }

    pub fn run(&mut self, sql: &str) {
        self.rows(sql);
    }

    /// Each row as its values with `|` between them.
    pub fn rows(&mut self, sql: &str) -> Vec<String> {
        self.table(sql).unwrap_or_else(|it| panic!("{sql}: {it}")).1
    }

    /// The names and types of the columns, and each row as its values with `|` between them; or what DuckDB says instead.
    pub fn table(&mut self, sql: &str) -> Result<(Vec<String>, Vec<String>), Box<dyn Error>> {
        let mut statement = self.connection.new_statement()?;
        statement.set_sql_query(sql)?;
        let batches = statement.execute()?;
        let columns = batches.schema().fields().iter().map(|it| format!("{} {}", it.name(), it.data_type())).collect();
        let mut rows = Vec::new();
        for batch in batches {
            let batch = batch?;
            let options = FormatOptions::default();
            let cells: Vec<_> =
                batch.columns().iter().map(|it| ArrayFormatter::try_new(it, &options)).collect::<Result<_, _>>()?;
            rows.extend(
                (0..batch.num_rows())
                    .map(|row| cells.iter().map(|it| it.value(row).to_string()).collect::<Vec<_>>().join("|")),
            );
        }
        Ok((columns, rows))
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
