//! Queries in a database behind an ADBC driver: over its own tables and whatever else is brought to it.
//!
//! Run in the process that has the database open, on a thread of its own; see `executor::inside`.

use std::{path::Path, sync::Arc};

use arrow::datatypes::Field;

use super::{
    Engine, Failed, From, Input, Request, all_in_parts,
    foreign::suggesting,
    incremental::{Column, First, NEW, OLD, check_key, fit, listed, staying},
    view,
};
use crate::{
    base::{env::Environment, fs},
    exec::{
        io::{
            IoError,
            adbc::{
                bring,
                database::{Database, Held},
                session::{Refused, Session},
                slice,
                threads::SMALL_BYTES,
            },
        },
        stop::Stop,
        table::columns::kind,
    },
    model::sql,
};

/// The same in this very process.
pub const INSIDE: &str = "__query_inside";

impl std::convert::From<IoError> for Failed {
    fn from(error: IoError) -> Failed {
        Failed { message: error.to_string(), at: None, help: error.help().map(str::to_owned) }
    }
}

impl Failed {
    /// Of a statement that begins with `lead` bytes that nobody wrote.
    pub fn of_adbc(refused: Refused, lead: usize) -> Failed {
        Failed { message: refused.message, at: refused.at.and_then(|it| it.checked_sub(lead)), help: None }
    }
}

/// Stages what the query gives. `env` holds what a process of its own would be given.
///
/// # Errors
/// Inputs that cannot be read, a query that is refused, an engine that is another.
pub fn run(request: &Request, env: &Environment, stop: Option<Arc<Stop>>) -> Result<(), Failed> {
    let Engine::Adbc { database, table, publishes } = &request.engine else {
        return Err(Failed::plain("it is to be run by a process of its own"));
    };
    let database = opened(database)?;
    let mut session = session_for(request, &database)?;
    session.stopped_by(stop);
    session.brings_for(table);
    let plain = |it: Refused| Failed::plain(it);
    if session.engine.transactional {
        session.ahead(session.engine.begin).map_err(plain)?;
    }
    let old = request.old.iter().map(|it| Input { name: OLD.to_owned(), from: it.clone() });
    lend(&mut session, &request.inputs.iter().cloned().chain(old).collect::<Vec<_>>(), env)?;
    // In a transaction that nobody sees into it needs no other name, if its own is free.
    let named = publishes.as_ref().filter(|it| session.engine.holds && !database.takes_name(it));
    let staged = session.qualified(named.unwrap_or(table));
    if request.view {
        stage_view(&mut session, request, &staged)?;
    } else {
        stage_table(&mut session, request, &staged)?;
    }
    session.stopped_by(None);
    session.tidy().map_err(plain)?;
    if session.engine.holds && request.parts.is_empty() {
        database.hold(table, Held { session: Some(session), is_named: named.is_some(), ..Held::default() });
    } else if session.engine.transactional {
        session.run("commit").map_err(plain)?;
    }
    Ok(())
}

/// With one thread of the engine if the query reads only what is small, and makes no rows of its own.
fn session_for(request: &Request, database: &Database) -> Result<Session, Failed> {
    let mut session = database.session()?;
    let dialect = database.place.engine.dialect;
    let is_small = |it: &From| match it {
        From::Files { paths, .. } => {
            paths.iter().map(|it| size(it)).sum::<Option<u64>>().is_some_and(|it| it <= SMALL_BYTES)
        }
        other => other.table().is_some_and(|it| database.is_small([it])),
    };
    let is_small = request.inputs.iter().map(|it| &it.from).chain(&request.old).all(is_small)
        // Others are not ours.
        && sql::tables_alone(&request.sql, dialect).is_some_and(|it| it.len() == request.inputs.len());
    if !is_small {
        database.widen(&mut session);
    }
    Ok(session)
}

fn size(path: &Path) -> Option<u64> {
    fs::look_through(path).ok().flatten().map(|it| it.len())
}

/// Makes a view beside the tables, once it is known that it can be made.
fn stage_view(session: &mut Session, request: &Request, staged: &str) -> Result<(), Failed> {
    let text = request.sql.trim_end().trim_end_matches(';');
    let lead = format!("create temporary view {NEW} as ");
    let dialect = session.engine.dialect;
    let failed = |it: Refused| suggesting(Failed::of_adbc(it, lead.len()), text, dialect);
    session.run(&format!("{lead}{text}")).map_err(failed)?;
    let named = |it: &Input| match &it.from {
        From::Table(table) if !session.finds(table, &it.name) => Some((it.name.clone(), session.qualified(table))),
        _ => None,
    };
    let names: Vec<_> = request.inputs.iter().filter_map(named).collect();
    let engine = session.engine;
    let body = view::body(text, &names, |it| engine.quoted(it));
    session.run(&format!("create view {staged} as {body}")).map_err(Failed::plain)
}

