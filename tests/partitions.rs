//! Assets with partitions, end to end: late data rebuilds the partitions that it is in and those that are
//! made from them, and nothing else.

use crate::support::{Output, Project, assert_document};

/// 365 days of hours, cut down: `hours` of each day from 1 January 2025 on.
fn write_hours(project: &Project, days: usize, hours: usize) {
    for day in 0..days {
        let date = date(day);
        for hour in 0..hours {
            project.write(&format!("raw/{date}T{hour:02}.csv"), format!("{date},{hour},1\n"));
        }
    }
}

fn date(day: usize) -> String {
    let first = jiff::civil::date(2025, 1, 1);
    first.checked_add(jiff::Span::new().days(day as i64)).unwrap().to_string()
}

const ROLL_UPS: &str = r#"
[partitions.hourly]
type = "time"
every = "hour"
start = "2025-01-01"
end = "2026-01-01"

[partitions.daily]
type = "time"
every = "day"
start = "2025-01-01"
end = "2026-01-01"

[partitions.monthly]
type = "time"
every = "month"
start = "2025-01-01"
end = "2026-01-01"

[source.raw]
files = ["raw/{{ partition.key }}.csv"]
partitions = "hourly"

[asset.daily]
command = "cat $(ls -d \"$ASSETS_INPUT_RAW\"/*) | sed 's/ *#.*//' | sort > {{ output }}; echo daily@{{ partition.key }} >> ran.log"
deps = ["raw"]
format = "csv"
partitions = "daily"

[asset.monthly]
command = "cat \"$ASSETS_INPUT_DAILY\"/* > {{ output }}; echo monthly@{{ partition.key }} >> ran.log"
deps = ["daily"]
format = "csv"
partitions = "monthly"

[asset.total]
command = ["sh", "-c", "cat \"$@\" | wc -l > $ASSETS_OUTPUT; echo total >> ran.log", "sh", "{{ inputs.monthly }}"]
deps = ["monthly"]
format = "txt"
"#;

/// What ran since it was asked last, sorted.
fn ran(project: &Project) -> Vec<String> {
    let mut ran: Vec<String> = match project.exists("ran.log") {
        true => project.read("ran.log").lines().map(str::to_owned).collect(),
        false => Vec::new(),
    };
    ran.sort();
    if project.exists("ran.log") {
        project.remove("ran.log");
    }
    ran
}

fn told(output: &Output, key: &str) -> serde_json::Value {
    let document = output.json();
    document["assets"].as_array().unwrap().iter().find(|it| it["key"] == key).unwrap().clone()
}

#[test]
fn two_late_hours_rebuild_two_days_one_month_and_the_total() {
    let project = Project::new().manifest(ROLL_UPS);
    write_hours(&project, 365, 2);
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project).len(), 365 + 12 + 1);
    assert_eq!(project.read("data/total.txt").trim(), "730");
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project), Vec::<String>::new());
    project.run(&["status", "-q"]).succeeded();

    // Late data in two days of one month.
    project.write("raw/2025-03-14T20.csv", "2025-03-14,20,5\n");
    project.write("raw/2025-03-15T21.csv", "2025-03-15,21,5\n");
    let status = project.run(&["status", "--json"]).exited(3);
    assert_eq!(told(&status, "daily")["partitions"]["fresh"], 363);
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project), ["daily@2025-03-14", "daily@2025-03-15", "monthly@2025-03", "total"]);
    assert_eq!(project.read("data/total.txt").trim(), "732");

    // The same data again.
    project.write("raw/2025-03-14T20.csv", "2025-03-14,20,5\n");
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project), Vec::<String>::new());

    // Another form of the same data: the day is made, and nothing below it.
    project.write("raw/2025-03-14T20.csv", "2025-03-14,20,5  # as measured\n");
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project), ["daily@2025-03-14"]);
}

const FEW: &str = r#"
[partitions.daily]
type = "time"
every = "day"
start = "2025-01-01"
end = "2025-01-06"

