//! Folders that may not be written, disks that are full, and things that are very large or deep.
//!
//! Tests that need another view of the machine run themselves again in a user namespace.

use std::process::Command;

use assets::exec::io::Probed;

use super::*;
use crate::support::needs_namespaces;

/// Runs the ignored test `name` of this program in a namespace, with `prepare` run by a shell first.
/// What is prepared is told to it as `IO_TEST_FOLDER`.
fn in_namespace(flags: &str, prepare: &str, name: &str, folder: &Path) {
    needs_namespaces();
    let script = format!("{prepare}\nexec \"$0\" --exact io::limits::{name} --ignored --nocapture");
    let output = Command::new("unshare")
        .args([flags, "sh", "-ec", &script])
        .arg(std::env::current_exe().unwrap())
        .env("IO_TEST_FOLDER", folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// The prepared folder; the tests that use it are run by others of this file.
fn prepared() -> (PathBuf, FsManager) {
    let folder = PathBuf::from(std::env::var_os("IO_TEST_FOLDER").expect("another test of this file runs this one"));
    let manager = FsManager::new(folder.clone(), path("data"));
    (folder, manager)
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("data/locked")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    fs::set_permissions(folder.path().join("data/locked"), mode).unwrap();
    // Without a mapping the namespace has no privileges over files, not even root's.
    in_namespace("-U", "", "locked_folder", folder.path());
}

#[test]
#[ignore = "run by a_folder_that_cannot_be_written_is_told_before_the_run"]
fn locked_folder() {
    let (_, manager) = prepared();
    for target in [file("locked/a"), file("locked/sub/a"), folder("locked/b")] {
        match manager.stage(&target, &attempt(1)) {
            Err(error @ IoError::Permission { .. }) => assert!(error.to_string().starts_with("data/locked")),
            other => panic!("{other:?}"),
        }
    }
    manager.stage(&file("open"), &attempt(2)).unwrap();
}

#[test]
fn a_read_only_file_system_is_told_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let prepare =
        "mount -t tmpfs t \"$IO_TEST_FOLDER\"; mkdir \"$IO_TEST_FOLDER/data\"; printf one >\"$IO_TEST_FOLDER/data/a\"
        mount -o remount,ro \"$IO_TEST_FOLDER\"";
    in_namespace("-Urm", prepare, "read_only", folder.path());
}

#[test]
#[ignore = "run by a_read_only_file_system_is_told_before_the_run"]
fn read_only() {
    let (_, manager) = prepared();
    for target in [file("a"), file("new/a")] {
        let error = manager.stage(&target, &attempt(1)).unwrap_err();
        assert!(matches!(error, IoError::Permission { .. }), "{error:?}");
    }
    // Looking needs no writing.
    let content = manager.current(&file("a")).unwrap().unwrap();
    let stored = manager.adopt(&file("a"), &content.data_version).unwrap().unwrap();
    assert_eq!(manager.probe(&file("a"), &stored).unwrap(), Probed::Same);
}

#[test]
fn a_full_disk_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    in_namespace("-Urm", "mount -t tmpfs -o size=1m,nr_inodes=40 t \"$IO_TEST_FOLDER\"", "full_disk", folder.path());
}

#[test]
#[ignore = "run by a_full_disk_harms_nothing"]
fn full_disk() {
    let (root, manager) = prepared();
    let target = file("a");
    let staged = manager.stage(&target, &attempt(1)).unwrap();
    fs::write(&staged.path, "one").unwrap();
    let content = manager.inspect(&staged).unwrap();
    let stored = manager.publish(&staged, &content).unwrap();
    // The computation runs into the end of the disk; what it leaves is taken back.
    let staged = manager.stage(&target, &attempt(2)).unwrap();
    assert!(fs::write(&staged.path, vec![1; 2 << 20]).is_err());
    manager.discard(&staged).unwrap();
    assert_eq!(manager.probe(&target, &stored).unwrap(), Probed::Same);
    // A folder that cannot be made for want of space says so, with what is left.
    let mut number = 0;
    while fs::write(root.join(format!("filler-{number}")), "").is_ok() {
        number += 1;
    }
    match manager.stage(&file("new/folder/a"), &attempt(3)) {
        Err(error @ IoError::NoSpace { .. }) => assert!(error.help().unwrap().contains("free some space")),
        other => panic!("{other:?}"),
    }
    assert_eq!(manager.probe(&target, &stored).unwrap(), Probed::Same);
    fs::remove_file(root.join("filler-0")).unwrap();
    let staged = manager.stage(&target, &attempt(4)).unwrap();
    fs::write(&staged.path, "two").unwrap();
    let content = manager.inspect(&staged).unwrap();
    manager.publish(&staged, &content).unwrap();
    assert_eq!(fs::read_to_string(root.join("data/a")).unwrap(), "two");
}

#[test]
fn trees_may_be_deep() {
    let project = Project::new();
    let staged = project.written(&folder("a"), 1, "one");
    let mut at = staged.path.clone();
    for _ in 0..300 {
        at.push("d");
    }
    fs::create_dir_all(&at).unwrap();
    fs::write(at.join("leaf"), "x").unwrap();
    let content = project.manager.inspect(&staged).unwrap();
    let stored = project.manager.publish(&staged, &content).unwrap();
    assert_eq!(project.manager.probe(&folder("a"), &stored).unwrap(), Probed::Same);
    project.published(&folder("a"), 2, "two");
    assert_eq!(project.names("data"), ["a"]);
}

#[test]
fn read_only_folders_in_an_output_do_not_stay_for_ever() {
    let project = Project::new();
    let staged = project.written(&folder("a"), 1, "one");
    let closed = staged.path.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("text"), "x").unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    let content = project.manager.inspect(&staged).unwrap();
    project.manager.publish(&staged, &content).unwrap();
    project.manager.delete(&folder("a")).unwrap();
    assert_eq!(project.names("data"), Vec::<String>::new());
}

/// Takes seconds, so it runs where it is asked for: `cargo test -- --ignored huge`.
#[test]
#[ignore = "reads 5 GiB"]
fn huge_files_are_streamed() {
    let project = Project::new();
    let staged = project.manager.stage(&file("a"), &attempt(1)).unwrap();
    fs::File::create(&staged.path).unwrap().set_len(5 << 30).unwrap();
    let content = project.manager.inspect(&staged).unwrap();
    assert_eq!(content.bytes, Some(5 << 30));
    let peak = fs::read_to_string("/proc/self/status").unwrap();
    let peak = peak.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    assert!(peak.parse::<u64>().unwrap() < 256 << 10, "peak memory {peak} kB");
    project.manager.publish(&staged, &content).unwrap();
}
