//! The object store manager: the conformance suite on each kind of address, and what only it can meet.

use assets::{
    base::{env::Environment, path::ProjectPath},
    exec::io::{conformance, object_store::ObjectStoreManager},
    model::{object_url::ObjectUrl, project::ObjectOptions},
};
use tempfile::TempDir;

use crate::support::s3::{CREDENTIALS, S3};

fn open(root: &TempDir, url: &str) -> ObjectStoreManager {
    let url = ObjectUrl::parse(url, &ProjectPath::root()).unwrap();
    ObjectStoreManager::new(root.path().to_owned(), &url, &ObjectOptions::default(), &Environment::default())
}

fn open_s3(root: &TempDir, s3: &S3) -> ObjectStoreManager {
    let url = ObjectUrl::parse(&format!("s3://{}/some/prefix", s3.bucket), &ProjectPath::root()).unwrap();
    let options = ObjectOptions { endpoint: Some(s3.endpoint()), allow_http: true, ..ObjectOptions::default() };
    ObjectStoreManager::new(root.path().to_owned(), &url, &options, &Environment::from_iter(CREDENTIALS))
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

#[test]
fn s3_conforms() {
    let root = tempfile::tempdir().unwrap();
    let s3 = S3::new();
    let report = conformance::run(&|| Box::new(open_s3(&root, &s3)));
    report.assert_passed();
    assert_eq!(report.skipped, Vec::<&str>::new());
    assert!(s3.keys().iter().all(|it| it.starts_with("some/prefix/conformance/")));
}
