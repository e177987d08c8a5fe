//! What crashes leave beside the outputs, and what a sweep makes of it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use assets::exec::io::{
    Probed, Recovered,
    fs::{Swept, sweep_leftovers},
};

use super::*;

const NOBODY: fn(&AttemptId) -> bool = |_| false;

#[test]
fn a_sweep_removes_only_what_dead_attempts_left() {
    let project = Project::new();
    project.published(&file("a.csv"), 1, "one");
    project.written(&file("a.csv"), 2, "half");
    project.written(&folder("b"), 3, "half");
    project.written(&file("c-d.csv"), 4, "being written");
    fs::write(project.at("data/.hidden"), "the user's").unwrap();
    let live = attempt(4);
    let swept = sweep_leftovers(project.folder.path(), &path("data"), &|it| *it == live).unwrap();
    assert_eq!(swept, Swept { removed: 2, restored: 0 });
    assert_eq!(project.names("data"), [".assets-tmp-20261120-231502-4f2a-3-4-c-d.csv", ".hidden", "a.csv"]);
    assert_eq!(sweep_leftovers(project.folder.path(), &path("none"), &NOBODY).unwrap(), Swept::default());
}

#[test]
fn a_sweep_puts_back_what_was_moved_aside() {
    for (target, at) in [(file("a.csv"), "data/a.csv"), (folder("a"), "data/a/text")] {
        for writes in [false, true] {
            let project = Project::new();
            let (_, stored) = project.published(&target, 1, "one");
            let in_place = Target { in_place: true, ..target.clone() };
            if writes {
                project.written(&in_place, 2, "half");
            } else {
                project.manager.stage(&in_place, &attempt(2)).unwrap();
            }
            let alive = |it: &AttemptId| *it == attempt(2);
            assert_eq!(sweep_leftovers(project.folder.path(), &path("data"), &alive).unwrap(), Swept::default());
            let swept = sweep_leftovers(project.folder.path(), &path("data"), &NOBODY).unwrap();
            assert_eq!(swept, Swept { removed: 1, restored: 1 });
            assert_eq!(project.read(at), "one");
            assert_eq!(project.manager.probe(&target, &stored).unwrap(), Probed::Same);
            assert_eq!(project.names("data").len(), 1);
        }
    }
}

#[test]
fn after_an_in_place_publication_nothing_is_put_back() {
    let project = Project::new();
    let target = Target { in_place: true, ..file("a.csv") };
    project.published(&target, 1, "one");
    project.published(&target, 2, "two");
    assert_eq!(sweep_leftovers(project.folder.path(), &path("data"), &NOBODY).unwrap(), Swept::default());
    assert_eq!(project.read("data/a.csv"), "two");
}

/// The moments inside one publication, as they look on disk: after the swap, and, where names cannot
/// be swapped, between the two renames and after them.
#[test]
fn a_crash_inside_a_publication_is_finished() {
    let start = ".assets-tmp-20261120-231502-4f2a-3-2-";
    for target in [file("a"), folder("a")] {
        for moment in ["swapped", "old moved away", "new moved in"] {
            let project = Project::new();
            project.published(&target, 1, "old");
            let staged = project.written(&target, 2, "new");
            let content = project.manager.inspect(&staged).unwrap();
            let rename = |from: &str, to: &str| {
                fs::rename(project.at(&format!("data/{from}")), project.at(&format!("data/{to}"))).unwrap();
            };
            rename("a", &format!("{start}was-a"));
            match moment {
                "swapped" => {
                    rename(&format!("{start}a"), "a");
                    rename(&format!("{start}was-a"), &format!("{start}a"));
                }
                "new moved in" => rename(&format!("{start}a"), "a"),
                _ => {}
            }
            let next = FsManager::new(project.at(""), path("data"));
            let recovered = next.recover(&target, &staged.token, &content).unwrap();
            let Recovered::Published(stored) = recovered else { panic!("{moment}: {recovered:?}") };
            assert_eq!(next.probe(&target, &stored).unwrap(), Probed::Same);
            assert_eq!(next.current(&target).unwrap(), Some(content), "{moment}");
            assert_eq!(project.names("data"), ["a"], "{moment}");
        }
    }
}

