//! `batch` where rows are kept: one query whose rows are laid apart, one command that hands over several.

use std::collections::BTreeMap;

use crate::{
    batch::date,
    support::{Project, adbc::driver, duckdb, postgres::Server},
};

/// Days in a table, from files; and their months, all at once.
fn tables(io: &str, batch: &str) -> String {
    format!(
        r#"default_io = "db"
{io}
[partitions.daily]
type = "time"
every = "day"
start = "2020-01-01"
end = "2020-03-01"
[partitions.monthly]
type = "time"
every = "month"
start = "2020-01-01"
end = "2020-03-01"

[source.raw]
files = ["raw/{{{{ partition.key }}}}.csv"]
partitions = "daily"

[asset.daily]
sql = "select cast(day as text) as day, count(*) as hours, sum(n) as n from raw group by day"
partitions = "daily"
partition_column = "day"
{batch}

[[asset.daily.checks]]
range = {{ column = "n", min = 0 }}

[asset.monthly]
sql = "select substr(day, 1, 7) as month, sum(n) as n, min('{{{{ partition.start }}}}') as start from daily group by substr(day, 1, 7)"
partitions = "monthly"
partition_column = "month"
batch = "all"
"#
    )
}

/// Of each asset and partition, what became of it and its data version.
fn made(project: &Project, arguments: &[&str]) -> BTreeMap<(String, String), (String, String)> {
    let document = project.run(&[&["materialize", "--json"], arguments].concat()).succeeded().json();
    let text = |it: &serde_json::Value| it.as_str().unwrap_or_default().to_owned();
    let step = |it: &serde_json::Value| {
        ((text(&it["key"]), text(&it["partition"])), (text(&it["outcome"]), text(&it["data_version"])))
    };
    document["steps"].as_array().unwrap().iter().map(step).collect()
}

/// How many queries were run for the asset.
fn queries(project: &Project, asset: &str) -> usize {
    let logs = project.snapshot().into_iter().map(|it| it.0).filter(|it| it.ends_with("/events.jsonl"));
    let lines: Vec<String> =
        logs.flat_map(|it| project.read(&it).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let events = lines.iter().map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap());
    let begun = |it: &serde_json::Value| it["event"] == "step_started" && it["key"] == asset;
    events.filter(|it| begun(it) && it["together_with"].is_null()).count()
}

fn rows_are_laid_apart(project: &Project, io: &str) {
    for day in 0..60 {
        project.write(&format!("raw/{}.csv", date(day)), format!("day,n\n{0},1\n{0},2\n", date(day)));
    }
    let together = made(project, &[]);
    assert_eq!(together.len(), 62);
    assert!(together.values().all(|it| it.0 == "built"), "{together:#?}");
    assert_eq!((queries(project, "daily"), queries(project, "monthly")), (6, 1));
    project.run(&["status", "-q", "--refresh"]).succeeded();

    // One by one they are the same, and nobody has to make them again for that.
    project.write_manifest(&tables(io, ""));
    project.run(&["status", "-q"]).succeeded();
    let alone = made(project, &["-f", "-s", "daily"]);
    assert!(alone.iter().all(|(key, it)| it.1 == together[key].1), "{alone:#?}");
    project.write_manifest(&tables(io, "batch = 10"));

    project.write("raw/2020-01-14.csv", "day,n\n2020-01-14,10\n");
    let late = made(project, &[]);
    let late: Vec<&str> = late.iter().filter(|it| it.1.0 == "built").map(|it| it.0.1.as_str()).collect();
    assert_eq!(late, ["2020-01-14", "2020-01"]);

    // Rows that would be lost are told, and one that a check refuses is refused alone.
    project.write("raw/2020-02-03.csv", "day,n\n2020-02-03,1\n2021-01-01,1\n");
    project.write("raw/2020-02-04.csv", "day,n\n2020-02-04,7\n");
    let lost = project.run(&["materialize", "-s", "daily"]).exited(1);
    assert!(lost.stderr.contains("1 of 3 rows are of none of the 2 partitions"), "{}", lost.stderr);
    project.write("raw/2020-02-03.csv", "day,n\n2020-02-03,-1\n");
    project.run(&["materialize", "-q", "-s", "daily"]).exited(4);
    let status = project.run(&["status", "-s", "daily", "--json"]).exited(3).json();
    let partitions = &status["assets"][0]["partitions"];
    assert_eq!((&partitions["fresh"], &partitions["failed"]), (&59.into(), &1.into()));
}

