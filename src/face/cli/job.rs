//! `assets job`: named selections with what they are run with.

use std::sync::Arc;

use crate::{
    base::suggest,
    face::{
        app::{self, App, Opening},
        cli::{
            Context,
            args::{MaterializeArgs, RunArgs, Selection},
            error::Failure,
            materialize,
            partition_args::{JobArgs, JobCommand},
        },
        exit::Exit,
        report::{
            json,
            partitions::{JOBS, JobDocument, JobsDocument, jobs},
        },
    },
    model::project::{Job, Project},
    plan::store::folder::Access,
};

pub fn run(context: &Context, args: &JobArgs) -> Result<Exit, Failure> {
    match &args.what {
        JobCommand::List => list(context),
        JobCommand::Run { name, partition, how } => {
            let read = app::read(&context.opening)?;
            let job = named(&read.project, name)?;
            let how = self::how(&read.project, job, how);
            let args = MaterializeArgs {
                selection: Selection { job: Some(name.clone()), ..Selection::default() },
                partition: partition.clone().or_else(|| job.partitions.clone()),
                how,
                ..MaterializeArgs::default()
            };
            // Variables of the command line go before those of the job.
            let mut vars: Vec<(String, String)> = job.vars.clone().into_iter().collect();
            vars.extend(context.opening.vars.iter().cloned());
            let opening = Opening { vars, ..context.opening.clone() };
            let context =
                Context { ui: Arc::clone(&context.ui), opening, json: context.json, typed: context.typed.clone() };
            materialize::run(&context, &args)
        }
    }
}

/// How its steps are run: no more at once than its pool lets.
pub fn how(project: &Project, job: &Job, asked: &RunArgs) -> RunArgs {
    let limit = job.pool.map(|it| project.pools[it].limit);
    let jobs = limit.map(|it| materialize::jobs_of(asked.jobs).min(it));
    RunArgs { jobs: jobs.or(asked.jobs), ..asked.clone() }
}

/// The job that is called so.
pub fn named<'p>(project: &'p Project, name: &str) -> Result<&'p Job, Failure> {
    project.jobs.get(name).ok_or_else(|| {
        let failure = Failure::usage(format!("there is no job `{name}`"));
        match suggest::nearest(name, project.jobs.keys().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("jobs are declared as `[job.NAME]`"),
        }
    })
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Read, false, &context.ui)?;
    let project = app.project();
    let told = project.jobs.iter().map(|(name, it)| JobDocument {
        name: name.clone(),
        select: it.select.clone(),
        description: it.description.clone(),
        partitions: it.partitions.clone(),
        vars: it.vars.clone(),
        pool: it.pool.map(|it| project.pools[it].name.clone()),
    });
    let told: Vec<JobDocument> = told.collect();
    if context.json {
        context.ui.print(&json(&JobsDocument { schema: JOBS, jobs: told }))?;
    } else {
        context.ui.print(&jobs(&told))?;
    }
    Ok(Exit::Done)
}