/// Between the two renames, and then the new content is lost as well: the old one comes back.
#[test]
fn the_old_content_is_never_the_last_to_go() {
    let project = Project::new();
    let (_, stored) = project.published(&folder("a"), 1, "old");
    let staged = project.written(&folder("a"), 2, "new");
    let content = project.manager.inspect(&staged).unwrap();
    fs::rename(project.at("data/a"), project.at("data/.assets-tmp-20261120-231502-4f2a-3-2-was-a")).unwrap();
    fs::remove_dir_all(&staged.path).unwrap();
    assert_eq!(project.manager.recover(&folder("a"), &staged.token, &content).unwrap(), Recovered::Lost);
    assert_eq!(project.manager.probe(&folder("a"), &stored).unwrap(), Probed::Same);
}

#[test]
fn a_reader_sees_the_old_or_the_new_but_whole() {
    let project = Project::new();
    for (name, target) in [("a.csv", file("a.csv")), ("b/text", folder("b"))] {
        let texts = ["old ".repeat(10_000), "new ".repeat(20_000)];
        project.published(&target, 0, &texts[0]);
        let done = AtomicBool::new(false);
        let seen = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while !done.load(Ordering::Relaxed) {
                    let text = project.read(&format!("data/{name}"));
                    assert!(texts.contains(&text), "a reader saw {} bytes", text.len());
                    seen += 1;
                }
                seen
            });
            for number in 1..200_u32 {
                project.published(&target, number, &texts[number as usize % 2]);
            }
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap()
        });
        assert!(seen > 0);
    }
}

#[test]
fn equal_content_keeps_the_old_file_and_its_times() {
    let project = Project::new();
    let (first, stored) = project.published(&file("a.csv"), 1, "one");
    let times = fs::metadata(project.at("data/a.csv")).unwrap().modified().unwrap();
    let staged = project.written(&file("a.csv"), 2, "one");
    assert_eq!(project.manager.inspect(&staged).unwrap(), first);
    project.manager.discard(&staged).unwrap();
    assert_eq!(fs::metadata(project.at("data/a.csv")).unwrap().modified().unwrap(), times);
    assert_eq!(project.manager.adopt(&file("a.csv"), &first.data_version).unwrap(), Some(stored));
}

#[test]
fn a_change_by_hand_is_seen() {
    let project = Project::new();
    let target = folder("a");
    let staged = project.written(&target, 1, "one");
    fs::create_dir(staged.path.join("sub")).unwrap();
    fs::write(staged.path.join("sub/run"), "x").unwrap();
    let content = project.manager.inspect(&staged).unwrap();
    let stored = project.manager.publish(&staged, &content).unwrap();
    let probe = || project.manager.probe(&target, &stored).unwrap();
    assert_eq!(probe(), Probed::Same);
    let edits: [(&str, &dyn Fn()); 4] = [
        ("a file was added", &|| fs::write(project.at("data/a/sub/new"), "").unwrap()),
        ("same size", &|| fs::write(project.at("data/a/text"), "two").unwrap()),
        ("a program", &|| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(project.at("data/a/sub/run"), mode).unwrap();
        }),
        ("a file became a folder", &|| {
            fs::remove_file(project.at("data/a/text")).unwrap();
            fs::create_dir(project.at("data/a/text")).unwrap();
        }),
    ];
    for (what, edit) in edits {
        edit();
        assert_eq!(probe(), Probed::Modified, "{what}");
        project.manager.delete(&target).unwrap();
        assert_eq!(probe(), Probed::Missing);
        let staged = project.written(&target, 9, "one");
        fs::create_dir(staged.path.join("sub")).unwrap();
        fs::write(staged.path.join("sub/run"), "x").unwrap();
        let again = project.manager.inspect(&staged).unwrap();
        project.manager.publish(&staged, &again).unwrap();
        assert_eq!(probe(), Probed::Same, "equal content was made again after: {what}");
    }
}