[source.raw]
files = ["raw/{{ partition.key }}.csv"]
partitions = "daily"

[asset.daily]
command = "cp {{ inputs.raw }} {{ output }}; echo $ASSETS_PARTITION_KEY $ASSETS_PARTITION_START >> ran.log"
deps = ["raw"]
format = "csv"
partitions = "daily"

[asset.change]
command = ["sh", "-c", "echo $# > $ASSETS_OUTPUT; echo change@$ASSETS_PARTITION_KEY $# >> ran.log", "sh", "{{ inputs.daily }}"]
deps = [{ asset = "daily", partitions = { window = [-1, 0] } }]
path = "change/{{ partition.key }}.txt"
partitions = "daily"
"#;

fn few() -> Project {
    let project = Project::new().manifest(FEW);
    for day in 1..=4 {
        project.write(&format!("raw/2025-01-0{day}.csv"), format!("{day}\n"));
    }
    project
}

#[test]
fn what_has_no_data_yet_waits_and_is_no_failure() {
    let project = few();
    project.run(&["materialize", "-q"]).succeeded();
    let daily = |day| format!("2025-01-0{day} 2025-01-0{day}T00:00:00Z");
    let all: Vec<String> = (1..=4)
        .map(daily)
        .chain(["1 1", "2 2", "3 2", "4 2", "5 1"].map(|it| format!("change@2025-01-0{it}")))
        .collect();
    assert_eq!(ran(&project), all);
    let status = project.run(&["status", "--json"]).succeeded();
    let partitions = &told(&status, "daily")["partitions"];
    assert_eq!((&partitions["fresh"], &partitions["waiting"]), (&4.into(), &1.into()));
    assert_eq!(partitions["ranges"][1]["partitions"], "2025-01-05");
    let said = project.run(&["materialize", "-s", "daily", "--partition", "2025-01-05"]).succeeded();
    assert!(said.stderr.contains("daily: 1 partition cannot be made yet"), "{}", said.stderr);

    // It comes: the day, and what reads it.
    project.write("raw/2025-01-05.csv", "5\n");
    let status = project.run(&["status"]).exited(3);
    assert!(status.stdout.contains("4 of 5 partitions fresh; 2025-01-05 missing: never built"), "{}", status.stdout);
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project), [daily(5), "change@2025-01-05 2".to_owned()]);
}

#[test]
fn partitions_are_named_on_the_command_line() {
    let project = few();
    project.run(&["materialize", "-q", "--partition", "2025-01-02..2025-01-04", "-s", "daily"]).succeeded();
    assert_eq!(ran(&project).len(), 2);
    assert!(project.exists("data/daily/2025-01-03.csv") && !project.exists("data/daily/2025-01-04.csv"));
    project.run(&["materialize", "-q", "--partition", "missing", "-s", "daily"]).succeeded();
    assert_eq!(ran(&project).len(), 2);
    project.write("raw/2025-01-01.csv", "x\n");
    project.write("raw/2025-01-02.csv", "y\n");
    project.run(&["materialize", "-q", "--partition", "2025-01-01", "-s", "daily"]).succeeded();
    assert_eq!(ran(&project).len(), 1);
    project.run(&["materialize", "-q", "--partition", "stale", "-s", "daily"]).succeeded();
    assert_eq!(ran(&project).len(), 1);
    project.run(&["materialize", "-q", "-f", "--partition", "latest", "-s", "change"]).succeeded();
    assert_eq!(ran(&project), ["change@2025-01-05 1"]);
    let wrong = project.run(&["materialize", "--partition", "2025-02-01", "-s", "daily"]).exited(2);
    assert!(wrong.stderr.contains("2025-02-01 is after the last partition"), "{}", wrong.stderr);
    let plan = project.run(&["plan", "--json", "--partition", "2025-01-02", "-s", "change"]).succeeded().json();
    assert_eq!(plan["steps"][0]["partition"], "2025-01-02");
}

