//! `batch`: several partitions by one command, and each of them still judged, recorded and published by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread::sleep,
    time::Duration,
};

use assets::{
    model::key::{AssetKey, PartitionKey},
    plan::store::{
        StateStore,
        sqlite::{Disk, SqliteStore},
    },
};
use rustix::process::Signal;

use crate::{oracle::graph::Random, soak::tree, support::Project};

/// `days` days from 1 January 2020, copied from files in batches; then in capitals, all at once.
fn days(days: i64, batch: &str) -> Project {
    let project = Project::new().manifest(&manifest(days, batch));
    for day in 0..days {
        project.write(&format!("raw/{}.csv", date(day)), format!("a{day}\n"));
    }
    project
}

pub fn date(day: i64) -> String {
    jiff::civil::date(2020, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap().to_string()
}

fn manifest(days: i64, batch: &str) -> String {
    format!(
        r#"
[partitions.daily]
type = "time"
every = "day"
start = "2020-01-01"
end = "{}"

[source.raw]
files = ["raw/{{{{ partition.key }}}}.csv"]
partitions = "daily"

[asset.copy]
command = '''
echo copy $ASSETS_PARTITION_KEYS >> ran.log
for key in $ASSETS_PARTITION_KEYS; do
  test -e skip.$key || cp $ASSETS_INPUT_RAW/$key.csv {{{{ output }}}}/$key.csv
done
test ! -e odd || touch {{{{ output }}}}/2019-01-01.csv
test ! -e bad
'''
deps = ["raw"]
format = "csv"
partitions = "daily"
batch = {batch}

[asset.big]
command = ["sh", "-ec", '''
echo big $# $ASSETS_PARTITION_START {{{{ partition.end }}}} >> ran.log
for key in $ASSETS_PARTITION_KEYS; do tr a-z A-Z < $ASSETS_INPUT_COPY/$key.csv > $ASSETS_OUTPUT_BIG/$key.csv; done
''', "sh", "{{{{ inputs.copy }}}}"]
deps = ["copy"]
path = "up/{{{{ partition.key }}}}/big.csv"
partitions = "daily"
batch = "all"
"#,
        date(days)
    )
}

/// What ran since it was asked last, sorted.
fn ran(project: &Project) -> Vec<String> {
    let mut ran: Vec<String> = match project.exists("ran.log") {
        true => project.read("ran.log").lines().map(str::to_owned).collect(),
        false => Vec::new(),
    };
    if project.exists("ran.log") {
        project.remove("ran.log");
    }
    ran.sort();
    ran
}

fn no_leftovers(project: &Project) {
    let left: Vec<String> =
        project.snapshot().into_iter().map(|it| it.0).filter(|it| it.contains(".assets-")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_command_is_given_several_and_each_is_made_by_itself() {
    let project = days(7, "3");
    project.run(&["materialize", "-q"]).succeeded();
    let expected = [
        "big 7 2020-01-01T00:00:00Z 2020-01-08T00:00:00Z",
        "copy 2020-01-01 2020-01-02 2020-01-03",
        "copy 2020-01-04 2020-01-05 2020-01-06",
        "copy 2020-01-07",
    ];
    assert_eq!(ran(&project), expected);
    assert_eq!(project.read("data/up/2020-01-05/big.csv"), "A4\n");
    no_leftovers(&project);

    // Late data in two days that do not touch, and one that only looks different.
    project.write("raw/2020-01-02.csv", "b\n");
    project.write("raw/2020-01-05.csv", "b\n");
    project.run(&["materialize", "-q"]).succeeded();
    let day = |day: i64| format!("big 1 {}T00:00:00Z {}T00:00:00Z", date(day), date(day + 1));
    assert_eq!(ran(&project), [day(1), day(4), "copy 2020-01-02".to_owned(), "copy 2020-01-05".to_owned()]);

    // How they were made together is no part of what they are.
    for batch in ["\"all\"", "1"] {
        project.write_manifest(&manifest(7, batch));
        project.run(&["status", "-q"]).succeeded();
    }
    let steps = project.run(&["materialize", "-f", "-s", "copy", "--json"]).succeeded().json();
    assert_eq!(steps["steps"].as_array().map(Vec::len), Some(7), "{steps:#}");
    assert_eq!(ran(&project).len(), 7);
    project.run(&["status", "-q"]).succeeded();
}

#[test]
fn what_fails_together_is_tried_together_and_nothing_of_it_is_published() {
    let project = days(4, "2");
    project.run(&["materialize", "-q"]).succeeded();
    ran(&project);
    for day in 0..4 {
        project.write(&format!("raw/{}.csv", date(day)), "b\n");
    }
    project.write("bad", "");
    let failed = project.run(&["materialize", "-j", "1", "-s", "copy"]).exited(1);
    assert!(failed.stderr.contains("exit status 1"), "{}", failed.stderr);
    assert_eq!(project.read("data/copy/2020-01-01.csv"), "a0\n");
    assert_eq!(ran(&project), ["copy 2020-01-01 2020-01-02", "copy 2020-01-03 2020-01-04"]);
    let status = project.run(&["status", "-s", "copy", "--json"]).exited(3).json();
    assert_eq!(status["assets"][0]["partitions"]["failed"], 4);
    no_leftovers(&project);
    project.remove("bad");
    project.run(&["retry", "-q"]).succeeded();
    assert_eq!(ran(&project), ["copy 2020-01-01 2020-01-02", "copy 2020-01-03 2020-01-04"]);
    assert_eq!(project.read("data/copy/2020-01-04.csv"), "b\n");

    project.edit("assets.toml", "batch = 2", "batch = 2\nretries = 1");
    project.write("raw/2020-01-01.csv", "c\n");
    project.write("raw/2020-01-02.csv", "c\n");
    project.write("bad", "");
    project.run(&["materialize", "-q", "-s", "copy"]).exited(1);
    assert_eq!(ran(&project), ["copy 2020-01-01 2020-01-02"; 2], "tried again together");
}

#[test]
fn one_that_is_missing_fails_alone_and_what_belongs_to_none_fails_all() {
    let project = days(4, "\"all\"");
    project.write("skip.2020-01-02", "");
    let failed = project.run(&["materialize", "-s", "copy"]).exited(1);
    assert!(failed.stderr.contains("copy@2020-01-02") && failed.stderr.contains("missing"), "{}", failed.stderr);
    assert!(failed.stderr.contains("none is named after 2020-01-02"), "{}", failed.stderr);
    assert!(project.exists("data/copy/2020-01-01.csv") && !project.exists("data/copy/2020-01-02.csv"));
    // What stands below it is made of what is there.
    project.remove("skip.2020-01-02");
    project.write("odd", "");
    let odd = project.run(&["materialize", "-s", "copy"]).exited(1);
    let told = "it made `2019-01-01.csv`, which is none of its partitions";
    assert!(odd.stderr.contains(told) && odd.stderr.contains("named as `2020-01-02.csv`"), "{}", odd.stderr);
    assert!(!project.exists("data/copy/2020-01-02.csv"));
    no_leftovers(&project);
    project.remove("odd");
    ran(&project);
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project)[1..], ["copy 2020-01-02"]);
}

const CHECKED: &str = r#"
[partitions.region]
type = "static"
keys = ["jp", "us.east", "eu"]

[op.split]
command = '''
for key in $ASSETS_PARTITION_KEYS; do
  echo $key > {{ outputs.left }}/$key.csv
  mkdir {{ outputs.right }}/$key
  echo $key > {{ outputs.right }}/$key/part
done
'''
partitions = "region"
batch = "all"

[asset.left]
op = "split"
format = "csv"

[[asset.left.checks]]
name = "not us"
command = "test -e fine || ! grep -q us $ASSETS_OUTPUT"

[asset.right]
op = "split"
folder = true
"#;

#[test]
fn checks_look_at_each_and_refuse_one() {
    let project = Project::new().manifest(CHECKED);
    let rejected = project.run(&["materialize"]).exited(4);
    assert!(rejected.stderr.contains("left@us.east"), "{}", rejected.stderr);
    assert!(project.exists("data/left/jp.csv") && project.exists("data/right/eu/part"));
    assert!(!project.exists("data/left/us.east.csv") && !project.exists("data/right/us.east"));
    project.write("fine", "");
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(project.read("data/left/us.east.csv"), "us.east\n");
    assert_eq!(project.read("data/right/us.east/part"), "us.east\n");
    no_leftovers(&project);
}

#[test]
fn two_runs_of_the_same_make_nothing_twice() {
    let project = days(60, "7");
    let one = project.start(&["materialize", "-q", "-s", "copy"]);
    let other = project.start(&["materialize", "-q", "-s", "copy"]);
    one.finish().succeeded();
    other.finish().succeeded();
    let made: Vec<String> =
        ran(&project).iter().flat_map(|it| it.split(' ').skip(1).map(str::to_owned).collect::<Vec<_>>()).collect();
    let once: BTreeSet<&String> = made.iter().collect();
    assert_eq!((made.len(), once.len()), (60, 60));
}

#[test]
fn killed_again_and_again_each_is_published_once() {
    const DAYS: i64 = 400;
    const KILLS: usize = 8;
    let seed = u64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs());
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let project = days(DAYS, "16");
    let store = || SqliteStore::open_read_only(&project.path(".assets"), Disk::Local).unwrap().store;
    let recorded = || -> BTreeSet<String> {
        let all = store().latest_all().unwrap_or_default();
        all.into_iter().filter(|it| it.key.as_str() == "copy").map(|it| it.partition.as_str().to_owned()).collect()
    };
    let begun = || -> Vec<Vec<String>> {
        let text = if project.exists("ran.log") { project.read("ran.log") } else { String::new() };
        let copies = text.lines().filter_map(|it| it.strip_prefix("copy "));
        copies.map(|it| it.split(' ').map(str::to_owned).collect()).collect()
    };
    let mut moments = Vec::new();
    for _ in 0..KILLS {
        let running = project.start(&["materialize", "-q", "-s", "copy", "-j", "2", "--progress", "none"]);
        sleep(Duration::from_millis(30 + random.below(150) as u64));
        match random.one_in(2) {
            true => running.signal(Signal::KILL),
            false => tree::kill(running.pid()),
        }
        running.finish();
        moments.push((recorded(), begun().len()));
    }
    project.run(&["materialize", "-q"]).succeeded();
    let begun = begun();
    for (kill, (recorded, before)) in moments.iter().enumerate() {
        let again: Vec<&String> = begun[*before..].iter().flatten().filter(|it| recorded.contains(*it)).collect();
        assert!(again.is_empty(), "seed {seed}: recorded before kill {kill}, and made after it: {again:?}");
    }
    let mut made: BTreeMap<&String, usize> = BTreeMap::new();
    begun.iter().flatten().for_each(|it| *made.entry(it).or_default() += 1);
    assert_eq!(made.len() as i64, DAYS, "seed {seed}");
    let store = store();
    let key = AssetKey::parse("copy").unwrap();
    for day in 0..DAYS {
        let history = store.history(&key, &PartitionKey::new(&date(day))).unwrap();
        assert_eq!(history.len(), 1, "seed {seed}: {}", date(day));
        assert_eq!(project.read(&format!("data/copy/{}.csv", date(day))), format!("a{day}\n"));
    }
    drop(store);
    no_leftovers(&project);
}

