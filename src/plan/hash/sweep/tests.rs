//! What a sweep must never miss, and what it must not read again.

#![expect(clippy::disallowed_methods, reason = "tests set up the world from outside")]

use std::{
    fs,
    io::Write,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::*;
use crate::base::digest::Digest;

pub(super) struct Place {
    folder: tempfile::TempDir,
    pub(super) sweep: Sweep,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Sweep::new(folder.path(), FileCache::default()).unwrap();
        Place { folder, sweep }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> ProjectPath {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
        ppath(path)
    }

    fn look(&self, path: &str) -> FileFact {
        self.sweep.look_at(&ppath(path))
    }

    /// What is remembered of a file.
    fn cached(&self, path: &str) -> Option<Entry> {
        self.sweep.read_cache().reader().get(path.as_bytes())
    }
}

fn ppath(path: &str) -> ProjectPath {
    ProjectPath::resolve(&ProjectPath::root(), path).unwrap()
}

fn set_mtime(path: &std::path::Path, at: SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

#[test]
fn a_file_is_its_blake3() {
    let place = Place::new();
    place.write("a", "hello");
    place.write("empty", "");
    assert_eq!(place.look("a").digest(), Some(Digest::of(b"hello")));
    assert_eq!(place.look("empty").digest(), Some(Digest::of(b"")));
    assert_eq!(place.look("nothing"), FileFact::Missing);
    assert_eq!(place.look("a/b"), FileFact::Missing);
}

#[test]
fn a_write_of_the_same_size_is_never_missed() {
    let place = Place::new();
    for round in 0..2000_u32 {
        let text = format!("{round:08}");
        place.write("a", &text);
        assert_eq!(place.look("a").digest(), Some(Digest::of(text.as_bytes())), "round {round}");
    }
}

#[test]
fn a_write_of_the_same_size_in_place_is_never_missed() {
    let place = Place::new();
    place.write("a", "00000000");
    let mut file = fs::File::options().write(true).open(place.at("a")).unwrap();
    for round in 0..2000_u32 {
        let text = format!("{round:08}");
        std::io::Seek::rewind(&mut file).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        assert_eq!(place.look("a").digest(), Some(Digest::of(text.as_bytes())), "round {round}");
        let tracked = place.look("a").tracked(ppath("a")).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        file.write_all(b"xxxxxxxx").unwrap();
        assert_eq!(place.sweep.verify(&[tracked]).changed, [0], "round {round}");
    }
}

#[test]
fn an_edit_with_its_time_put_back_is_seen() {
    let place = Place::new();
    place.write("a", "one");
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    set_mtime(&place.at("a"), long_ago);
    let tracked = place.look("a").tracked(ppath("a")).unwrap();
    place.write("a", "two");
    set_mtime(&place.at("a"), long_ago);
    assert_eq!(place.look("a").digest(), Some(Digest::of(b"two")));
    assert_eq!(place.sweep.verify(&[tracked]).changed, [0]);
}

#[test]
fn a_touched_file_is_read_once_and_is_the_same() {
    let place = Place::new();
    place.write("a", "one");
    let before = place.look("a").tracked(ppath("a")).unwrap();
    set_mtime(&place.at("a"), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    let verified = place.sweep.verify(std::slice::from_ref(&before));
    assert!(verified.changed.is_empty());
    let [(0, now)] = &verified.refreshed[..] else { panic!("not refreshed: {verified:?}") };
    assert_eq!(now.digest, before.digest);
    assert_ne!(now.signature, before.signature);
    assert_eq!(place.sweep.verify(std::slice::from_ref(now)), Verified::default());
}

#[test]
fn what_a_signature_proves_is_not_read() {
    let place = Place::new();
    place.write("a", "one");
    place.look("a");
    place.look("a");
    let mut entry = place.cached("a").unwrap();
    // Only a read could find the true digest.
    entry.digest = Digest::of(b"planted");
    entry.racy = false;
    place.sweep.write_cache().update(vec![(b"a", Some(entry))]);
    assert_eq!(place.look("a").digest(), Some(entry.digest));
    place.sweep.forget(&ppath("a"));
    assert_eq!(place.look("a").digest(), Some(Digest::of(b"one")));
}

#[test]
fn what_is_racy_is_read_again() {
    let place = Place::new();
    place.write("d/a", "one");
    place.write("d/b", "two");
    let mut tree = place.sweep.tree(&ppath("d")).unwrap().entries;
    // Only a read, of the file or of the folder's names, could find out that these were planted.
    tree[1].digest = Digest::of(b"planted");
    tree.pop();
    assert_eq!(place.sweep.verify(&tree).changed, Vec::<usize>::new());
    for it in &mut tree {
        it.racy = true;
    }
    assert_eq!(place.sweep.verify(&tree).changed, [0, 1]);
    let entry = Entry { digest: Digest::of(b"planted"), racy: true, ..place.cached("d/a").unwrap() };
    place.sweep.write_cache().update(vec![(b"d/a", Some(entry))]);
    assert_eq!(place.look("d/a").digest(), Some(Digest::of(b"one")));
    assert!(!place.cached("d/a").unwrap().racy);
}

#[test]
fn without_trust_everything_is_read() {
    let Place { folder, sweep } = Place::new();
    let place = Place { folder, sweep: sweep.trusting(Trust::Nothing) };
    place.write("a", "one");
    let mut tracked = place.look("a").tracked(ppath("a")).unwrap();
    tracked.digest = Digest::of(b"planted");
    assert_eq!(place.sweep.verify(&[tracked]).changed, [0]);
}

#[test]
fn a_file_from_the_future_is_never_believed() {
    let place = Place::new();
    place.write("a", "one");
    set_mtime(&place.at("a"), SystemTime::now() + Duration::from_secs(100_000));
    for _ in 0..3 {
        assert!(matches!(place.look("a"), FileFact::Present { racy: true, .. }));
    }
}

#[test]
fn odd_times_are_survived() {
    let place = Place::new();
    place.write("a", "one");
    for at in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH - Duration::from_secs(86_400 * 365 * 60)] {
        set_mtime(&place.at("a"), at);
        assert_eq!(place.look("a").digest(), Some(Digest::of(b"one")));
    }
}

#[test]
fn links_stand_for_what_they_lead_to() {
    let place = Place::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("b"), "far").unwrap();
    place.write("a", "near");
    symlink("a", place.at("inside")).unwrap();
    symlink(outside.path().join("b"), place.at("out")).unwrap();
    assert_eq!(place.look("inside").digest(), Some(Digest::of(b"near")));
    assert_eq!(place.look("out").digest(), Some(Digest::of(b"far")));
    fs::write(outside.path().join("b"), "FAR").unwrap();
    assert_eq!(place.look("out").digest(), Some(Digest::of(b"FAR")));
    fs::remove_file(place.at("out")).unwrap();
    symlink("a", place.at("out")).unwrap();
    assert_eq!(place.look("out").digest(), Some(Digest::of(b"near")));
}

#[test]
fn links_that_lead_nowhere_say_where() {
    let place = Place::new();
    symlink("b", place.at("a")).unwrap();
    symlink("a", place.at("b")).unwrap();
    symlink("gone", place.at("c")).unwrap();
    assert_eq!(place.look("a"), FileFact::Unreadable("its links go round in circles: a -> b -> a".to_owned()));
    assert_eq!(place.look("c"), FileFact::Unreadable("it is a link that leads nowhere: c -> gone".to_owned()));
}

#[test]
fn what_is_no_content_is_odd() {
    let place = Place::new();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.at("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let _socket = UnixListener::bind(place.at("socket")).unwrap();
    assert_eq!(place.look("fifo"), FileFact::Odd);
    assert_eq!(place.look("socket"), FileFact::Odd);
    fs::create_dir(place.at("d")).unwrap();
    fs::rename(place.at("fifo"), place.at("d/fifo")).unwrap();
    assert_eq!(place.sweep.tree(&ppath("d")), Err(TreeError::Odd(ppath("d/fifo"))));
    assert_eq!(place.look("d"), FileFact::Unreadable("d/fifo is neither a file, a link nor a folder".to_owned()));
}

#[test]
fn a_swap_of_kinds_is_a_change() {
    let place = Place::new();
    place.write("a", "one");
    place.write("elsewhere", "one");
    let file = place.look("a").tracked(ppath("a")).unwrap();
    fs::remove_file(place.at("a")).unwrap();
    symlink("elsewhere", place.at("a")).unwrap();
    assert_eq!(place.sweep.verify(std::slice::from_ref(&file)).changed, [0]);
    fs::remove_file(place.at("a")).unwrap();
    fs::create_dir(place.at("a")).unwrap();
    assert_eq!(place.sweep.verify(std::slice::from_ref(&file)).changed, [0]);
    let folder = place.sweep.tree(&ppath("a")).unwrap();
    fs::remove_dir(place.at("a")).unwrap();
    assert_eq!(place.sweep.verify(&folder.entries).changed, [0]);
    place.write("a", "one");
    assert_eq!(place.sweep.verify(&folder.entries).changed, [0]);
    assert!(place.sweep.verify(std::slice::from_ref(&file)).changed.is_empty());
}

#[test]
fn a_folder_is_its_names_kinds_and_contents() {
    let place = Place::new();
    let digest = |edit: &dyn Fn(&Place)| {
        let _ = fs::remove_dir_all(place.at("d"));
        place.write("d/a", "one");
        place.write("d/sub/b", "two");
        symlink("a", place.at("d/link")).unwrap();
        edit(&place);
        place.sweep.tree(&ppath("d")).unwrap().digest
    };
    let plain = digest(&|_| {});
    assert_eq!(plain, digest(&|_| {}));
    let edits: [&dyn Fn(&Place); 8] = [
        &|it| drop(it.write("d/a", "ONE")),
        &|it| drop(it.write("d/c", "")),
        &|it| fs::create_dir(it.at("d/c")).unwrap(),
        &|it| fs::remove_file(it.at("d/link")).unwrap(),
        &|it| fs::set_permissions(it.at("d/a"), fs::Permissions::from_mode(0o755)).unwrap(),
        &|it| fs::rename(it.at("d/sub/b"), it.at("d/sub/c")).unwrap(),
        &|it| fs::rename(it.at("d/sub/b"), it.at("d/b")).unwrap(),
        &|it| {
            fs::remove_file(it.at("d/link")).unwrap();
            symlink("sub", it.at("d/link")).unwrap();
        },
    ];
    let mut seen = vec![plain];
    for edit in edits {
        let other = digest(edit);
        assert!(!seen.contains(&other));
        seen.push(other);
    }
    // Other permissions and times do not count.
    let private = digest(&|it| fs::set_permissions(it.at("d/a"), fs::Permissions::from_mode(0o600)).unwrap());
    assert_eq!(private, plain);
}

#[test]
fn a_recorded_folder_is_verified_entry_by_entry() {
    let place = Place::new();
    place.write("d/a", "one");
    place.write("d/sub/b", "two");
    let tree = place.sweep.tree(&ppath("d")).unwrap();
    let paths: Vec<_> = tree.entries.iter().map(|it| it.path.to_string()).collect();
    assert_eq!(paths, ["d", "d/a", "d/sub", "d/sub/b"]);
    assert!(place.sweep.verify(&tree.entries).changed.is_empty());
    // A name that came and went moves the folder's time, nothing else.
    place.write("d/new", "");
    assert_eq!(place.sweep.verify(&tree.entries).changed, [0]);
    fs::remove_file(place.at("d/new")).unwrap();
    let verified = place.sweep.verify(&tree.entries);
    assert!(verified.changed.is_empty());
    assert!(verified.refreshed.iter().any(|it| it.0 == 0));
    place.write("d/sub/b", "TWO");
    assert_eq!(place.sweep.verify(&tree.entries).changed, [3]);
    place.write("d/sub/b", "two");
    assert!(place.sweep.verify(&tree.entries).changed.is_empty());
    fs::set_permissions(place.at("d/a"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(place.sweep.verify(&tree.entries).changed, [1]);
}

#[test]
fn what_was_staged_need_not_be_read_again_once_renamed() {
    let place = Place::new();
    place.write("staged/a", "one");
    place.write("staged/sub/b", "two");
    let staged = place.sweep.tree(&ppath("staged")).unwrap();
    fs::rename(place.at("staged"), place.at("out")).unwrap();
    let renamed = place.sweep.renamed(&staged.entries, &ppath("staged"), &ppath("out")).unwrap();
    assert_eq!(renamed[3].path, ppath("out/sub/b"));
    assert_eq!(place.sweep.tree(&ppath("out")).unwrap(), Tree { digest: staged.digest, entries: renamed.clone() });
    assert_eq!(place.sweep.verify(&renamed), Verified::default());

    place.write("file", "one");
    let file = [place.look("file").tracked(ppath("file")).unwrap()];
    fs::rename(place.at("file"), place.at("final")).unwrap();
    let renamed = place.sweep.renamed(&file, &ppath("file"), &ppath("final")).unwrap();
    assert_eq!(place.sweep.verify(&renamed), Verified::default());
    // Not what was staged: written to since, gone, or never there.
    place.write("final", "ONE");
    assert_eq!(place.sweep.renamed(&file, &ppath("file"), &ppath("final")), None);
    assert_eq!(place.sweep.renamed(&file, &ppath("file"), &ppath("elsewhere")), None);
    assert_eq!(place.sweep.verify(&renamed).changed, [0]);
}

#[test]
fn permissions_of_a_lone_file_are_no_content() {
    let place = Place::new();
    place.write("a", "one");
    let tracked = place.look("a").tracked(ppath("a")).unwrap();
    fs::set_permissions(place.at("a"), fs::Permissions::from_mode(0o755)).unwrap();
    let verified = place.sweep.verify(&[tracked]);
    assert!(verified.changed.is_empty());
    assert_eq!(verified.refreshed.len(), 1);
}

#[test]
fn names_are_bytes() {
    let place = Place::new();
    let names: [&[u8]; 5] = [b"\xff\xfe", b"new\nline", b"-x", b"\"quote'", &[b'n'; 255]];
    for name in names {
        fs::write(place.folder.path().join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    let paths: Vec<_> = names.iter().map(|it| ProjectPath::root().join(std::ffi::OsStr::from_bytes(it))).collect();
    for _ in 0..2 {
        let digests: Vec<_> = place.sweep.look(&paths).iter().map(FileFact::digest).collect();
        assert_eq!(digests, names.map(|it| Some(Digest::of(it))));
    }
}

#[test]
fn a_file_that_does_not_hold_still_is_never_taken_for_something_it_never_was() {
    let place = Place::new();
    let size = 1 << 18;
    place.write("a", &"0".repeat(size));
    let whole: Vec<Digest> = (b'0'..=b'9').map(|it| Digest::of(&vec![it; size])).collect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut facts = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Whole contents, each put in place by rename: a torn read would mix two.
            for digit in (b'0'..=b'9').cycle() {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                fs::write(place.at("b"), vec![digit; size]).unwrap();
                fs::rename(place.at("b"), place.at("a")).unwrap();
            }
        });
        facts.extend((0..200).map(|_| place.look("a")));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let unsteady = FileFact::Unreadable(crate::plan::hash::file::UNSTEADY.to_owned());
    let (steady, rest): (Vec<_>, Vec<_>) = facts.into_iter().partition(|it| it.digest().is_some());
    assert!(steady.iter().all(|it| it.digest().is_some_and(|it| whole.contains(&it))));
    assert!(rest.iter().all(|it| *it == unsteady), "{rest:?}");
    assert!(!steady.is_empty());
}

#[test]
fn a_file_cut_short_while_it_is_read_is_never_half_of_it() {
    let place = Place::new();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut facts = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = fs::File::create(place.at("a")).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.set_len(12 << 20).unwrap();
                std::thread::yield_now();
                file.set_len(10).unwrap();
            }
        });
        facts.extend((0..100).map(|_| place.look("a")));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    for fact in facts {
        // Always zeros, so its size says it all.
        if let FileFact::Present { signature, digest, .. } = fact {
            assert_eq!(digest, Digest::of(&vec![0; usize::try_from(signature.size).unwrap()]));
        }
    }
}

#[test]
fn a_large_sparse_file_is_read_as_a_stream() {
    let place = Place::new();
    let size: u64 = 300 << 20;
    fs::File::create(place.at("a")).unwrap().set_len(size).unwrap();
    let mut expected = blake3::Hasher::new();
    let zeros = vec![0; 1 << 20];
    for _ in 0..300 {
        expected.update(&zeros);
    }
    assert_eq!(place.look("a").digest(), Some(expected.finalize().into()));
}

#[test]
fn a_very_deep_tree_is_an_answer_or_an_error() {
    let place = Place::new();
    let mut at =
        rustix::fs::openat(rustix::fs::CWD, place.folder.path(), rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())
            .unwrap();
    for level in 0..2100 {
        rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, "d", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
        if level == 1000 {
            rustix::fs::symlinkat("nowhere", &at, "link").unwrap();
        }
    }
    let Err(TreeError::Unreadable(_, why)) = place.sweep.tree(&ppath("d")) else { panic!("longer than a path can be") };
    assert!(why.contains("too long"), "{why}");
    // Within what a path can be, depth is no matter.
    let shallow = ppath(&["d"; 1500].join("/"));
    assert!(matches!(place.sweep.look_at(&shallow), FileFact::Present { .. } | FileFact::Unreadable(_)));
    drop(at);
    // The folder itself removes what the standard library would not: one level at a time.
    let root = place.folder.path().to_owned();
    for _ in 0..2100 {
        fs::rename(root.join("d"), root.join("old")).unwrap();
        if fs::rename(root.join("old/d"), root.join("d")).is_err() {
            break;
        }
        fs::remove_dir_all(root.join("old")).unwrap();
    }
}

#[test]
fn many_files_are_found_right_on_many_threads() {
    let place = Place::new();
    let mut paths = Vec::new();
    for index in 0..2100 {
        paths.push(place.write(&format!("d{}/f{index}", index % 7), &index.to_string()));
    }
    for _ in 0..2 {
        for (index, fact) in place.sweep.look(&paths).iter().enumerate() {
            assert_eq!(fact.digest(), Some(Digest::of(index.to_string().as_bytes())));
        }
    }
    let file = place.at("files.idx");
    place.sweep.save(&file).unwrap();
    let again = Sweep::new(place.folder.path(), FileCache::load(&file)).unwrap();
    assert_eq!(again.look(&paths), place.sweep.look(&paths));
}

#[test]
fn a_file_that_may_not_be_read_says_so() {
    let place = Place::new();
    place.write("a", "one");
    fs::set_permissions(place.at("a"), fs::Permissions::from_mode(0o000)).unwrap();
    match place.look("a") {
        FileFact::Unreadable(why) => assert!(why.contains("denied"), "{why}"),
        // The superuser may read everything.
        other => assert_eq!(other.digest(), Some(Digest::of(b"one"))),
    }
}
