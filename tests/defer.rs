//! `--defer TARGET`: what is not made here is read from another target, and nothing is written there.

use std::fs;

use crate::support::{
    Project, duckdb,
    postgres::{Database, Server},
};

/// A file, a table of a query and a command, each kept elsewhere in `prod`.
fn shop() -> Project {
    let body = r#"default_io = "files"
[io.files]
type = "fs"
root = "build/dev"
[io.warehouse]
type = "sqlite"
path = "dev.sqlite"
[target.prod.io.files]
root = "build/prod"
[target.prod.io.warehouse]
path = "prod.sqlite"

[asset.raw]
command = "cp orders.csv {{ output }}"
sources = ["orders.csv"]
format = "csv"
[asset.orders]
sql = "select id, amount from raw where amount > 0"
io = "warehouse"
[asset.total]
sql = "select sum(amount) as total from orders"
io = "warehouse"
[asset.report]
command = "cat {{ inputs.orders }} {{ inputs.raw }} > {{ output }}"
deps = ["orders", "raw"]
format = "txt"
"#;
    Project::new().manifest(body).file("orders.csv", "id,amount\na,1\nb,2\nc,-3\n")
}

/// Everything of the target `prod`, byte for byte.
fn of_prod(project: &Project) -> Vec<(String, Vec<u8>)> {
    // A database of state that is read has a file for its readers' locks.
    let is_prod = |it: &&(String, Vec<u8>)| it.0.contains("prod") && !it.0.ends_with("-shm") && !it.1.is_empty();
    project.snapshot().iter().filter(is_prod).cloned().collect()
}

fn ran(project: &Project, arguments: &[&str]) -> Vec<String> {
    project.materialized(arguments).into_iter().map(|it| format!("{} {}", it.0, it.1)).collect()
}

#[test]
fn what_is_not_made_here_is_read_there() {
    let project = shop();
    assert_eq!(ran(&project, &["-t", "prod"]).len(), 4);
    let before = of_prod(&project);
    // Without it there is nothing to read.
    let alone = project.run(&["materialize", "-s", "total,report"]).succeeded();
    assert!(alone.stderr.contains("nothing"), "{}", alone.stderr);
    let output = project.run(&["materialize", "-s", "total", "-s", "report"]).exited(1);
    assert!(output.stderr.contains("upstream orders was never built, and is not selected"), "{}", output.stderr);
    let selected = ["-s", "total", "-s", "report", "--defer", "prod"];
    let plan = project.run(&[&["plan"], &selected[..]].concat()).succeeded().stdout;
    assert!(plan.ends_with("deferred to prod: orders, raw\n"), "{plan}");
    assert_eq!(ran(&project, &selected), ["report built", "total built"]);
    assert_eq!(project.read("build/dev/report.txt"), "id,amount\na,1\nb,2\nid,amount\na,1\nb,2\nc,-3\n");
    let preview = project.run(&["preview", "total", "--format", "csv"]).succeeded().stdout;
    assert_eq!(preview, "total\n3\n");
    assert!(!project.exists("build/dev/raw.csv"));
    let after = of_prod(&project);
    let changed = after.iter().filter(|it| !before.contains(it)).map(|it| it.0.as_str());
    assert_eq!(changed.collect::<Vec<_>>(), [""; 0]);
    assert_eq!(after.len(), before.len());
    assert_eq!(ran(&project, &selected), [""; 0]);
    // It is an answer to that question only.
    let status = project.run(&["status", "--defer", "prod"]).succeeded().stdout;
    assert!(status.ends_with("deferred to prod: orders, raw\n"), "{status}");
    let json = project.run(&["status", "--defer", "prod", "--json"]).succeeded().json();
    assert_eq!(json["deferred"], serde_json::json!({"target": "prod", "assets": ["orders", "raw"]}));
    assert_eq!(json["assets"].as_array().unwrap().len(), 2);
    project.run(&["status"]).exited(3);
    let why = project.run(&["why", "total", "--defer", "prod"]).succeeded().stdout;
    assert!(why.contains("total is fresh") && why.ends_with("deferred to prod: orders, raw\n"), "{why}");
}

