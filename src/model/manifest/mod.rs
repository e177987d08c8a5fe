//! From the text of `assets.toml` to a [`Project`](crate::model::project::Project).
//!
//! ```text
//! gather    reads the main file, what it includes and assets.local.toml; merges overrides
//!   raw       TOML with the place of everything
//!   check     holds each file against `keys`: unknown keys, wrong types, not supported yet
//! resolve   names to ids, defaults applied
//! validate  what only the whole shows: cycles, overlapping outputs, names that fold together
//! ```
//!
//! Every stage goes on after a mistake and adds to one report. Files come through [`Files`]; nothing
//! here touches a disk or an environment.

mod adbc;
mod batch;
mod check;
mod check_keys;
mod checks;
pub mod code;
mod computation;
mod data_checks;
mod duration;
mod escapes;
mod gather;
mod interpolate;
mod keys;
mod materialized;
mod models;
mod object_store;
mod overlap;
mod partitioned;
mod partitions;
mod pattern;
mod postgres;
mod query_text;
mod raw;
mod report;
mod resolve;
mod schema;
mod shape;
mod sql;
mod tables;
mod validate;
mod versions;

use std::collections::BTreeMap;

use crate::{
    base::{diagnostic::Diagnostic, path::ProjectPath, span::SourceMap},
    model::{partition::Definition, project::Project},
};

pub use resolve::graph_of;
pub use schema::json_schema;

/// Name of the manifest; the folder that holds it is the project's root.
pub const MAIN_FILE: &str = "assets.toml";
/// Overrides of one person, beside the main file, not in version control.
pub const LOCAL_FILE: &str = "assets.local.toml";

/// What the loader needs of the project's folder.
pub trait Files {
    /// The bytes of a file; `None` if it is not there.
    ///
    /// # Errors
    /// One sentence, for people.
    fn read(&mut self, path: &ProjectPath) -> Result<Option<Vec<u8>>, String>;

    /// The files that match a glob seen from `folder`, in any order. Looks below the project only.
    ///
    /// # Errors
    /// One sentence, for people.
    fn matches(&mut self, folder: &ProjectPath, pattern: &str) -> Result<Vec<ProjectPath>, String>;
}

/// What was asked for on the command line, and what templates can see of the world.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// `-t`: the `[target.*]` whose overrides apply.
    pub target: Option<&'a str>,
    /// `--var NAME=VALUE`, in the order given.
    pub vars: &'a [(String, String)],
    /// A variable of the caller's environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Absolute path of the project's folder, for `{{ project.root }}`.
    pub project_root: &'a str,
}

/// A project, or what is wrong with it.
#[derive(Debug)]
pub struct Loaded {
    /// `None` if there is any error.
    pub project: Option<Project>,
    /// `[partitions.*]` that are without mistakes, used or not.
    pub partitions: BTreeMap<String, Definition>,
    /// Every text that was read, for showing places.
    pub sources: SourceMap,
    /// By file and place; warnings may stand beside a project.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks the whole manifest. All mistakes of all files are found in one go.
pub fn load(files: &mut dyn Files, options: &Options<'_>) -> Loaded {
    let mut report = report::Report::default();
    let mut sources = SourceMap::default();
    let gathered = gather::gather(files, options, &mut sources, &mut report);
    let partitions = gathered.as_ref().map(|it| partitions::definitions(&it.partitions, &sources, &mut report));
    let partitions = partitions.unwrap_or_default();
    let project = gathered.and_then(|it| resolve::resolve(&it, &partitions, options, &sources, &mut report));
    let project = project.filter(|_| !report.has_errors());
    Loaded { project, partitions, sources, diagnostics: report.finish() }
}
