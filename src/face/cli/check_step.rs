//! Asks the rows of one asset what a run wants to know of them, and says for its log what was found.

use crate::{
    base::clock::{Clock, SystemClock},
    exec::{
        check::{
            self, Asked, Engine, Request, Trouble, datafusion::FileExaminer, postgres::PostgresExaminer,
            sqlite::SqliteExaminer,
        },
        query::Failed,
    },
    face::cli::query_step::{drawn_by, placed, placed_within},
    model::check::Finding,
};

/// Does what `request` says, and says what came of it; or why not.
pub fn run(request: &[u8]) -> Result<String, String> {
    check::request(request).and_then(|it| look(&it)).map_err(|it| it.message)
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
