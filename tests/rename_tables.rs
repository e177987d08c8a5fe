//! `mv` of tables: the database gives them their new name, and rows that were gathered over many runs stay.

use crate::support::{Project, duckdb, postgres::Server};

const MANIFEST: &str = r#"default_io = "db"
[source.raw]
files = ["raw.csv"]
[asset.gathered]
sql = "select id, n from raw"
materialized = "incremental"
unique_key = ["id"]
[asset.total]
sql = "select count(*) as n from gathered"
[partitions.daily]
type = "time"
every = "day"
start = "2025-01-01"
end = "2025-01-04"
[asset.days]
sql = "select '{{ partition.key }}' as day, 1 as n"
partitions = "daily"
partition_column = "day"
"#;

fn rows(project: &Project, sql: &str) -> String {
    project.run(&["query", sql, "--format", "csv"]).succeeded().stdout
}

fn a_table_has_another_name(io: &str, url: &str, manifest_first: bool) {
    let project = Project::new()
        .manifest(&format!("{MANIFEST}[io.db]\n{io}\n"))
        .env("URL", url)
        .env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
    for id in 1..=3 {
        project.write("raw.csv", format!("id,n\n{id},{}\n", id * 10));
        project.run(&["materialize"]).succeeded();
    }
    assert_eq!(rows(&project, "select sum(n) as n from gathered"), "n\n60\n", "{io}");

    let in_manifest = || {
        project.edit("assets.toml", "[asset.gathered]", "[asset.kept]");
        project.edit("assets.toml", "from gathered", "from kept");
        project.edit("assets.toml", "[asset.days]", "[asset.by_day]");
    };
    if manifest_first {
        in_manifest();
    }
    let moved = project.run(&["mv", "gathered", "kept"]).succeeded();
    assert!(moved.stdout.contains("moved gathered to kept\n"), "{io}: {}", moved.stdout);
    project.run(&["mv", "days", "by_day"]).succeeded();
    if !manifest_first {
        in_manifest();
    }
    project.write("raw.csv", "id,n\n4,40\n");
    let made = project.run(&["materialize"]).succeeded();
    assert!(!made.stdout.contains("by_day") && !made.stderr.contains("by_day"), "{io}: {}", made.stderr);
    assert_eq!(rows(&project, "select sum(n) as n from kept"), "n\n100\n", "{io}");
    assert_eq!(rows(&project, "select n from total"), "n\n4\n", "{io}");
    assert_eq!(rows(&project, "select count(*) as n from by_day"), "n\n3\n", "{io}");
    project.run(&["status", "--verify"]).succeeded();
    // Its old name is free.
    project.edit("assets.toml", "[asset.total]", "[asset.gathered]\nsql = \"select 5 as n\"\n[asset.total]");
    project.run(&["materialize"]).succeeded();
    assert_eq!(rows(&project, "select count(*) as n from kept"), "n\n4\n", "{io}");
}

#[test]
fn in_sqlite() {
    for manifest_first in [true, false] {
        a_table_has_another_name("type = \"sqlite\"\npath = \"db.sqlite\"", "", manifest_first);
    }
}

#[test]
fn in_duckdb() {
    for manifest_first in [true, false] {
        a_table_has_another_name("type = \"duckdb\"\npath = \"db.duckdb\"", "", manifest_first);
    }
}

#[test]
fn in_postgres() {
    for manifest_first in [true, false] {
        let database = Server::shared().database();
        let io = "type = \"postgres\"\nurl = \"{{ env.URL }}\"";
        a_table_has_another_name(io, &database.url(), manifest_first);
    }
}

/// What was changed by hand is not taken for what was made.
#[test]
fn one_that_is_not_what_was_recorded_stays() {
    let project = Project::new().manifest(&format!("{MANIFEST}[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"\n"));
    project.write("raw.csv", "id,n\n1,10\n");
    project.run(&["materialize"]).succeeded();
    let open = || rusqlite::Connection::open(project.path("db.sqlite")).unwrap();
    open().execute_batch("insert into gathered values (2, 20)").unwrap();
    let told = project.run(&["mv", "gathered", "kept"]).succeeded();
    assert!(told.stderr.contains("the output stays at gathered: it is not what was recorded"), "{}", told.stderr);
    let there: i64 = open().query_row("select count(*) from gathered", [], |it| it.get(0)).unwrap();
    assert_eq!(there, 2);
}