/// Nothing of one region runs beside another of it, and regions run beside each other.
fn by_region(more: &str) -> Project {
    Project::new().manifest(&format!(
        r#"
[pool.api]
limit = 1
per = "region"

[partitions.region]
type = "static"
keys = ["jp", "us", "eu"]

[partitions.day]
type = "static"
keys = ["a", "b", "c", "d"]

[partitions.both]
type = "multi"
dimensions = {{ day = "day", region = "region" }}

[asset.got]
command = '''
for key in ${{ASSETS_PARTITION_KEYS:-$ASSETS_PARTITION_KEY}}; do region=${{key#*region=}}; done
mkdir at.$region || echo $region >> clash
ls -d at.* | wc -l >> seen
sleep 0.05
rmdir at.$region
for key in $ASSETS_PARTITION_KEYS; do echo > $ASSETS_OUTPUT/$key.txt; done
test -n "$ASSETS_PARTITION_KEYS" || echo > $ASSETS_OUTPUT
'''
format = "txt"
path = "got/{{{{ partition.key }}}}.txt"
partitions = "both"
pool = "api"
{more}
"#
    ))
}

#[test]
fn a_pool_by_dimension_limits_each_value_by_itself() {
    for (more, commands) in [("", 12), ("batch = \"all\"", 3)] {
        let project = by_region(more);
        project.run(&["materialize", "-q", "-j", "6"]).succeeded();
        assert!(!project.exists("clash"), "two of one region at once");
        let seen = project.read("seen");
        let seen: Vec<usize> = seen.lines().map(|it| it.trim().parse().unwrap()).collect();
        assert_eq!(seen.len(), commands);
        assert!(seen.iter().any(|it| *it > 1), "regions waited for each other: {seen:?}");
        project.run(&["status", "-q"]).succeeded();
    }
}
