//! Tables in a DuckDB file, with the real library: made, read, cut off at, changed by others, held by others, and
//! lost in the middle.

use std::{path::Path, sync::Arc};

use assets::{
    base::{env::Environment, path::ProjectPath},
    exec::io::{
        IoManager,
        adbc::{AdbcManager, database::Database, open::database},
        conformance,
        maker::Maker,
    },
    model::{project::AdbcDatabase, sql::Dialect},
};
use rustix::process::Signal;

use crate::support::{
    Project,
    duckdb::{Opened, library, rows},
    postgres::Server,
};

const IO: &str = "default_io = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n\
    [io.wh]\ntype = \"duckdb\"\npath = \"wh.duckdb\"\n";

fn ran(project: &Project) -> Vec<String> {
    let mut steps: Vec<String> = project.materialized(&[]).into_iter().map(|it| format!("{} {}", it.0, it.1)).collect();
    steps.sort();
    steps
}

fn project(assets: &str) -> Project {
    let library = library();
    Project::new().manifest(&format!("{IO}{assets}")).env("ASSETS_DUCKDB_LIBRARY", library.to_str().unwrap())
}

fn version(project: &Project, asset: &str) -> String {
    let show = project.run(&["show", asset, "--json"]).succeeded().json();
    show["materializations"][0]["data_version"].as_str().expect("it was made").to_owned()
}

fn asked(project: &Project, sql: &str) -> Vec<String> {
    rows(&project.path("wh.duckdb"), sql)
}

const SMALL: &str = "[asset.a]\nsql = \"select 1 as n\"\nio = \"wh\"\n\
    [asset.b]\nsql = \"select n + 1 as n from a\"\n";

const ORDERS: &str = "id,customer,amount,day\n007,ann,10.5,2026-03-01\n008,bob,,2026-03-01\n009,ann,7.25,2026-03-02\n";

/// Files -> DuckDB -> DuckDB -> parquet, SQLite and Postgres -> DuckDB, and a command on either side.
#[test]
fn a_table_goes_through_files_and_databases_and_back() {
    let database = Server::shared().database();
    let project = project(
        r#"[io.db]
type = "sqlite"
path = "shop.sqlite"
[io.pg]
type = "postgres"
url = "{{ env.DATABASE_URL }}"
[source."raw/orders"]
files = ["raw/*.csv"]

[asset.orders]
sql = "models/orders.sql"
io = "wh"
[asset."per/customer"]
sql = "select customer, sum(amount::decimal(10, 2)) as total, count(*) as n from Orders group by 1"
io = "wh"
[asset.large]
sql = 'select * from "per/customer" where total > 1'
[asset.kept]
sql = "select customer, n from large"
io = "db"
[asset.served]
sql = 'select customer, n from "per/customer"'
io = "pg"
[asset.given]
command = "cp raw/orders.csv {{ output }}"
io = "wh"
[asset.back]
sql = "select k.customer, k.n, s.n as m, g.day, l.total from kept k join given g on g.customer = k.customer and g.amount = 10.5 join served s on s.customer = k.customer join large l on l.customer = k.customer"
io = "wh"
[asset.report]
command = "cat {{ inputs.back }} > {{ output }}"
deps = ["back"]
format = "txt"
"#,
    );
    let project = project
        .file("models/orders.sql", "select id, customer, amount, day\nfrom \"raw/orders\"\nwhere amount is not null\n")
        .file("raw/orders.csv", ORDERS)
        .env("DATABASE_URL", &database.url());
    let keys = ["back", "given", "kept", "large", "orders", "per/customer", "report", "served"];
    assert_eq!(ran(&project), keys.map(|it| format!("{it} built")));
    assert_eq!(project.read("data/report.txt"), "customer,n,m,day,total\nann,2,2,2026-03-01,17.75\n");
    assert_eq!(
        asked(&project, "select * from orders order by id"),
        ["007|ann|10.5|2026-03-01", "009|ann|7.25|2026-03-02"]
    );
    let types = "select string_agg(data_type, ',' order by ordinal_position) from information_schema.columns where table_name = 'orders'";
    assert_eq!(asked(&project, types), ["VARCHAR,VARCHAR,DOUBLE,DATE"]);
    assert_eq!(ran(&project), Vec::<String>::new());
    // The same rows, in another order and from another text: nothing downstream is run.
    project.write(
        "models/orders.sql",
        "select id, customer, amount, day from \"raw/orders\" where amount > 0 order by id desc",
    );
    let steps = ran(&project);
    let built: Vec<&String> = steps.iter().filter(|it| it.ends_with("built")).collect();
    assert_eq!(built, ["orders built"]);
    assert_eq!(
        asked(
            &project,
            "select table_name from information_schema.tables where table_name like '\\_assets\\_stage%' escape '\\'"
        ),
        [""; 0]
    );
}

