//! The house's own rules, checked: imports point down, files stay small, every module says what it is for.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// From the ground up.
const LAYERS: [&str; 5] = ["base", "model", "plan", "exec", "face"];

/// Ways to write an import that would hide which layer is meant.
const VEILED: [&str; 3] = ["crate::{", "crate::*", "super::super::"];

const LINES_MAX: usize = 800;

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Lines of `text` that name a layer above `layer`, or hide which one they name.
fn upward(layer: &str, text: &str) -> Vec<String> {
    let rank = LAYERS.iter().position(|it| *it == layer).unwrap();
    let mut wrong = Vec::new();
    let mut inside_use = false;
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap();
        // `use crate::{ ... }` over several lines is allowed: its inner lines name their layer.
        let grouped =
            code.trim_start().starts_with("use crate::{") || code.trim_start().starts_with("pub use crate::{");
        inside_use |= grouped;
        let names_above = LAYERS[rank + 1..].iter().any(|it| {
            code.contains(&format!("crate::{it}::"))
                || inside_use
                    && (code.trim_start().starts_with(&format!("{it}::"))
                        || code.contains(&format!("{{{it}::"))
                        || code.contains(&format!(" {it}::")))
        });
        let veiled = VEILED.iter().any(|it| code.contains(it)) && !grouped;
        if names_above || veiled {
            wrong.push(format!("{}: {}", index + 1, line.trim()));
        }
        if inside_use && code.contains(';') {
            inside_use = false;
        }
    }
    wrong
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for layer in LAYERS {
        for file in rust_files(&src().join(layer)) {
            let place = file.strip_prefix(src()).unwrap().display().to_string();
            let text = fs::read_to_string(&file).unwrap();
            wrong.extend(upward(layer, &text).into_iter().map(|it| format!("src/{place}:{it}")));
        }
    }
    assert!(wrong.is_empty(), "imports that point up or hide their layer:\n{}", wrong.join("\n"));
}

#[test]
fn the_layer_check_can_fail() {
    assert_eq!(upward("model", "use crate::plan::hash;").len(), 1);
    assert_eq!(upward("model", "use crate::{\n    base::id,\n    exec::io,\n};").len(), 1);
    assert_eq!(upward("model", "use crate::{base::id, face::ui};").len(), 1);
    assert_eq!(upward("plan", "use crate::*;").len(), 1);
    assert_eq!(upward("plan", "use crate::{\n    base::id,\n    model::key,\n};\nlet plan = exec::x;").len(), 0);
    assert_eq!(upward("face", "use crate::exec::io; // crate::face::ui").len(), 0);
}

#[test]
fn files_stay_small_and_say_what_they_are_for() {
    let mut wrong = Vec::new();
    for file in rust_files(&src()) {
        let text = fs::read_to_string(&file).unwrap();
        let place = file.strip_prefix(src()).unwrap().display().to_string();
        if text.lines().count() > LINES_MAX {
            wrong.push(format!("src/{place}: {} lines, at most {LINES_MAX}", text.lines().count()));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("src/{place}: does not begin with what it is for (`//!`)"));
        }
        let stem = file.file_stem().unwrap().to_str().unwrap();
        if ["util", "utils", "common", "helpers", "misc", "imp", "types"].contains(&stem) {
            wrong.push(format!("src/{place}: `{stem}` names nothing"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