#[test]
fn why_tells_of_one_partition() {
    let project = few();
    project.run(&["materialize", "-q"]).succeeded();
    project.write("raw/2025-01-02.csv", "other\n");
    let why = project.run(&["why", "daily", "--partition", "2025-01-02", "--json"]).succeeded().json();
    assert_eq!(why["reasons"][0]["code"], "source_changed");
    assert_eq!(why["reasons"][0]["subject"], "raw@2025-01-02");
    let why = project.run(&["why", "daily", "--partition", "2025-01-03", "--json"]).succeeded().json();
    assert_eq!(why["state"], "fresh");
    let why = project.run(&["why", "change", "--partition", "2025-01-03", "--json"]).succeeded().json();
    assert_eq!(why["reasons"][0]["code"], "upstream_stale");
}

#[test]
fn a_lost_or_edited_partition_is_made_again_alone() {
    let project = few();
    project.run(&["materialize", "-q"]).succeeded();
    ran(&project);
    project.remove("data/daily/2025-01-02.csv");
    project.write("data/daily/2025-01-03.csv", "edited\n");
    let status = project.run(&["status", "--json"]).exited(3);
    assert_eq!(told(&status, "daily")["partitions"]["fresh"], 2);
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project).len(), 2, "what they hold is what it was: nothing below is made");
    // A command that changes makes all of them again.
    project.edit("assets.toml", "cp {{ inputs.raw }} {{ output }};", "cp {{ inputs.raw }} {{ output }} ;");
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project).len(), 4);
}

#[test]
fn what_a_change_would_touch_is_told_partition_by_partition() {
    let project = few();
    project.run(&["materialize", "-q"]).succeeded();
    let impact = project.run(&["impact", "raw/2025-01-02.csv", "--json"]).succeeded().json();
    let told: Vec<(String, String)> = impact["assets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["key"].as_str().unwrap().to_owned(), it["partitions"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [("daily", "2025-01-02"), ("change", "2025-01-02,2025-01-03")];
    assert_eq!(told, expected.map(|(key, partitions)| (key.to_owned(), partitions.to_owned())));
    assert!(impact["estimated_ms"].is_u64());
    let text = project.run(&["impact", "daily", "--partition", "2025-01-05"]).succeeded();
    assert!(text.stdout.starts_with("change@2025-01-05"), "{}", text.stdout);
    project.run(&["impact", "dayly"]).exited(2);
}

#[test]
fn dynamic_keys_and_dimensions_come_and_go() {
    let project = Project::new().manifest(
        r#"
[partitions.customer]
type = "dynamic"

[partitions.region]
type = "static"
keys = ["jp", "us"]

[partitions.each]
type = "multi"
dimensions = { customer = "customer", region = "region" }

[asset.bill]
command = "echo {{ partition.keys.customer }} {{ partition.keys.region }} > {{ output }}; echo {{ partition.key }} >> ran.log"
format = "txt"
partitions = "each"

[asset.of_customer]
command = ["sh", "-c", "cat \"$@\" > $ASSETS_OUTPUT; echo $ASSETS_PARTITION_KEY >> ran.log", "sh", "{{ inputs.bill }}"]
deps = ["bill"]
format = "txt"
partitions = "customer"
"#,
    );
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project), Vec::<String>::new());
    project.run(&["partitions", "add", "customer", "acme", "globex"]).succeeded();
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project).len(), 4 + 2);
    assert_eq!(project.read("data/bill/customer=acme/region=jp.txt"), "acme jp\n");
    assert_eq!(project.read("data/of_customer/acme.txt"), "acme jp\nacme us\n");
    project.run(&["partitions", "add", "customer", "initech"]).succeeded();
    project.run(&["materialize", "-q", "--partition", "customer=initech,region=jp", "-s", "bill"]).succeeded();
    assert_eq!(ran(&project), ["customer=initech,region=jp"]);
    project.run(&["partitions", "remove", "customer", "globex"]).succeeded();
    let keys = project.run(&["partitions", "list", "customer"]).succeeded();
    assert_eq!(keys.stdout, "acme\ninitech\n");
    let status = project.run(&["status", "--json"]).exited(3);
    assert_eq!(told(&status, "bill")["partitions"]["total"], 4);
    project.run(&["partitions", "add", "region", "de"]).exited(2);
    project.run(&["partitions", "add", "customer", "all"]).exited(2);
}

