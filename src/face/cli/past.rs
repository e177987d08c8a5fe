//! Finding past runs by what people type.

use crate::{
    base::{process::host, suggest},
    exec::supervise::alive::is_alive,
    face::{app::App, cli::error::Failure, report::runs::Life},
    plan::record::{RunId, RunRecord},
};

/// The name that stands for the newest run.
pub const LATEST: &str = "latest";

/// Past runs that names are looked for in.
const RUNS_MAX: usize = 100_000;

/// What a word that may be the name of a run turned out to be.
pub enum Named {
    Run(Box<RunRecord>),
    /// No run; perhaps something else.
    Nothing,
}

/// The run of that name or of the one name that begins so, with its steps.
pub fn find(app: &App, name: &str) -> Result<Named, Failure> {
    let store = &app.workspace.store;
    if name == LATEST {
        return store.runs(1)?.first().map_or(Ok(Named::Nothing), |it| with_steps(app, &it.id));
    }
    if let Some(run) = store.run(&RunId(name.to_owned()))? {
        return Ok(Named::Run(Box::new(run)));
    }
    let runs = store.runs(RUNS_MAX)?;
    let matching: Vec<&RunRecord> = runs.iter().filter(|it| it.id.0.starts_with(name)).collect();
    match matching.as_slice() {
        [] => Ok(Named::Nothing),
        [one] => with_steps(app, &one.id),
        many => {
            let shown: Vec<&str> = many.iter().take(5).map(|it| it.id.0.as_str()).collect();
            Err(Failure::usage(format!("{} runs begin with `{name}`", many.len())).hint(shown.join(", ")))
        }
    }
}

fn with_steps(app: &App, id: &RunId) -> Result<Named, Failure> {
    Ok(app.workspace.store.run(id)?.map_or(Named::Nothing, |it| Named::Run(Box::new(it))))
}

/// The same, or a failure that offers what there is.
pub fn require(app: &App, name: &str) -> Result<RunRecord, Failure> {
    match find(app, name)? {
        Named::Run(run) => Ok(*run),
        Named::Nothing => Err(unknown(app, name)?),
    }
}

fn unknown(app: &App, name: &str) -> Result<Failure, Failure> {
    let runs = app.workspace.store.runs(RUNS_MAX)?;
    if runs.is_empty() {
        return Ok(nothing_yet());
    }
    let failure = Failure::usage(format!("there is no run `{name}`"));
    Ok(match suggest::nearest(name, runs.iter().map(|it| it.id.0.as_str())) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`assets runs` lists them; `latest` is the last one"),
    })
}

pub fn nothing_yet() -> Failure {
    Failure::usage("nothing was run yet").hint("`assets materialize` does")
}

pub fn life(app: &App, run: &RunRecord) -> Life {
    if is_alive(run, &host(), app.workspace.clock.now()) { Life::Alive } else { Life::Over }
}
