//! Queries in a SQLite database: over its own tables and whatever else is brought into temporary ones.
//!
//! Reads the database of its asset, writes a database with one table; never the other way round.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{
    Failed, From, Input, Request, all_in_parts,
    incremental::{NEW, OLD, check_key, fit, listed, staying},
    view,
};
use crate::{
    base::{env::Environment, fs},
    exec::io::{
        Slice,
        sqlite::{
            BUSY_MAX, rows,
            table::{STAGED, columns, quoted},
        },
    },
};

/// What the databases that are read are called, with a number after it.
const ATTACHED: &str = "stored";

/// Makes a database with what the query gives.
///
/// # Errors
/// Inputs that cannot be read, a query that is refused, an output that cannot be written.
pub fn run(request: &Request, database: &Path) -> Result<(), Failed> {
    if request.view {
        return stage_view(request, database);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&request.output, flags).map_err(Failed::plain)?;
    // Nobody but this attempt sees the output: it is whole, or thrown away.
    let alone = "pragma main.locking_mode = exclusive; pragma journal_mode = off; pragma synchronous = off";
    connection.execute_batch(alone).map_err(Failed::plain)?;
    let old = request.old.iter().map(|it| Input { name: OLD.to_owned(), from: it.clone() });
    let inputs: Vec<_> = request.inputs.iter().cloned().chain(old).collect();
    let apart = request.old.is_some() || !request.parts.is_empty();
    let made = if apart { format!("temp.{NEW}") } else { format!("main.{STAGED}") };
    let lead = format!("create table {made} as ");
    let statement = format!("{lead}{}", request.sql.trim_end().trim_end_matches(';'));
    if inputs.iter().any(|it| is_of(&it.from, database)) {
        lend(&connection, database, &inputs)?;
    } else {
        bring(&connection, database, &inputs)?;
        // To attach a database is to read how all of its tables are defined. It may be read without being told.
        if connection.prepare(&statement).is_err() {
            attach_own(&connection, database)?;
        }
    }
    distinct(&connection, &statement[lead.len()..])?;
    connection.execute(&statement, []).map_err(|it| Failed::of_sqlite(it, lead.len()))?;
    if !request.unique_key.is_empty() {
        let columns = if request.old.is_some() {
            columns(&connection, "temp", NEW)
        } else {
            columns(&connection, "main", STAGED)
        };
        let columns: Vec<String> = columns.map_err(Failed::plain)?.into_iter().map(|it| it.0).collect();
        check_key(&made, &columns, &request.unique_key, &mut |sql| first(&connection, sql))?;
    }
    if request.old.is_some() {
        return add(&connection, &request.unique_key);
    }
    if request.parts.is_empty() { Ok(()) } else { lay_apart(&connection, request) }
}

/// Refuses two columns of one name: SQLite would call the second `id:1`, which nobody wrote.
fn distinct(connection: &Connection, query: &str) -> Result<(), Failed> {
    // What is wrong with it is told when it is run.
    let Ok(statement) = connection.prepare(query) else { return Ok(()) };
    let names: Vec<&str> = statement.column_names().collect();
    let again = |at: &usize| names[..*at].iter().any(|it| it.eq_ignore_ascii_case(names[*at]));
    match (1..names.len()).find(again) {
        None => Ok(()),
        Some(at) => Err(Failed {
            message: format!("two columns are called `{}`", names[at]),
            at: None,
            help: Some("give one of them another name: .. as NAME".to_owned()),
        }),
    }
}

/// The rows of each partition into a database of its own.
fn lay_apart(connection: &Connection, request: &Request) -> Result<(), Failed> {
    let count = |table: &str| -> Result<i64, Failed> {
        let text = format!("select count(*) from {table}");
        connection.query_row(&text, [], |it| it.get(0)).map_err(Failed::plain)
    };
    let mut laid = 0;
    for part in &request.parts {
        let schema = if part.output == request.output { "main" } else { "part" };
        if schema == "part" {
            connection.execute("attach ? as part", [part.output.to_string_lossy()]).map_err(Failed::plain)?;
            connection.execute_batch("pragma part.journal_mode = off").map_err(Failed::plain)?;
        }
        let table = format!("{schema}.{STAGED}");
        let statement =
            format!("create table {table} as select * from temp.{NEW} where {} order by rowid", part.slice.condition());
        connection.execute(&statement, []).map_err(Failed::plain)?;
        laid += count(&table)?;
        if schema == "part" {
            connection.execute_batch("detach part").map_err(Failed::plain)?;
        }
    }
    all_in_parts(request, count(&format!("temp.{NEW}"))?, laid)
}

/// Writes down how the view is to be made, once the database has said that it can be.
fn stage_view(request: &Request, database: &Path) -> Result<(), Failed> {
    let connection = Connection::open_in_memory().map_err(Failed::plain)?;
    lend(&connection, database, &request.inputs)?;
    let lead = format!("create temp view {NEW} as ");
    let text = request.sql.trim_end().trim_end_matches(';');
    let failed = |it| Failed::of_sqlite(it, lead.len());
    connection.execute(&format!("{lead}{text}"), []).map_err(failed)?;
    connection.prepare(&format!("select * from temp.{NEW}")).map_err(|_| {
        // Where it is wrong is told of the query itself.
        connection
            .prepare(text)
            .map_or_else(|it| Failed::of_sqlite(it, 0), |_| Failed::plain("the view cannot be read"))
    })?;
    let named = |it: &Input| match &it.from {
        From::Table(table) if !table.eq_ignore_ascii_case(&it.name) => Some((it.name.clone(), quoted(table))),
        _ => None,
    };
    let names: Vec<_> = request.inputs.iter().filter_map(named).collect();
    let body = view::body(text, &names, quoted);
    fs::write(&request.output, body.as_bytes()).map_err(Failed::plain)
}

