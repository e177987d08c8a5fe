//! What time it is on a file system, and what may be believed there.

use super::*;
use crate::plan::hash::{Links, Seen, signature::look_at};

fn aged(ctime_ns: i64, mtime_ns: i64) -> Signature {
    Signature { ctime_ns, mtime_ns, ..Signature::default() }
}

#[test]
fn how_fine_a_clock_is_shows() {
    let coarse = 1_700_000_000 * SECOND + 123_456_789;
    assert_eq!(judge(&[coarse; 8]), (false, 10 * MILLISECOND));
    assert_eq!(judge(&[coarse, coarse, coarse + 4 * MILLISECOND]), (false, 10 * MILLISECOND));
    assert_eq!(judge(&[coarse, coarse + 1_500, coarse + 3_000]), (true, 0));
    assert_eq!(judge(&[1_700_000_001 * SECOND; 8]), (false, SECOND));
    assert_eq!(judge(&[1_700_000_000 * SECOND; 8]), (false, 2 * SECOND));
    // The second turned while it was probed.
    assert_eq!(judge(&[1_700_000_000 * SECOND, 1_700_000_001 * SECOND]), (false, SECOND));
}

#[test]
fn only_what_is_older_than_the_moment_is_believed() {
    let moment = Moment { racy_from_ns: 100 };
    assert!(!moment.is_racy(&aged(99, 99)));
    assert!(moment.is_racy(&aged(100, 0)));
    assert!(moment.is_racy(&aged(0, 100)));
    assert!(moment.is_racy(&aged(99, i64::MAX)));
}

#[test]
fn a_moment_is_after_all_that_was_written_and_before_all_that_will_be() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).unwrap();
    let write = |name: &str| {
        crate::base::fs::write(&folder.path().join(name), b"x").unwrap();
        match look_at(world.root(), name.as_bytes(), Links::Keep) {
            Seen::Found(it) => it,
            other => panic!("{other:?}"),
        }
    };
    for round in 0..300 {
        let before = write(&format!("a{round}"));
        let system = world.system(before.dev, b"a0");
        let moment = system.moment(world.root());
        let after = write(&format!("b{round}"));
        assert!(moment.is_racy(&after), "round {round}: {moment:?} {after:?}");
        if system.probe.get().unwrap().as_ref().is_some_and(|it| it.fine) {
            assert!(!moment.is_racy(&before), "round {round}: {moment:?} {before:?}");
        }
    }
}

#[test]
fn without_a_probe_two_seconds_must_have_passed() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).unwrap();
    let system = |network| FileSystem {
        dev: 1,
        near: b"".as_slice().into(),
        network,
        probe: OnceLock::from(None),
        newest_ctime_ns: AtomicI64::new(i64::MIN),
    };
    let now = file_clock_ns();
    let local = system(false).moment(world.root());
    assert!(local.is_racy(&aged(now - SECOND, 0)));
    assert!(!local.is_racy(&aged(now - 3 * SECOND, 0)));
    // The clock behind a network is known only by what it stamped.
    let network = system(true);
    assert!(network.moment(world.root()).is_racy(&aged(0, 0)));
    network.has_stamped(&aged(now - 500 * SECOND, 0));
    assert!(network.moment(world.root()).is_racy(&aged(now - 501 * SECOND, 0)));
    assert!(!network.moment(world.root()).is_racy(&aged(now - 503 * SECOND, 0)));
    let raw = Signature { dev: 7, ..Signature::default() };
    assert_eq!((network.stable(raw).dev, system(false).stable(raw).dev), (0, 7));
}

#[test]
fn probing_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).unwrap();
    let root = look_at_open(world.root()).unwrap();
    let dev = root.dev;
    world.system(dev, b"x").moment(world.root());
    assert_eq!(look_at_open(world.root()).unwrap(), root);
    // Where files must have names: only in the tool's own folder, and not for long.
    assert!(briefly_named(world.root(), dev).is_err());
    let own = folder.path().join(".assets");
    crate::base::fs::create_folder(&own).unwrap();
    let file = briefly_named(world.root(), dev).unwrap();
    assert!(stamp(&file).is_ok());
    assert!(crate::base::fs::list(&own).unwrap().unwrap().is_empty());
    assert_eq!(briefly_named(world.root(), dev + 1).unwrap_err(), Errno::XDEV);
}
