//! Checks that ask the rows of a table: each kind once content and once not, what a failed one keeps from being
//! published, and what people and programs are told.

use expect_test::expect;
use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::{Project, assert_document, told::text};

const HEAD: &str = r#"default_io = "db"
[io.db]
type = "sqlite"
path = "shop.sqlite"
[source.customers]
files = ["customers.csv"]
[asset.orders]
command = "cp orders.csv {{ output }}"
sources = ["orders.csv"]
"#;

const ORDERS: &str =
    "id,customer,state,day,total\n1,ann,new,2026-01-01,10\n2,bob,paid,2026-01-02,2.5\n3,ann,paid,,-4\n";

/// A table of three orders with these checks.
fn orders(checks: &str) -> Project {
    Project::new()
        .manifest(&format!("{HEAD}checks = [\n{checks}\n]\n"))
        .file("orders.csv", ORDERS)
        .file("customers.csv", "id,city\nann,Oslo\ncid,Rio\n")
}

fn database(project: &Project) -> Connection {
    Connection::open(project.path("shop.sqlite")).unwrap()
}

fn count(project: &Project, table: &str) -> i64 {
    database(project).query_row(&format!("select count(*) from {table}"), [], |it| it.get(0)).unwrap()
}

/// What one check of the three orders says: nothing, or why not.
fn says(check: &str) -> Option<String> {
    let project = orders(&format!("{{ name = \"it\", {check} }}"));
    let output = project.run(&["materialize", "--json"]);
    let checks = output.json()["steps"][0]["checks"].clone();
    assert_eq!(checks[0]["name"], "it", "{}", output.stderr);
    assert_eq!(checks.as_array().unwrap().len(), 1);
    let message = checks[0]["message"].as_str().map(str::to_owned);
    assert_eq!(project.exists("shop.sqlite"), message.is_none(), "what fails is not published");
    if message.is_none() {
        output.succeeded()
    } else {
        output.exited(4)
    };
    message
}

#[test]
fn every_kind_passes_and_fails() {
    for (passes, fails, told) in [
        ("not_null = [\"id\", \"state\"]", "not_null = [\"day\", \"id\"]", "1 of 3 rows without `day` or `id`"),
        (
            "unique = [\"customer\", \"state\"]",
            "unique = [\"customer\"]",
            "1 value of `customer` more than once in 3 rows",
        ),
        (
            "accepted_values = { column = \"state\", values = [\"new\", \"paid\"] }",
            "accepted_values = { column = \"state\", values = [\"new\", \"it's\"] }",
            "2 of 3 rows with another `state`",
        ),
        (
            "relationships = { column = \"customer\", to = \"customers\", field = \"id\" }, where = \"customer <> 'bob'\"",
            "relationships = { column = \"customer\", to = \"customers\", field = \"id\" }",
            "1 of 3 rows whose `customer` is no `id` of `customers`",
        ),
        ("row_count = { min = 1, max = 3 }", "row_count = { equals = 4 }", "3 rows, not 4"),
        ("row_count = { change = \"1 %\" }", "row_count = { min = 4 }", "3 rows, not at least 4"),
        (
            "schema = { columns = { id = \"integer\", customer = \"text\", state = \"\", day = \"text\", total = \"REAL\" }, order = true }",
            "schema = { columns = { total = \"integer\", id = \"integer\" }, extra = true, order = true }",
            "3 columns not as agreed",
        ),
        (
            "range = { column = \"total\", min = -4, max = 10 }",
            "range = { column = \"total\", min = 0 }",
            "1 of 3 rows whose `total` is below 0",
        ),
        (
            "range = { column = \"day\", min = \"2026-01-01\" }",
            "range = { column = \"day\", max = \"2026-01-01\" }",
            "1 of 3 rows whose `day` is above 2026-01-01",
        ),
        (
            "regex = { column = \"day\", pattern = '^\\d{4}-\\d\\d-\\d\\d$' }",
            "regex = { column = \"state\", pattern = '^p' }",
            "1 of 3 rows whose `state` does not match ^p",
        ),
        (
            "length = { column = \"state\", min = 3, max = 4 }",
            "length = { column = \"state\", equals = 3 }",
            "2 of 3 rows whose `state` has a length other than 3",
        ),
        (
            "expression = \"orders.total > -5 -- or so\"",
            "expression = \"total > 0\"",
            "1 of 3 rows for which it is false",
        ),
        (
            "sql = \"select * from orders where total > 10\"",
            "sql = \"select o.id from orders as o left join customers as c on c.id = o.customer where c.id is null;\"",
            "1 row found",
        ),
        (
            "metric = { value = \"sum(total)\", min = 8.5, max = 8.5 }",
            "metric = { value = \"max(total) - min(total)\", max = 10 }",
            "max(total) - min(total) is 14, not at most 10",
        ),
        (
            "metric = { value = \"count(distinct state)\" }",
            "metric = { value = \"max(total)\", equals = 1 }, where = \"id > 9\"",
            "max(total) is null",
        ),
        ("duplicate_rows = true", "duplicate_rows = [\"customer\"]", "1 row more than once in 3 rows"),
        (
            "command = \"echo '{\\\"metric\\\": 2.5}'\"",
            "command = \"echo '{\\\"passed\\\": false, \\\"message\\\": \\\"too old\\\"}'\"",
            "too old",
        ),
        (
            "command = \"echo '{\\\"failing\\\": 2}'\", threshold = 2",
            "command = \"echo '{\\\"failing\\\": 2}'\"",
            "2 rows failing",
        ),
    ] {
        assert_eq!(says(passes), None, "{passes}");
        assert_eq!(says(fails).as_deref(), Some(told), "{fails}");
    }
}

