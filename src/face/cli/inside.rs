//! Queries and checks that run in this process, as steps: what the hidden subcommands do for all others.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path, sync::Arc};

use crate::{
    base::{
        clock::{Clock, SystemClock},
        env::Environment,
    },
    exec::{
        check::{self, adbc::AdbcExaminer},
        executor::{Executor, StepSpec, inside::InsideExecutor, local::LocalExecutor},
        io::adbc::session::Stop,
        log::StepLog,
        query::{self, Failed, Request},
    },
    face::cli::{check_step, query_step::told},
    model::project::{IoKind, Project},
};

/// The executor of a run of `project`.
pub fn executor(project: &Project, local: LocalExecutor) -> Box<dyn Executor> {
    let any = project.io_managers.values().any(|it| matches!(it.kind, IoKind::Adbc(_)));
    if any { Box::new(InsideExecutor::new(Arc::new(local), is_inside, Arc::new(work))) } else { Box::new(local) }
}

fn is_inside(spec: &StepSpec) -> bool {
    [query::adbc::INSIDE, check::adbc::INSIDE].iter().any(|it| spec.argv.get(1).is_some_and(|arg| arg == it.as_bytes()))
}

fn work(spec: &StepSpec, stop: &Arc<Stop>, log: &mut StepLog) -> bool {
    let file = spec.argv.get(2).map(|it| Path::new(OsStr::from_bytes(it)));
    let env: Environment =
        spec.env.iter().map(|(key, value)| (OsStr::from_bytes(key), OsStr::from_bytes(value))).collect();
    let is_query = spec.argv.get(1).is_some_and(|it| it == query::adbc::INSIDE.as_bytes());
    let done = match file {
        None => Err("nothing is asked".to_owned()),
        Some(file) if is_query => run_query(file, &env, stop),
        Some(file) => run_checks(file, &env, stop, log).map_err(|it| it.message),
    };
    let Err(message) = done else { return true };
    log.write(format!("{}\n", message.trim_end()).as_bytes());
    false
}

fn run_query(file: &Path, env: &Environment, stop: &Arc<Stop>) -> Result<(), String> {
    let request = query::request(file).map_err(|it| it.message)?;
    let query::Engine::Adbc { database, table } = &request.engine else {
        return Err("it is to be run by a process of its own".to_owned());
    };
    let run = |it: &Request| query::adbc::run(it, database, table, env, Some(Arc::clone(stop)));
    query::with_secrets(&request, env, run).map_err(|it| told(&request, &it))
}

fn run_checks(file: &Path, env: &Environment, stop: &Arc<Stop>, log: &mut StepLog) -> Result<(), Failed> {
    let request = check::request(file)?;
    let check::Engine::Adbc { database } = &request.engine else {
        return Err(Failed::plain("it is to be run by a process of its own"));
    };
    let looked = {
        let examiner = AdbcExaminer::of(&request, database, env, Some(Arc::clone(stop)))?;
        check::examine(&request, &examiner, SystemClock.now())?
    };
    for (asked, (finding, trouble)) in request.checks.iter().zip(&looked) {
        log.write(check_step::line(&asked.name, finding, trouble.as_ref()).as_bytes());
    }
    check::answer(&request, looked.into_iter().map(|it| it.0).collect())
}
