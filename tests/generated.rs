//! What is generated from the command line's own description and kept in the tree, compared with what it would be
//! now: manual pages and completion scripts. `UPDATE=1` writes them anew.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

fn assets(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_assets")).args(arguments).env_clear().output().unwrap();
    assert!(output.status.success(), "assets {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    entries.map(|it| it.unwrap()).map(|it| (it.file_name().into_string().unwrap(), text(&it.path()))).collect()
}

#[track_caller]
fn compare(folder: &str, made: &BTreeMap<String, String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    if std::env::var_os("UPDATE").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in made {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let kept = files(&folder);
    let names = |them: &BTreeMap<String, String>| them.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&kept), names(made), "{} is not current: run with UPDATE=1", folder.display());
    for (name, text) in made {
        assert!(kept[name] == *text, "{}/{name} is not current: run with UPDATE=1", folder.display());
    }
}

#[test]
fn manual_pages_are_current() {
    let folder = tempfile::tempdir().unwrap();
    assets(&["man", folder.path().to_str().unwrap()]);
    let made = files(folder.path());
    assert!(made.len() > 20, "a page for each command: {:?}", made.keys());
    compare("docs/man", &made);
}

#[test]
fn completion_scripts_are_current() {
    let shells = ["bash", "zsh", "fish", "elvish", "powershell"];
    let made = shells.map(|it| (format!("assets.{it}"), String::from_utf8(assets(&["completions", it])).unwrap()));
    // A script must call the program by its name, not by where it was when it was asked.
    for (name, text) in &made {
        assert!(!text.contains(env!("CARGO_BIN_EXE_assets")), "{name} names a path of this machine");
    }
    compare("docs/completions", &made.into());
}
