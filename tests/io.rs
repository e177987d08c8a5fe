//! IO managers: the conformance suite, and the attacks and faults that only the fs manager can meet.

use assets::{
    base::path::ProjectPath,
    exec::io::{IoManager, conformance, fs::FsManager, memory::MemoryManager},
};

fn root(text: &str) -> ProjectPath {
    ProjectPath::resolve(&ProjectPath::root(), text).unwrap()
}

#[test]
fn fs_conforms() {
    let project = tempfile::tempdir().unwrap();
    std::fs::create_dir(project.path().join(".assets")).unwrap();
    let make = || -> Box<dyn IoManager> { Box::new(FsManager::new(project.path().to_owned(), root("data"))) };
    let report = conformance::run(&make);
    report.assert_passed();
    assert_eq!(report.skipped, Vec::<&str>::new());
}

#[test]
fn memory_conforms() {
    let project = tempfile::tempdir().unwrap();
    let make = || -> Box<dyn IoManager> { Box::new(MemoryManager::new(project.path().to_owned())) };
    let report = conformance::run(&make);
    report.assert_passed();
    assert_eq!(report.skipped, ["another_instance_sees_it"]);
}
