//! IO managers: the conformance suite, and the attacks and faults that only the fs manager can meet.

mod attacks;
mod crashes;
mod keeping;
mod limits;
mod model;
mod objects;

use std::{
    fs,
    path::{Path, PathBuf},
};

use assets::{
    base::path::ProjectPath,
    exec::io::{
        Content, IoError, IoManager, Loaded, Staged, Target, beneath::Swaps, conformance, fs::FsManager, keep::Limits,
        maker::Maker, memory::MemoryManager, sqlite::SqliteManager,
    },
    model::{
        key::{AssetKey, PartitionKey},
        project::{Identity, Shape},
    },
    plan::record::{AttemptId, StoredOutput},
};
use tempfile::TempDir;

fn path(text: &str) -> ProjectPath {
    ProjectPath::resolve(&ProjectPath::root(), text).unwrap()
}

fn attempt(number: u32) -> AttemptId {
    AttemptId(format!("20261120-231502-4f2a-3-{number}"))
}

fn target(shape: Shape, text: &str) -> Target {
    Target {
        key: AssetKey::parse("it").unwrap(),
        partition: PartitionKey::whole(),
        path: path(text),
        format: None,
        shape,
        identity: Identity::Bytes,
        in_place: false,
        publishing: Default::default(),
        slice: None,
        slices: None,
    }
}

fn file(text: &str) -> Target {
    target(Shape::File, text)
}

fn folder(text: &str) -> Target {
    target(Shape::Folder, text)
}

/// A project with a state folder, and an fs manager whose root is `data`.
struct Project {
    folder: TempDir,
    manager: FsManager,
}

impl Project {
    fn new() -> Project {
        Project::with(Limits::default(), Swaps::Allowed)
    }

