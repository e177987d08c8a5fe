//! The object store manager: the conformance suite on each kind of address, and what only it can meet.

use std::{fs, net::TcpListener};

use assets::{
    base::{digest::Digest, env::Environment, path::ProjectPath},
    exec::io::{
        Content, IoError, IoManager, Loaded, Probed, Recovered, Staged, Target, conformance,
        object_store::ObjectStoreManager,
    },
    model::{object_url::ObjectUrl, project::ObjectOptions},
    plan::record::StoredOutput,
};
use tempfile::TempDir;

use super::{attempt, file, folder};
use crate::support::{
    gcs::Gcs,
    s3::{CREDENTIALS, Fault, S3},
};

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
    assert_eq!(report.skipped[0], "another_instance_sees_it");
    assert_eq!(report.skipped[1..], super::OF_TABLES);
}

#[test]
fn folders_conform() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for url in ["file://lake", &format!("file://{}/a ~b%", elsewhere.path().display())] {
        let report = conformance::run(&|| Box::new(open(&root, url)));
        report.assert_passed();
        assert_eq!(report.skipped, super::OF_TABLES);
    }
}

#[test]
fn s3_conforms() {
    let root = tempfile::tempdir().unwrap();
    let s3 = S3::new();
    let report = conformance::run(&|| Box::new(open_s3(&root, &s3)));
    report.assert_passed();
    assert_eq!(report.skipped, super::OF_TABLES);
    assert!(s3.keys().iter().all(|it| it.starts_with("some/prefix/conformance/")));
}

/// Only against our own idea of the service; puts on a condition work by generations there, not by ETags.
#[test]
fn google_conforms_as_far_as_we_know_it() {
    let (gcs, root) = (Gcs::new(), tempfile::tempdir().unwrap());
    let url = ObjectUrl::parse("gs://lake/some/prefix", &ProjectPath::root()).unwrap();
    let options = ObjectOptions { endpoint: Some(gcs.endpoint()), allow_http: true, ..ObjectOptions::default() };
    // As somebody who need not prove it.
    let key = r#"{"private_key": "", "private_key_id": "", "client_email": "", "disable_oauth": true}"#;
    let env = Environment::from_iter([("GOOGLE_SERVICE_ACCOUNT_KEY", key)]);
    let open = || ObjectStoreManager::new(root.path().to_owned(), &url, &options, &env);
    conformance::run(&|| Box::new(open())).assert_passed();
    let (one, two) = (open(), open());
    let stage = |manager: &ObjectStoreManager, number, text: &str| {
        let staged = manager.stage(&file("a.csv"), &attempt(number)).unwrap();
        fs::write(&staged.path, text).unwrap();
        let content = manager.inspect(&staged).unwrap();
        (staged, content)
    };
    for number in [1, 3] {
        let (first, second) = (stage(&one, number, &format!("{number}")), stage(&two, number + 1, "other"));
        one.publish(&first.0, &first.1).unwrap();
        let error = two.publish(&second.0, &second.1).unwrap_err();
        assert!(matches!(error, IoError::Overtaken { .. }), "{error}");
    }
}

/// One machine: a project of its own, and the bucket that it shares.
struct Machine {
    root: TempDir,
    manager: ObjectStoreManager,
}

impl Machine {
    fn of(s3: &S3) -> Machine {
        let root = tempfile::tempdir().unwrap();
        Machine { manager: open_s3(&root, s3), root }
    }

    fn written(&self, target: &Target, number: u32, text: &str) -> (Staged, Content) {
        let staged = self.manager.stage(target, &attempt(number)).unwrap();
        fs::write(&staged.path, text).unwrap();
        let content = self.manager.inspect(&staged).unwrap();
        (staged, content)
    }

    fn published(&self, number: u32, text: &str) -> StoredOutput {
        let (staged, content) = self.written(&file("a.csv"), number, text);
        self.manager.publish(&staged, &content).unwrap()
    }

    fn probed(&self, stored: &StoredOutput) -> Probed {
        self.manager.probe(&file("a.csv"), stored).unwrap()
    }

    fn visible(&self) -> String {
        let Loaded::Path(path) = self.manager.load(&file("a.csv")).unwrap() else { panic!("objects are files") };
        fs::read_to_string(path).unwrap()
    }
}

