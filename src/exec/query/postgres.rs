//! Queries in a Postgres database: over its own tables and whatever else is brought into temporary ones.
//!
//! One transaction: a process that dies leaves nothing.

use std::{collections::BTreeSet, sync::Arc};

use arrow::record_batch::RecordBatchIterator;
use postgres::{Client, Error};
use serde::{Deserialize, Serialize};

use super::{
    Failed, From, Input, Request, all_in_parts,
    incremental::{Column, NEW, OLD, check_key, fit, listed, staying},
    view,
};
use crate::{
    base::env::Environment,
    exec::{
        io::{
            Slice,
            postgres::{
                connect::{Address, Session, help, is_same_database, position, words},
                copy, rows,
                table::{first_in_path, qualified, quoted},
            },
        },
        table::{Rows, TableError},
    },
    model::sql,
};

/// A query whose process was ended is ended too.
const GONE: &str = "set client_connection_check_interval = '2s'";

/// A database, and who we are there: what a variable of the process holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Connection {
    pub variable: String,
    pub schema: Option<String>,
}

impl Connection {
    fn url(&self, env: &Environment) -> Option<String> {
        env.get(&self.variable).map(str::to_owned)
    }

    /// Whether what the other one reaches can be read by name from here.
    fn is_beside(&self, other: &Connection) -> bool {
        let same = |one: Option<String>, other: Option<String>| Some(is_same_database(&one?, &other?));
        let env = Environment::of_process();
        self.variable == other.variable || same(self.url(&env), other.url(&env)).unwrap_or(false)
    }

    /// # Errors
    /// A server that cannot be reached.
    pub fn open(&self, env: &Environment) -> Result<Session, Failed> {
        let url = self.url(env);
        let url = url.ok_or_else(|| format!("{} is not set", self.variable));
        let opened = Address::new(url, self.schema.clone()).connect();
        let mut session =
            opened.map_err(|it| Failed { message: it.to_string(), at: None, help: it.help().map(str::to_owned) })?;
        // Not known to servers before 14, nor on every system: there a query goes on until it is done.
        let _ = session.client.batch_execute(GONE);
        Ok(session)
    }

    /// # Errors
    /// A table that is not there or cannot be read.
    pub fn read(&self, table: &str, env: &Environment) -> Result<Rows, Failed> {
        let session = self.open(env)?;
        rows::read(session.client, &session.schema, table).map_err(Failed::plain)
    }
}

impl Failed {
    /// Of a statement that begins with `lead`, which nobody wrote.
    pub fn of_postgres(error: &Error, lead: &str, sql: &str) -> Failed {
        let at = position(error).and_then(|it| it.checked_sub(lead.chars().count()));
        let at = at.and_then(|it| sql.char_indices().nth(it)).map(|it| it.0);
        Failed { message: words(error), at, help: help(error).map(str::to_owned) }
    }
}

/// Makes the table `table` of what the query gives.
///
/// # Errors
/// Inputs that cannot be read, a query that is refused.
pub fn run(request: &Request, connection: &Connection, table: &str) -> Result<(), Failed> {
    let mut session = connection.open(&Environment::of_process())?;
    session.client.batch_execute("begin").map_err(|it| Failed::of_postgres(&it, "", ""))?;
    let old = request.old.iter().map(|it| Input { name: OLD.to_owned(), from: it.clone() });
    let staged = qualified(&session.schema, table);
    if let Some((name, rows)) = copied(request, connection)? {
        return stage_copy(&mut session.client, &staged, rows).map_err(Failed::input(name));
    }
    lend(&mut session, connection, &request.inputs.iter().cloned().chain(old).collect::<Vec<_>>())?;
    if request.view {
        return stage_view(request, &mut session, connection, &staged);
    }
    let new = format!("pg_temp.{NEW}");
    let apart = request.old.is_some() || !request.parts.is_empty();
    let made = if apart { &new } else { &staged };
    let lead = format!("create {} {made} as ", if apart { "temp table" } else { "table" });
    let text = request.sql.trim_end().trim_end_matches(';');
    let client = &mut session.client;
    let rows = client.execute(&format!("{lead}{text}"), &[]).map_err(|it| Failed::of_postgres(&it, &lead, text))?;
    lay_apart(request, client, &session.schema, &new, rows)?;
    if !request.unique_key.is_empty() {
        let columns: Vec<String> = columns(client, made)?.into_iter().map(|it| it.0).collect();
        check_key(made, &columns, &request.unique_key, &mut |sql| first(client, sql))?;
    }
    if request.old.is_some() {
        add(client, &staged, &new, &request.unique_key)?;
    }
    client.batch_execute("commit").map_err(|it| Failed::of_postgres(&it, "", ""))
}