/// Many rows are hashed by several threads, and go from one engine to the next in pieces.
#[test]
fn a_table_of_many_rows_is_the_same_everywhere() {
    let project = project(
        "[io.lite]\ntype = \"sqlite\"\npath = \"lite.sqlite\"\n\
         [asset.a]\nsql = \"select range as n, 'row ' || range as t from range(70000)\"\nio = \"wh\"\n\
         [asset.b]\nsql = \"select * from a\"\nio = \"lite\"\n[asset.c]\nsql = \"select * from b\"\nio = \"wh\"\n",
    );
    let run = project.run(&["materialize", "--json"]).succeeded().json();
    let versions: Vec<_> = run["steps"].as_array().unwrap().iter().map(|it| it["data_version"].to_string()).collect();
    assert_eq!(versions.len(), 3);
    assert!(versions.iter().all(|it| *it == versions[0]), "{versions:?}");
    let status = project.run(&["status", "--verify", "--json"]).succeeded().json();
    assert_eq!(status["counts"]["fresh"], 3, "{status}");
}

/// `status` opens nothing as long as nobody else has written, and finds what was changed by hand.
#[test]
fn a_table_changed_by_hand_is_found() {
    let project = project("[asset.a]\nsql = \"select n, n::text as t from range(1, 6) as s(n)\"\nio = \"wh\"\n");
    assert_eq!(ran(&project), ["a built"]);
    for change in [
        "update a set t = 'x' where n = 3",
        "delete from a where n = 1",
        "insert into a values (9, 'y')",
        "alter table a rename column t to u",
        "alter table a add column more integer default 7",
        "drop table a",
        "drop table a; create view a as select 1 as n, 'v' as t",
    ] {
        for statement in change.split("; ") {
            Opened::new(&project.path("wh.duckdb")).run(statement);
        }
        assert_ne!(project.run(&["status"]).code, 0, "{change}");
        assert_eq!(ran(&project), ["a built"], "{change}");
        project.run(&["status"]).succeeded();
        assert_eq!(asked(&project, "select count(*), sum(n), max(t) from a"), ["5|15|5"], "{change}");
    }
    // The same rows again, and tables of others.
    Opened::new(&project.path("wh.duckdb")).run("update a set n = n");
    Opened::new(&project.path("wh.duckdb")).run("create table other as select 1 as n");
    project.run(&["status"]).succeeded();
    assert_eq!(ran(&project), Vec::<String>::new());
    // Nothing is loaded to tell it.
    let mut project = project;
    project.set_env("ASSETS_DUCKDB_LIBRARY", "/nowhere/libduckdb.so");
    project.run(&["status"]).succeeded();
    assert_eq!(ran(&project), Vec::<String>::new());
    std::fs::remove_file(project.path("wh.duckdb")).unwrap();
    assert_ne!(project.run(&["status"]).code, 0);
}