/// Neither has the locks of the other: only the pointer tells.
#[test]
fn of_two_who_saw_the_same_one_is_overtaken_and_told_by_whom() {
    let s3 = S3::new();
    let (one, two) = (Machine::of(&s3), Machine::of(&s3));
    for round in 0..2 {
        let (number, texts) = (round * 10, [format!("one {round}"), format!("two {round}")]);
        let first = one.written(&file("a.csv"), number + 1, &texts[0]);
        let second = two.written(&file("a.csv"), number + 2, &texts[1]);
        two.manager.publish(&second.0, &second.1).unwrap();
        let error = one.manager.publish(&first.0, &first.1).unwrap_err();
        assert!(matches!(error, IoError::Overtaken { .. }), "{error}");
        let by = format!("{}/some/prefix/a.csv", s3.bucket);
        assert!(error.to_string().contains(&attempt(number + 2).0) && error.to_string().contains(&by), "{error}");
        assert_eq!((one.visible(), two.visible()), (texts[1].clone(), texts[1].clone()));
        // Who was overtaken does not commit late either.
        let recovered = one.manager.recover(&file("a.csv"), &first.0.token, &first.1).unwrap();
        assert_eq!(recovered, Recovered::Lost);
        assert_eq!(one.visible(), texts[1]);
    }
}

/// Eight at once, from nothing and over something: exactly one of them has it.
#[test]
fn of_many_at_once_one_wins() {
    let s3 = S3::new();
    for round in 0..2 {
        let machines: Vec<Machine> = (0..8).map(|_| Machine::of(&s3)).collect();
        let staged: Vec<(Staged, Content)> = (machines.iter().zip(1..))
            .map(|(it, number)| it.written(&file("a.csv"), round * 10 + number, &format!("{round} {number}")))
            .collect();
        let done: Vec<bool> = std::thread::scope(|scope| {
            let publish = |(machine, (staged, content)): (&'_ Machine, &'_ (Staged, Content))| {
                machine.manager.publish(staged, content).map(|_| true)
            };
            let running: Vec<_> = machines.iter().zip(&staged).map(|it| scope.spawn(move || publish(it))).collect();
            running
                .into_iter()
                .map(|it| match it.join().unwrap() {
                    Ok(done) => done,
                    Err(IoError::Overtaken { .. }) => false,
                    Err(error) => panic!("{error}"),
                })
                .collect()
        });
        assert_eq!(done.iter().filter(|it| **it).count(), 1, "{done:?}");
        let winner = done.iter().position(|it| *it).unwrap() + 1;
        assert_eq!(machines[0].visible(), format!("{round} {winner}"));
    }
}

#[test]
fn what_is_not_named_any_more_is_removed_and_what_is_can_be_restored() {
    let s3 = S3::new();
    let (one, two) = (Machine::of(&s3), Machine::of(&s3));
    // Uploaded, and never committed.
    let lost = two.written(&file("a.csv"), 9, "lost");
    one.published(1, "A");
    assert!(two.manager.publish(&lost.0, &lost.1).is_err());
    assert_eq!(s3.keys().len(), 3, "{:?}", s3.keys());
    for (number, text) in [(2, "B"), (3, "C"), (4, "D")] {
        one.published(number, text);
    }
    let mut held: Vec<String> = s3.keys().iter().filter(|it| it.ends_with("/a.csv")).map(|it| s3.get(it)).collect();
    held.sort();
    assert_eq!(held, ["B", "C", "D"]);
    let keeps = |text: &str| one.manager.keeps(&file("a.csv"), &Digest::of(text.as_bytes()));
    s3.asked();
    assert_eq!((keeps("A"), keeps("B"), keeps("C")), (false, true, true));
    assert_eq!(s3.asked(), [""; 0], "whoever only plans asks nobody");
    let restore = |text: &str| one.manager.restore(&file("a.csv"), &Digest::of(text.as_bytes())).unwrap();
    assert_eq!(restore("A"), None);
    let stored = restore("B").unwrap();
    assert_eq!((one.visible(), two.visible(), one.probed(&stored)), ("B".into(), "B".into(), Probed::Same));
    // One that somebody wrote over is not what was kept.
    let key = s3.keys().into_iter().find(|it| it.ends_with("/a.csv") && s3.get(it) == "D").unwrap();
    s3.put(&key, "X");
    assert_eq!(restore("D"), None);
    assert_eq!(two.visible(), "B");
    assert!(restore("C").is_some());
    one.manager.delete(&file("a.csv")).unwrap();
    assert_eq!(s3.keys(), [""; 0]);
}