/// The rows of a query that only copies what is kept elsewhere, and the name of that.
fn copied<'a>(request: &'a Request, own: &Connection) -> Result<Option<(&'a str, Rows)>, Failed> {
    let is_plain = !request.view && request.old.is_none() && request.parts.is_empty() && request.unique_key.is_empty();
    let Some(copied) = is_plain.then(|| sql::copied(&request.sql)).flatten() else { return Ok(None) };
    let exact = request.inputs.iter().find(|it| it.name == copied.table);
    let mut folded = request.inputs.iter().filter(|it| it.name.to_lowercase() == copied.table);
    let Some(input) = exact.or_else(|| folded.next().filter(|_| folded.next().is_none())) else { return Ok(None) };
    let Some(rows) = brought(input, own)? else { return Ok(None) };
    let Some(columns) = copied.columns else { return Ok(Some((&input.name, rows))) };
    let schema = rows.schema();
    let place = |name: &String| schema.fields().iter().position(|it| it.name() == name);
    let places = columns.iter().map(place).collect::<Option<Vec<_>>>();
    // The server tells of a column that is not there, or that is there twice.
    let Some(places) = places.filter(|it| it.iter().collect::<BTreeSet<_>>().len() == it.len()) else {
        return Ok(None);
    };
    let schema = Arc::new(schema.project(&places).map_err(Failed::plain)?);
    let rows = rows.map(move |batch| batch?.project(&places));
    Ok(Some((&input.name, Box::new(RecordBatchIterator::new(rows, schema)))))
}

/// Rows that no query looks at go through the server once. Their identity is written beside them.
fn stage_copy(client: &mut Client, staged: &str, rows: Rows) -> Result<(), TableError> {
    copy::insert_noted(client, staged, rows)?;
    Ok(client.batch_execute("commit")?)
}

/// The rows of each partition into a table of its own; of one partition there is nothing to lay apart.
fn lay_apart(request: &Request, client: &mut Client, schema: &str, new: &str, rows: u64) -> Result<(), Failed> {
    let mut laid = 0;
    for part in &request.parts {
        let table = qualified(schema, part.table.as_deref().unwrap_or_default());
        let statement = format!("create table {table} as select * from {new} where {}", part.slice.condition());
        laid += client.execute(&statement, &[]).map_err(|it| Failed::of_postgres(&it, "", ""))?;
    }
    let count = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    if request.parts.is_empty() { Ok(()) } else { all_in_parts(request, count(rows), count(laid)) }
}

/// Makes the view beside the tables. Nobody knows its name yet.
fn stage_view(request: &Request, session: &mut Session, own: &Connection, staged: &str) -> Result<(), Failed> {
    let text = request.sql.trim_end().trim_end_matches(';');
    let (client, schema) = (&mut session.client, &session.schema);
    let failed = |it: Error| Failed::of_postgres(&it, "", "");
    // With all names lent the place of a mistake is known.
    let lead = format!("create temp view {NEW} as ");
    client.batch_execute(&format!("{lead}{text}")).map_err(|it| Failed::of_postgres(&it, &lead, text))?;
    client.batch_execute("rollback; begin").map_err(failed)?;
    let mut names = Vec::new();
    for input in &request.inputs {
        let Some((of, table)) = own_table(client, schema, own, &input.from)? else { continue };
        // What is not quoted means the name in lower case.
        for name in [input.name.clone(), input.name.to_lowercase()] {
            let finds_it = of == *schema && name == table;
            if !finds_it && names.iter().all(|it: &(String, String)| it.0 != name) {
                names.push((name, qualified(&of, &table)));
            }
        }
    }
    let body = view::body(text, &names, quoted);
    let made = first_in_path(client, schema)
        .and_then(|()| client.batch_execute(&format!("create view {staged} as {body}; commit")));
    made.map_err(failed)
}

/// Stages the rows that are there and stay, and the new ones.
fn add(client: &mut Client, staged: &str, new: &str, key: &[String]) -> Result<(), Failed> {
    let old = format!("pg_temp.{OLD}");
    let (of_old, of_new) = (columns(client, &old)?, columns(client, new)?);
    fit(&of_old, &of_new, |a, b| a == b, &mut |name: &str| {
        let counted = client.query_one(&format!("select count({}) from {new}", quoted(name)), &[]);
        counted.map(|it| it.get::<_, i64>(0) == 0).map_err(|it| Failed::of_postgres(&it, "", ""))
    })?;
    let names: Vec<String> = of_old.iter().map(|it| it.0.clone()).collect();
    let typed = of_old.iter().map(|(name, kind)| format!("{}::{kind}", quoted(name))).collect::<Vec<_>>().join(", ");
    let statements = format!(
        "analyze {new};\ncreate table {staged} as {};\ninsert into {staged} ({}) select {typed} from {new}",
        staying(&old, new, &names, key),
        listed(&names)
    );
    client.batch_execute(&statements).map_err(|it| Failed::of_postgres(&it, "", ""))
}

