//! Queries over files, by the engine that is built in: every form of a table, early cut-off by rows, databases on
//! either side.

use crate::support::{Project, assert_document};

fn ran(project: &Project) -> Vec<String> {
    let mut steps: Vec<String> = project.materialized(&[]).into_iter().map(|it| format!("{} {}", it.0, it.1)).collect();
    steps.sort();
    steps
}

const ORDERS: &str = "id,customer,amount,day\n007,ann,10.5,2026-03-01\n008,bob,,2026-03-01\n009,ann,7.25,2026-03-02\n";

/// Csv -> parquet -> jsonl -> arrow -> SQLite -> csv -> text: each but the last by a query.
fn chain() -> Project {
    let body = r#"default_io = "files"
[io.files]
type = "fs"
root = "data"
[io.db]
type = "sqlite"
path = "shop.sqlite"
[source."raw/orders"]
files = ["raw/*.csv"]

[asset.orders]
sql = "models/orders.sql"
[asset."per/customer"]
sql = "select customer, sum(amount) as total from orders group by customer"
format = "jsonl"
[asset.large]
sql = 'select * from "per/customer" where total > 1'
format = "arrow"
[asset.kept]
sql = "select customer, total from large"
io = "db"
[asset.back]
sql = "select k.customer, k.total, count(*) as orders from kept k join orders o on o.customer = k.customer group by 1, 2"
path = "out/back.csv"
[asset.report]
command = "cat {{ inputs.back }} > {{ output }}"
deps = ["back"]
format = "txt"
"#;
    Project::new()
        .manifest(body)
        .file("models/orders.sql", "select id, customer, amount, day\nfrom \"raw/orders\"\nwhere amount is not null\n")
        .file("raw/orders.csv", ORDERS)
}

#[test]
fn a_table_goes_through_every_form_and_back() {
    let project = chain();
    let all = ["back built", "kept built", "large built", "orders built", "per/customer built", "report built"];
    assert_eq!(ran(&project), all);
    assert_eq!(project.read("data/report.txt"), "customer,total,orders\nann,17.75,2\n");
    assert_eq!(project.read("data/per/customer.jsonl"), "{\"customer\":\"ann\",\"total\":17.75}\n");
    assert!(project.exists("data/orders.parquet"));
    project.run(&["status"]).succeeded();
    assert_eq!(ran(&project), Vec::<String>::new());
    let show = project.run(&["show", "orders", "--json"]).succeeded().json();
    assert_eq!(show["materializations"][0]["rows"], 2);
    assert!(!project.exists(".assets/tmp") || std::fs::read_dir(project.path(".assets/tmp")).unwrap().next().is_none());
}

#[test]
fn the_same_rows_stop_there_and_other_rows_go_on() {
    let project = chain();
    ran(&project);
    // Set out anew: nothing is run.
    project.write(
        "models/orders.sql",
        "select id,customer,amount,day -- all\nfrom \"raw/orders\" where amount is not null;",
    );
    project.run(&["status"]).succeeded();
    // In another order, and with a row more that is left out.
    project.write(
        "raw/orders.csv",
        "id,customer,amount,day\n009,ann,7.25,2026-03-02\n007,ann,10.5,2026-03-01\n008,bob,,2026-03-01\n010,eve,,2026-03-05\n",
    );
    let stopped =
        ["back cut_off", "kept cut_off", "large cut_off", "orders built", "per/customer cut_off", "report cut_off"];
    assert_eq!(ran(&project), stopped);
    project.run(&["status"]).succeeded();
    // A second file of the source.
    project.write("raw/more.csv", "id,customer,amount,day\n011,bob,2,2026-03-05\n");
    let all = ["back built", "kept built", "large built", "orders built", "per/customer built", "report built"];
    assert_eq!(ran(&project), all);
    assert_eq!(project.read("data/report.txt").lines().count(), 3);
}

#[test]
fn a_table_that_is_changed_or_damaged_by_hand_is_made_again() {
    let project = chain();
    ran(&project);
    project.write("data/orders.parquet", "not a table");
    let status = project.run(&["status"]).exited(3).stdout;
    assert!(status.contains("orders.parquet"), "{status}");
    let ran = ran(&project);
    assert_eq!(ran[3], "orders built");
    assert!(ran.iter().filter(|it| it.ends_with("cut_off")).count() == 5, "{ran:?}");
    project.run(&["status"]).succeeded();
}