#[test]
fn a_job_has_partitions_variables_and_a_pool() {
    let project = Project::new().manifest(
        r#"
[vars]
mode = "fast"
[partitions.region]
type = "static"
keys = ["jp", "us"]
[pool.one]
limit = 1
[asset.a]
command = "echo {{ vars.mode }} > {{ output }}; echo {{ partition.key }} {{ vars.mode }} >> ran.log"
format = "txt"
partitions = "region"
[job.nightly]
description = "The whole of Japan."
select = "a"
partitions = "jp"
vars = { mode = "full" }
pool = "one"
"#,
    );
    let list = project.run(&["job", "list"]).succeeded();
    assert_eq!(list.stdout, "nightly  a; partitions jp; mode=full; pool one  The whole of Japan.\n");
    project.run(&["job", "run", "nightly", "-q"]).succeeded();
    assert_eq!(ran(&project), ["jp full"]);
    project.run(&["job", "run", "nightly", "-q", "--partition", "all"]).succeeded();
    assert_eq!(ran(&project), ["us full"]);
    project.run(&["job", "run", "nightli"]).exited(2);
}

#[test]
fn an_op_makes_a_partition_of_each_of_its_assets_and_failures_stay_their_own() {
    let project = Project::new().manifest(
        r#"
[partitions.region]
type = "static"
keys = ["jp", "us", "de"]
[op.split]
command = "test $ASSETS_PARTITION_KEY != \"$(cat bad)\" && echo a > {{ outputs.a }} && echo b > {{ outputs.b }}; echo split@$ASSETS_PARTITION_KEY >> ran.log; test -s {{ outputs.b }}"
partitions = "region"
[asset.a]
op = "split"
format = "txt"
[asset.b]
op = "split"
format = "txt"
[asset.c]
command = "cp {{ inputs.b }} {{ output }}; echo c@{{ partition.key }} >> ran.log"
deps = [{ asset = "b", partitions = "same" }]
format = "txt"
partitions = "region"
"#,
    );
    project.write("bad", "us");
    project.run(&["materialize", "-q"]).exited(1);
    assert_eq!(ran(&project), ["c@de", "c@jp", "split@de", "split@jp", "split@us"]);
    let status = project.run(&["status", "--json"]).exited(3);
    assert_eq!(told(&status, "a")["partitions"]["failed"], 1);
    assert_eq!(told(&status, "a")["state"], "failed");
    // Only what failed, and what it kept from being made.
    project.write("bad", "none");
    project.run(&["retry", "-q"]).succeeded();
    assert_eq!(ran(&project), ["c@us", "split@us"]);
    project.run(&["status", "-q"]).succeeded();
}

#[test]
fn a_million_keys_are_told_as_ranges() {
    let mut manifest =
        "[partitions.hourly]\ntype = \"time\"\nevery = \"hour\"\nstart = \"2020-01-01\"\nend = \"2025-09-15\"\n"
            .to_owned();
    for index in 0..20 {
        let deps = if index > 0 { format!("deps = [\"a{}\"]\n", index - 1) } else { String::new() };
        manifest += &format!(
            "[asset.a{index}]\ncommand = \"echo {index} > {{{{ output }}}}; echo a{index} >> ran.log\"\n{deps}format = \"txt\"\npartitions = \"hourly\"\n"
        );
    }
    let project = Project::new().manifest(&manifest);
    project.run(&["materialize", "-q", "--partition", "2025-01-01T00..2025-01-01T03"]).succeeded();
    assert_eq!(ran(&project).len(), 60);
    let status = project.run(&["status", "--json"]).exited(3);
    let partitions = &told(&status, "a19")["partitions"];
    assert_eq!((&partitions["total"], &partitions["fresh"]), (&50_016.into(), &3.into()));
    let ranges: Vec<&str> =
        partitions["ranges"].as_array().unwrap().iter().map(|it| it["partitions"].as_str().unwrap()).collect();
    assert_eq!(ranges, ["2020-01-01T00..2025-01-01T00,2025-01-01T03..2025-09-15T00", "2025-01-01T00..2025-01-01T03"]);
    project.run(&["materialize", "-q", "--partition", "2025-01-01"]).exited(2);
}