fn stage_table(session: &mut Session, request: &Request, staged: &str) -> Result<(), Failed> {
    let apart = request.old.is_some() || !request.parts.is_empty();
    let lead = match apart {
        true => format!("create temporary table {NEW} as "),
        false => format!("create table {staged} as "),
    };
    let (text, more) = session.query(request.sql.trim_end().trim_end_matches(';'));
    let dialect = session.engine.dialect;
    let failed = |it: Refused| suggesting(Failed::of_adbc(it, lead.len() + more), &request.sql, dialect);
    session.run(&format!("{lead}{text}")).map_err(failed)?;
    let made = if apart { NEW } else { staged };
    if !request.unique_key.is_empty() {
        let columns: Vec<String> = columns(session, made)?.into_iter().map(|it| it.0).collect();
        check_key(made, &columns, &request.unique_key, &mut |sql| first(session, sql))?;
    }
    if request.old.is_some() {
        return add(session, staged, &request.unique_key);
    }
    if request.parts.is_empty() { Ok(()) } else { lay_apart(session, request) }
}

/// The rows of each partition into a table of its own.
fn lay_apart(session: &mut Session, request: &Request) -> Result<(), Failed> {
    let names: Vec<String> = columns(session, NEW)?.into_iter().map(|it| it.0).collect();
    let mut laid = 0;
    for part in &request.parts {
        let table = session.qualified(part.table.as_deref().unwrap_or_default());
        let condition = slice::by_name(session, &names, &part.slice).ok_or_else(|| slice::without(&part.slice));
        let condition = condition.map_err(Failed::plain)?;
        let made = format!("create table {table} as select * from {NEW} where {condition}");
        session.run(&made).map_err(Failed::plain)?;
        laid += count(session, &table)?;
    }
    all_in_parts(request, count(session, NEW)?, laid)
}

fn count(session: &mut Session, table: &str) -> Result<i64, Failed> {
    slice::count(session, &format!("select count(*) from {table}")).map_err(Failed::plain)
}

/// Stages the rows that are there and stay, and the new ones.
fn add(session: &mut Session, staged: &str, key: &[String]) -> Result<(), Failed> {
    let (old, new) = (columns(session, OLD)?, columns(session, NEW)?);
    let mut is_empty = |name: &str| {
        let counted = format!("select count({}) from {NEW}", session.engine.quoted(name));
        Ok(first(session, &counted)?.is_some_and(|it| it == ["0"]))
    };
    fit(&old, &new, |a, b| a == b, &mut is_empty)?;
    let names: Vec<String> = old.into_iter().map(|it| it.0).collect();
    let list = listed(&names);
    for statement in [
        format!("create table {staged} as {}", staying(OLD, NEW, &names, key)),
        format!("insert into {staged} ({list}) select {list} from {NEW}"),
    ] {
        session.run(&statement).map_err(Failed::plain)?;
    }
    Ok(())
}

/// Names, and what kind of values they hold.
fn columns(session: &mut Session, table: &str) -> Result<Vec<Column>, Failed> {
    let rows = session.rows(&format!("select * from {table} where 1 = 0")).map_err(Failed::plain)?;
    let schema = rows.schema();
    let of = |it: &Arc<Field>| Ok((it.name().clone(), kind(it.data_type()).map_err(Failed::plain)?));
    schema.fields().iter().map(of).collect()
}

fn first(session: &mut Session, sql: &str) -> Result<First, Failed> {
    let rows = session.texts(&format!("{sql} limit 1")).map_err(Failed::plain)?;
    Ok(rows.into_iter().next().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()))
}

/// A database that this process has.
///
/// # Errors
/// It is another process's.
pub fn opened(name: &str) -> Result<Arc<Database>, Failed> {
    Database::named(name).ok_or_else(|| Failed::plain("its database is open in another process"))
}

/// Makes everything that a query reads known by the names that it uses, for this connection alone.
///
/// # Errors
/// Files that cannot be read, a server that cannot be reached.
pub fn lend(session: &mut Session, inputs: &[Input], env: &Environment) -> Result<(), Failed> {
    for input in inputs {
        let failed = |it: Refused| Failed::plain(format!("{}: {}", input.name, it.message));
        match &input.from {
            // It is found by its own name.
            From::Table(table) if session.finds(table, &input.name) => {}
            From::Table(table) => {
                let table = session.qualified(table);
                bring::view(session, &input.name, &table).map_err(failed)?;
            }
            From::Part { of, slices } => {
                let From::Table(table) = &**of else { return Err(Failed::plain("it is in another database")) };
                let condition = slice::any(session, table, slices).map_err(failed)?;
                let part = format!("{} where {condition}", session.apart(table).map_err(failed)?);
                bring::view(session, &input.name, &part).map_err(failed)?;
            }
            From::Files { paths, format } => bring::files(session, &input.name, paths, *format).map_err(failed)?,
            _ => bring::rows(session, &input.name, input.rows(env)?).map_err(failed)?,
        }
    }
    Ok(())
}