/// Logs are named after the run.
fn without_log(transcript: &str) -> String {
    transcript.split_inclusive('\n').filter(|it| !it.starts_with("    log: ")).collect()
}

#[test]
fn what_is_wrong_is_shown_and_the_old_rows_stand() {
    let project = orders("{ row_count = { min = 2 } }, { not_null = [\"day\"] }, { unique = [\"id\"] }");
    project.write("orders.csv", "id,day\n1,2026-01-01\n2,2026-01-02\n");
    project.run(&["materialize"]).succeeded();
    project.write("orders.csv", "id,day\n1,2026-01-01\n2,\n1,\n");
    let output = project.run(&["materialize"]);
    expect![[r#"
        exit 4
        --- stderr
        [1/1]       Failed orders  db   [TIME]  check `not_null day` failed: 2 of 3 rows without `day`; so did `unique id`
            not_null day: 2 of 3 rows without `day`
              id  day
               2  NULL
               1  NULL
            unique id: 1 value of `id` more than once in 3 rows
              id  times
               1      2
            help: nothing of it was published; what was there before stands

        To run only what failed again: assets retry

            Finished 1 failed in [TIME]
    "#]]
    .assert_eq(&without_log(&output.transcript()));
    assert_eq!(count(&project, "orders"), 2);
    assert_eq!(project.reasons(&[])[0].1, "check_failed");
    let logs = project.run(&["logs", "orders"]).succeeded().stdout;
    assert!(logs.contains("[check 1]\npassed: row_count\nfailed: not_null day: 2 of 3 rows"), "{logs}");
    let output = project.run(&["materialize", "--json"]).exited(4).json();
    assert_document("materialize", &output);
    let check = &output["steps"][0]["checks"][1];
    assert_eq!((&check["failing"], &check["total"], &check["kind"]), (&2.into(), &3.into(), &"not_null".into()));
    assert_eq!(check["rows"], serde_json::json!({"columns": ["id", "day"], "rows": [["2", null], ["1", null]]}));
    let show = project.run(&["show", "orders", "--json"]).succeeded().json();
    assert_document("show", &show);
    let last: Vec<_> = show["checks"].as_array().unwrap().iter().map(|it| text(&it["last"]["outcome"])).collect();
    assert_eq!(last, ["passed", "failed", "failed"]);
    assert!(
        project
            .run(&["show", "orders"])
            .succeeded()
            .stdout
            .contains("row_count, not_null day (failed), unique id (failed)")
    );
    let left =
        project.snapshot().into_iter().map(|it| it.0).filter(|it| it.contains("tmp/table-") || it.contains("answer"));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn what_only_warns_and_what_does_not_block_is_published() {
    let project = orders("{ not_null = [\"day\"], severity = \"warn\" }");
    let output = project.run(&["materialize"]).succeeded();
    assert!(
        output.stderr.contains("orders: check `not_null day` failed: 1 of 3 rows without `day`\n"),
        "{}",
        output.stderr
    );
    assert_eq!(count(&project, "orders"), 3);
    let below = "[asset.below]\nsql = \"select count(*) as n from orders\"\n";
    let project = orders("{ not_null = [\"day\"], blocking = false }");
    project.write("assets.toml", format!("{}{below}", project.read("assets.toml")));
    let output = project.run(&["materialize"]).exited(4);
    assert!(
        output.stderr.contains("orders: check `not_null day` failed: 1 of 3 rows without `day`\n"),
        "{}",
        output.stderr
    );
    assert_eq!((count(&project, "orders"), count(&project, "below")), (3, 1));
    // It was told once, and nothing is left to be made.
    project.run(&["status"]).succeeded();
    project.run(&["materialize"]).succeeded();
    let runs = project.run(&["runs", "--json"]).succeeded().json();
    assert_eq!(runs["runs"].as_array().unwrap().last().unwrap()["outcome"], "failed");
}

#[test]
fn some_rows_may_be_wrong_and_only_some_are_shown() {
    for (threshold, passes) in [("1", true), ("0", false), ("\"34 %\"", true), ("\"33 %\"", false)] {
        let told = says(&format!("not_null = [\"day\"], threshold = {threshold}"));
        assert_eq!(told.is_none(), passes, "{threshold}: {told:?}");
    }
    let many: String = (0..50).map(|it| format!("{it},\n")).collect();
    for (sample, shown) in [("", 20), ("sample = 3, ", 3), ("sample = 0, ", 0)] {
        let project = orders(&format!("{{ {sample} not_null = [\"day\"] }}"));
        project.write("orders.csv", format!("id,day\n{many}"));
        let output = project.run(&["materialize"]).exited(4);
        let rows = output.stderr.lines().filter(|it| it.trim_end().ends_with("  NULL")).count();
        assert_eq!(rows, shown, "{}", output.stderr);
        assert_eq!(output.stderr.contains(&format!("      and {} more\n", 50 - shown)), shown > 0, "{}", output.stderr);
    }
}

#[test]
fn names_that_are_not_there_are_told() {
    for (check, told) in [
        ("not_null = [\"dya\"]", "`orders` has no column `dya`; did you mean `day`?"),
        ("unique = [\"Id\"]", ""),
        (
            "relationships = { column = \"customer\", to = \"customers\" }",
            "`customers` has no column `customer`; it has `id`, `city`",
        ),
        ("compare = { to = \"customers\" }", "`customers` has no column `customer`; it has `id`, `city`"),
        (
            "compare = { to = \"customers\", columns = [\"id\", \"day\"] }",
            "`customers` has no column `day`; it has `id`, `city`",
        ),
        ("expression = \"\\\"dya\\\" > 1\"", "it could not be looked at: no such column: \"dya\""),
        ("expression = \"total > 'a' || nope(1)\"", "it could not be looked at: no such function: nope"),
        ("metric = { value = \"total\" }", "there are 3 values, not one"),
        ("metric = { value = \"max(state)\" }", "paid is no number"),
    ] {
        let said = says(check).unwrap_or_default();
        assert!(said.starts_with(told) && said.is_empty() == told.is_empty(), "{check}: {said}");
    }
    let project = orders("{ expression = \"dya > 1\" }");
    project.run(&["materialize"]).exited(4);
    let logs = project.run(&["logs", "orders"]).succeeded().stdout;
    assert!(logs.contains("assets.toml:13:17") && logs.contains(" ^^^"), "{logs}");
}

#[test]
fn what_was_before_is_compared_with() {
    let metric = "{ metric = { value = \"sum(total)\", change = 5 } }, { row_count = { change = \"50 %\" } }, \
                  { name = \"paid\", row_count = { change = 0 }, where = \"state = 'paid'\" }";
    let project = orders(metric);
    let write = |rows: &str| project.write("orders.csv", format!("id,state,total\n{rows}"));
    write("1,paid,10\n2,new,20\n");
    project.run(&["materialize"]).succeeded();
    for (rows, told) in [
        (
            "1,paid,10\n2,new,26\n",
            "check `metric sum(total)` failed: sum(total) is 36, not within 5 of the 30 of before",
        ),
        ("1,paid,30\n", ""),
        (
            "1,paid,10\n2,new,10\n3,new,10\n4,new,5\n",
            "check `row_count` failed: 4 rows, not within 50 % of the 1 of before",
        ),
        ("1,new,30\n", "check `paid` failed: 0 rows, not within 0 of the 1 of before"),
    ] {
        write(rows);
        let output = project.run(&["materialize"]);
        let output = if told.is_empty() { output.succeeded() } else { output.exited(4) };
        assert!(output.stderr.contains(told), "{told}: {}", output.stderr);
    }
    // Alone, it compares with what was published before what is there.
    let output = project.run(&["check", "--json"]).succeeded().json();
    assert_document("check", &output);
    assert_eq!(output["counts"]["passed"], 3);
    write("1,paid,25\n");
    project.run(&["materialize"]).succeeded();
    database(&project).execute_batch("insert into orders values (9, 'paid', 1)").unwrap();
    let output = project.run(&["check"]).exited(4).stdout;
    assert!(output.contains("row_count: 2 rows, not within 50 % of the 1 of before"), "{output}");
}

#[test]
fn another_table_is_read_and_becomes_a_dependency() {
    let manifest = r#"default_io = "db"
[io.db]
type = "sqlite"
path = "shop.sqlite"
[io.files]
type = "fs"
root = "data"
[asset."raw/orders"]
command = "cp orders.csv {{ output }}"
sources = ["orders.csv"]
[[asset."raw/orders".checks]]
compare = { to = "copy" }
[[asset."raw/orders".checks]]
name = "own names"
sql = "select a.* from \"raw/orders\" a join Raw_Orders b on a.id = b.id where a.id <> b.id"
[[asset."raw/orders".checks]]
name = "in regions"
expression = "customer in (select name from regions)"
[asset.copy]
sql = "select column1 as id, column2 as customer from (values (1, 'ann'), (2, null), (2, null))"
[asset.regions]
command = "printf 'name\nann\nbob\n' > {{ output }}"
io = "files"
format = "csv"
"#;
    let project = Project::new().manifest(manifest).file("orders.csv", "id,customer\n2,\n1,ann\n2,\n");
    let graph = project.run(&["list", "+raw/orders", "--json"]).succeeded().json();
    assert_eq!(graph["assets"].as_array().unwrap().len(), 3);
    project.run(&["materialize"]).succeeded();
    project.write("orders.csv", "id,customer\n2,\n1,cid\n");
    let output = project.run(&["materialize"]).exited(4);
    let told = "\
    compare copy: 4 rows that `copy` has not, or has and this has not
      only in     id  customer  times
      raw/orders   1  cid           1
      raw/orders   2  NULL          1
      copy         1  ann           1
      copy         2  NULL          2
    in regions: 1 of 2 rows for which it is false
      id  customer
       1  cid
";
    assert!(output.stderr.contains(told), "{}", output.stderr);
    // What it reads changes: made and checked anew.
    project.edit("assets.toml", "(1, 'ann')", "(1, 'cid')");
    project.edit("assets.toml", "(2, null), (2, null)", "(2, null)");
    project.edit("assets.toml", "ann\\nbob", "cid");
    project.run(&["materialize"]).succeeded();
    assert_eq!(count(&project, "raw_orders"), 2);
}

#[test]
fn freshness_looks_at_the_clock() {
    let freshness = "freshness = { column = \"at\", within = \"2h\" }";
    for (at, told) in [
        ("2020-01-01T00:00:00Z", Some("the newest `at` is 2020-01-01T00:00:00Z, ")),
        ("4102444800", None),
        ("", Some("there is no `at` at all")),
    ] {
        let project = orders(&format!("{{ {freshness} }}"));
        project.write("orders.csv", format!("id,at\n1,{at}\n"));
        let output = project.run(&["materialize", "--json"]).json();
        let message = output["steps"][0]["checks"][0]["message"].as_str().map(str::to_owned);
        assert!(message.as_deref().unwrap_or_default().starts_with(told.unwrap_or_default()), "{message:?}");
        assert_eq!(message.is_some(), told.is_some());
    }
}

#[test]
fn a_check_that_refuses_is_part_of_what_was_made() {
    let project = orders("{ range = { column = \"total\", max = 10 } }, { unique = [\"id\"], severity = \"warn\" }");
    project.run(&["materialize"]).succeeded();
    project.edit("assets.toml", "unique = [\"id\"]", "unique = [\"customer\"]");
    project.edit("assets.toml", "max = 10", "max = 10 }, sample = 3, timeout = \"1m\", blocking = true");
    project.edit("assets.toml", "true } }", "true }");
    project.run(&["status"]).succeeded();
    project.edit("assets.toml", "max = 10", "max = 9");
    let status = project.run(&["status"]).exited(3).stdout;
    assert!(status.contains("configuration changed: orders.checks.range total"), "{status}");
    project.run(&["materialize"]).exited(4);
    project.edit("assets.toml", "sample = 3", "threshold = 1");
    project.run(&["materialize"]).succeeded();
}

#[test]
fn checks_run_alone_on_what_is_published() {
    let project = orders(
        "{ not_null = [\"day\"], severity = \"warn\" }, { row_count = { max = 3 } }, { name = \"has ann\", command = \"grep -q ann {{ output }}; echo looked\" }",
    );
    let never = project.run(&["check"]).succeeded();
    assert_eq!(never.stdout, "     Missing orders  nothing is published\n\n1 not built\n");
    project.run(&["materialize"]).succeeded();
    expect![[r#"
        exit 0
        --- stdout
              Warned orders  1 of 3 checks
            not_null day (warns): 1 of 3 rows without `day`
              id  customer  state  day   total
               3  ann       paid   NULL   -4.0
            row_count: passed
            has ann: passed

        2 passed, 1 warned
    "#]]
    .assert_eq(&project.run(&["check", "-v"]).transcript());
    // Somebody else's row, which `materialize` would put right: it is looked at as it is.
    database(&project).execute_batch("insert into orders (id) values (4)").unwrap();
    let output = project.run(&["check", "-s", "orders", "--json"]).exited(4).json();
    assert_document("check", &output);
    let told: Vec<_> =
        output["assets"][0]["checks"].as_array().unwrap().iter().map(|it| text(&it["outcome"])).collect();
    assert_eq!(told, ["failed", "failed", "passed"]);
    assert_eq!(count(&project, "orders"), 4);
    assert_eq!(project.run(&["runs", "--json"]).succeeded().json()["runs"].as_array().unwrap().len(), 1);
    let show = project.run(&["show", "orders", "--json"]).succeeded().json();
    assert_eq!(show["checks"][1]["last"]["message"], "4 rows, not at most 3");
    let none = project.run(&["check", "customers", "--json"]).succeeded().json();
    assert_document("check", &none);
    assert_eq!((&none["run"], none["assets"].as_array().unwrap().len()), (&serde_json::Value::Null, 0));
}

#[test]
fn a_check_that_hangs_is_ended() {
    let slow = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n where i < 0";
    let project = orders(&format!(
        "{{ unique = [\"id\"] }}, {{ name = \"slow\", sql = \"{slow}\", timeout = \"300ms\" }}, {{ row_count = {{ min = 1 }} }}"
    ));
    let output = project.run(&["materialize", "--json"]).exited(4).json();
    let checks = output["steps"][0]["checks"].as_array().unwrap().clone();
    let told: Vec<_> = checks.iter().map(|it| it["message"].as_str().unwrap_or_default()).collect();
    assert_eq!(told, ["", "it could not be looked at: timed out", ""]);
}

/// The same on files, where the engine that is built in is asked.
fn says_of_a_file(format: &str, check: &str) -> Option<String> {
    let manifest = format!(
        "[source.customers]\nfiles = [\"customers.csv\"]\n[source.raw]\nfiles = [\"orders.csv\"]\n[asset.orders]\n\
         sql = \"select * from raw\"\nformat = \"{format}\"\nchecks = [{{ name = \"it\", {check} }}]\n"
    );
    let project = Project::new()
        .manifest(&manifest)
        .file("orders.csv", ORDERS)
        .file("customers.csv", "id,city\nann,Oslo\ncid,Rio\n");
    let output = project.run(&["materialize", "--json"]);
    let message = output.json()["steps"][0]["checks"][0]["message"].as_str().map(str::to_owned);
    if message.is_none() {
        output.succeeded()
    } else {
        output.exited(4)
    };
    assert_eq!(project.exists(&format!("data/orders.{format}")), message.is_none(), "what fails is not published");
    message
}

#[test]
fn files_are_asked_as_tables_are() {
    for (format, passes, fails, told) in [
        ("parquet", "not_null = [\"id\"]", "not_null = [\"day\"]", "1 of 3 rows without `day`"),
        ("csv", "unique = [\"id\"]", "unique = [\"customer\"]", "1 value of `customer` more than once in 3 rows"),
        (
            "jsonl",
            "accepted_values = { column = \"state\", values = [\"new\", \"paid\"] }",
            "accepted_values = { column = \"state\", values = [\"new\"] }",
            "2 of 3 rows with another `state`",
        ),
        (
            "parquet",
            "relationships = { column = \"customer\", to = \"customers\", field = \"id\" }, where = \"customer <> 'bob'\"",
            "relationships = { column = \"customer\", to = \"customers\", field = \"id\" }",
            "1 of 3 rows whose `customer` is no `id` of `customers`",
        ),
        ("arrow", "row_count = { equals = 3 }", "row_count = { max = 2 }", "3 rows, not at most 2"),
        (
            "parquet",
            "schema = { columns = { id = \"integer\", customer = \"text\", total = \"number\" }, extra = true, order = true }",
            "schema = { columns = { id = \"text\" }, extra = true }",
            "1 column not as agreed",
        ),
        (
            "parquet",
            "range = { column = \"total\", min = -4 }",
            "range = { column = \"total\", min = 0 }",
            "1 of 3 rows whose `total` is below 0",
        ),
        (
            "parquet",
            "regex = { column = \"customer\", pattern = '^[a-z]+$' }",
            "regex = { column = \"id\", pattern = '^[12]$' }",
            "1 of 3 rows whose `id` does not match ^[12]$",
        ),
        (
            "parquet",
            "length = { column = \"state\", min = 3, max = 4 }",
            "length = { column = \"state\", max = 3 }",
            "2 of 3 rows whose `state` has a length above 3",
        ),
        (
            "parquet",
            "expression = \"orders.total > -5 -- or so\"",
            "expression = \"total > 0\"",
            "1 of 3 rows for which it is false",
        ),
        (
            "parquet",
            "sql = \"select * from orders where total > 10\"",
            "sql = \"select o.id from orders o left join customers c on c.id = o.customer where c.id is null\"",
            "1 row found",
        ),
        (
            "parquet",
            "metric = { value = \"sum(total)\", equals = 8.5 }",
            "metric = { value = \"sum(total)\", max = 8 }",
            "sum(total) is 8.5, not at most 8",
        ),
        ("parquet", "duplicate_rows = true", "duplicate_rows = [\"customer\"]", "1 row more than once in 3 rows"),
        (
            "parquet",
            "compare = { to = \"raw\" }",
            "compare = { to = \"raw\", columns = [\"dya\"] }",
            "`orders` has no column `dya`; did you mean `day`?",
        ),
        (
            "parquet",
            "freshness = { column = \"day\", within = \"5000w\" }",
            "freshness = { column = \"customer\", within = \"1d\" }",
            "the largest `customer` is no date or time: bob",
        ),
    ] {
        assert_eq!(says_of_a_file(format, passes), None, "{passes}");
        assert_eq!(says_of_a_file(format, fails).as_deref(), Some(told), "{fails}");
    }
}

#[test]
fn checks_of_files_run_alone_too() {
    let manifest = "[asset.orders]\ncommand = \"cp orders.csv {{ output }}\"\nsources = [\"orders.csv\"]\nformat = \"csv\"\n\
                    checks = [{ not_null = [\"day\"], blocking = false }, { expression = \"totl > 1\", severity = \"warn\" }]\n";
    let project = Project::new().manifest(manifest).file("orders.csv", ORDERS);
    project.run(&["materialize"]).exited(4);
    let output = project.run(&["check"]).exited(4).stdout;
    let rows = "      id  customer  state  day   total\n       3  ann       paid   NULL   -4.0\n";
    assert!(output.contains(rows), "{output}");
    assert!(output.contains("it could not be looked at: there is no column `totl`"), "{output}");
    let left = project.snapshot().into_iter().map(|it| it.0).filter(|it| it.contains("cache/rows/"));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_new_name_loses_neither_checks_nor_what_they_said() {
    let manifest = "[asset.orders]\ncommand = \"cp orders.csv {{ output }}\"\nsources = [\"orders.csv\"]\nformat = \"csv\"\n\
                    checks = [{ metric = { value = \"sum(total)\", change = 1 } }]\n";
    let project = Project::new().manifest(manifest).file("orders.csv", ORDERS);
    project.run(&["materialize"]).succeeded();
    project.run(&["mv", "orders", "sales"]).succeeded();
    project.edit("assets.toml", "[asset.orders]", "[asset.sales]");
    project.run(&["status"]).succeeded();
    project.edit("orders.csv", "-4", "40");
    let output = project.run(&["materialize"]).exited(4).stderr;
    assert!(output.contains("sum(total) is 52.5, not within 1 of the 8.5 of before"), "{output}");
}

#[test]
fn a_run_that_is_killed_while_rows_are_asked_publishes_nothing() {
    let slow = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n where i < 0";
    let project = orders("{ row_count = { min = 1 } }");
    project.run(&["materialize"]).succeeded();
    project.edit("assets.toml", "{ row_count = { min = 1 } }", &format!("{{ sql = \"{slow}\" }}"));
    project.edit("orders.csv", "-4", "40");
    let run = project.start(&["materialize"]);
    // Files come and go meanwhile.
    let names = |folder: std::path::PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_staged = |it: std::fs::DirEntry| {
        let is_table = it.file_name().to_string_lossy().starts_with("table-");
        is_table && names(it.path()).any(|it| it.path().extension().is_some_and(|it| it == "sqlite"))
    };
    let staged = || names(project.path(".assets/tmp")).any(is_staged);
    let pause = || std::thread::sleep(std::time::Duration::from_millis(10));
    assert!((0..6000).any(|_| staged() || (pause(), false).1), "nothing is staged");
    // Its rows are asked at once.
    std::thread::sleep(std::time::Duration::from_secs(1));
    run.signal(Signal::KILL);
    run.finish();
    project.edit("assets.toml", slow, "select * from orders where total > 100");
    assert_eq!(
        database(&project).query_row("select min(total) from orders", [], |it| it.get::<_, f64>(0)).unwrap(),
        -4.0
    );
    project.run(&["materialize"]).succeeded();
    assert_eq!(
        database(&project).query_row("select max(total) from orders", [], |it| it.get::<_, f64>(0)).unwrap(),
        40.0
    );
    let left = project.snapshot().into_iter().map(|it| it.0).filter(|it| it.contains("tmp/table-"));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}

/// What the engine says of an expression, a condition or a query of a check is shown where that was written.
#[test]
fn what_an_engine_says_of_a_check_is_shown_in_the_manifest() {
    let io = ["format = \"csv\"\n", "io = \"db\"\n"];
    for kept in io {
        let body = format!(
            r#"default_io = "files"
[io.files]
type = "fs"
root = "data"
[io.db]
type = "sqlite"
path = "db.sqlite"
[vars]
limit = 3
column = "inserted"
[asset.a]
sql = '''
select 1 as n, 2 as m
'''
{kept}
[[asset.a.checks]]
expression = """
n > 0 and
  nosuch > 1"""
[[asset.a.checks]]
not_null = ["n"]
where = "n > 0 and wrong = 2"
[[asset.a.checks]]
sql = "select * from a where absent = 1"
[[asset.a.checks]]
metric = {{ value = "sum(lost)" }}
[[asset.a.checks]]
expression = "n < {{{{ vars.limit }}}} and gone > 1"
[[asset.a.checks]]
expression = "\"n\" < 9 and \t hidden > 1"
[[asset.a.checks]]
expression = "n < {{{{ vars.column }}}} and \"m\" > 1"
"#
        );
        let project = Project::new().manifest(&body);
        project.run(&["materialize", "-v"]).exited(4);
        let log = project.run(&["logs", "a"]).succeeded().stdout;
        let manifest = project.read("assets.toml");
        for word in ["nosuch", "wrong", "absent", "lost", "gone", "hidden", "{{ vars.column"] {
            let at = manifest.find(word).unwrap();
            let line = manifest[..at].matches('\n').count() + 1;
            let column = at - manifest[..at].rfind('\n').unwrap();
            assert!(log.contains(&format!("--> assets.toml:{line}:{column}")), "{kept} {word} {line}:{column}: {log}");
        }
        assert!(log.contains("inserted") && !log.contains("the check's query"), "{kept}: {log}");
    }
}

/// What is kept of an earlier state passed its checks then. Of those that look at more than rows that says nothing.
#[test]
fn what_is_restored_has_passed_every_check_that_depends_on_more_than_its_rows() {
    let rows = |count: usize| (0..count).fold("id\n".to_owned(), |text, it| text + &format!("{it}\n"));
    let run = |check: &str| {
        let checks = format!(
            "[asset.a]\ncommand = \"cp raw.csv {{{{ output }}}}\"\nformat = \"csv\"\nsources = [\"raw.csv\"]\nchecks = [{{ name = \"it\", {check} }}]\n"
        );
        let project = Project::new().manifest(&checks).file("raw.csv", &rows(10));
        project.run(&["materialize"]).succeeded();
        project.write("raw.csv", rows(6));
        project.run(&["materialize"]).succeeded();
        project.write("raw.csv", rows(10));
        let planned = project.run(&["plan", "--json"]).succeeded().json()["steps"][0]["action"].clone();
        let output = project.run(&["materialize", "--json"]);
        (text(&planned), text(&output.json()["steps"][0]["outcome"]))
    };
    let outcome = |planned: &str, outcome: &str| (planned.to_owned(), outcome.to_owned());
    for (check, expected) in [
        ("unique = [\"id\"]", outcome("restore", "restored")),
        ("row_count = { min = 6 }", outcome("restore", "restored")),
        ("row_count = { change = \"50 %\" }", outcome("build", "failed")),
        ("metric = { value = \"max(id)\", change = 4 }", outcome("build", "built")),
        ("freshness = { column = \"id\", within = \"36000d\" }", outcome("build", "built")),
        ("expression = \"id < 10 or now() is null\"", outcome("build", "built")),
        ("command = \"test -f raw.csv\"", outcome("build", "built")),
        ("unique = [\"id\"], blocking = false", outcome("build", "built")),
        ("unique = [\"id\"], severity = \"warn\"", outcome("restore", "restored")),
    ] {
        assert_eq!(run(check), expected, "{check}");
    }
}