#[test]
fn what_changes_there_is_an_input_that_changed() {
    let project = shop();
    ran(&project, &["-t", "prod"]);
    let selected = ["-s", "total", "--defer", "prod"];
    assert_eq!(ran(&project, &selected), ["total built"]);
    // The same rows there are the same here.
    project.write("orders.csv", "id,amount\nb,2\na,1\n");
    ran(&project, &["-t", "prod"]);
    assert_eq!(ran(&project, &selected), [""; 0]);
    project.write("orders.csv", "id,amount\nb,2\na,7\n");
    ran(&project, &["-t", "prod"]);
    let reasons = project.reasons(&selected);
    assert_eq!(reasons, [("total".to_owned(), "input_changed".to_owned(), "orders".to_owned())]);
    assert_eq!(ran(&project, &selected), ["total built"]);
    // What is made here goes before what is there; what is lost there is not there.
    assert_eq!(ran(&project, &["-s", "orders", "--defer", "prod"]), ["orders built"]);
    project.write("orders.csv", "id,amount\nb,9\n");
    ran(&project, &["-t", "prod"]);
    assert_eq!(ran(&project, &selected), [""; 0]);
    fs::remove_file(project.path("prod.sqlite")).unwrap();
    let status = project.run(&["status", "-s", "report", "--defer", "prod"]).exited(3).stdout;
    assert!(status.ends_with("deferred to prod: raw\n"), "{status}");
}

#[test]
fn mistakes_are_told() {
    let project = shop();
    for (arguments, told) in [
        (&["plan", "--defer", "prd"][..], "there is no target `prd`"),
        (&["plan", "-t", "prod", "--defer", "prod"], "that is the target in use"),
        (&["status", "--defer", "default"], "that is the target in use"),
    ] {
        let output = project.run(arguments).exited(2);
        assert!(output.stderr.contains(told), "{arguments:?}: {}", output.stderr);
    }
    // Nothing is there: everything is as without it.
    let output = project.run(&["materialize", "-s", "total", "--defer", "prod"]).exited(1);
    assert!(output.stderr.contains("upstream orders was never built"), "{}", output.stderr);
    // From a target to the project itself.
    ran(&project, &[]);
    assert_eq!(ran(&project, &["-t", "prod", "-s", "total", "--defer", "default"]), ["total built"]);
}

/// Tables of a server, read by files and by a table of the same server.
#[test]
fn rows_come_from_another_engine() {
    let database: Database<'_> = Server::shared().database();
    let body = r#"[vars]
where = "dev"
[io.warehouse]
type = "fs"
root = "build"
[target.prod.io.warehouse]
type = "postgres"
url = "{{ env.DATABASE_URL }}"
schema = "prod"
[target.stage.io.warehouse]
type = "postgres"
url = "{{ env.DATABASE_URL }}"
schema = "stage"
[asset.orders]
sql = "select 1 as id, 2.5 as amount union all select 2, 4"
[asset.total]
sql = "select sum(amount) as total, count(*) as n from orders"
[asset.report]
command = "cat {{ inputs.orders }} | wc -l > {{ output }}"
deps = [{ asset = "orders", format = "csv" }]
format = "csv"
"#;
    let project = Project::new().manifest(body).env("DATABASE_URL", &database.url());
    ran(&project, &["-t", "prod", "-s", "orders"]);
    assert_eq!(ran(&project, &["-s", "total", "-s", "report", "--defer", "prod"]), ["report built", "total built"]);
    assert_eq!(project.read("build/report.csv"), "3\n");
    let preview = project.run(&["preview", "total", "--format", "csv"]).succeeded().stdout;
    assert_eq!(preview, "total,n\n6.5,2\n");
    assert_eq!(ran(&project, &["-t", "stage", "-s", "total", "--defer", "prod"]), ["total built"]);
    let preview = project.run(&["-t", "stage", "preview", "total", "--format", "csv"]).succeeded().stdout;
    assert_eq!(preview, "total,n\n6.5,2\n");
}

