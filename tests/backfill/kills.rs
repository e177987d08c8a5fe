//! A backfill that is killed again and again makes every partition exactly once: what is recorded is never made
//! again, and what was in the middle of being made is by necessity.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread::sleep,
    time::{Duration, Instant},
};

use assets::{
    model::key::{AssetKey, PartitionKey},
    plan::store::{
        StateStore,
        sqlite::{Disk, SqliteStore},
    },
};
use rustix::process::Signal;

use super::{days, in_order, made, show, wait_for_lines};
use crate::{oracle::graph::Random, soak::tree, support::Project};

const DAYS: usize = 2_000;
const KILLS: usize = 10;
/// Two commands at once, and as many steps that are begun or finished beside them.
const WORKERS: usize = 4;

fn store(project: &Project) -> SqliteStore {
    SqliteStore::open_read_only(&project.path(".assets"), Disk::Local).unwrap().store
}

fn recorded(project: &Project) -> BTreeSet<String> {
    let all = store(project).latest_all().unwrap();
    all.into_iter().map(|it| it.partition.as_str().to_owned()).collect()
}

#[test]
fn every_partition_is_made_exactly_once_whenever_it_is_killed() {
    let seed = u64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs());
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let project = days(DAYS.try_into().unwrap(), "");
    let mut arguments = vec!["backfill", "start", "big", "-s", "daily", "-j", "2", "--progress", "none", "-q"];
    // What was recorded at each kill, and how many commands had been begun by then.
    let mut moments: Vec<(BTreeSet<String>, usize)> = Vec::new();
    for kill in 0..KILLS {
        let running = project.start(&arguments);
        // Some kills come early, when nothing may have been asked for yet; others in the middle of work.
        if kill % 3 == 0 {
            sleep(Duration::from_millis(random.below(150) as u64));
        } else {
            let begun = in_order(&project).len();
            wait_for_lines(&project, begun + 20 + random.below(150));
        }
        match random.one_in(2) {
            true => running.signal(Signal::KILL),
            false => tree::kill(running.pid()),
        }
        running.finish();
        let asked = store(&project).backfill("big").is_ok_and(|it| it.is_some());
        if asked {
            arguments = vec!["backfill", "resume", "big", "--progress", "none", "-q"];
            assert_eq!(show(&project, "big")["state"], "interrupted");
        }
        moments.push((recorded(&project), in_order(&project).len()));
    }
    assert!(recorded(&project).len() < DAYS, "it was over before the last kill");
    project.run(&arguments).succeeded();
    let stood = show(&project, "big");
    assert_eq!((&stood["state"], &stood["counts"]["fresh"]), (&"done".into(), &DAYS.into()));
    let begun = in_order(&project);
    for (kill, (recorded, before)) in moments.iter().enumerate() {
        let again: Vec<&String> = begun[*before..].iter().filter(|it| recorded.contains(*it)).collect();
        assert!(again.is_empty(), "seed {seed}: recorded before kill {kill}, and made after it: {again:?}");
    }
    let made = made(&project);
    assert_eq!(made.len(), DAYS, "seed {seed}");
    let again: BTreeMap<&String, &usize> = made.iter().filter(|it| *it.1 > 1).collect();
    assert!(begun.len() <= DAYS + KILLS * WORKERS, "seed {seed}: {} commands, again: {again:?}", begun.len());
    // Published and recorded once each, whatever was in the middle.
    let store = store(&project);
    let key = AssetKey::parse("daily").unwrap();
    for partition in made.keys() {
        let history = store.history(&key, &PartitionKey::new(partition)).unwrap();
        assert_eq!(history.len(), 1, "seed {seed}: {partition}");
        assert_eq!(project.read(&format!("data/daily/{partition}.txt")), "plain\n");
    }
    eprintln!("{} commands for {DAYS} partitions and {KILLS} kills", begun.len());
}

/// What is fresh is made again, each once: what the backfill itself has made is done with.
#[test]
fn forced_every_partition_is_made_exactly_once_more_whenever_it_is_killed() {
    const DAYS: usize = 300;
    let seed = u64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs());
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let project = days(DAYS.try_into().unwrap(), "");
    project.run(&["materialize", "-q", "-s", "daily"]).succeeded();
    assert_eq!(in_order(&project).len(), DAYS);
    let mut arguments =
        vec!["backfill", "start", "again", "-s", "daily", "--force", "-j", "2", "--progress", "none", "-q"];
    for _ in 0..5 {
        let running = project.start(&arguments);
        let begun = in_order(&project).len();
        wait_for_lines(&project, begun + 5 + random.below(40));
        match random.one_in(2) {
            true => running.signal(Signal::KILL),
            false => tree::kill(running.pid()),
        }
        running.finish();
        arguments = vec!["backfill", "resume", "again", "--progress", "none", "-q"];
    }
    let left = show(&project, "again")["counts"]["left"].as_u64().unwrap();
    assert!(left > 0 && left < DAYS as u64, "{left}");
    project.run(&arguments).succeeded();
    let stood = show(&project, "again");
    assert_eq!((&stood["state"], &stood["counts"]["fresh"]), (&"done".into(), &DAYS.into()));
    let store = store(&project);
    let key = AssetKey::parse("daily").unwrap();
    for partition in made(&project).keys() {
        let history = store.history(&key, &PartitionKey::new(partition)).unwrap();
        assert_eq!(history.len(), 2, "seed {seed}: {partition}");
    }
    // Nothing of it was changed, so nothing below is touched, and nothing is left to do.
    drop(store);
    project.run(&["status", "-q", "-s", "daily"]).succeeded();
    project.run(&["backfill", "resume", "again"]).exited(2);
}

/// Killed while another backfill works on the same: that one goes on, and nothing waits for ever.
#[test]
fn the_death_of_one_does_not_hold_up_another() {
    let project = days(200, "");
    let one = project.start(&["backfill", "start", "one", "-s", "daily", "-j", "2", "-q"]);
    wait_for_lines(&project, 10);
    let other = project.start(&["backfill", "start", "other", "-s", "daily", "-j", "2", "-q"]);
    wait_for_lines(&project, 60);
    one.signal(Signal::KILL);
    one.finish();
    let start = Instant::now();
    other.finish().succeeded();
    assert!(start.elapsed() < Duration::from_secs(30));
    let twice: usize = made(&project).values().map(|it| it - 1).sum();
    assert!(made(&project).len() == 200 && twice <= WORKERS, "{:?}", made(&project));
    project.run(&["backfill", "resume", "one", "-q"]).succeeded();
    assert_eq!(show(&project, "one")["state"], "done");
}
