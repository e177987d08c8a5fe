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

#[test]
fn only_folders_that_changed_are_listed_again() {
    let place = place(&["d/a/1", "d/b/1", "d/c/1"]);
    let set = set("", &["d/**"]);
    let first = place.sweep.expand(&set).unwrap();
    // Once nothing is racy any more, the very listing is handed out again.
    let settled = place.sweep.expand(&set).unwrap();
    assert_eq!(first.files(), settled.files());
    assert!(settled.folders().all(|it| !it.2));
    assert!(std::sync::Arc::ptr_eq(&settled, &place.sweep.expand(&set).unwrap()));
    // Only a folder that is listed again could lose a name that was never there.
    let mut planted = (*settled).clone();
    let b = planted.visited.iter_mut().find(|it| *it.path == *b"d/b").unwrap();
    b.names = b"f1\0fplanted\0".as_slice().into();
    fs::write(place.folder.path().join("d/a/2"), "").unwrap();
    let rules_world = World::open(place.folder.path()).unwrap();
    let again = expand(&rules_world, &set, Some(&planted)).unwrap();
    let files: Vec<_> = again.files().iter().map(ToString::to_string).collect();
    assert_eq!(files, ["d/a/1", "d/a/2", "d/b/1", "d/b/planted", "d/c/1"]);
}

#[test]
fn a_listing_sees_what_comes_and_goes() {
    let place = place(&["d/a/1"]);
    let root = place.folder.path();
    for round in 0..50 {
        fs::create_dir_all(root.join("d/new/deep")).unwrap();
        fs::write(root.join("d/new/deep/x"), "").unwrap();
        assert_eq!(place.files(&["d/**"]), ["d/a/1", "d/new/deep/x"], "round {round}");
        fs::rename(root.join("d/new/deep/x"), root.join("d/new/y")).unwrap();
        assert_eq!(place.files(&["d/**"]), ["d/a/1", "d/new/y"], "round {round}");
        fs::remove_dir_all(root.join("d/new")).unwrap();
        assert_eq!(place.files(&["d/**"]), ["d/a/1"], "round {round}");
        fs::rename(root.join("d/a"), root.join("b")).unwrap();
        symlink("../b", root.join("d/a")).unwrap();
        assert_eq!(place.files(&["d/**"]), ["d/a"], "round {round}");
        fs::remove_file(root.join("d/a")).unwrap();
        fs::rename(root.join("b"), root.join("d/a")).unwrap();
    }
}

#[test]
fn a_name_that_was_not_there_is_seen_when_it_comes() {
    let place = place(&["raw/1/orders.csv", "raw/2/other.csv", "raw/3"]);
    let root = place.folder.path();
    let all = || place.files(&["raw/*/orders.csv"]);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(all(), ["raw/1/orders.csv"]);
    assert_eq!(all(), ["raw/1/orders.csv"]);
    fs::write(root.join("raw/2/orders.csv"), "").unwrap();
    assert_eq!(all(), ["raw/1/orders.csv", "raw/2/orders.csv"]);
    fs::remove_file(root.join("raw/3")).unwrap();
    fs::create_dir(root.join("raw/3")).unwrap();
    assert_eq!(all(), ["raw/1/orders.csv", "raw/2/orders.csv"]);
    fs::create_dir(root.join("raw/3/orders.csv")).unwrap();
    assert_eq!(all(), ["raw/1/orders.csv", "raw/2/orders.csv"]);
    fs::remove_dir(root.join("raw/3/orders.csv")).unwrap();
    fs::write(root.join("raw/3/orders.csv"), "").unwrap();
    assert_eq!(all(), ["raw/1/orders.csv", "raw/2/orders.csv", "raw/3/orders.csv"]);
}

#[test]
fn names_that_are_no_text_are_found() {
    use std::os::unix::ffi::OsStrExt;
    let place = place(&["a.csv"]);
    fs::write(place.folder.path().join(OsStr::from_bytes(b"\xff.csv")), "").unwrap();
    assert_eq!(place.files(&["*.csv"]), ["a.csv", r"\xff.csv"]);
    assert_eq!(place.files(&["?.csv"]), ["a.csv", r"\xff.csv"]);
}

