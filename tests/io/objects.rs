//! The object store manager: the conformance suite on each kind of address, and what only it can meet.

use assets::{
    base::{env::Environment, path::ProjectPath},
    exec::io::{conformance, object_store::ObjectStoreManager},
    model::{object_url::ObjectUrl, project::ObjectOptions},
};
use tempfile::TempDir;

fn open(root: &TempDir, url: &str) -> ObjectStoreManager {
    let url = ObjectUrl::parse(url, &ProjectPath::root()).unwrap();
    ObjectStoreManager::new(root.path().to_owned(), &url, &ObjectOptions::default(), &Environment::default())
}

#[test]
fn memory_conforms() {
    let root = tempfile::tempdir().unwrap();
    let report = conformance::run(&|| Box::new(open(&root, "memory://")));
    report.assert_passed();
    assert_eq!(report.skipped, ["another_instance_sees_it"]);
}

#[test]
fn folders_conform() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for url in ["file://lake", &format!("file://{}/a ~b%", elsewhere.path().display())] {
        let report = conformance::run(&|| Box::new(open(&root, url)));
        report.assert_passed();
        assert_eq!(report.skipped, Vec::<&str>::new());
    }
}