#[test]
fn partitions_lie_in_a_bucket_too() {
    let body =
        FEW.replace("[source.raw]", "[io.bucket]\ntype = \"object_store\"\nurl = \"file://bucket\"\n[source.raw]");
    let project = Project::new().manifest(&body);
    for day in 1..=3 {
        project.write(&format!("raw/2025-01-0{day}.csv"), format!("{day}\n"));
    }
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project).len(), 3 + 4);
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project).len(), 0);
    project.write("raw/2025-01-02.csv", "x\n");
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project).len(), 3);
    let rows = project.run(&["list", "--json"]).succeeded();
    assert!(rows.stdout.contains("bucket"));
}

#[test]
fn partitions_are_accepted_one_by_one() {
    let project = few();
    project.run(&["materialize", "-q"]).succeeded();
    ran(&project);
    project.write("raw/2025-01-02.csv", "other\n");
    project.write("raw/2025-01-03.csv", "another\n");
    let one = project.run(&["accept", "daily", "--partition", "2025-01-02", "--reason", "same data"]).succeeded();
    assert_eq!(one.stdout, "daily@2025-01-02 counts as fresh now (2 B)\n");
    let status = project.run(&["status", "--json"]).exited(3);
    assert_eq!(told(&status, "daily")["partitions"]["fresh"], 3);
    // Those that were made and are not fresh.
    let rest = project.run(&["accept", "daily", "--reason", "same data", "--json"]).succeeded().json();
    assert_eq!(rest["accepted"][0]["partition"], "2025-01-03");
    assert_eq!(rest["accepted"].as_array().unwrap().len(), 1);
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project), Vec::<String>::new(), "what they hold is what it was");
    // What was put there by hand, of a partition that was never made; and one of which nothing is there.
    project.write("raw/2025-01-05.csv", "5\n");
    let refused = project.run(&["accept", "daily", "--partition", "2025-01-05", "--reason", "x"]).exited(2);
    assert!(refused.stderr.contains("data/daily/2025-01-05.csv is missing"), "{}", refused.stderr);
    project.write("data/daily/2025-01-05.csv", "5\n");
    project.run(&["accept", "daily", "--partition", "2025-01-05", "--reason", "by hand"]).succeeded();
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(ran(&project), ["change@2025-01-05 2"], "it reads what was accepted");
    let refused = project.run(&["accept", "daily", "--partition", "2026-01-05", "--reason", "x"]).exited(2);
    assert!(refused.stderr.contains("after the last partition"), "{}", refused.stderr);
}

#[test]
fn what_reads_all_gets_a_folder_whether_there_are_two_keys_or_one_or_none() {
    let project = Project::new().manifest(
        r#"
[partitions.who]
type = "dynamic"

[asset.who]
command = "echo {{ partition.key }} > {{ output }}"
format = "txt"
partitions = "who"

[asset.all]
command = "for it in \"$ASSETS_INPUT_WHO\"/*; do test ! -e \"$it\" || cat \"$it\"; done > {{ output }}"
deps = ["who"]
format = "txt"
"#,
    );
    for (key, expected) in [(None, ""), (Some("acme"), "acme\n"), (Some("globex"), "acme\nglobex\n")] {
        if let Some(key) = key {
            project.run(&["partitions", "add", "who", key]).succeeded();
        }
        project.run(&["materialize", "-q"]).succeeded();
        assert_eq!(project.read("data/all.txt"), expected);
    }
}

