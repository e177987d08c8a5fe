//! What the index answers, and what it must not answer.

use super::*;
use crate::{
    base::fs,
    plan::hash::{FileCache, FileKind},
};

fn path(text: &str) -> ProjectPath {
    ProjectPath::resolve(&ProjectPath::root(), text).unwrap()
}

/// A folder with files, what they look like from outside, and an index of steps over them.
struct Setting {
    folder: tempfile::TempDir,
    sweep: Sweep,
}

impl Setting {
    fn new(files: &[&str]) -> Setting {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            fs::write_atomic(&folder.path().join(name), name.as_bytes()).unwrap();
        }
        let sweep = Sweep::new(folder.path(), FileCache::default()).unwrap();
        Setting { folder, sweep }
    }

    fn signed(&self, name: &str) -> (ProjectPath, Signature) {
        let Seen::Found(signature) = self.sweep.signatures(1, |_| name.as_bytes(), Links::Keep)[0] else {
            panic!("{name} is there")
        };
        assert_eq!(signature.kind, FileKind::File);
        (path(name), signature)
    }

    fn file(&self, name: &str, part: Option<PartKind>) -> GroundFile<'static> {
        let (path, signature) = self.signed(name);
        let file = TrackedFile { path, signature, digest: Digest::of(name.as_bytes()), racy: false };
        GroundFile { file: Box::leak(Box::new(file)), part }
    }

    fn step(&self, key: &str, upstream: &[u32], inputs: &[&str]) -> GroundStep<'static> {
        let files = GroundFiles {
            followed: inputs.iter().map(|it| self.file(it, None)).collect(),
            kept: vec![self.file(&format!("{key}.out"), None)],
        };
        GroundStep { keys: vec![key.to_owned()], upstream: upstream.to_vec(), files: Some(files) }
    }

    /// `a` and `b` are read by `c`; `d` stands alone, and makes `e` too.
    fn ground(&self) -> Ground<'static> {
        let mut together = self.step("d", &[], &["in2"]);
        together.keys.push("e".to_owned());
        Ground {
            question: Some(Digest([3; 32])),
            env: vec!["STAGE".to_owned()],
            boot: "b".to_owned(),
            generation: 9,
            asks: false,
            valid_until_ns: Some(-5),
            manifests: vec![self.signed("manifest")],
            absent: vec![path("assets.local.toml")],
            steps: vec![
                self.step("a", &[], &["in1"]),
                self.step("b", &[], &["in1", "in2"]),
                self.step("c", &[0, 1], &[]),
                together,
            ],
        }
    }

    fn open(&self, bytes: &[u8]) -> Option<StatusIndex> {
        let place = self.folder.path().join("status.idx");
        fs::write_atomic(&place, bytes).unwrap();
        StatusIndex::open(fs::open(&place).unwrap())
    }

    fn edit(&self, name: &str) {
        fs::write_atomic(&self.folder.path().join(name), b"edited").unwrap();
    }
}

fn all_fresh(index: &mut StatusIndex, sweep: &Sweep) -> Option<usize> {
    let looked = index.look(sweep)?;
    index.all_fresh(&looked)
}

fn after(index: &mut StatusIndex, sweep: &Sweep) -> Option<Vec<Still>> {
    let looked = index.look(sweep)?;
    index.after(&looked)
}

fn still_fresh(index: &mut StatusIndex, sweep: &Sweep) -> Option<Vec<bool>> {
    Some(after(index, sweep)?.iter().map(|it| *it == Still::Fresh).collect())
}

fn setting() -> Setting {
    Setting::new(&["manifest", "in1", "in2", "a.out", "b.out", "c.out", "d.out"])
}

#[test]
fn what_is_written_is_read_back() {
    let setting = setting();
    let mut read = setting.open(&setting.ground().encode()).unwrap();
    assert_eq!((read.question, read.generation, read.asks, read.valid_until_ns), (Digest([3; 32]), 9, false, -5));
    assert_eq!((&*read.boot, &*read.env), (&b"b"[..], &["STAGE".to_owned()][..]));
    assert_eq!(all_fresh(&mut read, &setting.sweep), Some(5));
    assert_eq!(read.fresh_steps(&["c"], &setting.sweep), Some(vec![2]));
    assert_eq!(read.fresh_steps(&["a", "e"], &setting.sweep), Some(vec![0, 3]));
    assert_eq!(read.made_by(&[0, 3]), Some(3));
    assert_eq!(read.fresh_steps(&["in1"], &setting.sweep), None, "no asset of that name");
}

/// What was edited, and which of `a` to `d` is no longer known to be fresh for it.
#[test]
fn an_edit_takes_away_what_rests_on_it_and_nothing_else() {
    for (edited, gone) in [
        ("in1", &["a", "b", "c"][..]),
        ("in2", &["b", "c", "d"]),
        ("a.out", &["a", "c"]),
        ("c.out", &["c"]),
        ("manifest", &["a", "b", "c", "d"]),
        ("assets.local.toml", &["a", "b", "c", "d"]),
    ] {
        let setting = setting();
        let bytes = setting.ground().encode();
        setting.edit(edited);
        let mut index = setting.open(&bytes).unwrap();
        assert_eq!(all_fresh(&mut index, &setting.sweep), None, "{edited}");
        for key in ["a", "b", "c", "d"] {
            let known = index.fresh_steps(&[key], &setting.sweep).is_some();
            assert_eq!(known, !gone.contains(&key), "{key} after an edit of {edited}");
        }
        let known = still_fresh(&mut index, &setting.sweep).unwrap_or_else(|| vec![false; 4]);
        assert_eq!(known, ["a", "b", "c", "d"].map(|it| !gone.contains(&it)), "after an edit of {edited}");
    }
}

