//! A cache may be lost, never wrong.

use super::*;
use crate::plan::hash::listing::Visited;

fn entry(number: u64) -> Entry {
    let signature = Signature {
        dev: number % 3,
        ino: number,
        size: number * 7,
        mtime_ns: -5 + number.cast_signed(),
        executable: number.is_multiple_of(2),
        ..Signature::default()
    };
    Entry { signature, digest: Digest::of(&number.to_le_bytes()), racy: number.is_multiple_of(5) }
}

fn filled(count: u64) -> FileCache {
    let mut cache = FileCache::default();
    let paths: Vec<_> = (0..count).map(|it| format!("d{}/f{}", it % 11, it)).collect();
    cache.update(paths.iter().zip(0..).map(|(path, it)| (path.as_bytes(), Some(entry(it)))).collect());
    cache.merge(Vec::new());
    cache
}

#[test]
fn what_was_put_in_is_found_in_any_order() {
    let cache = FileCache::decode(filled(5000).encode()).unwrap();
    let mut reader = cache.reader();
    for number in (0..5000).rev().chain(0..5000) {
        assert_eq!(reader.get(format!("d{}/f{}", number % 11, number).as_bytes()), Some(entry(number)));
    }
    for path in ["", "d1", "d1/", "d1/f", "d99/f1", "d2/f1"] {
        assert_eq!(reader.get(path.as_bytes()), None);
    }
}

/// What the cache answers for each path: the truth, or nothing.
fn answers(cache: &FileCache, count: u64) -> u64 {
    let mut reader = cache.reader();
    let mut found = 0;
    for number in 0..count {
        if let Some(answer) = reader.get(format!("d{}/f{}", number % 11, number).as_bytes()) {
            assert_eq!(answer, entry(number));
            found += 1;
        }
    }
    found
}

#[test]
fn a_damaged_cache_knows_less_but_nothing_wrong() {
    let bytes = with_listing(filled(40)).encode();
    assert_eq!(answers(&FileCache::decode(bytes.clone()).unwrap(), 40), 40);
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            if let Some(cache) = FileCache::decode(damaged) {
                answers(&cache, 40);
                let listing = cache.listing(&Digest::of(b"set"));
                assert!(listing.is_none_or(|it| *it == some_listing()));
            }
        }
        let cut = FileCache::decode(bytes[..at].to_vec());
        assert!(cut.is_none(), "cut at {at}");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(FileCache::decode(longer).is_none());
}

proptest::proptest! {
    #[test]
    fn bytes_of_a_stranger_do_no_harm(tail: Vec<u8>, lengths: [u8; 3]) {
        // Behind a right head, so that more than the magic is tried.
        let mut rest = &tail[..];
        let mut heads = Vec::new();
        let mut sections = Vec::new();
        for length in lengths {
            let (section, left) = rest.split_at(usize::from(length).min(rest.len()));
            rest = left;
            heads.extend_from_slice(&(section.len() as u64).to_le_bytes());
            heads.extend_from_slice(&Digest::of(section).0);
            sections.extend_from_slice(section);
        }
        if let Some(mut cache) = FileCache::decode([&MAGIC[..], &heads, &sections].concat()) {
            cache.reader().get(b"a/b");
            cache.listing(&Digest::of(b"set"));
            cache.update(vec![(b"a/b", Some(entry(1)))]);
            cache.merge(Vec::new());
            cache.encode();
        }
        FileCache::decode(tail);
    }

    #[test]
    fn a_cache_is_a_map(
        steps in proptest::collection::vec((0_u8..40, proptest::option::of(0_u64..1000), proptest::bool::weighted(0.1)), 0..200),
    ) {
        let mut cache = FileCache::default();
        let mut model = std::collections::BTreeMap::new();
        for (path, value, merged) in steps {
            let path = if path < 5 { format!("f{path}") } else { format!("d{}/x/f{path}", path % 3) };
            let value = value.map(entry);
            cache.update(vec![(path.as_bytes(), value)]);
            model.insert(path, value);
            if merged {
                cache.merge(Vec::new());
                cache = FileCache::decode(cache.encode()).unwrap();
            }
            let mut reader = cache.reader();
            for (path, value) in &model {
                proptest::prop_assert_eq!(reader.get(path.as_bytes()), *value);
            }
        }
    }
}

fn some_listing() -> Listing {
    let stamp = |it: u64| Some((entry(it).signature, it > 7));
    let visited = |path: &[u8], stamp, names: &[u8]| Visited { path: path.into(), stamp, names: names.into() };
    Listing {
        visited: vec![visited(b"", None, b"da\0"), visited(b"a", stamp(7), b"fb\0fc\0"), visited(b"z", stamp(8), b"")],
    }
}