#[test]
fn what_the_engine_says_is_shown_in_its_place() {
    let project = project(SMALL);
    project.edit("assets.toml", "select 1 as n", "select 'é' as t, 1 +\\n  nosuch as n");
    let run = project.run(&["materialize"]);
    assert_ne!(run.code, 0);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("Referenced column \"nosuch\""), "{said}");
    let manifest = project.read("assets.toml");
    let before = &manifest[..manifest.find("nosuch").unwrap()];
    let (line, column) = (before.lines().count(), before.lines().last().unwrap().chars().count() + 1);
    assert!(said.contains(&format!("--> assets.toml:{line}:{column}")), "{said}");
    assert!(said.contains("^^^^^^"), "{said}");
    project.edit("assets.toml", "'é' as t, 1 +\\n  nosuch as n", "cast(t as int) as n from (values ('7'), ('x')) v(t)");
    let run = project.run(&["materialize"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_ne!(run.code, 0);
    assert!(said.contains("Could not convert string 'x' to INT32"), "{said}");
    project.edit("assets.toml", "cast(t as int) as n from (values ('7'), ('x')) v(t)", "1 as n");
    assert_eq!(ran(&project), ["a built", "b built"]);
}

#[test]
fn rows_are_checked_before_they_are_published() {
    let checks = r#"io = "wh"
checks = [
    { range = { column = "n", min = 1 } },
    { accepted_values = { column = "n", values = [1, 2] } },
    { regex = { column = "t", pattern = "^x" } },
    { unique = ["n"] },
    { row_count = { min = 1 } },
    { freshness = { column = "at", within = "1d" } },
    { relationships = { column = "n", to = "other", field = "n" } },
    { sql = "select * from a where n > 1 -- odd" },
    { name = "broken", sql = "select cast(t as int) as n from a", severity = "warn" },
]
"#;
    let other = "[asset.other]\nsql = \"select 1 as n union all select 3\"\n";
    let manifest =
        format!("{SMALL}{other}").replace("select 1 as n\"\nio", "select 1 as n, 'xy' as t, now() as at\"\nio");
    let project = project(&manifest.replacen("io = \"wh\"\n", checks, 1));
    project.run(&["materialize"]).succeeded();
    project.run(&["check"]).succeeded();
    project.edit("assets.toml", "select 1 as n, 'xy'", "select 3 as n, 'xy'");
    let run = project.run(&["materialize"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, 4, "{said}");
    assert_eq!(asked(&project, "select n from a"), ["1"], "the old table stays");
}

#[test]
fn the_same_rows_have_the_same_version_in_files_and_in_duckdb() {
    let project = project(
        r#"[asset.first]
sql = """select * from (values
  (1, 1.5, 'a\\b	c', true, cast('2026-03-01' as date), cast('2026-03-01 10:11:12.5' as timestamp), cast('12.30' as decimal(10, 2)), X'00ff'),
  (-9223372036854775807, -0.0, '', false, cast('1900-01-01' as date), cast('1969-12-31 23:59:59.999999' as timestamp), cast('-0.01' as decimal(10, 2)), X''),
  (null, null, null, null, null, null, null, null),
  (null, 'NaN'::double, '\\N', null, null, null, null, null)
) as t (a, b, c, d, e, f, g, h)"""
[asset.second]
sql = "select * from first"
io = "wh"
[asset.third]
sql = "select * from second"
io = "wh"
[asset.fourth]
sql = "select * from third"
[asset.wide]
sql = "select 'infinity'::double as a, timestamptz '2026-03-01 12:00:00+02' as b, time '10:11:12.5' as c, 3::tinyint as d, 'x'::varchar as g, [1, 2] as h, {'i': 1} as i, uuid '00000000-0000-0000-0000-000000000001' as j"
io = "wh"
[asset.narrow]
sql = "select * from wide"
"#,
    );
    ran(&project);
    let first = version(&project, "first");
    for other in ["second", "third", "fourth"] {
        assert_eq!(version(&project, other), first, "{other}");
    }
    assert_eq!(version(&project, "narrow"), version(&project, "wide"));
    assert_eq!(asked(&project, "select b::text from wide"), ["2026-03-01 10:00:00+00"]);
}

/// Killed wherever it happens to be: what comes after finds a whole table, old or new, and goes on.
#[test]
fn a_run_that_is_killed_is_gone_on_with() {
    let project = project(SMALL);
    assert_eq!(ran(&project), ["a built", "b built"]);
    for round in 2..12u64 {
        project.edit("assets.toml", &format!("select {} as n\"\nio", round - 1), &format!("select {round} as n\"\nio"));
        let run = project.start(&["materialize"]);
        std::thread::sleep(std::time::Duration::from_millis(30 * round));
        run.signal(Signal::KILL);
        run.finish();
        let found = asked(&project, "select n from a");
        assert!(found == [round.to_string()] || found == [(round - 1).to_string()], "{round}: {found:?}");
        project.run(&["materialize"]).succeeded();
        assert_eq!(asked(&project, "select n from a"), [round.to_string()]);
        assert_eq!(ran(&project), Vec::<String>::new());
    }
}

/// To DuckDB `Orders` and `orders` are one table.
#[test]
fn what_is_known_of_a_table_is_known_however_its_name_is_spelt() {
    let project = project("[asset.Orders]\nsql = \"select 1 as n\"\nio = \"wh\"\n");
    assert_eq!(ran(&project), ["Orders built"]);
    project.edit("assets.toml", "[asset.Orders]\nsql = \"select 1", "[asset.orders]\nsql = \"select 2");
    project.run(&["materialize", "--force"]).succeeded();
    project.edit("assets.toml", "[asset.orders]\nsql = \"select 2", "[asset.Orders]\nsql = \"select 1");
    assert_ne!(project.run(&["status"]).code, 0);
    assert_eq!(ran(&project), ["Orders built"]);
    assert_eq!(asked(&project, "select n from orders"), ["1"]);
}

/// Opened twice in one process, each would write over what the other has written.
#[test]
fn a_file_is_one_database_by_whatever_links_it_is_reached() {
    let io = |name: &str, path: &str| format!("[io.{name}]\ntype = \"duckdb\"\npath = \"{path}\"\n");
    let project = project(&format!(
        "{}{}[asset.t]\nsql = \"select range as n from range(1000)\"\nio = \"one\"\n[asset.u]\nsql = \"select range as n from range(2000)\"\nio = \"two\"\n",
        io("one", "one/it.duckdb"),
        io("two", "two/it.duckdb")
    ));
    std::fs::create_dir(project.path("one")).unwrap();
    std::os::unix::fs::symlink("one", project.path("two")).unwrap();
    assert_eq!(ran(&project), ["t built", "u built"]);
    assert_eq!(
        rows(&project.path("one/it.duckdb"), "select (select count(*) from t), (select count(*) from u)"),
        ["1000|2000"]
    );
    project.run(&["status"]).succeeded();
}

/// What a contract agrees on are the types as DuckDB writes them, by any of their names, or families of them.
#[test]
fn a_contract_is_of_the_types_of_duckdb() {
    let query = "select 1::bigint as id, 2::integer as n, 1.5::decimal(10, 2) as amount, [1, 2] as l, 'x' as t, 200::utinyint as u, \
        timestamptz '2026-01-01' as at, 'a'::enum('a', 'b') as e, {'k': 1} as s, 'x'::blob as b";
    let project = project(&format!(
        "[asset.a]\nio = \"wh\"\nsql = \"{query}\"\nchecks = [\n\
         {{ schema = {{ columns = {{ id = \"bigint\", n = \"int4\", amount = \"numeric(10,2)\", l = \"integer[]\", t = \"varchar\", u = \"UTINYINT\",\n\
         at = \"timestamptz\", e = \"enum('a', 'b')\", s = \"struct(k integer)\", b = \"blob\" }}, order = true }} }},\n\
         {{ schema = {{ columns = {{ id = \"integer\", u = \"integer\", amount = \"number\", t = \"text\", at = \"timestamp\", b = \"binary\" }}, extra = true }}, name = \"kinds\" }},\n]\n"
    ));
    assert_eq!(ran(&project), ["a built"]);
    project.edit("assets.toml", "200::utinyint", "200::usmallint");
    project.edit("assets.toml", "1.5::decimal(10, 2)", "1.5::decimal(10, 3)");
    let run = project.run(&["materialize"]).exited(4);
    for line in ["amount  numeric(10,2)  DECIMAL(10,3)", "u       UTINYINT       USMALLINT"] {
        assert!(run.stderr.contains(line), "{}", run.stderr);
    }
}

/// Queries in words that only DuckDB has: what they read is seen, and they do what they say.
#[test]
fn what_only_duckdb_writes_is_understood() {
    let project = project(
        r#"[source.raw]
files = ["raw.csv"]
[asset.orders]
io = "wh"
sql = "select id, region, amount::decimal(10, 2) as amount, day from raw"
[asset.wide]
io = "wh"
sql = "pivot orders on region using sum(amount) group by day order by day"
[asset.fixed]
io = "wh"
sql = "select * from (pivot orders on region in ('north', 'south') using sum(amount) group by day)"
materialized = "view"
[asset.long]
io = "wh"
sql = "unpivot fixed on north, south into name region value total"
[asset.priced]
io = "wh"
sql = "select o.id, o.amount * p.price as v from orders o asof join prices p on o.day >= p.day"
[asset.prices]
io = "wh"
sql = "from (values (date '2026-01-01', 2), (date '2026-01-03', 3)) t(day, price)"
[asset.lists]
io = "wh"
sql = "with a as materialized (from orders) select id, [x * 2 for x in [id, 3] if (x > 2)] as l from a using sample 100%"
[asset.sums]
io = "wh"
sql = "from orders pivot (sum(amount) as s for region in ('north', 'south') group by day) as p"
[asset.types]
io = "wh"
sql = "select column_name, column_type from (describe orders)"
"#,
    );
    let project = project.file("raw.csv", "id,region,amount,day\n1,north,10.5,2026-01-01\n2,south,4,2026-01-03\n");
    let all = ["fixed", "lists", "long", "orders", "priced", "prices", "sums", "types", "wide"];
    assert_eq!(ran(&project), all.map(|it| format!("{it} built")));
    for (table, expected) in [
        ("wide", &["2026-01-01|10.50|", "2026-01-03||4.00"][..]),
        ("long", &["2026-01-01|north|10.50", "2026-01-03|south|4.00"]),
        ("priced", &["1|21.00", "2|12.00"]),
        ("lists", &["1|[6]", "2|[6]"]),
        ("sums", &["2026-01-01|10.50|", "2026-01-03||4.00"]),
        ("types", &["amount|DECIMAL(10,2)", "day|DATE", "id|BIGINT", "region|VARCHAR"]),
    ] {
        assert_eq!(asked(&project, &format!("select * from {table} order by 1")), expected, "{table}");
    }
    project.edit("raw.csv", "2,south,4", "2,south,5");
    assert_eq!(
        ran(&project),
        [
            "fixed built",
            "lists built",
            "long built",
            "orders built",
            "priced built",
            "sums built",
            "types built",
            "wide built"
        ]
    );
}

/// What was written down of the file before somebody else changed it is not believed again because of what a run
/// that is killed has added to it.
#[test]
fn what_others_changed_before_a_run_that_is_killed_is_found_after_it() {
    let (short, long) = ("select n from a", "select count(*) as n from a, range(1000000) x, range(1000000) y");
    let project = project(&format!(
        "[asset.a]\nsql = \"select 1 as n\"\nio = \"wh\"\n[asset.b]\nsql = \"select 2 as n\"\nio = \"wh\"\n\
         [asset.last]\nsql = \"{short}\"\nio = \"wh\"\n"
    ));
    project.run(&["materialize"]).succeeded();
    let before = version(&project, "a");
    // Last of all: what looks at the file in between writes down what it finds.
    Opened::new(&project.path("wh.duckdb")).run("update b set n = 7");
    project.edit("assets.toml", "select 1 as n", "select 3 as n");
    project.edit("assets.toml", short, long);
    let run = project.start(&["materialize", "--select", "a+"]);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while version(&project, "a") == before {
        assert!(std::time::Instant::now() < until, "a is not made");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    run.signal(Signal::KILL);
    run.finish();
    project.edit("assets.toml", long, short);
    assert_eq!(ran(&project), ["b built", "last built"]);
    assert_eq!(asked(&project, "select n from b"), ["2"]);
}

#[test]
fn a_query_can_be_stopped_and_runs_out_of_time() {
    let long = "select sum(a.range * b.range) as n from range(1000000) a, range(1000000) b";
    let project = project(&format!("[asset.a]\nsql = \"{long}\"\nio = \"wh\"\ntimeout = \"300ms\"\n"));
    let run = project.run(&["materialize"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_ne!(run.code, 0);
    assert!(said.contains("timed out"), "{said}");
    project.edit("assets.toml", "timeout = \"300ms\"\n", "");
    let run = project.start(&["materialize"]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    run.signal(Signal::INT);
    let run = run.finish();
    assert_eq!(run.code, 130, "{}{}", run.stdout, run.stderr);
    project.edit("assets.toml", long, "select 7 as n");
    assert_eq!(ran(&project), ["a built"]);
}

/// Two runs at once wait for each other and say for whom; somebody else's process is named, and not waited for.
#[test]
fn one_process_at_a_time_has_the_file() {
    let project = project(
        "[asset.slow]\nsql = \"select count(*) as n from range(60000) a, range(60000) b where a.range <> b.range\"\nio = \"wh\"\n\
         [asset.quick]\nsql = \"select 1 as n\"\nio = \"wh\"\n",
    );
    let first = project.start(&["materialize", "slow"]);
    while !project.path("wh.duckdb").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let second = project.run(&["materialize", "quick"]).succeeded();
    let said = format!("{}{}", second.stdout, second.stderr);
    assert!(said.to_lowercase().contains("waiting") && said.contains("materialize slow"), "{said}");
    assert_eq!(first.finish().code, 0);
    assert_eq!(ran(&project), Vec::<String>::new());
    let held = Opened::new(&project.path("wh.duckdb"));
    project.edit("assets.toml", "select 1 as n", "select 2 as n");
    let run = project.run(&["materialize"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_ne!(run.code, 0);
    assert!(said.contains(&format!("PID {}", std::process::id())), "{said}");
    assert!(said.contains("close it there, then run again"), "{said}");
    drop(held);
    assert_eq!(ran(&project), ["quick built"]);
}

/// What is believed of the file is what it is once it is ours alone: whoever had it open until then may have written.
#[test]
fn what_others_write_before_they_let_go_of_the_file_is_found() {
    let project =
        project("[asset.a]\nsql = \"select 1 as n\"\nio = \"wh\"\n[asset.b]\nsql = \"select 2 as n\"\nio = \"wh\"\n");
    project.run(&["materialize"]).succeeded();
    let mut held = Opened::new(&project.path("wh.duckdb"));
    let run = project.start(&["materialize", "--force", "-s", "b"]);
    // It has the library, and so wants the file.
    let maps = format!("/proc/{}/maps", run.pid());
    while !std::fs::read_to_string(&maps).unwrap().contains("libduckdb") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    held.run("update a set n = 7");
    drop(held);
    run.finish().succeeded();
    project.run(&["status", "-s", "b"]).succeeded();
    let status = project.run(&["status", "-s", "a"]).exited(3).stdout;
    assert!(status.contains("output was modified"), "{status}");
    assert_eq!(ran(&project), ["a built"]);
    assert_eq!(asked(&project, "select n from a"), ["1"]);
}

#[test]
fn names_that_are_odd_are_kept() {
    let project = project(
        r#"[asset."odd/Na-me_1"]
sql = "select 1 as \"a b\", 2 as \"sel\"\"ect\", 'it''s' as \"ü\""
io = "wh"
checks = [{ not_null = ["a b", "sel\"ect", "ü"] }]
[asset.select]
sql = 'select * from "odd/Na-me_1"'
io = "wh"
[asset.after]
sql = 'select * from "select"'
"#,
    );
    assert_eq!(ran(&project).len(), 3);
    assert_eq!(version(&project, "after"), version(&project, "odd/Na-me_1"));
    assert_eq!(asked(&project, "select * from \"select\""), ["1|2|it's"]);
}

#[test]
fn what_cannot_be_kept_or_found_is_told() {
    let asset = |key: &str| format!("[asset.\"{key}\"]\nsql = \"select 1 as n\"\nio = \"wh\"\n");
    for (manifest, said) in [
        (format!("{}{}", asset("a/b"), asset("A_b")), "would both be the table"),
        (asset("_assets_tables"), "not for data"),
        ("[io.other]\ntype = \"duckdb\"\n".to_owned(), "has no `path`"),
    ] {
        let run = project(&manifest).run(&["validate"]);
        assert_eq!(run.code, 2, "{manifest}");
        assert!(run.stderr.contains(said), "{said}: {}{}", run.stdout, run.stderr);
    }
    let mut project = project(SMALL);
    project.set_env("ASSETS_DUCKDB_LIBRARY", "/nowhere/libduckdb.so");
    let run = project.run(&["materialize"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("/nowhere/libduckdb.so is not there"), "{said}");
    assert!(said.contains("npm install @duckdb/node-bindings-linux-"), "{said}");
    // Where npm puts it.
    let folder = project.path("node_modules/@duckdb/node-bindings-linux-x64");
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(library(), folder.join("libduckdb.so")).unwrap();
    project.set_env("ASSETS_DUCKDB_LIBRARY", "");
    assert_eq!(ran(&project), ["a built", "b built"]);
}

/// A file in this very process.
fn opened(folder: &Path) -> Arc<Database> {
    let of = AdbcDatabase {
        driver: Some(library().to_str().unwrap().to_owned()),
        entrypoint: None,
        dialect: Dialect::DuckDb,
        file: Some(ProjectPath::resolve(&ProjectPath::root(), "wh.duckdb").unwrap()),
        schema: None,
        options: Default::default(),
    };
    database(folder, &of, &Default::default(), &Environment::default(), Maker::new("it"))
}

#[test]
fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let make = || -> Box<dyn IoManager> { Box::new(AdbcManager::new(opened(folder.path()))) };
    let report = conformance::run(&make);
    report.assert_passed();
    assert_eq!(report.skipped, crate::io::OF_FILES);
    let left = std::fs::read_dir(folder.path().join(".assets/tmp")).unwrap().count();
    assert_eq!(left, 0, "something staged was left");
}