#[test]
fn what_somebody_did_to_the_objects_is_found() {
    let s3 = S3::new();
    let one = Machine::of(&s3);
    let stored = one.published(1, "A");
    s3.asked();
    assert_eq!(one.probed(&stored), Probed::Same);
    assert_eq!(s3.asked().len(), 2, "a pointer and a look at what it names");
    let object = s3.key("/a.csv");
    s3.put(&object, "B");
    assert_eq!(one.probed(&stored), Probed::Modified);
    // An old copy of our own is no answer either.
    for machine in [&one, &Machine::of(&s3)] {
        let error = machine.manager.load(&file("a.csv")).unwrap_err();
        assert!(matches!(error, IoError::Store { .. }), "{error}");
    }
    // Taken as it is, it is what everybody gets.
    assert_eq!(one.manager.current(&file("a.csv")).unwrap().unwrap().data_version, Digest::of(b"B"));
    assert_eq!(one.manager.adopt(&file("a.csv"), &Digest::of(b"A")).unwrap(), None);
    let stored = one.manager.adopt(&file("a.csv"), &Digest::of(b"B")).unwrap().unwrap();
    assert_eq!((one.probed(&stored), Machine::of(&s3).visible()), (Probed::Same, "B".to_owned()));
    s3.delete(&object);
    assert_eq!(one.probed(&stored), Probed::Missing);
    let stored = one.published(2, "C");
    s3.delete(&s3.key(".current.json"));
    assert_eq!(one.probed(&stored), Probed::Missing);
    let stored = one.published(3, "C");
    s3.put(&s3.key(".current.json"), "{}");
    let error = one.manager.probe(&file("a.csv"), &stored).unwrap_err();
    assert!(error.to_string().contains("no pointer") && error.help().is_some(), "{error}");
}

/// Whoever may open no connection cannot know better; where it was recorded is known without one.
#[test]
fn what_is_remote_is_believed_if_it_was_recorded_of_this_place() {
    let s3 = S3::new();
    let one = Machine::of(&s3);
    let stored = one.published(1, "A");
    one.manager.delete(&file("a.csv")).unwrap();
    s3.asked();
    assert_eq!(one.manager.believes(&file("a.csv"), &stored), Probed::Same);
    for probed in [
        one.manager.believes(&file("b.csv"), &stored),
        one.manager.probe(&file("b.csv"), &stored).unwrap(),
        open(&one.root, "file://lake").probe(&file("b.csv"), &stored).unwrap(),
    ] {
        assert!(matches!(probed, Probed::Elsewhere(place) if place.ends_with("/b.csv")));
    }
    assert_eq!(s3.asked(), [""; 0]);
}