fn with_listing(mut cache: FileCache) -> FileCache {
    cache.set_listing(Digest::of(b"set"), Arc::new(some_listing()));
    cache
}

#[test]
fn listings_are_kept() {
    let mut cache = FileCache::decode(with_listing(filled(3)).encode()).unwrap();
    assert_eq!(*cache.listing(&Digest::of(b"set")).unwrap(), some_listing());
    assert!(cache.listing(&Digest::of(b"other")).is_none());
    // The next save takes over what was not asked for.
    cache.set_listing(Digest::of(b"other"), Arc::new(Listing::default()));
    let again = FileCache::decode(cache.encode()).unwrap();
    assert_eq!(*again.listing(&Digest::of(b"set")).unwrap(), some_listing());
    assert_eq!(*again.listing(&Digest::of(b"other")).unwrap(), Listing::default());
}

#[test]
fn it_is_written_only_when_something_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("files.idx");
    let mut cache = FileCache::load(&file);
    assert_eq!(cache.note(), None);
    cache.update(vec![(b"gone", None)]);
    cache.save(&file).unwrap();
    assert!(fs::look(&file).unwrap().is_none());
    cache.update(vec![(b"a", Some(entry(1)))]);
    cache.save(&file).unwrap();
    assert!(fs::look(&file).unwrap().is_some());
    fs::write(&file, b"scribble").unwrap();
    let mut damaged = FileCache::load(&file);
    assert!(damaged.note().unwrap().contains("files.idx is damaged"));
    assert_eq!(damaged.reader().get(b"a"), None);
    damaged.save(&file).unwrap();
    assert_eq!(FileCache::load(&file).note(), None);
}

/// A thousand small files are dear to learn and dear to write down; one more of them is neither.
#[test]
fn it_is_neither_read_nor_written_for_what_is_learnt_as_soon() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("files.idx");
    let sized = |it: u64, size| Entry { signature: Signature { size, ..entry(it).signature }, ..entry(it) };
    let names: Vec<String> = (0..1000).map(|it| format!("f{it:04}")).collect();
    let mut cache = FileCache::later(&file);
    cache.update(names.iter().map(|it| (it.as_bytes(), Some(sized(1, 10)))).collect());
    cache.save(&file).unwrap();
    let kept = fs::read(&file).unwrap();

    let mut cache = FileCache::later(&file);
    assert!(cache.is_dearer(cost(&sized(1, 10).signature)), "one file is read sooner");
    assert!(!cache.is_dearer(100 * cost(&sized(1, 10).signature)), "a hundred are not");
    cache.update(vec![(b"f0007", Some(sized(2, 10)))]);
    cache.save(&file).unwrap();
    assert!(cache.is_unread());
    assert_eq!(fs::read(&file).unwrap(), kept);
    cache.read();
    assert_eq!(cache.reader().get(b"f0007"), Some(sized(2, 10)), "what was learnt since counts");
    assert_eq!(cache.reader().get(b"f0008"), Some(sized(1, 10)));

    cache.update(vec![(b"f0008", Some(sized(3, 1 << 30)))]);
    cache.save(&file).unwrap();
    let mut again = FileCache::later(&file);
    again.read();
    assert_eq!(again.reader().get(b"f0007"), Some(sized(2, 10)));
    assert_eq!(again.reader().get(b"f0008"), Some(sized(3, 1 << 30)), "one large file is worth it");
}

/// What is kept and not so must not stay, however cheap it would be to learn again.
#[test]
fn what_turned_out_wrong_is_put_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("files.idx");
    let names: Vec<String> = (0..1000).map(|it| format!("f{it:04}")).collect();
    let mut cache = FileCache::later(&file);
    cache.update(names.iter().map(|it| (it.as_bytes(), Some(entry(1)))).collect());
    cache.save(&file).unwrap();
    let mut cache = FileCache::load(&file);
    let right = Entry { digest: Digest([9; 32]), ..entry(1) };
    cache.update(vec![(b"f0001", Some(right))]);
    cache.save(&file).unwrap();
    let mut cache = FileCache::later(&file);
    cache.remove(b"f0002");
    cache.save(&file).unwrap();
    let cache = FileCache::load(&file);
    assert_eq!(cache.reader().get(b"f0001"), Some(right));
    assert_eq!(cache.reader().get(b"f0002"), None);
    assert_eq!(cache.reader().get(b"f0003"), Some(entry(1)));
}
