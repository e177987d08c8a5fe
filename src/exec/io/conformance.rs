//! The suite that every IO manager passes, ours and other people's.
//!
//! ```no_run
//! # use assets::exec::io::{IoManager, conformance};
//! # fn open_mine() -> Box<dyn IoManager> { unimplemented!() }
//! #[test]
//! fn my_manager_conforms() {
//!     conformance::run(&open_mine).assert_passed();
//! }
//! ```
//!
//! `make` opens the same store each time. It may hold other content: every case uses a target of its
//! own. What a manager does not declare in its capabilities is not asked of it, and said so.

mod cases;
mod crash;
mod parts;
mod rows;

use crate::{
    base::{fs, path::ProjectPath},
    exec::{
        io::{Capabilities, Content, IoError, IoManager, Loaded, Staged, Target},
        table::{Rows, write::csv_text},
    },
    model::{
        key::{AssetKey, PartitionKey},
        project::{Identity, Shape},
    },
    plan::record::{AttemptId, StoredOutput},
};

/// Opens the store under test.
pub type Make<'a> = &'a (dyn Fn() -> Box<dyn IoManager> + Sync);

/// One thing that is true of every IO manager.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub applies: fn(Capabilities) -> bool,
    check: fn(&World) -> Outcome,
}

impl Case {
    pub fn check(&self, make: Make) -> Outcome {
        (self.check)(&World { make, manager: make(), name: self.name })
    }
}

/// What a case found wrong, for people.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

impl From<IoError> for Broken {
    fn from(error: IoError) -> Self {
        Broken(format!("failed: {error}"))
    }
}

impl From<fs::FsError> for Broken {
    fn from(error: fs::FsError) -> Self {
        Broken(format!("the case itself failed: {error}"))
    }
}

pub type Outcome = Result<(), Broken>;

/// What became of a whole suite.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    pub passed: Vec<&'static str>,
    pub failed: Vec<(&'static str, Broken)>,
    /// Not asked of a manager with these capabilities.
    pub skipped: Vec<&'static str>,
}

impl Report {
    /// # Panics
    /// If a case failed, with all that did; for use in a test.
    pub fn assert_passed(&self) {
        let failed: Vec<String> = self.failed.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        assert!(failed.is_empty(), "{} cases of IO manager conformance failed:\n{}", failed.len(), failed.join("\n"));
        assert!(!self.passed.is_empty(), "no case applies to this IO manager");
    }
}

/// Every case, in the order in which they are best read.
pub fn cases() -> Vec<Case> {
    [cases::CASES, rows::CASES, parts::CASES, crash::CASES].concat()
}

/// Runs every case that applies.
pub fn run(make: Make) -> Report {
    let capabilities = make().capabilities();
    let mut report = Report::default();
    for case in cases() {
        if !(case.applies)(capabilities) {
            report.skipped.push(case.name);
            continue;
        }
        match case.check(make) {
            Ok(()) => report.passed.push(case.name),
            Err(broken) => report.failed.push((case.name, broken)),
        }
    }
    report
}

/// What one case works with.
struct World<'a> {
    make: Make<'a>,
    manager: Box<dyn IoManager>,
    name: &'static str,
}

