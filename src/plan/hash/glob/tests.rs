//! What patterns mean.

#![expect(clippy::disallowed_methods, reason = "tests set up the world from outside")]

use std::{fs, os::unix::fs::symlink};

use super::*;
use crate::{
    model::project::Pattern,
    plan::hash::{FileCache, Sweep},
};

struct Place {
    folder: tempfile::TempDir,
    sweep: Sweep,
}

fn place(files: &[&str]) -> Place {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    let sweep = Sweep::new(folder.path(), FileCache::default()).unwrap();
    Place { folder, sweep }
}

fn set(folder: &str, patterns: &[&str]) -> FileSet {
    let folder = ProjectPath::resolve(&ProjectPath::root(), folder).unwrap();
    let patterns = patterns.iter().map(|it| Pattern { text: (*it).to_owned(), place: None }).collect();
    FileSet { folder, patterns }
}

impl Place {
    fn files(&self, patterns: &[&str]) -> Vec<String> {
        self.files_from("", patterns)
    }

    fn files_from(&self, folder: &str, patterns: &[&str]) -> Vec<String> {
        let listing = self.sweep.expand(&set(folder, patterns)).unwrap();
        assert_eq!(listing.len(), listing.files().len());
        listing.files().iter().map(ToString::to_string).collect()
    }

    fn errors(&self, patterns: &[&str]) -> Vec<GlobError> {
        self.sweep.expand(&set("", patterns)).unwrap_err()
    }
}

#[test]
fn patterns_mean_files() {
    let place = place(&[
        "a.csv",
        "b.csv",
        "c.txt",
        "raw/a.csv",
        "raw/deep/er/b.csv",
        "raw.csv",
        ".git/x.csv",
        "x/.assets-tmp-1-b.csv",
        "x/y",
    ]);
    assert_eq!(place.files(&["*.csv"]), ["a.csv", "b.csv", "raw.csv"]);
    assert_eq!(place.files(&["**/*.csv"]), ["a.csv", "b.csv", "raw.csv", "raw/a.csv", "raw/deep/er/b.csv"]);
    assert_eq!(place.files(&["raw/*"]), ["raw/a.csv"]);
    assert_eq!(place.files(&["raw/**"]), ["raw/a.csv", "raw/deep/er/b.csv"]);
    assert_eq!(place.files(&["raw/*/"]), ["raw/deep/er/b.csv"]);
    assert_eq!(place.files(&["raw", "c.txt"]), ["c.txt", "raw/a.csv", "raw/deep/er/b.csv"]);
    assert_eq!(place.files(&["raw/"]), place.files(&["./raw/."]));
    assert_eq!(place.files(&["?.[ct][!x]?"]), ["a.csv", "b.csv"]);
    assert_eq!(place.files(&["x/**"]), ["x/y"]);
    assert_eq!(place.files_from("raw/deep", &["../*.csv", "er/"]), ["raw/a.csv", "raw/deep/er/b.csv"]);
    assert_eq!(place.files(&[]), Vec::<String>::new());
}

#[test]
fn the_last_pattern_wins() {
    let place = place(&["d/a.csv", "d/b.csv", "d/tmp/c.csv", "d/tmp/keep/e.csv", "d/f.tmp"]);
    assert_eq!(place.files(&["d/**", "!*.tmp", "!tmp/"]), ["d/a.csv", "d/b.csv"]);
    assert_eq!(place.files(&["d/**", "!d/tmp", "d/tmp/keep/"]), ["d/a.csv", "d/b.csv", "d/f.tmp", "d/tmp/keep/e.csv"]);
    assert_eq!(place.files(&["!a.csv", "d/*.csv"]), ["d/a.csv", "d/b.csv"]);
    assert_eq!(place.files(&["d/*.csv", "!d/a.csv"]), ["d/b.csv"]);
    assert_eq!(place.files(&["d/*.csv", "!a.csv"]), ["d/b.csv"]);
    assert_eq!(place.files(&["d/*.csv", "!./a.csv"]), ["d/a.csv", "d/b.csv"]);
}

#[test]
fn magic_can_be_taken_away() {
    let place = place(&["a*b", "axb", "{a,b}", "[x]", "!bang"]);
    assert_eq!(place.files(&[r"a\*b"]), ["a*b"]);
    assert_eq!(place.files(&["{a,b}"]), ["{a,b}"]);
    assert_eq!(place.files(&["{a,*"]), ["{a,b}"]);
    assert_eq!(place.files(&[r"\[x]"]), ["[x]"]);
    assert_eq!(place.files(&[r"\!bang"]), ["!bang"]);
}

#[test]
fn a_pattern_that_means_nothing_is_an_error() {
    let place = place(&["data/orders.csv", "data/empty/.git/x"]);
    let none = |pattern, nearest: Option<&str>| GlobError::NoMatch { pattern, nearest: nearest.map(str::to_owned) };
    assert_eq!(place.errors(&["data/order.csv"]), [none(0, Some("data/orders.csv"))]);
    assert_eq!(place.errors(&["dta/*.csv", "data/*.csv", "x/y"]), [none(0, Some("data")), none(2, None)]);
    assert_eq!(place.errors(&["data/*.csv", "!orders.csv"]), [none(0, None)]);
    assert_eq!(place.errors(&["data/orders.csv/"]), [none(0, None)]);
    assert_eq!(place.errors(&[".git/config"]), [none(0, None)]);
    assert!(place.files(&["data/empty"]).is_empty());
    let bad = |pattern: &str| matches!(place.errors(&[pattern])[..], [GlobError::Bad { pattern: 0, .. }]);
    for pattern in ["", "!", "/etc/passwd", "/", "../x", "a/../b", "[a", "a\\", "*/../x"] {
        assert!(bad(pattern), "{pattern:?}");
    }
    assert!(bad(&"a/".repeat(100)));
}

#[test]
fn files_that_are_named_one_by_one_need_no_look() {
    let named = |patterns: &[&str]| {
        named_files(&set("d", patterns)).map(|it| it.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(named(&["a", "../b", r"c\*"]), Some(vec!["d/a".to_owned(), "b".to_owned(), "d/c*".to_owned()]));
    for other in ["a*", "a/", "!a", "../../b", ".git/x"] {
        assert_eq!(named(&["a", other]), None);
    }
}

#[test]
fn linked_folders_are_walked_into_only_by_name() {
    let place = place(&["real/a.csv", "real/sub/b.csv", "d/c.csv"]);
    symlink("../real", place.folder.path().join("d/link")).unwrap();
    symlink("..", place.folder.path().join("d/up")).unwrap();
    assert_eq!(place.files(&["d/link/*.csv"]), ["d/link/a.csv"]);
    assert_eq!(place.files(&["d/**"]), ["d/c.csv", "d/link", "d/up"]);
    assert_eq!(place.files(&["d/link"]), ["d/link/a.csv", "d/link/sub/b.csv"]);
    assert_eq!(place.files(&["d/**/*.csv"]), ["d/c.csv"]);
    // Listed again from what is remembered, the same comes out.
    fs::write(place.folder.path().join("d/e.csv"), "").unwrap();
    assert_eq!(place.files(&["d/link/*.csv"]), ["d/link/a.csv"]);
    assert_eq!(place.files(&["d/**"]), ["d/c.csv", "d/e.csv", "d/link", "d/up"]);
}