/// Stages the rows that are there and stay, and after them the new ones.
fn add(connection: &Connection, key: &[String]) -> Result<(), Failed> {
    let of = |table| columns(connection, "temp", table).map_err(Failed::plain);
    let (old, new) = (of(OLD)?, of(NEW)?);
    let mut is_empty = |name: &str| {
        let counted = format!("select count({}) from temp.{NEW}", quoted(name));
        connection.query_row(&counted, [], |it| it.get::<_, i64>(0)).map(|it| it == 0).map_err(Failed::plain)
    };
    fit(&old, &new, is_alike, &mut is_empty)?;
    let names: Vec<String> = old.into_iter().map(|it| it.0).collect();
    let list = listed(&names);
    let index = format!("create index temp._assets_key on {NEW} ({})", listed(key));
    let index = if key.is_empty() { String::new() } else { index };
    let staying = staying(&format!("temp.{OLD}"), &format!("temp.{NEW}"), &names, key);
    let statements = format!(
        "{index};\ncreate table main.{STAGED} as {staying};\n\
         insert into main.{STAGED} ({list}) select {list} from temp.{NEW} order by rowid;"
    );
    connection.execute_batch(&statements).map_err(Failed::plain)
}

/// Whether a column may hold values of another type. A number is kept as the number that it is, and a column of an
/// expression has no type, which a view over it calls BLOB.
fn is_alike(old: &str, new: &str) -> bool {
    let is_one_of = |them: &[&str]| them.contains(&old) && them.contains(&new);
    old == new || is_one_of(&["INT", "REAL", "NUM"]) || is_one_of(&["", "BLOB"])
}

fn first(connection: &Connection, sql: &str) -> Result<Option<Vec<String>>, Failed> {
    let row = connection.query_row(sql, [], |row| {
        (0..row.as_ref().column_count())
            .map(|it| row.get::<_, Option<String>>(it).map(Option::unwrap_or_default))
            .collect()
    });
    row.optional().map_err(Failed::plain)
}

/// Makes everything that a query reads known by the names that it uses, and the tables of `database` too, if it
/// is there. Temporary names come before all others.
///
/// # Errors
/// Files that cannot be read, a path that is no text, a file that is no database.
pub fn lend(connection: &Connection, database: &Path, inputs: &[Input]) -> Result<(), Failed> {
    attach_own(connection, database)?;
    bring(connection, database, inputs)
}

fn attach_own(connection: &Connection, database: &Path) -> Result<(), Failed> {
    match fs::look_through(database).map_err(Failed::plain)? {
        Some(_) => attach(connection, database, 0),
        None => Ok(()),
    }
}

/// Whether an input is kept in `database`, or may be.
fn is_of(from: &From, database: &Path) -> bool {
    match from {
        From::Table(_) | From::Query(_) => true,
        From::Part { of, .. } => is_of(of, database),
        From::Sqlite { database: of, .. } => of == database,
        From::Files { .. } | From::Postgres { .. } => false,
    }
}

fn bring(connection: &Connection, database: &Path, inputs: &[Input]) -> Result<(), Failed> {
    connection.busy_timeout(BUSY_MAX).map_err(Failed::plain)?;
    let mut attached = vec![database];
    for input in inputs {
        let name = quoted(&input.name);
        let table = match &input.from {
            From::Table(table) => format!("{ATTACHED}0.{}", quoted(table)),
            From::Part { of, slices } => match &**of {
                From::Table(table) => format!("{ATTACHED}0.{} where {}", quoted(table), Slice::any(slices)),
                _ => return Err(Failed::plain(format!("{}: it is in another database", input.name))),
            },
            From::Query(text) => {
                connection.execute_batch(&format!("create temp view {name} as {text}")).map_err(Failed::plain)?;
                continue;
            }
            From::Sqlite { database, table } => {
                let at = match attached.iter().position(|it| it == database) {
                    Some(at) => at,
                    None => {
                        attach(connection, database, attached.len())?;
                        attached.push(database);
                        attached.len() - 1
                    }
                };
                format!("{ATTACHED}{at}.{}", quoted(table))
            }
            From::Files { .. } | From::Postgres { .. } => {
                let read = input.rows(&Environment::of_process())?;
                rows::insert(connection, &format!("temp.{name}"), read).map_err(Failed::input(&input.name))?;
                continue;
            }
        };
        let view = format!("create temp view {name} as select * from {table}");
        connection.execute_batch(&view).map_err(|it| Failed::plain(format!("{}: {it}", input.name)))?;
    }
    Ok(())
}

fn attach(connection: &Connection, database: &Path, at: usize) -> Result<(), Failed> {
    let path = database.to_str().ok_or_else(|| Failed::plain("the path of the database is not text"))?;
    connection.execute(&format!("attach ? as {ATTACHED}{at}"), [path]).map(drop).map_err(Failed::plain)
}
