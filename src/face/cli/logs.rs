//! `assets logs`: what commands wrote, of one attempt, one run, or as it is written.

use std::{collections::HashMap, path::Path, time::Duration};

use crate::{
    base::{fs, suggest},
    exec::run::audit::{CHECK_LOG, log_of},
    face::{
        app::App,
        cli::{Context, args::LogsArgs, error::Failure, past},
        exit::Exit,
        report::{
            json,
            logs::{AttemptLog, LogsDocument, SCHEMA},
            runs::Life,
        },
        ui::{Role, words},
    },
    plan::{
        record::{Attempt, AttemptId, AttemptState, RunId, RunRecord},
        store::folder::Access,
    },
};

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(100);

pub fn run(context: &Context, args: &LogsArgs) -> Result<Exit, Failure> {
    let app = App::open(&context.opening, Access::Read, false, &context.ui)?;
    let asked = Asked::of(&app, &args.words)?;
    if args.follow {
        return follow(context, &app, &asked);
    }
    let attempts = asked.attempts(&app)?;
    if context.json {
        let attempts: Result<Vec<AttemptLog>, Failure> = attempts.iter().map(|it| document(&app, it)).collect();
        let document = LogsDocument { schema: SCHEMA, run: asked.run.id.0.clone(), attempts: attempts? };
        context.ui.print(&json(&document))?;
        return Ok(Exit::Done);
    }
    let mut silent = Vec::new();
    let one = attempts.len() == 1;
    for attempt in &attempts {
        match read(&app.workspace.root, attempt)? {
            Some(text) if one => context.ui.print(&words::said(&text, context.ui.style()))?,
            Some(text) => {
                context.ui.print(&format!("{}{}", heading(context, attempt), words::said(&text, context.ui.style())))?
            }
            None => silent.push(attempt.op.as_str()),
        }
    }
    tell_silent(context, &asked.run.id, &attempts, &silent);
    Ok(Exit::Done)
}

/// What was asked for: all of a run, or one asset of it.
struct Asked {
    run: RunRecord,
    key: Option<String>,
}

impl Asked {
    fn of(app: &App, words: &[String]) -> Result<Asked, Failure> {
        match words {
            [] => Ok(Asked { run: latest_at_work(app, None)?, key: None }),
            [word] => match past::find(app, word)? {
                past::Named::Run(run) => Ok(Asked { run: *run, key: None }),
                past::Named::Nothing if word == past::LATEST => Err(past::nothing_yet()),
                past::Named::Nothing => {
                    known_key(app, None, word)?;
                    Ok(Asked { run: latest_at_work(app, Some(word))?, key: Some(word.clone()) })
                }
            },
            [run, key, ..] => {
                let run = past::require(app, run)?;
                known_key(app, Some(&run), key)?;
                Ok(Asked { run, key: Some(key.clone()) })
            }
        }
    }

    /// In the order in which they were started; of one asset only the last.
    fn attempts(&self, app: &App) -> Result<Vec<Attempt>, Failure> {
        let mut attempts = app.workspace.store.attempts_of(&self.run.id)?;
        attempts.sort_by(|a, b| a.started_at.cmp(&b.started_at).then_with(|| a.id.cmp(&b.id)));
        if let Some(key) = &self.key {
            attempts.retain(|it| makes(it, key));
            attempts = attempts.pop().into_iter().collect();
        }
        Ok(attempts)
    }
}

fn makes(attempt: &Attempt, key: &str) -> bool {
    attempt.op == key || attempt.outputs.iter().any(|it| it.as_str() == key)
}

/// The newest run in which anything was tried, or this asset was.
fn latest_at_work(app: &App, key: Option<&str>) -> Result<RunRecord, Failure> {
    let store = &app.workspace.store;
    let newest = match key {
        Some(key) => store.last_attempts()?.into_iter().find(|it| makes(it, key)).map(|it| it.run),
        None => store.runs(1)?.pop().map(|it| it.id),
    };
    let run = newest.map(|it| store.run(&it)).transpose()?.flatten();
    run.ok_or_else(|| match key {
        Some(key) => Failure::usage(format!("no attempt at {key} is known")).hint("`assets materialize` makes one"),
        None => past::nothing_yet(),
    })
}

/// Refuses a word that is neither of the project nor of the run's past.
fn known_key(app: &App, run: Option<&RunRecord>, key: &str) -> Result<(), Failure> {
    let store = &app.workspace.store;
    let attempts = match run {
        Some(run) => store.attempts_of(&run.id)?,
        None => store.last_attempts()?,
    };
    if attempts.iter().any(|it| makes(it, key)) {
        return Ok(());
    }
    if app.project().node(key).is_some() {
        return Err(match run {
            Some(run) => Failure::usage(format!("{key} was not run in {}", run.id.0))
                .hint(format!("`assets runs {}` shows what was", run.id.0)),
            None => Failure::usage(format!("no attempt at {key} is known")).hint("`assets materialize` makes one"),
        });
    }
    let names = app.project().assets().map(|(_, node, _)| node.key.as_str());
    let names = names.chain(attempts.iter().map(|it| it.op.as_str()));
    let what = if run.is_some() { "asset" } else { "run or asset" };
    let failure = Failure::usage(format!("there is no {what} `{key}`"));
    Err(match suggest::nearest(key, names) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`assets runs` and `assets list` show what there is"),
    })
}

