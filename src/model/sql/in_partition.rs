//! What a query says of its partition, put in where it says so.

use std::{collections::BTreeMap, ops::Range};

use crate::base::places::{Piece, Places};

/// A query with what it says of its partition put in, as parts of texts in quotes, and where each part of it stood.
pub fn in_partition(sql: &str, told: &BTreeMap<String, String>) -> (String, Places) {
    let (mut text, mut pieces, mut done) = (String::with_capacity(sql.len()), Vec::new(), 0);
    let mut put = |piece: &str, from: Range<usize>, plain| {
        pieces.push(Piece { at: text.len()..text.len() + piece.len(), from, plain });
        text.push_str(piece);
    };
    while let Some(start) = sql[done..].find("{{ partition.").map(|it| done + it) {
        let found = told.iter().find_map(|(name, value)| {
            let tag = format!("{{{{ partition.{name} }}}}");
            sql[start..].starts_with(&tag).then_some((tag.len(), value))
        });
        let (length, value) = found.map_or((1, None), |it| (it.0, Some(it.1)));
        put(&sql[done..start], done..start, true);
        done = start + length;
        match value {
            Some(it) => put(&it.replace('\'', "''"), start..done, false),
            None => put(&sql[start..done], start..done, true),
        }
    }
    put(&sql[done..], done..sql.len(), true);
    (text, Places::new(pieces))
}
