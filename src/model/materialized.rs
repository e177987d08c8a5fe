//! How the rows of a query are kept, and what its database does along with publishing them.
//!
//! Knows what is meant; how an engine does it is for `exec` to say.

use crate::model::project::Sql;

/// What is made of a query besides a table that is made anew each time.
#[derive(Clone, PartialEq, Debug)]
pub struct Incremental {
    /// The query with `is_incremental()` true: what is to be added to the rows that are there. Its own table is
    /// among those that it reads.
    pub adding: Sql,
    pub strategy: Strategy,
    /// Columns that tell rows apart; empty for [`Strategy::Append`].
    pub unique_key: Vec<String>,
}

/// What becomes of the rows that are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// All stay.
    Append,
    /// Those with the key of a new row go. The same as [`Strategy::Merge`], as every key is there once.
    DeleteInsert,
    /// A new row takes the place of the one with its key.
    Merge,
}

impl Strategy {
    pub const ALL: [Strategy; 3] = [Strategy::Append, Strategy::DeleteInsert, Strategy::Merge];

    /// As the manifest calls it.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Append => "append",
            Strategy::DeleteInsert => "delete+insert",
            Strategy::Merge => "merge",
        }
    }
}

impl Incremental {
    /// Everything but the text that its rows depend on, as it stands in the fingerprint.
    pub fn setting(&self) -> String {
        format!("incremental {} {:?}", self.strategy.name(), self.unique_key)
    }
}