#[test]
fn a_query_makes_several_partitions_of_a_table_in_sqlite() {
    let io = "[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"\n";
    let project = Project::new().manifest(&tables(io, "batch = 10"));
    rows_are_laid_apart(&project, io);
    let database = rusqlite::Connection::open(project.path("db.sqlite")).unwrap();
    let n = |text: &str| -> i64 { database.query_row(text, [], |it| it.get(0)).unwrap() };
    assert_eq!(n("select count(*) from daily"), 60);
    assert_eq!(n("select n from daily where day = '2020-01-14'"), 10);
    assert_eq!(n("select n from daily where day = '2020-02-03'"), 3, "what was there before stands");
}

#[test]
fn a_query_makes_several_partitions_of_a_table_in_postgres() {
    let database = Server::shared().database();
    let io = "[io.db]\ntype = \"postgres\"\nurl = \"{{ env.DATABASE_URL }}\"\n";
    let project = Project::new().env("DATABASE_URL", &database.url()).manifest(&tables(io, "batch = 10"));
    rows_are_laid_apart(&project, io);
    assert_eq!(database.rows("select count(*)::text, sum(n)::text from daily"), ["60|191"]);
}

const DUCKDB: &str = "[io.db]\ntype = \"duckdb\"\npath = \"db.duckdb\"\n";

fn in_duckdb(manifest: &str) -> Project {
    Project::new().env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap()).manifest(manifest)
}

#[test]
fn a_query_makes_several_partitions_of_a_table_in_duckdb() {
    let project = in_duckdb(&tables(DUCKDB, "batch = 10"));
    rows_are_laid_apart(&project, DUCKDB);
    let file = project.path("db.duckdb");
    assert_eq!(duckdb::rows(&file, "select count(*), sum(n) from daily"), ["60|191"]);
    let left = "select count(*) from information_schema.tables where table_name like '%stage%'";
    assert_eq!(duckdb::rows(&file, left), ["0"], "something staged was left");
}

#[test]
fn a_query_makes_several_partitions_of_a_table_behind_any_driver() {
    let database = Server::shared().database();
    for (name, dialect, uri) in
        [("sqlite", "sqlite", "wh.sqlite".to_owned()), ("postgresql", "postgres", database.url())]
    {
        let driver = driver(name).display().to_string();
        let io = format!(
            "[io.db]\ntype = \"adbc\"\ndriver = \"{driver}\"\ndialect = \"{dialect}\"\n\
             options = {{ uri = \"{{{{ env.URI }}}}\" }}\n"
        );
        let project = Project::new().env("URI", &uri).manifest(&tables(&io, "batch = 10"));
        rows_are_laid_apart(&project, &io);
    }
}

#[test]
fn a_query_over_files_makes_several_of_them() {
    let io = "[io.db]\ntype = \"fs\"\nroot = \"data\"\n";
    let project = Project::new().manifest(&tables(io, "batch = 10"));
    rows_are_laid_apart(&project, io);
    let n = project.run(&["query", "select count(*) as days, sum(n) as n from daily", "--json"]).succeeded().json();
    assert_eq!(n["rows"], serde_json::json!([{ "days": 60, "n": 191 }]));
    assert!(project.exists("data/monthly/2020-02.parquet"));

    // One by one, too, rows of another day are refused.
    project.write_manifest(&tables(io, ""));
    project.write("raw/2020-02-03.csv", "day,n\n2020-02-03,1\n2021-01-01,1\n");
    let lost = project.run(&["materialize", "-s", "daily"]).exited(1);
    let told = "1 of 2 rows are of another partition: not all have \"day\" = '2020-02-03'";
    assert!(lost.stderr.contains(told), "{}", lost.stderr);
}