#[test]
fn what_the_engine_says_is_told_in_its_place() {
    for (sql, expected) in [
        (
            "select custmer from orders",
            &["there is no column `custmer`", "bad.sql:1:8", "^^^^^^^", "did you mean `customer`?"][..],
        ),
        ("select id,\n  nosuch(id) from orders", &["nosuch", "bad.sql:2:3"]),
        ("select o.custmer from orders o", &["there is no column `custmer`", "bad.sql:1:8", " ^^^^^^^^^\n"]),
        ("select total(id) from orders", &["there is no function `total`", "bad.sql:1:8", "it is written sum(n)"]),
        ("select 1 / 0 as a", &["ivi"]),
        ("select cast(customer as int) as a from orders", &["ann"]),
        ("select customer, sum(amount) from orders", &["customer"]),
    ] {
        let project = chain().file("models/bad.sql", sql);
        let manifest = project.read("assets.toml") + "[asset.bad]\nsql = \"models/bad.sql\"\n";
        project.write("assets.toml", &manifest);
        let failed = project.run(&["materialize", "-s", "+bad"]).exited(1).stderr;
        assert!(expected.iter().all(|it| failed.contains(it)), "{sql}: {failed}");
        assert!(!project.exists("data/bad.parquet"));
    }
}

#[test]
fn nothing_but_a_query_is_run() {
    for sql in
        ["drop table orders", "create table a as select 1", "copy orders to '/tmp/x'", "insert into orders select 1"]
    {
        let project = Project::new().manifest(&format!("[asset.bad]\nsql = \"{sql}\"\n"));
        project.run(&["validate"]).exited(2);
    }
    // Files are read by their keys, never by a path in the text.
    let project = Project::new()
        .manifest("[asset.bad]\nsql = \"select * from 'raw/orders.csv'\"\n")
        .file("raw/orders.csv", ORDERS);
    project.run(&["validate"]).exited(2);
}

#[test]
fn what_is_no_table_is_told_with_its_place() {
    let project = Project::new().manifest(
        "[source.page]\nfiles = [\"page.html\"]\n[asset.a]\nsql = \"select * from page\"\n[asset.b]\nsql = \"select 1 as x\"\nformat = \"txt\"\n",
    );
    let told = project.file("page.html", "<p>").run(&["validate"]).exited(2).stderr;
    assert!(told.contains("a query cannot read `page`") && told.contains("a query writes a table"), "{told}");
}

#[test]
fn rows_are_looked_at_wherever_they_are_kept() {
    let project = chain();
    ran(&project);
    let told = |arguments: &[&str]| project.run(arguments).succeeded().stdout;
    assert_eq!(told(&["preview", "back"]), "customer  total  orders\nann       17.75       2\n");
    assert_eq!(
        told(&["preview", "raw/orders", "-n", "1", "--format", "csv"]),
        "id,customer,amount,day\n007,ann,10.5,2026-03-01\n"
    );
    assert_eq!(told(&["preview", "kept", "--format", "json"]), "{\"customer\":\"ann\",\"total\":17.75}\n");
    // Files, tables and sources in one question.
    let sql = "select count(*) as n, sum(k.total) as total from \"raw/orders\" o left join kept k on k.customer = o.customer, large l";
    assert_eq!(told(&["query", sql]), "n  total\n3   35.5\n");
    assert_eq!(told(&["query", "select id from orders order by id", "--format", "csv"]), "id\n007\n009\n");
    assert_eq!(told(&["query", "select 1 as a where 1 = 2", "--format", "csv"]), "a\n");
    let document =
        project.run(&["query", "select id, amount from raw_orders order by id", "--json"]).succeeded().json();
    assert_document("rows", &document);
    assert_eq!(document["rows"][1], serde_json::json!({"id": "008", "amount": null}));
    assert_eq!(document["columns"][1], serde_json::json!({"name": "amount", "kind": "float"}));
    assert_eq!(told(&["render", "kept"]), "select customer, total from large\n");
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let project = chain();
    let told = |arguments: &[&str], code: i32| project.run(arguments).exited(code).stderr;
    assert!(told(&["preview", "orders"], 1).contains("orders was never built"));
    assert!(told(&["preview", "kept"], 1).contains("kept was never built"));
    assert!(told(&["preview", "report"], 1).contains("report holds no rows"));
    assert!(told(&["preview", "ordrs"], 2).contains("did you mean `orders`?"));
    assert!(told(&["query", "select * from ordrs"], 2).contains("did you mean `orders`?"));
    assert!(told(&["query", "select * from raw.orders"], 2).contains("write it as one name: \"raw/orders\""));
    assert!(told(&["query", "delete from orders"], 2).contains("begin with SELECT"));
    let caret = told(&["query", "select nosuch from \"raw/orders\""], 1);
    assert!(caret.contains("query:1:8") && caret.contains("^^^^^^"), "{caret}");
    assert!(told(&["render", "report"], 2).contains("not made by a query"));
    assert!(!project.exists("data"));
}