    fn with(limits: Limits, swaps: Swaps) -> Project {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".assets")).unwrap();
        let manager = FsManager::with(folder.path().to_owned(), path("data"), limits, swaps);
        Project { folder, manager }
    }

    fn at(&self, text: &str) -> PathBuf {
        self.folder.path().join(text)
    }

    fn read(&self, text: &str) -> String {
        fs::read_to_string(self.at(text)).unwrap()
    }

    /// Stages and writes a file.
    fn written(&self, target: &Target, number: u32, text: &str) -> Staged {
        let staged = self.manager.stage(target, &attempt(number)).unwrap();
        match target.shape {
            Shape::File => fs::write(&staged.path, text).unwrap(),
            Shape::Folder => {
                fs::create_dir(&staged.path).unwrap();
                fs::write(staged.path.join("text"), text).unwrap();
            }
        }
        staged
    }

    fn published(&self, target: &Target, number: u32, text: &str) -> (Content, StoredOutput) {
        let staged = self.written(target, number, text);
        let content = self.manager.inspect(&staged).unwrap();
        let stored = self.manager.publish(&staged, &content).unwrap();
        (content, stored)
    }

    /// Names in a folder of the project, sorted.
    fn names(&self, text: &str) -> Vec<String> {
        names(&self.at(text))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn fs_conforms() {
    let project = Project::new();
    let make = || -> Box<dyn IoManager> { Box::new(FsManager::new(project.at(""), path("data"))) };
    let report = conformance::run(&make);
    report.assert_passed();
    assert_eq!(report.skipped, OF_TABLES);
}

/// Asked of managers that keep tables and no files.
pub const OF_TABLES: [&str; 14] = [
    "rows_in_any_order_are_one_version",
    "what_differs_has_another_version",
    "versions_are_those_of_the_rows",
    "odd_names_are_names",
    "a_partition_is_replaced_alone",
    "a_partition_of_no_rows_is_there",
    "a_partition_is_deleted_alone",
    "rows_of_others_are_refused",
    "two_keys_of_one_value_are_refused",
    "other_columns_are_refused",
    "values_are_kept_or_refused",
    "partitions_at_once",
    "a_table_is_not_its_partitions",
    "crash_with_partitions",
];
/// Asked of managers that keep files.
pub const OF_FILES: [&str; 4] =
    ["in_place_is_taken_back", "file_versions_are_plain_blake3", "the_wrong_kind_is_an_error", "the_shape_may_change"];

#[test]
fn sqlite_conforms() {
    let project = tempfile::tempdir().unwrap();
    let make = || -> Box<dyn IoManager> {
        Box::new(SqliteManager::new(project.path().to_owned(), &path("shop.sqlite"), Maker::new("it")))
    };
    let report = conformance::run(&make);
    report.assert_passed();
    assert_eq!(report.skipped, OF_FILES);
    assert_eq!(names(&project.path().join(".assets/tmp")), Vec::<String>::new(), "something staged was left");
}

#[test]
fn fs_conforms_where_names_cannot_be_swapped() {
    let project = Project::new();
    let make = || -> Box<dyn IoManager> {
        Box::new(FsManager::with(project.at(""), path("data"), Limits::default(), Swaps::Never))
    };
    conformance::run(&make).assert_passed();
}

#[test]
fn memory_conforms() {
    let project = tempfile::tempdir().unwrap();
    let make = || -> Box<dyn IoManager> { Box::new(MemoryManager::new(project.path().to_owned())) };
    let report = conformance::run(&make);
    report.assert_passed();
    assert_eq!(report.skipped[1..], OF_TABLES);
    assert_eq!(report.skipped[0], "another_instance_sees_it");
    assert_eq!(names(&project.path().join(".assets/tmp")), Vec::<String>::new(), "scratch folders were left");
}

/// The suite itself: a manager that breaks its word is found out.
#[test]
fn the_suite_can_fail() {
    struct Forgetful(FsManager);
    impl IoManager for Forgetful {
        fn capabilities(&self) -> assets::exec::io::Capabilities {
            self.0.capabilities()
        }
        fn stage(&self, target: &Target, attempt: &AttemptId) -> Result<Staged, IoError> {
            // Writes where readers look.
            self.0.stage(&Target { in_place: true, ..target.clone() }, attempt)
        }
        fn inspect(&self, staged: &Staged) -> Result<Content, IoError> {
            self.0.inspect(staged)
        }
        fn current(&self, target: &Target) -> Result<Option<Content>, IoError> {
            self.0.current(target)
        }
        fn publish(&self, staged: &Staged, content: &Content) -> Result<StoredOutput, IoError> {
            self.0.publish(staged, content)
        }
        fn discard(&self, staged: &Staged) -> Result<(), IoError> {
            self.0.discard(staged)
        }
        fn probe(&self, _: &Target, _: &StoredOutput) -> Result<assets::exec::io::Probed, IoError> {
            Ok(assets::exec::io::Probed::Same)
        }
        fn adopt(
            &self,
            target: &Target,
            version: &assets::base::digest::Digest,
        ) -> Result<Option<StoredOutput>, IoError> {
            self.0.adopt(target, version)
        }
        fn recover(
            &self,
            target: &Target,
            token: &[u8],
            content: &Content,
        ) -> Result<assets::exec::io::Recovered, IoError> {
            self.0.recover(target, token, content)
        }
        fn load(&self, target: &Target) -> Result<Loaded, IoError> {
            self.0.load(target)
        }
        fn delete(&self, target: &Target) -> Result<(), IoError> {
            self.0.delete(target)
        }
    }
    let project = Project::new();
    let make = || -> Box<dyn IoManager> { Box::new(Forgetful(FsManager::new(project.at(""), path("data")))) };
    let failed: Vec<&str> = conformance::run(&make).failed.into_iter().map(|(name, _)| name).collect();
    for expected in ["a_stage_is_not_visible", "publish_replaces", "probe_tells_missing_from_modified"] {
        assert!(failed.contains(&expected), "{expected} passed; failed: {failed:?}");
    }
}