fn heading(context: &Context, attempt: &Attempt) -> String {
    let style = context.ui.style();
    let why = attempt.state.why().map(|it| format!(": {}", words::visible(it))).unwrap_or_default();
    let name = match attempt.partition.name() {
        Some(partition) => format!("{}@{}", attempt.op, words::visible(partition)),
        None => attempt.op.clone(),
    };
    format!("{}\n", style.paint(Role::Strong, &format!("==> {name} ({}{why}) <==", attempt.state.name())))
}

fn tell_silent(context: &Context, run: &RunId, attempts: &[Attempt], silent: &[&str]) {
    match (attempts, silent) {
        ([], _) => context.ui.say(&format!("no command was started in run {}", run.0)),
        (_, []) => {}
        ([one], _) => context.ui.say(&format!("{} wrote nothing in run {} ({})", one.op, run.0, one.state.name())),
        (_, _) => context.ui.say(&format!("wrote nothing: {}", silent.join(", "))),
    }
}

/// What the command wrote; `None` if nothing.
fn read(root: &Path, attempt: &Attempt) -> Result<Option<String>, Failure> {
    let Some(log) = &attempt.log else { return Ok(None) };
    let mut text = read_file(&root.join(log))?;
    // Checks come after the command, each in a file of its own if it said something.
    for number in checks_told(root, log)? {
        if let Some(said) = read_file(&root.join(log_of(log, number)))? {
            let text = text.get_or_insert_default();
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("[check {number}]\n{said}"));
        }
    }
    Ok(text)
}

fn read_file(path: &Path) -> Result<Option<String>, Failure> {
    let bytes = fs::read_if_there(path)?.filter(|it| !it.is_empty());
    Ok(bytes.map(|it| String::from_utf8_lossy(&it).into_owned()))
}

/// Numbers of the checks that left a file beside an attempt's log.
fn checks_told(root: &Path, log: &str) -> Result<Vec<usize>, Failure> {
    let path = root.join(log);
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem().and_then(|it| it.to_str())) else {
        return Ok(Vec::new());
    };
    let number = |it: std::fs::DirEntry| {
        it.file_name().to_str()?.strip_prefix(stem)?.strip_prefix(CHECK_LOG)?.strip_suffix(".log")?.parse().ok()
    };
    let mut numbers: Vec<usize> = fs::list(folder)?.unwrap_or_default().into_iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn document(app: &App, attempt: &Attempt) -> Result<AttemptLog, Failure> {
    let text = read(&app.workspace.root, attempt)?;
    Ok(AttemptLog {
        step: attempt.op.clone(),
        assets: attempt.outputs.iter().map(ToString::to_string).collect(),
        partition: attempt.partition.name().map(str::to_owned),
        attempt: attempt.id.0.clone(),
        state: attempt.state.name(),
        started_at: attempt.started_at.to_string(),
        ended_at: attempt.ended_at.map(|it| it.to_string()),
        path: attempt.log.clone().filter(|_| text.is_some()),
        text,
    })
}

/// Prints what is written as it is written, until what was asked for has ended.
fn follow(context: &Context, app: &App, asked: &Asked) -> Result<Exit, Failure> {
    let mut seen: HashMap<AttemptId, u64> = HashMap::new();
    let mut said: Option<AttemptId> = None;
    loop {
        // Asked before reading, so that what was written last is still read.
        let over = is_over(app, asked)?;
        for attempt in asked.attempts(app)? {
            let Some(log) = &attempt.log else { continue };
            let from = seen.entry(attempt.id.clone()).or_default();
            let Some(bytes) = fs::read_from(&app.workspace.root.join(log), *from)? else { continue };
            // A piece of a letter is left for the next time.
            let whole = match std::str::from_utf8(&bytes) {
                Err(error) if error.error_len().is_none() && !over => error.valid_up_to(),
                _ => bytes.len(),
            };
            if whole == 0 {
                continue;
            }
            *from += whole as u64;
            let text = words::said(&String::from_utf8_lossy(&bytes[..whole]), context.ui.style());
            if asked.key.is_none() && said.as_ref() != Some(&attempt.id) {
                context.ui.print(&heading(context, &attempt))?;
                said = Some(attempt.id.clone());
            }
            context.ui.print(&text)?;
        }
        if over {
            let attempts = asked.attempts(app)?;
            let silent: Vec<&str> =
                attempts.iter().filter(|it| !seen.contains_key(&it.id)).map(|it| it.op.as_str()).collect();
            tell_silent(context, &asked.run.id, &attempts, &silent);
            return Ok(Exit::Done);
        }
        std::thread::sleep(LOOK);
    }
}

/// Whether nothing more will be written.
fn is_over(app: &App, asked: &Asked) -> Result<bool, Failure> {
    let store = &app.workspace.store;
    let Some(run) = store.run(&asked.run.id)? else { return Ok(true) };
    if past::life(app, &run) == Life::Over {
        return Ok(true);
    }
    if asked.key.is_none() {
        return Ok(false);
    }
    // A failed or void attempt may be made again as long as the run lives and has not said otherwise.
    let last = asked.attempts(app)?.pop();
    Ok(last.is_some_and(|it| match it.state {
        AttemptState::Succeeded(_) | AttemptState::Rejected(_) | AttemptState::Interrupted => true,
        AttemptState::Failed(_) => !has_tries_left(app, &it),
        AttemptState::Void(_) | AttemptState::Running | AttemptState::Committing(_) => false,
    }))
}

fn has_tries_left(app: &App, attempt: &Attempt) -> bool {
    let made: u32 = attempt.id.0.rsplit('-').next().and_then(|it| it.parse().ok()).unwrap_or(1);
    app.project().ops.values().find(|it| it.name == attempt.op).is_some_and(|it| made <= it.retries)
}
