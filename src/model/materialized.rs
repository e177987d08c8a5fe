//! How the rows of a query are kept, and what its database does along with publishing them.
//!
//! Knows what is meant; how an engine does it is for `exec` to say.

use crate::model::{project::Sql, sql::Dialect};

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
    /// Everything but the text that its rows depend on: name and text of each, as it stands in the fingerprint.
    pub fn settings(&self) -> [(&'static str, String); 2] {
        let how = format!("incremental {}", self.strategy.name());
        [("materialized", how), ("unique_key", format!("{:?}", self.unique_key))]
    }
}

/// What a database does when an asset is published.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Publishing {
    /// A view is made of the query, and no rows are kept.
    pub view: bool,
    /// Run before and after what is new takes its name, in the same transaction.
    pub pre_hooks: Vec<Hook>,
    pub post_hooks: Vec<Hook>,
    pub indexes: Vec<Index>,
}

/// One or several statements, with everything inserted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hook {
    pub text: String,
    /// What it is called in messages: its key and where it stands.
    pub shown: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Index {
    pub columns: Vec<String>,
    pub unique: bool,
}

impl Index {
    /// The statement that makes it; `before` stands before its name, `table` is written as in a statement.
    pub fn statement(&self, name: &str, table: &str, before: &str) -> String {
        let quoted = |it: &str| Dialect::Postgres.quoted(it);
        let columns = self.columns.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", ");
        let unique = if self.unique { "unique " } else { "" };
        format!("create {unique}index {before}{} on {table} ({columns})", quoted(name))
    }
}

impl Publishing {
    /// Something is done that cannot be told from the rows.
    pub fn does_more(&self) -> bool {
        self.has_hooks() || !self.indexes.is_empty()
    }

    /// Statements of people's own are run, which may do anything.
    pub fn has_hooks(&self) -> bool {
        !(self.pre_hooks.is_empty() && self.post_hooks.is_empty())
    }

    /// Name and text of each setting, as it stands in the fingerprint.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let texts = |them: &[Hook]| them.iter().map(|it| &*it.text).collect::<Vec<_>>().join("\n;\n");
        let index = |it: &Index| format!("{}{:?}", if it.unique { "unique " } else { "" }, it.columns);
        let indexes = self.indexes.iter().map(index).collect::<Vec<_>>().join(", ");
        let all = [
            ("materialized", if self.view { "view".to_owned() } else { String::new() }),
            ("pre_hook", texts(&self.pre_hooks)),
            ("post_hook", texts(&self.post_hooks)),
            ("indexes", indexes),
        ];
        all.into_iter().filter(|it| !it.1.is_empty()).collect()
    }
}
