//! `assets doctor`: what could go wrong on this machine, a line for each check. Changes nothing but a
//! probe that it removes again.

use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Access as Right, access, statvfs};

use crate::{
    base::{clock::Clock, clock::SystemClock, fs},
    exec::lock::{LockName, LockTable, Locked},
    face::{
        app::{self, Opening, Read},
        cli::{Context, error::Failure, git},
        exit::Exit,
        report::{
            Layout,
            doctor::{self, Check, Verdict},
            json,
        },
        ui::words,
    },
    model::project::{Action, Project},
    plan::{
        hash::boot,
        store::{
            StateStore,
            folder::{Access, StateFolder},
            sqlite::{Disk, SqliteStore},
        },
    },
};

/// Less free space than this is worth a word.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// Clocks that differ by more make young files look old.
const SKEW_MS_MAX: i64 = 2000;

pub fn run(context: &Context) -> Result<Exit, Failure> {
    let checks = checks(&context.opening);
    let failed = checks.iter().any(|it| it.verdict == Verdict::Fail);
    if context.json {
        context.ui.print(&json(&doctor::document(checks)))?;
    } else {
        let layout = Layout::of(context.ui.out(), context.ui.is_verbose(), SystemClock.now());
        context.ui.print(&doctor::text(&checks, layout))?;
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn checks(opening: &Opening) -> Vec<Check> {
    let mut checks = Vec::new();
    let root = match app::find_root(&opening.start) {
        Ok(root) => root,
        Err(failure) => {
            let help = failure.hints.first().cloned().unwrap_or_default();
            return vec![Check::fail("manifest", failure.message, help)];
        }
    };
    let read = manifest(opening, &mut checks);
    let state = StateFolder::open(&root, Access::Read);
    checks.push(file_system(&root));
    checks.push(disk_space(&root));
    match &state {
        Err(error) => checks.push(Check::fail("state", error.to_string(), error.hint().unwrap_or_default())),
        Ok(state) => checks.extend(of_state(&root, state)),
    }
    if let Some(read) = &read {
        checks.push(programs(&read.project, &root, opening));
    }
    checks.push(ignored(&root));
    checks
}

fn manifest(opening: &Opening, checks: &mut Vec<Check>) -> Option<Read> {
    match app::read(opening) {
        Ok(read) => {
            let assets = words::count(read.project.assets().count(), "asset");
            checks.push(match read.warnings.len() {
                0 => Check::ok("manifest", format!("{}, {assets}", read.project.name)),
                many => Check::warn(
                    "manifest",
                    format!("{}, {assets}, {}", read.project.name, words::count(many, "warning")),
                    "`assets validate` shows them",
                ),
            });
            Some(read)
        }
        Err(failure) => {
            let message = match failure.diagnostics.len() {
                0 => failure.message,
                many => format!("{}, the first: {}", words::count(many, "mistake"), failure.diagnostics[0].message),
            };
            checks.push(Check::fail("manifest", message, "`assets validate` shows all of them"));
            None
        }
    }
}

fn file_system(root: &Path) -> Check {
    if boot::is_on_network(root) {
        return Check::warn(
            "file system",
            "the project is on a network or user-space file system",
            "use it from one machine at a time; a local disk is safer and faster",
        );
    }
    Check::ok("file system", "local")
}

fn disk_space(root: &Path) -> Check {
    match statvfs(root) {
        Err(error) => Check::warn("disk space", format!("cannot be asked: {error}"), "look at it with df"),
        Ok(it) => {
            let free = it.f_bavail.saturating_mul(it.f_frsize);
            let message = format!("{} free", words::size(free));
            if free < FREE_BYTES_MIN {
                Check::warn("disk space", message, "`assets gc` makes some room")
            } else {
                Check::ok("disk space", message)
            }
        }
    }
}

/// Everything that needs the state folder.
fn of_state(root: &Path, state: &StateFolder) -> Vec<Check> {
    let is_there = fs::look(state.path()).is_ok_and(|it| it.is_some());
    let place = if is_there { state.path() } else { root };
    let writable = access(place, Right::WRITE_OK | Right::EXEC_OK);
    let Ok(()) = writable else {
        let message = format!("{} cannot be written to", place.display());
        return vec![Check::fail("state", message, "`status`, `why` and `plan` work; nothing can be materialized")];
    };
    if !is_there {
        return vec![Check::ok("state", "not made yet; the first run makes it")];
    }
    let disk = if boot::is_on_network(root) { Disk::Network } else { Disk::Local };
    let mut checks = vec![Check::ok("state", "can be written to")];
    match SqliteStore::open_read_only(state.path(), disk) {
        Err(error) => {
            let help = error.hint().unwrap_or("the message says what is wrong");
            checks.push(Check::fail("database", error.to_string(), help));
        }
        Ok(opened) => {
            checks.push(database(state, disk, &opened.notes));
            checks.push(locks(state));
            checks.extend(killed_runs(&opened.store, state));
        }
    }
    checks.push(clock(state.path()));
    checks
}

fn database(state: &StateFolder, disk: Disk, notes: &[String]) -> Check {
    if let Some(note) = notes.first() {
        return Check::warn("database", note.clone(), "any command that writes puts it right, with nothing rerun");
    }
    match SqliteStore::examine(state.path(), disk) {
        Ok(wrong) if wrong.is_empty() => Check::ok("database", "healthy"),
        Ok(wrong) => Check::warn(
            "database",
            format!("damaged: {}", wrong[0]),
            "any command that writes rebuilds it from the journal, with nothing rerun",
        ),
        Err(error) => Check::fail("database", error.to_string(), error.hint().unwrap_or_default()),
    }
}

/// Two open files on one lock file are as two processes.
fn locks(state: &StateFolder) -> Check {
    const HELP: &str = "two runs at once would not see each other: run one at a time, or use a local disk";
    let path = state.locks().join("assets");
    let tried = (|| {
        let (ours, theirs) = (LockTable::open(&path)?, LockTable::open(&path)?);
        let name = LockName::of_text("doctor");
        let held = ours.try_exclusive(&[name])?;
        let second = theirs.try_exclusive(&[name])?;
        Ok::<_, crate::exec::lock::LockError>((held.guard().is_some(), matches!(second, Locked::Busy(_))))
    })();
    match tried {
        Ok((_, true)) => Check::ok("locks", "keep two processes apart"),
        Ok((_, false)) => Check::fail("locks", "are granted to two at once", HELP),
        Err(error) => Check::fail("locks", error.to_string(), HELP),
    }
}

fn killed_runs(store: &SqliteStore, state: &StateFolder) -> Option<Check> {
    let unfinished = store.unfinished_attempts().ok()?;
    let locks = LockTable::open(&state.locks().join("assets")).ok()?;
    let dead = unfinished.iter().filter(|it| {
        let names: Vec<LockName> = it.outputs.iter().map(|key| LockName::of(key, &it.partition)).collect();
        matches!(locks.try_exclusive(&names), Ok(Locked::Held(_)))
    });
    Some(match dead.count() {
        0 => Check::ok("killed runs", "left nothing behind"),
        many => Check::warn(
            "killed runs",
            format!("left {} unfinished", words::count(many, "attempt")),
            "the next `assets materialize` finishes or discards them; `assets gc` does too",
        ),
    })
}

/// Stamps of files against the clock of this machine, and how fine they are.
fn clock(folder: &Path) -> Check {
    let path = folder.join(format!("doctor-{}", std::process::id()));
    let stamped = (|| {
        let mut stamps = Vec::new();
        for _ in 0..3 {
            fs::write(&path, b"x")?;
            stamps.push(fs::look(&path)?.map_or((0, 0), |it| (it.mtime(), it.mtime_nsec())));
        }
        fs::remove_file(&path)?;
        Ok::<_, fs::FsError>(stamps)
    })();
    let stamps = match stamped {
        Ok(stamps) => stamps,
        Err(error) => return Check::fail("clock", error.to_string(), "the state folder must be writable"),
    };
    let (seconds, nanoseconds) = stamps[stamps.len() - 1];
    let skew = SystemClock.now().as_millisecond() - (seconds * 1000 + nanoseconds / 1_000_000);
    if skew.abs() > SKEW_MS_MAX {
        let apart = words::duration(skew.unsigned_abs());
        return Check::warn(
            "clock",
            format!("files are stamped by a clock that is {apart} away from this machine's"),
            "young files are read again, so that nothing is missed; set the clocks to have it fast",
        );
    }
    if stamps.iter().all(|it| it.1 == 0) {
        return Check::warn(
            "clock",
            "files are stamped in whole seconds",
            "young files are read again, so that nothing is missed; another file system is faster",
        );
    }
    Check::ok("clock", "files are stamped finely, by this machine's clock")
}

/// The first word of every command that is a list. What a shell runs is known to the shell alone.
fn programs(project: &Project, root: &Path, opening: &Opening) -> Check {
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut found = 0;
    for op in project.ops.values() {
        let program = match &op.action {
            Action::Sql(_) => continue,
            Action::Shell(_) => "/bin/sh",
            Action::Argv(words) => match words.first() {
                Some(first) if first.is_plain() => first.text(),
                _ => continue,
            },
        };
        let folder = op.folder.under(root);
        if can_run(program, &folder, opening) {
            found += 1;
        } else {
            missing.entry(program.to_owned()).or_default().push(&op.name);
        }
    }
    if missing.is_empty() {
        return Check::ok("programs", format!("of {} were found", words::count(found, "command")));
    }
    let told = missing.iter().map(|(program, ops)| {
        let more = if ops.len() > 1 { format!(" and {} more", ops.len() - 1) } else { String::new() };
        format!("`{program}` ({}{more})", ops[0])
    });
    let told = told.collect::<Vec<_>>().join(", ");
    Check::fail("programs", format!("not found: {told}"), "install them, or put their folder on PATH")
}

fn can_run(program: &str, folder: &Path, opening: &Opening) -> bool {
    let runs = |path: PathBuf| {
        fs::look_through(&path).ok().flatten().is_some_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return runs(folder.join(program));
    }
    let path = opening.env.get_os("PATH").cloned().unwrap_or_default();
    std::env::split_paths(&path).any(|it| runs(folder.join(it).join(program)))
}

fn ignored(root: &Path) -> Check {
    match git::tracked(root, app::STATE_FOLDER) {
        Err(_) => Check::ok("git", "the project is in no repository"),
        Ok(0) => Check::ok("git", "no state is tracked"),
        Ok(many) => Check::warn(
            "git",
            format!("{} of .assets are tracked", words::count(many, "file")),
            "`git rm -r --cached .assets`: state belongs to one working tree",
        ),
    }
}
