//! What was changed in the state or removed from disk: `assets.accept/1`, `assets.mv/1`, `assets.gc/1`,
//! `assets.clean/1`.

use serde::Serialize;

pub const ACCEPT: &str = "assets.accept/1";
pub const MV: &str = "assets.mv/1";
pub const GC: &str = "assets.gc/1";
pub const CLEAN: &str = "assets.clean/1";

/// The answer to `assets accept`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.accept/1"))]
pub struct AcceptDocument {
    #[cfg_attr(test, schemars(extend("const" = ACCEPT)))]
    pub schema: &'static str,
    pub reason: String,
    /// In the order in which they were taken.
    pub accepted: Vec<AcceptedAsset>,
    /// Fresh before: nothing was recorded.
    pub fresh: Vec<String>,
}

/// What is stored, and counts as fresh now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AcceptedAsset {
    pub key: String,
    /// Of an asset with partitions.
    pub partition: Option<String>,
    /// Identity of the content: `blake3:` and 64 hex digits.
    pub data_version: String,
    pub bytes: Option<u64>,
}

/// The answer to `assets mv`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.mv/1"))]
pub struct MvDocument {
    #[cfg_attr(test, schemars(extend("const" = MV)))]
    pub schema: &'static str,
    pub old: String,
    pub new: String,
    /// Where the output was and is, relative to the project; null if it stays where it is.
    pub moved: Option<Moved>,
    /// Assets whose records now say that they were made from `new`.
    pub dependents: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Moved {
    /// With partitions, the template of their paths.
    pub from: String,
    pub to: String,
    /// How many were moved of one with partitions.
    pub partitions: Option<usize>,
}

/// The answer to `assets gc`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.gc/1"))]
pub struct GcDocument {
    #[cfg_attr(test, schemars(extend("const" = GC)))]
    pub schema: &'static str,
    /// Nothing was removed: this is what would have been.
    pub dry_run: bool,
    /// Runs that were forgotten, with their logs.
    pub runs: Vec<String>,
    /// Logs and folders of runs, bytes.
    pub logs_bytes: u64,
    /// Older versions of outputs that were kept to be restored.
    pub kept_versions: usize,
    pub kept_bytes: u64,
    /// Copies of objects that commands read.
    pub copies: usize,
    pub copies_bytes: u64,
    /// What attempts that are over left beside outputs, relative to the project.
    pub leftovers: Vec<String>,
    pub leftovers_bytes: u64,
}

/// The answer to `assets clean`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "assets.clean/1"))]
pub struct CleanDocument {
    #[cfg_attr(test, schemars(extend("const" = CLEAN)))]
    pub schema: &'static str,
    /// Nothing was removed: this is what would have been.
    pub dry_run: bool,
    pub removed: Vec<RemovedAsset>,
    /// Outputs that were left where they are.
    pub left: Vec<LeftOutput>,
}

/// An asset of which nothing is known any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RemovedAsset {
    pub key: String,
    /// The output that was deleted, relative to the project; null if only the record was, or if the output
    /// is no file of the project.
    pub path: Option<String>,
    /// Of the output that was deleted, if one was.
    pub bytes: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftOutput {
    pub key: String,
    pub path: String,
    /// Why, in words.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::report::schema::check;

    #[test]
    fn the_documents_are_what_their_schemas_say() {
        let name = || "orders".to_owned();
        let accepted =
            vec![AcceptedAsset { key: name(), partition: None, data_version: "blake3:00".to_owned(), bytes: Some(3) }];
        check::<AcceptDocument>(
            "accept",
            &[AcceptDocument { schema: ACCEPT, reason: "checked".to_owned(), accepted, fresh: vec![name()] }],
        );
        let moved = Some(Moved { from: "data/a.csv".to_owned(), to: "data/b.csv".to_owned(), partitions: None });
        let mv = |moved| MvDocument { schema: MV, old: name(), new: name(), moved, dependents: vec![name()] };
        check::<MvDocument>("mv", &[mv(moved), mv(None)]);
        check::<GcDocument>(
            "gc",
            &[GcDocument {
                schema: GC,
                dry_run: true,
                runs: vec!["r1".to_owned()],
                logs_bytes: 1,
                kept_versions: 2,
                kept_bytes: 3,
                copies: 1,
                copies_bytes: 64,
                leftovers: vec!["data/.assets-tmp-r1-0-1-a.csv".to_owned()],
                leftovers_bytes: 4,
            }],
        );
        let removed = vec![RemovedAsset { key: name(), path: None, bytes: None }];
        let left = vec![LeftOutput { key: name(), path: "data/a.csv".to_owned(), why: "it was edited".to_owned() }];
        check::<CleanDocument>("clean", &[CleanDocument { schema: CLEAN, dry_run: false, removed, left }]);
    }
}