/// What one engine keeps is read by every other, and by a table of the same engine in another database.
#[test]
fn rows_come_from_and_go_to_sqlite_and_duckdb() {
    let body = r#"[io.warehouse]
type = "fs"
root = "build"
[target.lite.io.warehouse]
type = "sqlite"
path = "lite.sqlite"
[target.other_lite.io.warehouse]
type = "sqlite"
path = "other.sqlite"
[target.duck.io.warehouse]
type = "duckdb"
path = "duck.duckdb"
[target.other_duck.io.warehouse]
type = "duckdb"
path = "other.duckdb"
[asset."raw/orders"]
sql = "select 1 as id, 2.5 as amount union all select 2, 4"
[asset.total]
sql = 'select sum(amount) as total, count(*) as n from "raw/orders"'
[asset.report]
command = "cat {{ inputs['raw/orders'] }} | wc -l > {{ output }}"
deps = [{ asset = "raw/orders", format = "csv" }]
format = "csv"
"#;
    let targets = ["default", "lite", "other_lite", "duck", "other_duck"];
    for lender in ["default", "lite", "duck"] {
        for borrower in targets.into_iter().filter(|it| *it != lender) {
            let library = duckdb::library();
            let project = Project::new().manifest(body).env("ASSETS_DUCKDB_LIBRARY", library.to_str().unwrap());
            let on = |target: &'static str| if target == "default" { vec![] } else { vec!["-t", target] };
            ran(&project, &[&on(lender)[..], &["-s", "raw/orders"]].concat());
            let lent = kept(&project, lender);
            let selected = [&on(borrower)[..], &["-s", "total", "-s", "report", "--defer", lender]].concat();
            assert_eq!(ran(&project, &selected), ["report built", "total built"], "{lender} to {borrower}");
            assert_eq!(ran(&project, &selected), [""; 0], "{lender} to {borrower}");
            let preview = [&["preview", "total", "--format", "csv"], &on(borrower)[..]].concat();
            assert_eq!(project.run(&preview).succeeded().stdout, "total,n\n6.5,2\n", "{lender} to {borrower}");
            assert_eq!(kept(&project, lender), lent, "{lender} to {borrower}: what lends was written to");
            // Made there again with the same rows, and then with others.
            project.edit("assets.toml", "union all select 2, 4", "union all select 2, 8 - 4");
            ran(&project, &[&on(lender)[..], &["-s", "raw/orders"]].concat());
            assert_eq!(ran(&project, &selected), [""; 0], "{lender} to {borrower}");
            project.edit("assets.toml", "2, 8 - 4", "2, 5");
            ran(&project, &[&on(lender)[..], &["-s", "raw/orders"]].concat());
            assert_eq!(ran(&project, &selected), ["report built", "total built"], "{lender} to {borrower}");
            assert_eq!(project.run(&preview).succeeded().stdout, "total,n\n7.5,2\n", "{lender} to {borrower}");
        }
    }
}

/// The bytes of whatever a target keeps.
fn kept(project: &Project, target: &str) -> Vec<(String, Vec<u8>)> {
    let place = match target {
        "default" => "build/",
        "lite" => "lite.sqlite",
        "other_lite" => "other.sqlite",
        "duck" => "duck.duckdb",
        _ => "other.duckdb",
    };
    let mut found: Vec<_> = project.snapshot().into_iter().filter(|it| it.0.starts_with(place)).collect();
    assert!(!found.is_empty(), "{place} is not there");
    found.sort();
    found
}

/// On one server a table of another target, or of another schema, is read where it lies.
#[test]
fn a_table_of_the_same_server_is_read_by_name() {
    let database: Database<'_> = Server::shared().database();
    let elsewhere: Database<'_> = Server::shared().database();
    let body = r#"default_io = "one"
[io.one]
type = "postgres"
url = "{{ env.DATABASE_URL }}"
schema = "one"
[io.two]
type = "postgres"
url = "{{ env.SECOND_URL }}"
schema = "two"
[target.stage.io.one]
schema = "stage"
[asset.orders]
sql = "select 1 as id, 2.5 as amount"
[asset.total]
sql = "select sum(amount) as total from orders"
io = "two"
[asset.beside]
sql = "select amount + 1 as more from orders"
"#;
    // What is copied lies in a temporary table; the server writes down that one was made.
    let watched = |database: &Database<'_>| {
        database.run(
            "create table copied (name text);
             create function note() returns event_trigger language plpgsql as 'begin
                 insert into public.copied select object_identity from pg_event_trigger_ddl_commands()
                 where object_identity like ''%assets_input%'' and object_type = ''table''; end';
             create event trigger note on ddl_command_end execute function note()",
        );
    };
    watched(&database);
    watched(&elsewhere);
    let copied = |database: &Database<'_>| database.rows("select count(*) from public.copied")[0].clone();
    let mut project = Project::new().manifest(body).env("DATABASE_URL", &database.url());
    project.set_env("SECOND_URL", &format!("{}?application_name=other", database.url()));
    assert_eq!(ran(&project, &["-s", "+total"]), ["orders built", "total built"]);
    assert_eq!(database.rows("select total from two.total"), ["2.5"]);
    assert_eq!(ran(&project, &["-t", "stage", "-s", "beside", "--defer", "default"]), ["beside built"]);
    assert_eq!(database.rows("select more from stage.beside"), ["3.5"]);
    assert_eq!(copied(&database), "0");
    // In another database it is copied.
    project.set_env("SECOND_URL", &elsewhere.url());
    project.run(&["materialize", "-s", "total"]).succeeded();
    assert_eq!(elsewhere.rows("select total from two.total"), ["2.5"]);
    assert_eq!(copied(&elsewhere), "1");
}

