//! What is done beside tables in an engine with transactions: views, hooks and indexes.

use super::session::{Refused, Session};
use crate::{
    base::digest::Digest,
    exec::io::{Content, IoError, Staged},
    model::{materialized::Hook, sql::statements},
};

const CONTEXT: &str = "assets view 1";

/// What a view is known by: how it is made. Something else under its name is known by what it is not.
///
/// # Errors
/// What the engine says.
pub fn content(session: &mut Session, name: &str) -> Result<Option<Content>, Refused> {
    let Some(kind) = session.kind_of(name)? else { return Ok(None) };
    let (engine, schema) = (session.engine, session.schema.clone());
    let query = format!(
        "select sql from duckdb_views() where schema_name = {} and lower(view_name) = lower({})",
        engine.literal(&schema),
        engine.literal(name)
    );
    let found = session.texts(&query)?.into_iter().flatten().flatten().next();
    // Its name is another one while it is staged; what its columns are called stands behind it. Whether a WITH is to be
    // materialized is not kept in the file.
    let how = found.as_deref().map(|it| it.strip_prefix("CREATE VIEW ").map_or(it, behind_name));
    let how = how.map(|it| it.replace(" AS NOT MATERIALIZED (", " AS (").replace(" AS MATERIALIZED (", " AS ("));
    let how = how.unwrap_or_else(|| format!("not a view: {kind}"));
    Ok(Some(Content { data_version: Digest::derive(CONTEXT, how.as_bytes()), bytes: None, rows: None }))
}

/// What stands behind a name, of several parts maybe, with which a text begins.
fn behind_name(text: &str) -> &str {
    let mut is_quoted = false;
    let end = text.find(|it: char| {
        is_quoted ^= it == '"';
        !is_quoted && (it == ' ' || it == '(')
    });
    text[end.unwrap_or(text.len())..].trim_start()
}

/// Runs statements of people's own, in order.
///
/// # Errors
/// What the engine says of one of them: nothing is to be published then.
pub fn hooks(session: &mut Session, hooks: &[Hook]) -> Result<(), IoError> {
    for hook in hooks {
        for statement in statements(&hook.text, session.engine.dialect) {
            session.run(statement).map_err(|it| IoError::unpublished(&*hook.shown, it.message))?;
        }
    }
    Ok(())
}

/// Makes the indexes of a table that has its name.
///
/// # Errors
/// Rows or columns that do not allow it.
pub fn indexes(session: &mut Session, staged: &Staged, name: &str) -> Result<(), IoError> {
    let table = session.qualified(name);
    for (number, index) in staged.target.publishing.indexes.iter().enumerate() {
        let statement = index.statement(&staged.index_name(number), &table, "");
        session.run(&statement).map_err(|it| IoError::unpublished(format!("index on {name}"), it.message))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_view_is_told_from_its_columns() {
        for (text, rest) in [
            ("v AS SELECT 1;", "AS SELECT 1;"),
            ("main.\"a \"\" (b\" AS SELECT 1;", "AS SELECT 1;"),
            ("v (b, a) AS SELECT a, b FROM t;", "(b, a) AS SELECT a, b FROM t;"),
            ("\"v\"(b) AS SELECT 1;", "(b) AS SELECT 1;"),
        ] {
            assert_eq!(behind_name(text), rest);
        }
    }
}