impl World<'_> {
    /// What one output can be here; the last is what there is most to go wrong with.
    fn shapes(&self) -> &'static [Shape] {
        if self.keeps_rows() { &[Shape::File] } else { &[Shape::File, Shape::Folder] }
    }

    /// Tables are what it keeps, and no files: what is handed over and given back is rows.
    fn keeps_rows(&self) -> bool {
        !self.manager.capabilities().files
    }

    fn target(&self, shape: Shape) -> Target {
        self.named(shape, "it")
    }

    fn named(&self, shape: Shape, name: &str) -> Target {
        if self.keeps_rows() {
            return self.table(name);
        }
        let key = AssetKey::parse(&format!("conformance/{}/{name}", self.name)).expect("case names are plain");
        let format = if shape == Shape::File { Some("csv".to_owned()) } else { None };
        let ending = if shape == Shape::File { ".csv" } else { "" };
        let path = ProjectPath::root().join("conformance").join(self.name).join(format!("{name}{ending}"));
        Target {
            key,
            partition: PartitionKey::whole(),
            path,
            format,
            shape,
            identity: Identity::Bytes,
            in_place: false,
            publishing: Default::default(),
            slice: None,
            slices: None,
        }
    }

    fn table(&self, name: &str) -> Target {
        let name = format!("conformance_{}_{name}", self.name);
        let key: String = name.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '_' }).collect();
        Target {
            key: AssetKey::parse(&key).expect("only plain characters are left"),
            partition: PartitionKey::whole(),
            path: ProjectPath::root().join(name),
            format: Some("csv".to_owned()),
            shape: Shape::File,
            identity: Identity::Rows,
            in_place: false,
            publishing: Default::default(),
            slice: None,
            slices: None,
        }
    }

    fn stage(&self, target: &Target, number: u32) -> Result<Staged, IoError> {
        self.manager.stage(target, &attempt(self.name, number))
    }

    /// Stages, writes and inspects.
    fn written(&self, target: &Target, number: u32, text: &str) -> Result<(Staged, Content), Broken> {
        let staged = self.stage(target, number)?;
        write(&staged, text)?;
        let content = self.manager.inspect(&staged)?;
        Ok((staged, content))
    }

    /// Stages, writes, inspects and publishes.
    fn published(&self, target: &Target, number: u32, text: &str) -> Result<(Content, StoredOutput), Broken> {
        let (staged, content) = self.written(target, number, text)?;
        let stored = self.manager.publish(&staged, &content)?;
        Ok((content, stored))
    }

    /// What is visible, as [`write`] wrote it; `None` if nothing is.
    fn visible(&self, target: &Target) -> Result<Option<String>, Broken> {
        match self.manager.load(target) {
            Ok(loaded) => read(loaded, target).map(Some),
            Err(IoError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn attempt(case: &str, number: u32) -> AttemptId {
    AttemptId(format!("20261120-231502-c0de-{}-{number}", case.len()))
}

/// A file with that text, rows with that text in a column, or a folder with a file in a folder, a link, and an empty folder.
fn write(staged: &Staged, text: &str) -> Result<(), Broken> {
    match staged.target.shape {
        Shape::File if staged.target.identity == Identity::Rows => {
            fs::write(&staged.path, format!("text\n\"{text}\"\n").as_bytes())?;
        }
        Shape::File => fs::write(&staged.path, text.as_bytes())?,
        Shape::Folder => {
            fs::create_folder(&staged.path.join("part/deep"))?;
            fs::create_folder(&staged.path.join("empty"))?;
            fs::write(&staged.path.join("part/deep/text"), text.as_bytes())?;
        }
    }
    Ok(())
}

fn read(loaded: Loaded, target: &Target) -> Result<String, Broken> {
    let path = match loaded {
        Loaded::Path(path) => path,
        Loaded::Rows(rows) => return text_of(rows),
    };
    let file = match target.shape {
        Shape::File => path,
        Shape::Folder => {
            if fs::look(&path.join("empty"))?.is_none() {
                return Err(Broken("an empty folder in the output was lost".to_owned()));
            }
            path.join("part/deep/text")
        }
    };
    String::from_utf8(fs::read(&file)?).map_err(|_| Broken("other bytes came back".to_owned()))
}

/// What is in the one column of what [`write`] wrote.
fn text_of(rows: Rows) -> Result<String, Broken> {
    let broken = |it: &dyn std::fmt::Display| Broken(format!("rows could not be read: {it}"));
    let mut lines = String::new();
    for batch in rows {
        let batch = batch.map_err(|it| broken(&it))?;
        lines.push_str(&csv_text(&batch, false).map_err(|it| broken(&it))?);
    }
    Ok(lines.trim_end().trim_matches('"').to_owned())
}

/// For cases: an equality that says what was compared.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(Broken(format!("{what}: expected {expected:?}, found {found:?}")))
}

fn visible(found: Option<&str>, expected: Option<&str>) -> Outcome {
    same("visible content", &found, &expected)
}

const fn files(it: Capabilities) -> bool {
    it.files
}

/// Of tables alone.
const fn tables(it: Capabilities) -> bool {
    it.tables && !it.files
}

const fn any(it: Capabilities) -> bool {
    it.files || it.tables
}
