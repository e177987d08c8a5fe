//! The hidden subcommand that asks the rows of one asset, and writes into its log what it found.

use std::{io::Write, path::Path};

use crate::{
    base::clock::{Clock, SystemClock},
    exec::{
        check::{
            self, Engine, Request, Trouble, datafusion::FileExaminer, postgres::PostgresExaminer,
            sqlite::SqliteExaminer,
        },
        query::Failed,
    },
    face::{cli::query_step::drawn, exit::Exit},
    model::check::Finding,
};

/// Does what stands in the file at `request`.
pub fn step(request: Option<&Path>) -> Exit {
    let mut log = std::io::stderr();
    let asked = request.ok_or_else(|| Failed::plain("no check is given")).and_then(check::request);
    match asked.and_then(|it| run(&it, &mut log)) {
        Ok(()) => Exit::Done,
        Err(failed) => {
            // Into the log of the step; there is nowhere to say that this is gone.
            let _ = writeln!(log, "{}", failed.message.trim_end());
            Exit::Failed
        }
    }
}

fn run(request: &Request, log: &mut impl Write) -> Result<(), Failed> {
    let now = SystemClock.now();
    let looked = match &request.engine {
        Engine::Adbc { .. } => return Err(Failed::plain("its database is open in another process")),
        Engine::DataFusion { spill } => check::examine(request, &FileExaminer::of(request, spill)?, now)?,
        Engine::Postgres { connection } => check::examine(request, &PostgresExaminer::of(request, connection)?, now)?,
        Engine::Sqlite { database } => check::examine(request, &SqliteExaminer::of(request, database)?, now)?,
    };
    for (asked, (finding, trouble)) in request.checks.iter().zip(&looked) {
        let _ = write!(log, "{}", line(&asked.name, finding, trouble.as_ref()));
    }
    check::answer(request, looked.into_iter().map(|it| it.0).collect())
}

/// What the log says of one check.
pub fn line(name: &str, finding: &Finding, trouble: Option<&Trouble>) -> String {
    let told = trouble.map(|it| drawn("the check's query", &it.sql, &it.failed)).unwrap_or_default();
    match &finding.failure {
        None => format!("passed: {name}\n"),
        Some(why) => format!("failed: {name}: {why}\n{told}"),
    }
}