/// The rules once more, for whole paths, as simply as they can be said.
mod plain {
    pub(super) fn name(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|it| name(rest, &text[it..])),
            ([b'?', rest @ ..], [_, text @ ..]) => name(rest, text),
            ([b'[', b'!', one, two, b']', rest @ ..], [it, text @ ..]) => it != one && it != two && name(rest, text),
            ([b'[', one, two, b']', rest @ ..], [it, text @ ..]) => (it == one || it == two) && name(rest, text),
            ([one, rest @ ..], [it, text @ ..]) => one == it && name(rest, text),
            _ => false,
        }
    }

    fn path(pattern: &[&str], text: &[&str]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (["**"], _) => !text.is_empty(),
            (["**", rest @ ..], _) => (0..=text.len()).any(|it| path(rest, &text[it..])),
            ([one, rest @ ..], [it, text @ ..]) => name(one.as_bytes(), it.as_bytes()) && path(rest, text),
            _ => false,
        }
    }

    /// Whether `pattern`, without its `!`, matches the file or a folder that it is in.
    pub(super) fn matches(pattern: &str, takes_away: bool, file: &str) -> bool {
        let inner = pattern.trim_end_matches('/');
        let folders_only = inner.len() < pattern.len();
        let magic = inner.contains(['*', '?', '[']);
        let mut parts: Vec<&str> = inner.split('/').collect();
        if takes_away && parts.len() == 1 && inner != "**" {
            parts.insert(0, "**");
        }
        let names: Vec<&str> = file.split('/').collect();
        let whole = folders_only || takes_away || !magic;
        (!folders_only && path(&parts, &names)) || (whole && (1..names.len()).any(|it| path(&parts, &names[..it])))
    }

    pub(super) fn meant(patterns: &[String], file: &str) -> bool {
        let last = patterns.iter().rev().find(|it| match it.strip_prefix('!') {
            Some(pattern) => matches(pattern, true, file),
            None => matches(it, false, file),
        });
        last.is_some_and(|it| !it.starts_with('!'))
    }
}

fn a_path() -> impl proptest::strategy::Strategy<Value = String> {
    let name = proptest::sample::select(vec!["a", "b", "ab", "a.b", "c"]);
    proptest::strategy::Strategy::prop_map(proptest::collection::vec(name, 1..4), |it| it.join("/"))
}

fn a_pattern() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let part =
        proptest::sample::select(vec!["a", "b", "ab", "*", "?", "a*", "*b", "*.*", "[ab]", "[!ac]*", "**", "**", "c"]);
    (proptest::bool::weighted(0.3), proptest::collection::vec(part, 1..4), proptest::bool::weighted(0.2)).prop_map(
        |(takes_away, parts, slash)| {
            format!("{}{}{}", if takes_away { "!" } else { "" }, parts.join("/"), if slash { "/" } else { "" })
        },
    )
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(150))]

    #[test]
    fn the_walk_finds_what_the_rules_say(
        paths in proptest::collection::vec(a_path(), 1..12),
        patterns in proptest::collection::vec(a_pattern(), 1..5),
        later in proptest::collection::vec(a_path(), 0..3),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Sweep::new(folder.path(), FileCache::default()).unwrap();
        let texts: Vec<&str> = patterns.iter().map(String::as_str).collect();
        // Twice: what is remembered of the first time must not show in the second.
        for paths in [paths, later] {
            for path in paths {
                let path = folder.path().join(path);
                if fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.is_dir() {
                    fs::write(path, "").unwrap();
                }
            }
            let there = walkdir::WalkDir::new(folder.path()).into_iter().map(Result::unwrap).filter(|it| it.file_type().is_file());
            let mut meant: Vec<String> = there
                .map(|it| it.path().strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned())
                .filter(|it| plain::meant(&patterns, it))
                .collect();
            meant.sort();
            match sweep.expand(&set("", &texts)) {
                Ok(listing) => {
                    let found: Vec<_> = listing.files().iter().map(ToString::to_string).collect();
                    proptest::prop_assert_eq!(found, meant);
                }
                Err(errors) => for error in errors {
                    let GlobError::NoMatch { pattern, .. } = error else { panic!("{error}") };
                    let without = meant.iter().filter(|it| plain::matches(&patterns[pattern], false, it)).count();
                    proptest::prop_assert_eq!(without, 0);
                }
            }
        }
    }
}
