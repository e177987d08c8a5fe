//! The hidden subcommand that asks the rows of one asset, and writes into its log what it found.

use std::{io::Write, path::Path};

use crate::{
    base::clock::{Clock, SystemClock},
    exec::{
        check::{
            self, Asked, Engine, Request, Trouble, datafusion::FileExaminer, postgres::PostgresExaminer,
            sqlite::SqliteExaminer,
        },
        query::Failed,
    },
    face::{
        cli::query_step::{drawn_by, placed, placed_within},
        exit::Exit,
    },
    model::check::Finding,
};

/// Does what stands in the file at `request`, as a step of its own.
pub fn step(request: Option<&Path>) -> Exit {
    let (exit, said) = match run(request) {
        Ok(said) => (Exit::Done, said),
        Err(failed) => (Exit::Failed, format!("{}\n", failed.trim_end())),
    };
    // Into the log of the step; there is nowhere to say that this is gone.
    let _ = write!(std::io::stderr(), "{said}");
    exit
}

/// Does it, and says what came of it; or why not.
pub fn run(request: Option<&Path>) -> Result<String, String> {
    let asked = request.ok_or_else(|| Failed::plain("no check is given")).and_then(check::request);
    asked.and_then(|it| look(&it)).map_err(|it| it.message)
}

fn look(request: &Request) -> Result<String, Failed> {
    let now = SystemClock.now();
    let looked = match &request.engine {
        Engine::Adbc { .. } => return Err(Failed::plain("its database is open in another process")),
        Engine::DataFusion { spill } => check::examine(request, &FileExaminer::of(request, spill)?, now)?,
        Engine::Postgres { connection } => check::examine(request, &PostgresExaminer::of(request, connection)?, now)?,
        Engine::Sqlite { database } => check::examine(request, &SqliteExaminer::of(request, database)?, now)?,
    };
    let said =
        request.checks.iter().zip(&looked).map(|(asked, it)| line(request, asked, &it.0, it.1.as_ref())).collect();
    check::answer(request, looked.into_iter().map(|it| it.0).collect())?;
    Ok(said)
}

/// What the log says of one check.
pub fn line(request: &Request, asked: &Asked, finding: &Finding, trouble: Option<&Trouble>) -> String {
    let (name, homes) = (&asked.name, &asked.homes);
    let told = trouble.map(|it| {
        drawn_by(&it.failed, |sources| {
            let mut homes = homes.iter();
            let at_home = homes.find_map(|home| placed_within(&request.root, home, &it.sql, &it.failed, sources));
            at_home.or_else(|| placed("the check's query", &it.sql, &it.failed, sources))
        })
    });
    let told = told.unwrap_or_default();
    match &finding.failure {
        None => format!("passed: {name}\n"),
        Some(why) if told.is_empty() => format!("failed: {name}: {why}\n"),
        Some(why) => format!("failed: {name}: {why}\n{}\n", told.trim_end()),
    }
}
