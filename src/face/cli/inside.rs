//! Queries and checks as steps: some run in this process, all others in workers.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf, sync::Arc};

use crate::{
    base::{
        clock::{Clock, SystemClock},
        env::Environment,
    },
    exec::{
        check::{self, adbc::AdbcExaminer},
        executor::{
            Executor, StepExit, StepSpec,
            inside::{Inside, InsideExecutor},
            local::LocalExecutor,
            worker::Workers,
        },
        log::StepLog,
        query::{self, Failed, Request},
        stop::Stop,
    },
    face::cli::{check_step, query_step::told},
    model::project::{Action, CheckBody, Op, Project},
};

/// The executor of a run of `project`.
pub fn executor(project: &Project, program: PathBuf, local: LocalExecutor) -> Box<dyn Executor> {
    let asks = |it: &Op| {
        matches!(it.action, Action::Sql(_)) || it.checks.iter().any(|it| matches!(it.body, CheckBody::Data(_)))
    };
    if !project.ops.values().any(asks) {
        return Box::new(local);
    }
    let inside = Queries { workers: Workers::new(program) };
    Box::new(InsideExecutor::new(Arc::new(local), Arc::new(inside)))
}

/// Runs all queries and checks of rows.
struct Queries {
    workers: Workers,
}

impl Inside for Queries {
    fn takes(&self, spec: &StepSpec) -> bool {
        [query::adbc::INSIDE, check::adbc::INSIDE, query::SUBCOMMAND, check::SUBCOMMAND].contains(&asked(spec))
    }

    fn run(&self, spec: &StepSpec, stop: &Arc<Stop>, log: &mut StepLog) -> (StepExit, u64) {
        match asked(spec) {
            query::SUBCOMMAND | check::SUBCOMMAND => self.workers.run(spec, stop, log),
            _ => (StepExit::Code(i32::from(!here(spec, stop, log))), 0),
        }
    }

    fn pause(&self, stop: bool) {
        self.workers.pause(stop);
    }
}

/// The subcommand, if it is one of ours.
fn asked(spec: &StepSpec) -> &str {
    spec.argv.get(1).and_then(|it| std::str::from_utf8(it).ok()).unwrap_or_default()
}

fn here(spec: &StepSpec, stop: &Arc<Stop>, log: &mut StepLog) -> bool {
    let request = spec.argv.get(2).map(Vec::as_slice).unwrap_or_default();
    let env: Environment =
        spec.env.iter().map(|(key, value)| (OsStr::from_bytes(key), OsStr::from_bytes(value))).collect();
    let done = match asked(spec) {
        query::adbc::INSIDE => run_query(request, &env, stop),
        _ => run_checks(request, &env, stop, log).map_err(|it| it.message),
    };
    let Err(message) = done else { return true };
    log.write(format!("{}\n", message.trim_end()).as_bytes());
    false
}

fn run_query(request: &[u8], env: &Environment, stop: &Arc<Stop>) -> Result<(), String> {
    let request = query::request(request).map_err(|it| it.message)?;
    let run = |it: &Request| query::adbc::run(it, env, Some(Arc::clone(stop)));
    query::with_secrets(&request, env, run).map_err(|it| told(&request, &it))
}

fn run_checks(request: &[u8], env: &Environment, stop: &Arc<Stop>, log: &mut StepLog) -> Result<(), Failed> {
    let request = check::request(request)?;
    let check::Engine::Adbc { database } = &request.engine else {
        return Err(Failed::plain("it is to be run by a process of its own"));
    };
    let looked = {
        let examiner = AdbcExaminer::of(&request, database, env, Some(Arc::clone(stop)))?;
        check::examine(&request, &examiner, SystemClock.now())?
    };
    for (asked, (finding, trouble)) in request.checks.iter().zip(&looked) {
        log.write(check_step::line(&request, asked, finding, trouble.as_ref()).as_bytes());
    }
    check::answer(&request, looked.into_iter().map(|it| it.0).collect())
}