/// A partition that a batch gives no rows of is there, and empty.
#[test]
fn what_a_batch_gives_nothing_of_is_there_without_rows() {
    let sqlite = "[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"\n";
    let files = "[io.db]\ntype = \"fs\"\nroot = \"data\"\n";
    let database = Server::shared().database();
    let postgres = "[io.db]\ntype = \"postgres\"\nurl = \"{{ env.DATABASE_URL }}\"\n";
    for io in [sqlite, files, DUCKDB, postgres] {
        let project = in_duckdb(&tables(io, "batch = \"all\"")).env("DATABASE_URL", &database.url());
        for day in 0..4 {
            project.write(&format!("raw/{}.csv", date(day)), format!("day,n\n{},1\n", date(day)));
        }
        project.write(&format!("raw/{}.csv", date(1)), "day,n\n");
        let rows = project.run(&["materialize", "-s", "daily", "--json"]).succeeded().json();
        let told = |it: &serde_json::Value| format!("{} {}", it["partition"].as_str().unwrap(), it["rows"]);
        let told: Vec<String> = rows["steps"].as_array().unwrap().iter().map(told).collect();
        assert_eq!(told, ["2020-01-01 1", "2020-01-02 0", "2020-01-03 1", "2020-01-04 1"], "{io}");
        assert_eq!(queries(&project, "daily"), 1);
        project.run(&["status", "-s", "daily", "-q", "--refresh"]).succeeded();
        assert_eq!(made(&project, &["-s", "daily"]).len(), 0, "{io}");
    }
}

/// Two dimensions, and commands that hand over what tables are made of.
fn handed_over(io: &str) -> String {
    format!(
        r#"default_io = "db"
{io}
[partitions.day]
type = "static"
keys = ["1", "2"]
[partitions.region]
type = "static"
keys = ["jp", "us"]
[partitions.both]
type = "multi"
dimensions = {{ day = "day", region = "region" }}

[asset.made]
command = '''
echo made $(echo $ASSETS_PARTITION_KEYS | wc -w) >> ran.log
for key in $ASSETS_PARTITION_KEYS; do
  day=${{key#day=}}; region=${{key#*region=}}
  test $key = "$(cat skip)" || printf "day,region,n\n${{day%%,*}},$region,$(cat n)\n" > $ASSETS_OUTPUT/$key.csv
done
'''
partitions = "both"
partition_column = {{ day = "day", region = "region" }}
batch = "all"

[asset.read]
command = '''
for key in $ASSETS_PARTITION_KEYS; do cat $ASSETS_INPUT_MADE/*region=$key* > $ASSETS_OUTPUT/$key.csv; done
'''
io = "files"
deps = ["made"]
format = "csv"
partitions = "region"
batch = "all"

[io.files]
type = "fs"
root = "data"
"#
    )
}

#[test]
fn a_command_hands_over_several_partitions_of_a_table() {
    let sqlite = "[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"\n";
    let database = Server::shared().database();
    let postgres = "[io.db]\ntype = \"postgres\"\nurl = \"{{ env.DATABASE_URL }}\"\n";
    for io in [sqlite, DUCKDB, postgres] {
        let project = in_duckdb(&handed_over(io)).env("DATABASE_URL", &database.url());
        project.write("n", "7");
        project.write("skip", "none");
        assert_eq!(made(&project, &[]).len(), 6, "{io}");
        assert_eq!(project.read("ran.log"), "made 4\n");
        let rows = project.run(&["query", "select sum(n) as n from made", "--json"]).succeeded().json();
        assert_eq!(rows["rows"][0]["n"].to_string().trim_matches('"'), "28", "{io}");
        assert!(project.read("data/read/us.csv").contains("2,us,7"), "{}", project.read("data/read/us.csv"));
        project.run(&["status", "-q", "--refresh"]).succeeded();

        // The same rows again touch nothing below; one that is missing fails alone.
        let again = made(&project, &["-f", "-s", "made"]);
        assert_eq!(again.len(), 4);
        project.run(&["status", "-q"]).succeeded();
        project.write("skip", "day=2,region=jp");
        let failed = project.run(&["materialize", "-f", "-s", "made"]).exited(1);
        assert!(failed.stderr.contains("made@day=2,region=jp"), "{}", failed.stderr);
        assert!(failed.stderr.contains("none is named after day=2,region=jp"), "{}", failed.stderr);
    }
}