/// The same partition is read, but no longer in a folder.
#[test]
fn a_mapping_that_gives_one_path_for_a_folder_makes_stale() {
    let project = Project::new().manifest(
        r#"
[partitions.daily]
type = "time"
every = "day"
start = "2026-01-05"
end = "2026-01-06"

[asset.day]
command = "echo {{ partition.key }} > {{ output }}"
format = "txt"
partitions = "daily"

[asset.form]
command = "if test -d $ASSETS_INPUT_DAY; then echo folder; else echo file; fi > {{ output }}"
deps = [{ asset = "day", partitions = { window = [-1, 0] } }]
format = "txt"
partitions = "daily"
"#,
    );
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(project.read("data/form/2026-01-05.txt"), "folder\n");
    project.edit("assets.toml", "window = [-1, 0]", "window = [0, 0]");
    let why = project.run(&["why", "form", "--partition", "2026-01-05"]);
    assert!(why.stdout.contains("day.partitions"), "{}", why.stdout);
    project.run(&["materialize", "-q"]).succeeded();
    assert_eq!(project.read("data/form/2026-01-05.txt"), "file\n");
}

/// Days and regions, what reads them day by day, and a total.
const RENAMED: &str = r#"
[partitions.day]
type = "static"
keys = ["mon", "tue"]
[partitions.region]
type = "static"
keys = ["jp", "us"]
[partitions.both]
type = "multi"
dimensions = { day = "day", region = "region" }
[asset.sold]
command = "echo $ASSETS_PARTITION_KEY > {{ output }}"
format = "txt"
partitions = "both"
[asset.by_day]
command = "cat {{ inputs.sold }} > {{ output }}"
deps = ["sold"]
path = "by/{{ partition.key }}.txt"
partitions = "day"
[asset.same]
command = "cp {{ inputs.by_day }} {{ output }}"
deps = ["by_day"]
format = "txt"
partitions = "day"
[asset.total]
command = "cat {{ inputs.sold }} > {{ output }}"
deps = ["sold"]
format = "txt"
"#;

#[test]
fn a_rename_keeps_every_partition_fresh() {
    // Before the manifest is edited, and after.
    for edited in [false, true] {
        let project = Project::new().manifest(RENAMED);
        project.run(&["materialize", "-q"]).succeeded();
        let edit = || {
            let body = project.read("assets.toml");
            project.write("assets.toml", body.replace("sold", "sales").replace("by_day", "daily"));
        };
        if edited {
            edit();
        }
        let moved = project.run(&["mv", "sold", "sales"]).succeeded();
        let told = "sold is sales now\nmoved data/sold/day={{ partition.keys.day }}/region={{ partition.keys.region }}.txt \
                    to data/sales/day={{ partition.keys.day }}/region={{ partition.keys.region }}.txt (4 partitions)\n";
        assert_eq!(moved.stdout, told);
        let document = project.run(&["mv", "by_day", "daily", "--json"]).succeeded().json();
        assert_document("mv", &document);
        assert_eq!(document["dependents"], serde_json::json!(["same"]));
        if !edited {
            edit();
        }
        assert_eq!(project.read("data/sales/day=mon/region=jp.txt"), "day=mon,region=jp\n");
        assert!(!project.exists("data/sold/day=mon/region=jp.txt") && project.exists("data/by/mon.txt"));
        let status = project.run(&["status"]);
        assert_eq!(status.code, 0, "{edited}: {}", status.stdout);
        project.run(&["materialize", "-q"]).succeeded();
    }
    let project = Project::new().manifest(RENAMED);
    project.run(&["materialize", "-q"]).succeeded();
    project.write("data/sold/day=mon/region=us.txt", "other\n");
    let moved = project.run(&["mv", "sold", "sales"]).succeeded();
    assert!(moved.stdout.contains("(3 partitions)"), "{}", moved.stdout);
    let told = "the output stays at data/sold/day=mon/region=us.txt: it is not what was recorded";
    assert!(moved.stderr.contains(told), "{}", moved.stderr);
    let taken = project.run(&["mv", "total", "sales"]).exited(2);
    assert!(taken.stderr.contains("`sales` was built already"), "{}", taken.stderr);
}