/// Every file of a folder counts, and so does one that is added.
#[test]
fn what_somebody_did_inside_a_folder_is_found() {
    let s3 = S3::new();
    let one = Machine::of(&s3);
    let publish = |number| {
        let staged = one.manager.stage(&folder("f"), &attempt(number)).unwrap();
        fs::create_dir_all(staged.path.join("in")).unwrap();
        for name in ["a", "in/b c~%", "in/ü"] {
            fs::write(staged.path.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("in/ü", staged.path.join("link")).unwrap();
        let content = one.manager.inspect(&staged).unwrap();
        (one.manager.publish(&staged, &content).unwrap(), content)
    };
    let probed = |stored: &StoredOutput| one.manager.probe(&folder("f"), stored).unwrap();
    let (stored, content) = publish(1);
    assert_eq!(Machine::of(&s3).manager.current(&folder("f")).unwrap(), Some(content));
    for (number, change) in (2..).zip(["edit", "add", "remove"]) {
        assert_eq!(probed(&stored), Probed::Same);
        let key = s3.key("/f/a");
        match change {
            "edit" => s3.put(&key, "b"),
            "add" => s3.put(&key.replace("/f/a", "/f/more"), ""),
            _ => s3.delete(&key),
        }
        assert_eq!(probed(&stored), Probed::Modified, "{change}");
        one.manager.delete(&folder("f")).unwrap();
        assert_eq!((publish(number).0, s3.keys().len()), (stored.clone(), 5));
    }
}

/// More than one part, and not a round number of them.
#[test]
fn what_is_large_goes_in_parts() {
    let s3 = S3::new();
    let (one, two) = (Machine::of(&s3), Machine::of(&s3));
    let bytes: Vec<u8> = (0..(20 << 20) + 3).map(|it: u32| (it.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let staged = one.manager.stage(&file("a.csv"), &attempt(1)).unwrap();
    fs::write(&staged.path, &bytes).unwrap();
    let content = one.manager.inspect(&staged).unwrap();
    s3.asked();
    one.manager.publish(&staged, &content).unwrap();
    let parts = s3.asked().iter().filter(|it| it.starts_with("PUT") && it.ends_with("/a.csv")).count();
    assert_eq!(parts, 3);
    let Loaded::Path(path) = two.manager.load(&file("a.csv")).unwrap() else { panic!("objects are files") };
    assert!(fs::read(path).unwrap() == bytes, "other bytes came back");
    // What changes under way is not put together.
    let staged = one.manager.stage(&file("b.csv"), &attempt(2)).unwrap();
    fs::write(&staged.path, &bytes).unwrap();
    let content = Content { data_version: Digest::of(b"other"), ..one.manager.inspect(&staged).unwrap() };
    assert!(matches!(one.manager.publish(&staged, &content), Err(IoError::Unstable { .. })));
    assert!(s3.keys().iter().all(|it| !it.contains("b.csv")));
}

#[test]
fn an_answer_that_is_lost_is_looked_up_and_a_busy_server_is_asked_again() {
    let s3 = S3::new();
    let one = Machine::of(&s3);
    for (number, fault) in (1..).zip([Fault::CutAfter, Fault::Overloaded, Fault::CutAfter]) {
        let text = format!("{fault:?} {number}");
        let staged = one.written(&file("a.csv"), number, &text);
        s3.arm(fault, "PUT .current.json");
        let stored = one.manager.publish(&staged.0, &staged.1).unwrap();
        s3.happened();
        assert_eq!((one.visible(), one.probed(&stored)), (text, Probed::Same));
        s3.arm(Fault::Overloaded, "GET .current.json");
        assert_eq!(one.probed(&stored), Probed::Same);
        s3.happened();
    }
}

/// A command that wrote to its input spoils nothing but its own copy.
#[test]
fn a_copy_that_was_written_to_is_fetched_anew() {
    let s3 = S3::new();
    let one = Machine::of(&s3);
    one.published(1, "A");
    s3.asked();
    let Loaded::Path(path) = one.manager.load(&file("a.csv")).unwrap() else { panic!("objects are files") };
    let asked = s3.asked();
    assert!(matches!(&asked[..], [_, head] if head.starts_with("HEAD")), "what was published is here: {asked:?}");
    fs::write(&path, "B").unwrap();
    assert_eq!(one.visible(), "A");
    // Whoever wrote to it still has it.
    assert_eq!(fs::read_to_string(&path).unwrap(), "B");
    assert!(path.starts_with(one.root.path().join(".assets/cache/objects")));
}

#[test]
fn what_cannot_be_reached_is_told_with_what_to_do() {
    let s3 = S3::new();
    let told = |manager: &ObjectStoreManager| {
        let error = manager.stage(&file("a.csv"), &attempt(1)).unwrap_err();
        let help = error.help().unwrap_or_default();
        let text = format!("{error}\n{help}");
        assert!(!text.contains("not-so-secret"), "{text}");
        text
    };
    let has = |text: &str, words: &[&str]| words.iter().for_each(|it| assert!(text.contains(it), "{it}: {text}"));
    let gone = S3::without_bucket("no-such-bucket");
    let text = told(&Machine::of(&gone).manager);
    has(&text, &["s3://no-such-bucket/some/prefix/a.csv", "there is no such bucket", "make it first"]);
    s3.refuse(true);
    has(&told(&Machine::of(&s3).manager), &["access was denied", "AWS_ACCESS_KEY_ID"]);
    let root = tempfile::tempdir().unwrap();
    let url = ObjectUrl::parse("s3://lake/a", &ProjectPath::root()).unwrap();
    // Nobody listens there.
    let closed = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let options = ObjectOptions { endpoint: Some(closed.clone()), allow_http: true, ..ObjectOptions::default() };
    let open = |env: Environment| ObjectStoreManager::new(root.path().to_owned(), &url, &options, &env);
    has(&told(&open(Environment::from_iter(CREDENTIALS))), &["s3://lake/a/a.csv", "cannot be reached", "`endpoint`"]);
    // Without credentials a machine in the cloud is asked for them; here is none.
    let env = Environment::from_iter([("AWS_METADATA_ENDPOINT", &*closed)]);
    has(&told(&open(env)), &["there are no credentials", "AWS_ACCESS_KEY_ID", "skip_signature"]);
}
