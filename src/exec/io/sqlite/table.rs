//! One table: whether it is there, how it is defined, and the identity of its content.

use rusqlite::{Connection, OptionalExtension, types::ValueRef};

use crate::{base::digest::Digest, exec::io::Content};

/// The one table of a staged database.
pub const STAGED: &str = "assets_staged";

const CONTEXT: &str = "assets table 1";
const ROW_CONTEXT: &str = "assets row 1";

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub fn exists(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection
        .query_row("select 1 from main.sqlite_master where name = ? collate nocase", [name], |_| Ok(()))
        .optional()
        .map(|it| it.is_some())
}

/// Names and declared types of the columns, as they stand in a `create table`.
pub fn definition(connection: &Connection, schema: &str, name: &str) -> rusqlite::Result<String> {
    let columns: Vec<String> =
        columns(connection, schema, name)?.iter().map(|(name, kind)| format!("{} {kind}", quoted(name))).collect();
    Ok(format!("({})", columns.join(", ")))
}

fn columns(connection: &Connection, schema: &str, name: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(&format!("pragma {schema}.table_info({})", quoted(name)))?;
    let rows = statement.query_map([], |it| Ok((it.get(1)?, it.get(2)?)))?;
    rows.collect()
}

/// The identity of a table's content: its columns, how many rows, and the sum of the hashes of all rows.
///
/// The sum (modulo 2^256) does not depend on the order of rows, and unlike an exclusive or it does not lose
/// rows that are there twice. NULL, `''`, `0`, `0.0`, `'0'` and `x'30'` are all different.
pub fn version_of(connection: &Connection, name: &str) -> rusqlite::Result<Content> {
    let columns = columns(connection, "main", name)?;
    let mut statement = connection.prepare(&format!("select * from main.{}", quoted(name)))?;
    let mut rows = statement.query([])?;
    let (mut sum, mut count, mut bytes) = ([0_u64; 4], 0_u64, 0_u64);
    let mut row_bytes = Vec::new();
    while let Some(row) = rows.next()? {
        row_bytes.clear();
        for index in 0..columns.len() {
            write_value(&mut row_bytes, row.get_ref(index)?);
        }
        add(&mut sum, &Digest::derive(ROW_CONTEXT, &row_bytes));
        count += 1;
        bytes += row_bytes.len() as u64;
    }
    let mut form = Vec::new();
    for (name, kind) in &columns {
        write_bytes(&mut form, name.as_bytes());
        write_bytes(&mut form, kind.as_bytes());
    }
    form.push(0xff);
    form.extend_from_slice(&count.to_le_bytes());
    sum.iter().for_each(|it| form.extend_from_slice(&it.to_le_bytes()));
    Ok(Content { data_version: Digest::derive(CONTEXT, &form), bytes: Some(bytes), rows: Some(count) })
}

/// Injective: a tag, and a length where the tag does not tell it.
fn write_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => out.push(0),
        ValueRef::Integer(it) => {
            out.push(1);
            out.extend_from_slice(&it.to_le_bytes());
        }
        ValueRef::Real(it) => {
            out.push(2);
            out.extend_from_slice(&it.to_bits().to_le_bytes());
        }
        ValueRef::Text(it) => {
            out.push(3);
            write_bytes(out, it);
        }
        ValueRef::Blob(it) => {
            out.push(4);
            write_bytes(out, it);
        }
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn add(sum: &mut [u64; 4], digest: &Digest) {
    let mut carry = 0;
    for (limb, bytes) in sum.iter_mut().zip(digest.0.as_chunks::<8>().0) {
        let all = u128::from(*limb) + u128::from(u64::from_le_bytes(*bytes)) + carry;
        (*limb, carry) = (all as u64, all >> 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(sql: &str) -> Digest {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        version_of(&connection, "t").unwrap().data_version
    }

    #[test]
    fn order_of_rows_does_not_count_and_everything_else_does() {
        let one = version("create table t (a, b); insert into t values (1, 'x'), (2, 'y'), (2, 'y')");
        assert_eq!(one, version("create table t (a, b); insert into t values (2, 'y'), (1, 'x'), (2, 'y')"));
        let others = [
            "create table t (a, b); insert into t values (1, 'x'), (2, 'y')",
            "create table t (a, b); insert into t values (1, 'x'), (2, 'y'), (2, 'y'), (2, 'y'), (2, 'y')",
            "create table t (a, c); insert into t values (1, 'x'), (2, 'y'), (2, 'y')",
            "create table t (a int, b); insert into t values (1, 'x'), (2, 'y'), (2, 'y')",
            "create table t (b, a); insert into t values ('x', 1), ('y', 2), ('y', 2)",
            "create table t (a, b); insert into t values ('1', 'x'), (2, 'y'), (2, 'y')",
            "create table t (a, b); insert into t values (1.0, 'x'), (2, 'y'), (2, 'y')",
        ];
        for other in others {
            assert_ne!(one, version(other), "{other}");
        }
    }

    #[test]
    fn values_that_look_alike_are_told_apart() {
        let values = ["null", "''", "0", "0.0", "-0.0", "'0'", "x'30'", "x''", "1e999", "'a'||char(0)", "'a'"];
        let all: Vec<Digest> =
            values.iter().map(|it| version(&format!("create table t (a); insert into t values ({it})"))).collect();
        for (at, one) in all.iter().enumerate() {
            for (other_at, other) in all.iter().enumerate().skip(at + 1) {
                assert_ne!(one, other, "{} and {}", values[at], values[other_at]);
            }
        }
    }
}
