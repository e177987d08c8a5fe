//! Links and names that would lead out of the project, at every moment at which they can be put there.

use std::os::unix::{ffi::OsStrExt, fs::symlink};

use assets::exec::io::{Probed, Recovered};

use super::*;

/// When a folder on the way to the output is replaced by a link that leads out.
#[derive(Clone, Copy, PartialEq, Debug)]
enum When {
    BeforeStage,
    DuringRun,
    BeforePublish,
    BeforeRecovery,
}

fn escapes<T: std::fmt::Debug>(result: Result<T, IoError>, expected: &str) {
    match result {
        Err(IoError::Escapes { path }) => assert_eq!(path, expected),
        other => panic!("expected {expected} to escape, got {other:?}"),
    }
}

/// Moves `data` (or `data/sub`) away and puts a link to the outside in its place, where everything
/// that a blind walk would look for is there too.
fn swap_for_link(project: &Project, outside: &Path, link: &str) {
    let at = project.at(link);
    if at.exists() {
        let copied = std::process::Command::new("cp").arg("-a").arg(at.join(".")).arg(outside).status().unwrap();
        assert!(copied.success());
        fs::remove_dir_all(&at).unwrap();
    }
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    symlink(outside, &at).unwrap();
}

#[test]
fn a_link_that_leads_out_is_never_followed() {
    for link in ["data", "data/sub"] {
        for when in [When::BeforeStage, When::DuringRun, When::BeforePublish, When::BeforeRecovery] {
            for in_place in [false, true] {
                let project = Project::new();
                let outside = tempfile::tempdir().unwrap();
                fs::create_dir_all(outside.path().join("sub")).unwrap();
                fs::write(outside.path().join("a.csv"), "precious").unwrap();
                fs::write(outside.path().join("sub/a.csv"), "precious").unwrap();
                let target = Target { in_place, ..file("sub/a.csv") };
                let attack = || swap_for_link(&project, outside.path(), link);
                if when == When::BeforeStage {
                    attack();
                    escapes(project.manager.stage(&target, &attempt(1)), link);
                } else {
                    let staged = project.written(&target, 1, "new");
                    let content = project.manager.inspect(&staged).unwrap();
                    attack();
                    let before = snapshot(outside.path());
                    match when {
                        When::DuringRun => escapes(project.manager.inspect(&staged), link),
                        When::BeforePublish => escapes(project.manager.publish(&staged, &content), link),
                        _ => escapes(project.manager.recover(&target, &staged.token, &content), link),
                    }
                    escapes(project.manager.discard(&staged), link);
                    assert_eq!(snapshot(outside.path()), before, "{link} {when:?}: the outside was changed");
                }
                escapes(project.manager.load(&target), link);
                escapes(project.manager.delete(&target), link);
                escapes(project.manager.current(&target), link);
            }
        }
    }
}

fn snapshot(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(at) = waiting.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            all.push((path.clone(), fs::read(&path).ok()));
            if path.is_dir() {
                waiting.push(path);
            }
        }
    }
    all.sort();
    all
}

#[test]
fn an_escape_comes_with_advice() {
    let project = Project::new();
    symlink("/", project.at("data")).unwrap();
    let error = project.manager.stage(&file("a.csv"), &attempt(1)).unwrap_err();
    assert_eq!(error.to_string(), "data leads out of the project");
    assert!(error.help().unwrap().contains("replace the link by a folder"));
}

#[test]
fn a_link_inside_the_project_may_lead_elsewhere_inside() {
    let project = Project::new();
    fs::create_dir(project.at("big")).unwrap();
    symlink("big", project.at("data")).unwrap();
    let (_, stored) = project.published(&file("a.csv"), 1, "one");
    assert_eq!(project.read("big/a.csv"), "one");
    assert_eq!(project.manager.probe(&file("a.csv"), &stored).unwrap(), Probed::Same);
}

#[test]
fn an_output_that_is_a_link_is_replaced_not_followed() {
    let project = Project::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "precious").unwrap();
    fs::create_dir(project.at("data")).unwrap();
    for (number, target) in [(1, file("a.csv")), (2, folder("a"))] {
        let at = project.at("data").join(target.path.as_path());
        symlink(outside.path().join(if number == 1 { "precious" } else { "" }), &at).unwrap();
        project.published(&target, number, "one");
        assert!(!at.is_symlink());
    }
    assert_eq!(snapshot(outside.path()), [(outside.path().join("precious"), Some(b"precious".to_vec()))]);
    // And by hand afterwards: what a link leads to is not what was recorded, even if it is equal.
    let (_, stored) = project.published(&file("b.csv"), 3, "one");
    fs::rename(project.at("data/b.csv"), outside.path().join("b.csv")).unwrap();
    symlink(outside.path().join("b.csv"), project.at("data/b.csv")).unwrap();
    assert_eq!(project.manager.probe(&file("b.csv"), &stored).unwrap(), Probed::Modified);
    project.manager.delete(&file("b.csv")).unwrap();
    assert!(outside.path().join("b.csv").exists());
}

#[test]
fn a_staged_link_is_no_output() {
    for shape in [Shape::File, Shape::Folder] {
        let project = Project::new();
        let target = target(shape, "a");
        let staged = project.manager.stage(&target, &attempt(1)).unwrap();
        symlink(if shape == Shape::File { "/etc/passwd" } else { "/etc" }, &staged.path).unwrap();
        let error = project.manager.inspect(&staged).unwrap_err();
        assert!(matches!(error, IoError::WrongKind { found: "a link", .. }), "{error:?}");
        assert!(error.help().is_some());
    }
}

