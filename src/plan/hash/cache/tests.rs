//! A cache may be lost, never wrong.

use super::*;

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
    let cache = FileCache::decode(&filled(5000).encode().unwrap()).unwrap();
    let mut reader = cache.reader();
    for number in (0..5000).rev().chain(0..5000) {
        assert_eq!(reader.get(format!("d{}/f{}", number % 11, number).as_bytes()), Some(entry(number)));
    }
    for path in ["", "d1", "d1/", "d1/f", "d99/f1", "d2/f1"] {
        assert_eq!(reader.get(path.as_bytes()), None);
    }
}
