//! Bodies of rows, sealed: SQLite does not notice a changed bit, so every body carries a check of
//! itself, of its table and of the columns that it is found by.

use crate::plan::store::encode::{Check, Malformed};

const CHECK_BYTES: usize = 8;

fn check(table: &str, columns: &[&[u8]], payload: &[u8]) -> u64 {
    let place = columns.iter().fold(Check::new(0).part(table.as_bytes()), |check, it| check.part(it));
    place.part(payload).value()
}

/// The body to store, and its check.
pub fn seal(table: &str, columns: &[&[u8]], mut payload: Vec<u8>) -> (Vec<u8>, u64) {
    let check = check(table, columns, &payload);
    payload.extend_from_slice(&check.to_le_bytes());
    (payload, check)
}

/// What was sealed, and its check.
///
/// # Errors
/// The body is not what was sealed for these columns of this table.
pub fn unseal<'a>(table: &str, columns: &[&[u8]], body: &'a [u8]) -> Result<(&'a [u8], u64), Malformed> {
    let (payload, stored) = body.split_last_chunk::<CHECK_BYTES>().ok_or(Malformed("a body without its check"))?;
    let stored = u64::from_le_bytes(*stored);
    if check(table, columns, payload) == stored { Ok((payload, stored)) } else { Err(Malformed("a check fails")) }
}