#[test]
fn why_names_the_files_of_a_partition() {
    let project = Project::new().manifest(
        r#"
[partitions.daily]
type = "time"
every = "day"
start = "2025-01-01"
end = "2025-01-03"
[source.one]
files = ["one/{{ partition.key }}.csv"]
partitions = "daily"
[source.many]
files = ["many/{{ partition.key }}/*.csv"]
partitions = "daily"
[asset.daily]
command = "echo > {{ output }}"
deps = ["one", "many"]
format = "txt"
partitions = "daily"
"#,
    );
    for day in ["2025-01-01", "2025-01-02"] {
        project.write(&format!("one/{day}.csv"), "a\n");
        for name in ["a", "b", "c"] {
            project.write(&format!("many/{day}/{name}.csv"), "a\n");
        }
    }
    project.run(&["materialize", "-q"]).succeeded();
    project.write("one/2025-01-02.csv", "b\n");
    project.write("many/2025-01-02/a.csv", "b\n");
    project.write("many/2025-01-02/d.csv", "b\n");
    project.remove("many/2025-01-02/c.csv");
    let why = project.run(&["why", "daily", "--partition", "2025-01-02"]).succeeded().stdout;
    for told in ["~one/2025-01-02.csv", "~many/2025-01-02/a.csv", "-many/2025-01-02/c.csv", "+many/2025-01-02/d.csv"] {
        assert!(why.contains(&format!("\n      {told}\n")), "{told}: {why}");
    }
    assert!(!why.contains("2025-01-02/b.csv"), "{why}");
    project.remove("one/2025-01-02.csv");
    let why = project.run(&["why", "daily", "--partition", "2025-01-02"]).succeeded().stdout;
    assert!(why.contains("one/2025-01-02"), "{why}");
}

#[test]
fn a_table_that_names_a_key_that_is_not_there_keeps_only_its_asset_from_being_made() {
    let project = Project::new().manifest(
        r#"
[partitions.who]
type = "dynamic"
[partitions.region]
type = "static"
keys = ["jp"]
[asset.who]
command = "echo > {{ output }}"
partitions = "who"
[asset.region]
command = "echo > {{ output }}"
deps = [{ asset = "who", partitions = { table = { jp = ["acme"] } } }]
partitions = "region"
[asset.other]
command = "echo > {{ output }}"
partitions = "region"
"#,
    );
    project.run(&["partitions", "add", "who", "globex"]).succeeded();
    project.run(&["materialize", "-s", "other", "-s", "who"]).succeeded();
    project.run(&["status", "-q", "-s", "other", "-s", "who"]).succeeded();
    let told = "it cannot read the partitions of who: the table names `acme`, which is no partition of the upstream; \
                add it with `assets partitions add`, or take it out";
    let status = project.run(&["status"]).exited(3);
    assert!(status.stdout.contains("all blocked: upstream is missing: partitions of who"), "{}", status.stdout);
    assert!(status.stderr.contains(&format!("warning: region: {told}")), "{}", status.stderr);
    let why = project.run(&["why", "region"]).succeeded();
    assert!(why.stdout.contains("upstream is missing: partitions of who"), "{}", why.stdout);
    let made = project.run(&["materialize"]).exited(1);
    assert!(made.stderr.contains(told), "{}", made.stderr);
    project.run(&["partitions", "add", "who", "acme"]).succeeded();
    project.run(&["materialize"]).succeeded();
    project.run(&["status", "-q"]).succeeded();
}
