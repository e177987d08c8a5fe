//! What is forced to the disk, and when: seen from outside, call by call.

use std::process::Command;

use crate::support::{Project, binary, needs_strace};

/// A file, and a folder that depends on it, in folders of their own.
const MANIFEST: &str = r#"
[asset.file]
command = "echo 1 > {{ output }}"
path = "new/file"
[asset.folder]
command = "mkdir -p {{ output }}/in && cp {{ inputs.file }} {{ output }}/in/copy"
deps = ["file"]
path = "other/folder/"
"#;

/// The calls of a run that sync or rename; each once, when it began, with the paths of what is open.
fn calls(durability: &str) -> Vec<String> {
    needs_strace();
    let project = Project::new();
    let head = format!("[project]\nname = \"p\"\ndurability = \"{durability}\"\n");
    project.write("assets.toml", head + MANIFEST);
    let trace = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-e", "trace=fsync,fdatasync,syncfs,sync,msync,sync_file_range,/rename", "-o"]);
    command.arg(trace.path()).arg(binary()).arg("materialize");
    let sealed = project.command(&[]);
    command.current_dir(project.root()).env_clear().envs(sealed.get_envs().filter_map(|it| Some((it.0, it.1?))));
    project.start_command(command).finish().succeeded();
    let text = std::fs::read_to_string(trace.path()).unwrap();
    text.lines().filter(|it| !it.contains(" resumed>")).map(str::to_owned).collect()
}

fn is_sync(call: &str) -> bool {
    call.contains("sync")
}

/// The first call from `start` on that fits, and what follows it.
fn after(calls: &[String], start: usize, what: &str, fits: impl Fn(&str) -> bool) -> usize {
    let found = calls[start..].iter().position(|it| fits(it));
    start + 1 + found.unwrap_or_else(|| panic!("{what} comes too late, or never:\n{}", calls.join("\n")))
}

#[test]
fn strict_is_on_the_disk_before_it_counts() {
    let calls = calls("strict");
    let sync_of = |end: &'static str| move |it: &str| it.contains("fsync(") && it.contains(&format!("{end}>"));
    let published = |name: &'static str| move |it: &str| it.contains("rename") && it.contains(&format!("\"{name}\""));
    let recorded = |it: &str| is_sync(it) && it.contains("state.db-wal>");
    // Content, then the rename, then the names that lead to it, then the record; only then the next step.
    let mut at = after(&calls, 0, "the sync of the staged file", |it| it.contains("fsync(") && it.contains("/new/"));
    assert!(calls[at - 1].contains("/new/.assets-tmp-"), "{}", calls[at - 1]);
    at = after(&calls, at, "publishing the file", published("file"));
    at = after(&calls, at, "the sync of its folder", sync_of("/new"));
    at = after(&calls, at, "its record", recorded);
    at = after(&calls, at, "the sync of what is in the folder", sync_of("/in/copy"));
    at = after(&calls, at, "the sync of the names in it", sync_of("/in"));
    at = after(&calls, at, "publishing the folder", published("folder"));
    at = after(&calls, at, "the sync of the folder above it", sync_of("/other"));
    at = after(&calls, at, "its record", recorded);
    assert!(at < calls.len(), "the run is sealed at its end");
}

#[test]
fn an_epoch_is_on_the_disk_when_it_ends() {
    let calls = calls("epoch");
    let published = calls.iter().rposition(|it| it.contains("rename") && it.contains("\"folder\"")).unwrap();
    // The database is made before anything else, once.
    let early = |it: &&String| is_sync(it) && !it.contains("/.assets/") && !it.contains("/.assets>");
    assert_eq!(calls[..published].iter().filter(early).collect::<Vec<_>>(), [""; 0], "synced before the end");
    let systems = calls[published..].iter().filter(|it| it.contains("syncfs(")).count();
    assert_eq!(systems, 1, "one sync for one file system:\n{}", calls.join("\n"));
    after(&calls, published, "the record of all that", |it| is_sync(it) && it.contains("/.assets/"));
}

#[test]
fn off_never_syncs() {
    let calls = calls("off");
    assert!(calls.iter().any(|it| it.contains("rename") && it.contains("\"folder\"")), "it was traced");
    assert_eq!(calls.iter().filter(|it| is_sync(it)).collect::<Vec<_>>(), [""; 0]);
}