#[test]
fn a_command_gets_rows_in_the_form_that_it_asks_for() {
    let body = r#"default_io = "files"
[io.files]
type = "fs"
root = "data"
[io.db]
type = "sqlite"
path = "shop.sqlite"
[source.raw]
files = ["raw/*.csv"]
[asset.orders]
sql = "select id, amount from raw where amount is not null order by id"
[asset.kept]
sql = "select count(*) as n from orders"
io = "db"
[asset.report]
command = "cat {{ inputs.orders }} {{ inputs.kept }} {{ inputs.raw }} > {{ output }}"
deps = [{ asset = "orders", format = "csv" }, { asset = "kept", format = "jsonl" }, { asset = "raw", format = "jsonl" }]
format = "txt"
"#;
    let project =
        Project::new().manifest(body).file("raw/a.csv", "id,amount\n1,2\n2,\n").file("raw/b.csv", "id,amount\n3,4\n");
    ran(&project);
    let rows = "{\"id\":1,\"amount\":2}\n{\"id\":2,\"amount\":null}\n{\"id\":3,\"amount\":4}\n";
    assert_eq!(project.read("data/report.txt"), format!("id,amount\n1,2\n3,4\n{{\"n\":2}}\n{rows}"));
    project.run(&["status"]).succeeded();
    // Another form is another input.
    project.edit("assets.toml", "asset = \"orders\", format = \"csv\"", "asset = \"orders\", format = \"jsonl\"");
    assert_eq!(ran(&project), ["report built"]);
    assert!(project.read("data/report.txt").starts_with("{\"id\":1,\"amount\":2}\n"));
    project.edit("assets.toml", "\"kept\", format = \"jsonl\"", "\"kept\", format = \"cvs\"");
    let told = project.run(&["validate"]).exited(2).stderr;
    assert!(told.contains("`cvs` is no form of a table") && told.contains("did you mean `csv`?"), "{told}");
    let project = Project::new().manifest("[asset.a]\ncommand = 'true'\nformat = 'txt'\n[asset.b]\ncommand = 'true'\ndeps = [{ asset = 'a', format = 'csv' }]\n");
    let told = project.run(&["validate"]).exited(2).stderr;
    assert!(told.contains("`a` cannot be given as csv"), "{told}");
}

/// What editors and people do to the files of models.
#[test]
fn files_of_models_may_begin_with_a_mark_and_are_told_of_all_at_once() {
    let io = "default_io = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n";
    let models = "[[models]]\nfiles = [\"models/*.sql\"]\n[asset.plain]\nformat = \"csv\"\n";
    let project = Project::new()
        .manifest(&(io.to_owned() + models))
        .file("models/marked.sql", "\u{feff}select 1 as n\n")
        .file("models/plain.sql", "select n from marked\n");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/plain.csv"), "n\n1\n");
    project.write("models/one day.sql", "select 1 as n");
    project.write("models/two.days.sql", "select 1 as n");
    let told = project.run(&["validate"]).exited(2).stderr;
    for name in ["models/one day.sql cannot be a model", "models/two.days.sql cannot be a model"] {
        assert!(told.contains(name), "{told}");
    }
    let body = io.to_owned() + "[source.raw]\nfiles = [\"raw/*\"]\n[asset.a]\nsql = \"select * from raw\"\n";
    let told = Project::new().manifest(&body).run(&["validate"]).exited(2).stderr;
    assert!(told.contains("all its patterns must end in the same form"), "{told}");
}

/// A column whose name differs in case is what was meant, not the function of another engine that it is called like; and
/// what is null within a list is shown.
#[test]
fn a_column_that_is_called_like_a_function_is_a_column() {
    let project = Project::new().manifest(
        "[asset.a]\nsql = \"select 1 as \\\"Total\\\", [1, null] as l\"\n[asset.b]\nsql = \"select total from a\"\n",
    );
    let said = project.run(&["materialize"]).exited(1);
    let said = format!("{}{}", said.stdout, said.stderr);
    assert!(said.contains("did you mean `Total`?") && !said.contains("sum("), "{said}");
    assert!(project.run(&["preview", "a"]).succeeded().stdout.contains("[1, NULL]"));
}