fn columns(client: &mut Client, table: &str) -> Result<Vec<Column>, Failed> {
    let of = "select attname::text, pg_catalog.format_type(atttypid, atttypmod) from pg_catalog.pg_attribute \
         where attrelid = $1::text::regclass and attnum > 0 and not attisdropped order by attnum";
    let rows = client.query(of, &[&table]).map_err(|it| Failed::of_postgres(&it, "", ""))?;
    Ok(rows.iter().map(|it| (it.get(0), it.get(1))).collect())
}

fn first(client: &mut Client, sql: &str) -> Result<Option<Vec<String>>, Failed> {
    let row = client.query_opt(&format!("{sql} limit 1"), &[]).map_err(|it| Failed::of_postgres(&it, "", ""))?;
    Ok(row.map(|row| (0..row.len()).map(|it| row.get::<_, Option<String>>(it).unwrap_or_default()).collect()))
}

/// Makes everything that a query reads known by the names that it uses. Temporary names come before all others.
/// A name that is not quoted means the one in lower case, so that is known too.
///
/// # Errors
/// Files that cannot be read, a server that cannot be reached.
pub fn lend(session: &mut Session, own: &Connection, inputs: &[Input]) -> Result<(), Failed> {
    for (index, input) in inputs.iter().enumerate() {
        let table = match (brought(input, own)?, &input.from) {
            (Some(rows), _) => {
                let table = format!("pg_temp.{}", quoted(&format!("_assets_input_{index}")));
                bring(&mut session.client, &table, rows).map_err(Failed::input(&input.name))?;
                table
            }
            (None, From::Part { of, slices }) => {
                let own = own_table(&mut session.client, &session.schema, own, of)?;
                let (schema, table) = own.ok_or_else(|| Failed::plain("it is in another database"))?;
                format!("{} where {}", qualified(&schema, &table), Slice::any(slices))
            }
            (None, here) => {
                let own = own_table(&mut session.client, &session.schema, own, here)?;
                let (schema, table) =
                    own.ok_or_else(|| Failed::plain(format!("{}: it is staged in the database", input.name)))?;
                qualified(&schema, &table)
            }
        };
        let folded = input.name.to_lowercase();
        let is_free = inputs.iter().all(|it| it.name != folded);
        for name in [Some(&input.name), Some(&folded).filter(|_| is_free)].into_iter().flatten() {
            let view = format!("create temp view {} as select * from {table}", quoted(name));
            session
                .client
                .batch_execute(&view)
                .map_err(|it| Failed::plain(format!("{}: {}", input.name, words(&it))))?;
        }
    }
    Ok(())
}

/// The rows of what is kept elsewhere than in the database of the query.
fn brought(input: &Input, own: &Connection) -> Result<Option<Rows>, Failed> {
    match &input.from {
        From::Postgres { connection, .. } if connection.is_beside(own) => Ok(None),
        From::Table(_) | From::Part { .. } | From::Query(_) => Ok(None),
        From::Postgres { .. } | From::Files { .. } | From::Sqlite { .. } => {
            input.rows(&Environment::of_process()).map(Some)
        }
    }
}

/// Schema and name of a table of the same database; `None` for what is brought there. `schema` is where `own` looks.
fn own_table(
    client: &mut Client,
    schema: &str,
    own: &Connection,
    from: &From,
) -> Result<Option<(String, String)>, Failed> {
    let (connection, table) = match from {
        From::Table(table) => return Ok(Some((schema.to_owned(), table.clone()))),
        From::Postgres { connection, table } if connection.is_beside(own) => (connection, table),
        _ => return Ok(None),
    };
    let of = match &connection.schema {
        Some(it) => it.clone(),
        None if own.schema.is_none() => schema.to_owned(),
        None => {
            let found = client.query_one("select coalesce(current_schema()::text, '')", &[]);
            found.map_err(|it| Failed::of_postgres(&it, "", ""))?.get(0)
        }
    };
    Ok(Some((of, table.clone())))
}

/// With what the planner wants to know of it.
fn bring(client: &mut Client, table: &str, rows: Rows) -> Result<(), TableError> {
    copy::insert(client, "create temp table", table, rows)?;
    client.batch_execute(&format!("analyze {table}"))?;
    Ok(())
}
