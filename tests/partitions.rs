//! Assets with partitions, end to end: late data rebuilds the partitions that it is in and those that are
//! made from them, and nothing else.

use crate::support::{Output, Project};

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
