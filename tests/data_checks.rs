//! Checks that ask the rows of a table: each kind once content and once not, what a failed one keeps from being
//! published, and what people and programs are told.

use rusqlite::Connection;

use crate::support::{Project, told::text};

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
            "1 of 3 rows with a `customer` that is no `id` of `customers`",
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
            "1 of 3 rows with a `total` below 0",
        ),
        (
            "range = { column = \"day\", min = \"2026-01-01\" }",
            "range = { column = \"day\", max = \"2026-01-01\" }",
            "1 of 3 rows with a `day` above 2026-01-01",
        ),
        (
            "regex = { column = \"day\", pattern = '^\\d{4}-\\d\\d-\\d\\d$' }",
            "regex = { column = \"state\", pattern = '^p' }",
            "1 of 3 rows with a `state` that does not match ^p",
        ),
        (
            "length = { column = \"state\", min = 3, max = 4 }",
            "length = { column = \"state\", equals = 3 }",
            "2 of 3 rows with a `state` of a length other than 3",
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