#[test]
fn links_in_a_folder_stay_in_it() {
    for (link, good) in [
        ("text", true),
        ("./sub/deep", true),
        ("nowhere", true),
        ("/etc/passwd", false),
        ("../outside", false),
        ("sub/../../outside", false),
        ("..", false),
    ] {
        let project = Project::new();
        let staged = project.written(&folder("a"), 1, "one");
        symlink(link, staged.path.join("link")).unwrap();
        let result = project.manager.inspect(&staged);
        assert_eq!(result.is_ok(), good, "{link}: {result:?}");
        if let Ok(content) = result {
            project.manager.publish(&staged, &content).unwrap();
            assert_eq!(fs::read_link(project.at("data/a/link")).unwrap(), Path::new(link));
        }
    }
    let project = Project::new();
    let staged = project.written(&folder("a"), 1, "one");
    fs::create_dir_all(staged.path.join("sub/deep")).unwrap();
    symlink("../../text", staged.path.join("sub/deep/link")).unwrap();
    project.manager.inspect(&staged).unwrap();
    fs::remove_file(staged.path.join("sub/deep/link")).unwrap();
    symlink("../../../text", staged.path.join("sub/deep/link")).unwrap();
    assert!(project.manager.inspect(&staged).unwrap_err().to_string().contains("leaves the output folder"));
}

#[test]
fn odd_things_are_no_output() {
    let project = Project::new();
    let fifo = |at: &Path| assert!(std::process::Command::new("mkfifo").arg(at).status().unwrap().success());
    let staged = project.manager.stage(&file("a"), &attempt(1)).unwrap();
    fifo(&staged.path);
    assert!(matches!(project.manager.inspect(&staged), Err(IoError::WrongKind { .. })));
    let staged = project.manager.stage(&file("b"), &attempt(2)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&staged.path).unwrap();
    assert!(matches!(project.manager.inspect(&staged), Err(IoError::WrongKind { .. })));
    let staged = project.written(&folder("c"), 3, "one");
    fifo(&staged.path.join("pipe"));
    match project.manager.inspect(&staged) {
        Err(IoError::WrongKind { path, .. }) => assert!(path.ends_with("/pipe"), "{path}"),
        other => panic!("{other:?}"),
    }
    // One that somebody put where the output belongs is not destroyed.
    fifo(&project.at("data/d"));
    assert!(matches!(project.manager.stage(&file("d"), &attempt(4)), Err(IoError::WrongKind { .. })));
    assert_eq!(project.manager.current(&file("d")).unwrap(), None);
}

#[test]
fn names_cannot_climb() {
    let project = Project::new();
    for bad in ["", "..", "../x", "a/b", "a\0b", &"x".repeat(200)] {
        assert!(project.manager.stage(&file("a"), &AttemptId(bad.to_owned())).is_err(), "{bad:?}");
    }
    let error = project.manager.stage(&file("."), &attempt(1)).unwrap_err();
    assert!(error.to_string().contains("is no place for it"), "{error}");
    let staged = project.written(&file("a"), 1, "one");
    let content = project.manager.inspect(&staged).unwrap();
    assert!(project.manager.recover(&file("a"), b"fs1\0../../x\0staged\0data/a", &content).is_err());
    let moved = project.manager.recover(&file("elsewhere"), &staged.token, &content).unwrap();
    assert_eq!(moved, Recovered::Lost);
}

#[test]
fn what_a_user_put_there_meanwhile_is_replaced_whole() {
    for (before, during) in [(Shape::File, Shape::Folder), (Shape::Folder, Shape::File)] {
        let project = Project::new();
        let target = target(before, "a");
        let staged = project.written(&target, 1, "new");
        let content = project.manager.inspect(&staged).unwrap();
        match during {
            Shape::File => fs::write(project.at("data/a"), "the user's").unwrap(),
            Shape::Folder => fs::create_dir_all(project.at("data/a/full/of")).unwrap(),
        }
        let stored = project.manager.publish(&staged, &content).unwrap();
        assert_eq!(project.manager.probe(&target, &stored).unwrap(), Probed::Same);
        assert_eq!(project.names("data"), ["a"]);
    }
}

#[test]
fn names_need_not_be_text() {
    let project = Project::new();
    let staged = project.written(&folder("a"), 1, "one");
    let odd =
        [&b"\xff\xfe"[..], b"new\nline", b"-rf", b"'\"", &[b'x'; 255], "e\u{301}".as_bytes(), "\u{e9}".as_bytes()];
    for name in odd {
        fs::write(staged.path.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    let content = project.manager.inspect(&staged).unwrap();
    let stored = project.manager.publish(&staged, &content).unwrap();
    assert_eq!(project.manager.probe(&folder("a"), &stored).unwrap(), Probed::Same);
    assert_eq!(fs::read_dir(project.at("data/a")).unwrap().count(), odd.len() + 1);
    let long = file(&format!("{}.csv", "x".repeat(251)));
    let (_, stored) = project.published(&long, 2, "one");
    project.published(&Target { in_place: true, ..long.clone() }, 3, "two");
    assert_eq!(project.manager.probe(&long, &stored).unwrap(), Probed::Modified);
    project.manager.delete(&folder("a")).unwrap();
    assert_eq!(project.names("data").len(), 1);
}