#[test]
fn what_is_not_fresh_says_nothing_of_what_is_downstream() {
    let setting = setting();
    let mut ground = setting.ground();
    ground.steps[1].files = None;
    let mut index = setting.open(&ground.encode()).unwrap();
    assert_eq!(all_fresh(&mut index, &setting.sweep), None);
    for (key, known) in [("a", true), ("b", false), ("c", false), ("d", true)] {
        assert_eq!(index.fresh_steps(&[key], &setting.sweep).is_some(), known, "{key}");
    }
    assert_eq!(still_fresh(&mut index, &setting.sweep), Some(vec![true, false, false, true]));
}

/// `a` reads `in1` as a source and `in2` as code; `b` reads both the other way round, and `c` reads it.
#[test]
fn what_has_moved_is_told_as_the_part_that_it_was() {
    let edited = |names: &[&str]| {
        let setting = setting();
        let reads = |key: &str, code: &str, source: &str| {
            let mut step = setting.step(key, &[], &["d.out"]);
            let followed = &mut step.files.as_mut().unwrap().followed;
            followed.push(setting.file(code, Some(PartKind::Code)));
            followed.push(setting.file(source, Some(PartKind::SourceFile)));
            step
        };
        let steps = vec![reads("a", "in2", "in1"), reads("b", "in1", "in2"), setting.step("c", &[1], &[])];
        let bytes = Ground { steps, ..setting.ground() }.encode();
        names.iter().for_each(|it| setting.edit(it));
        after(&mut setting.open(&bytes).unwrap(), &setting.sweep).unwrap()
    };
    let part = |kind, name: &str| Part::new(kind, name, PartValue::Digest(Digest::of(name.as_bytes())));
    let (code, source) = (PartKind::Code, PartKind::SourceFile);
    let (unknown, but) = (Still::Unknown, Still::But);
    assert_eq!(edited(&[]), [Still::Fresh, Still::Fresh, Still::Fresh]);
    assert_eq!(edited(&["in1"]), [but(vec![part(source, "in1")]), but(vec![part(code, "in1")]), unknown.clone()]);
    assert_eq!(
        edited(&["in2", "in1", "b.out"]),
        [but(vec![part(code, "in2"), part(source, "in1")]), unknown.clone(), unknown.clone()]
    );
    assert_eq!(edited(&["in1", "d.out"]), [unknown.clone(), unknown.clone(), unknown.clone()], "no part of its own");
}

/// Two steps saw one file as two things: it was changing, and neither is known to be fresh.
#[test]
fn what_was_changing_while_it_was_looked_at_is_known_of_nothing() {
    let setting = setting();
    let mut ground = setting.ground();
    let mut other = setting.file("in1", None).file.clone();
    other.signature.mtime_ns += 1;
    ground.steps[1].files.as_mut().unwrap().followed[0].file = Box::leak(Box::new(other));
    let mut index = setting.open(&ground.encode()).unwrap();
    assert_eq!(still_fresh(&mut index, &setting.sweep), Some(vec![false, false, false, true]));
}

#[test]
fn it_is_of_one_state_of_one_manifest() {
    let setting = setting();
    let ground = setting.ground();
    let index = setting.open(&ground.encode()).unwrap();
    assert!(index.is_of(&ground));
    let other = Ground { absent: Vec::new(), ..ground.clone() };
    assert!(!index.is_of(&other));
    setting.edit("manifest");
    assert!(!index.is_of(&Ground { manifests: vec![setting.signed("manifest")], ..ground }));
}

#[test]
fn no_damage_is_an_answer() {
    let setting = setting();
    let bytes = setting.ground().encode();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        for bytes in [&damaged[..], &bytes[..at]] {
            let answers = setting.open(bytes).and_then(|mut it| all_fresh(&mut it, &setting.sweep));
            assert_eq!(answers, None, "byte {at}");
            let answers = setting.open(bytes).and_then(|mut it| it.fresh_steps(&["c"], &setting.sweep));
            assert_eq!(answers, None, "byte {at}");
        }
    }
}

/// Only the pages of what is asked for are read: a hole elsewhere is not seen, and is none in the answer.
#[test]
fn a_part_costs_a_part() {
    let names: Vec<String> = (0..3000).flat_map(|it| [format!("in{it}"), format!("n{it}.out")]).collect();
    let setting = Setting::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let steps = (0..3000).map(|it| setting.step(&format!("n{it}"), &[], &[&format!("in{it}")])).collect();
    let mut bytes = Ground { steps, ..Ground::default() }.encode();
    let len = bytes.len();
    bytes[len - 100_000] ^= 1;
    let mut index = setting.open(&bytes).unwrap();
    let known = (0..3000).filter(|it| index.fresh_steps(&[&format!("n{it}")], &setting.sweep).is_some()).count();
    assert!((1..3000).contains(&known), "{known}");
    assert_eq!(all_fresh(&mut setting.open(&bytes).unwrap(), &setting.sweep), None);
}