/// Days in a table and in files, and what is made of them.
fn days() -> Project {
    let body = r#"default_io = "files"
[io.files]
type = "fs"
root = "build/dev"
[io.warehouse]
type = "sqlite"
path = "dev.sqlite"
[target.prod.io.files]
root = "build/prod"
[target.prod.io.warehouse]
path = "prod.sqlite"

[partitions.daily]
type = "time"
every = "day"
start = "2025-01-01"
end = "2025-01-04"
[partitions.monthly]
type = "time"
every = "month"
start = "2025-01-01"
end = "2025-02-01"
[source.raw]
files = ["raw/{{ partition.key }}.csv"]
partitions = "daily"

[asset.table]
sql = "select '{{ partition.key }}' as day, n from raw"
io = "warehouse"
partitions = "daily"
partition_column = "day"
[asset.file]
sql = "select n + 10 as n from raw"
format = "csv"
partitions = "daily"
[asset.month]
sql = "select '{{ partition.key }}' as month, sum(n) as n from (select n from table_ union all select n from file)"
io = "warehouse"
partitions = "monthly"
partition_column = "month"
[asset.text]
command = "cat {{ inputs.table_ }} {{ inputs.file }} > {{ output }}"
deps = ["table_", "file"]
format = "txt"
partitions = "daily"
[asset.total]
sql = "select sum(n) as n from table_"
"#;
    // The name of a table that no database minds.
    let body = body.replace("[asset.table]", "[asset.table_]");
    let project = Project::new().manifest(&body);
    for day in 1..=3 {
        project.write(&format!("raw/2025-01-0{day}.csv"), format!("n\n{day}\n"));
    }
    project
}

#[test]
fn partitions_that_are_not_made_here_are_read_there() {
    let project = days();
    assert_eq!(ran(&project, &["-t", "prod"]).len(), 3 + 3 + 1 + 3 + 1);
    let before = of_prod(&project);
    let selected = ["-s", "month", "-s", "text", "-s", "total", "--defer", "prod"];
    let plan = project.run(&[&["plan"], &selected[..]].concat()).succeeded().stdout;
    assert!(plan.ends_with("deferred to prod: file, table_\n"), "{plan}");
    assert_eq!(ran(&project, &selected).len(), 1 + 3 + 1);
    assert_eq!(project.read("build/dev/text/2025-01-02.txt"), "day,n\n2025-01-02,2\nn\n12\n");
    let month = rusqlite::Connection::open(project.path("dev.sqlite")).unwrap();
    let n = |sql: &str| month.query_row(sql, [], |it| it.get::<_, i64>(0)).unwrap();
    assert_eq!(n("select n from month"), 6 + 36);
    assert_eq!(n("select count(*) from sqlite_master where name = 'table_'"), 0);
    let after = of_prod(&project);
    let changed = after.iter().filter(|it| !before.contains(it)).map(|it| it.0.as_str());
    assert_eq!(changed.collect::<Vec<_>>(), [""; 0]);
    assert_eq!(ran(&project, &selected), [""; 0]);
    let status = project.run(&["status", "--defer", "prod"]).succeeded().stdout;
    assert!(status.ends_with("deferred to prod: file, table_\n"), "{status}");

    // What came late there is made of here.
    project.write("raw/2025-01-02.csv", "n\n5\n");
    ran(&project, &["-t", "prod", "-s", "table_", "-s", "file"]);
    assert_eq!(ran(&project, &selected), ["month built", "text built", "total built"]);
    assert_eq!(n("select n from month"), 9 + 39);

    // Of what has partitions here, those are read, and no others.
    project.run(&["materialize", "-q", "-s", "table_", "--partition", "2025-01-01"]).succeeded();
    assert_eq!(ran(&project, &["-s", "total", "--defer", "prod"]), ["total built"]);
    let total = project.run(&["query", "select n from total", "--json"]).succeeded().json();
    assert_eq!(total["rows"][0]["n"], 1);
}
