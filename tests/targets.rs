//! One project on several engines: what production keeps in Postgres, tests keep in files or in SQLite.

use crate::support::{Project, postgres::Server};

const BODY: &str = r#"default_io = "warehouse"
[io.warehouse]
type = "postgres"
url = "{{ env.DATABASE_URL }}"
schema = "shop"
[target.test.io.warehouse]
type = "fs"
root = "build/test"
[target.lite.io.warehouse]
type = "sqlite"
path = "build/lite.sqlite"

[source."raw/orders"]
files = ["orders.csv"]
[asset."raw/customers"]
command = "printf 'customer,country\nann,kr\nbob,jp\n' > {{ output }}"
[[models]]
files = ["models/*.sql"]
[[asset.orders.checks]]
not_null = ["id", "customer"]
[asset.report]
command = "sort {{ inputs.by_country }} > {{ output }}"
deps = [{ asset = "by_country", format = "csv" }]
"#;

fn shop() -> Project {
    let project = Project::new().manifest(BODY);
    project.write("orders.csv", "id,customer,amount\n1,ann,10.5\n2,bob,4\n3,ann,2\n4,bob,0\n");
    project
        .write("models/orders.sql", "select id, customer, amount\nfrom {{ ref(\"raw/orders\") }}\nwhere amount > 0\n");
    project.write(
        "models/by_country.sql",
        "with totals as (select customer, sum(amount) as total from orders group by customer)\n\
         select c.country, t.total, case when t.total > 5 then 'large' else 'small' end as size\n\
         from totals t join {{ ref(\"raw/customers\") }} c on c.customer = t.customer\n",
    );
    project
}

#[test]
fn one_project_makes_the_same_on_every_engine() {
    let database = Server::shared().database();
    let project = shop().env("DATABASE_URL", &database.url());
    for target in [&["-t", "test"][..], &["-t", "lite"], &[]] {
        let steps = project.materialized(target);
        assert!(steps.len() == 4 && steps.iter().all(|it| it.1 == "built"), "{target:?}: {steps:?}");
        let preview = project.run(&[&["preview", "report", "--format", "csv"], target].concat()).succeeded().stdout;
        assert!(preview.contains("jp,4") && preview.contains("kr,12.5"), "{target:?}: {preview}");
        project.run(&[&["status"], target].concat()).succeeded();
    }
    assert!(project.exists("build/test/by_country.parquet") && project.exists("build/test/raw/customers.csv"));
    assert!(project.exists("build/lite.sqlite"));
    // Each target has a state of its own.
    project.edit("models/orders.sql", "> 0", "> 3");
    project.run(&["materialize", "-t", "test"]).succeeded();
    project.run(&["status", "-t", "test"]).succeeded();
    project.run(&["status", "-t", "lite"]).exited(3);
}

#[test]
fn what_only_one_engine_says_is_told_at_its_line() {
    let project = shop().env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    let told = |output: &crate::support::Output, parts: &[&str]| {
        parts.iter().for_each(|it| assert!(output.stderr.contains(it), "{it}: {}", output.stderr));
    };
    // Words of Postgres, read without any server.
    project.write(
        "models/orders.sql",
        "select id, customer,\n       amount::numeric as amount\nfrom {{ ref(\"raw/orders\") }}\n",
    );
    project.run(&["validate"]).succeeded();
    let output = project.run(&["materialize", "-t", "lite", "-s", "orders"]).exited(1);
    told(&output, &["models/orders.sql:2:14", "unrecognized token"]);
}

#[test]
fn words_of_another_engine_are_told_before_anything_is_run() {
    let project = shop().env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    project.write(
        "models/orders.sql",
        "select id, customer, to_char(now(), 'YYYY') as year,\n       to_hex(id) as amount,\n       \
         regexp_split_to_array(customer, 'n') as parts, mine(id)\nfrom {{ ref(\"raw/orders\") }}\n",
    );
    // What a server knows, only the server can tell.
    project.run(&["validate"]).succeeded();
    let output = project.run(&["validate", "-t", "test"]).exited(2);
    assert_eq!(
        output.stderr,
        "error[A0035]: there is no function `regexp_split_to_array`
 --> models/orders.sql:3:8
  |
3 |        regexp_split_to_array(customer, 'n') as parts, mine(id)
  |        ^^^^^^^^^^^^^^^^^^^^^
  |
help: in queries over files it is written string_to_array(text, ',')

error[A0035]: there is no function `mine`
 --> models/orders.sql:3:55
  |
3 |        regexp_split_to_array(customer, 'n') as parts, mine(id)
  |                                                       ^^^^

2 errors in models/orders.sql
"
    );
    let output = project.run(&["validate", "-t", "lite"]).exited(2);
    let told: Vec<&str> =
        output.stderr.lines().filter(|it| it.starts_with("error") || it.starts_with("help")).collect();
    assert_eq!(
        told,
        [
            "error[A0035]: there is no function `to_char`",
            "help: in SQLite it is written strftime('%Y-%m-%d', moment)",
            "error[A0035]: there is no function `now`",
            "help: in SQLite it is written datetime('now')",
            "error[A0035]: there is no function `to_hex`",
            "help: in SQLite it is written format('%x', n)",
            "error[A0035]: there is no function `regexp_split_to_array`",
            "error[A0035]: there is no function `mine`",
        ]
    );
    // Those of checks too.
    let checks = "[[asset.orders.checks]]\nexpression = \"to_char(day, 'YYYY') <> '' and customer regexp 'n' and regexp('n', customer)\"\n\
                  [[asset.orders.checks]]\nmetric = { value = \"sum(id) + median_of(id)\" }\n[asset.report]";
    project.edit("assets.toml", "[asset.report]", checks);
    let output = project.run(&["validate", "-t", "lite"]).exited(2);
    let told: Vec<&str> =
        output.stderr.lines().filter(|it| it.starts_with("error") || it.contains("--> assets")).collect();
    assert_eq!(told.len(), 5 + 2 * 2, "{}", output.stderr);
    for part in ["expression = \"to_char(day", "median_of", "assets.toml:"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    // The plan is no worse for it, and says so.
    let output = project.run(&["plan", "-t", "test"]).succeeded();
    assert!(output.stderr.contains("warning[A0035]: there is no function `mine`"), "{}", output.stderr);
    // And whoever runs it all the same is told the same.
    let output = project.run(&["materialize", "-t", "test", "-s", "orders"]).exited(1);
    let parts =
        ["models/orders.sql:3:8", "regexp_split_to_array", "help: in queries over files it is written string_to_array"];
    parts.iter().for_each(|it| assert!(output.stderr.contains(it), "{it}: {}", output.stderr));
}

#[test]
fn what_is_said_of_files_means_nothing_to_tables_of_a_target() {
    let body = r#"[io.warehouse]
type = "fs"
root = "build"
[target.lite.io.warehouse]
type = "sqlite"
path = "lite.sqlite"
[asset.numbers]
sql = "select 1 as n union all select 2"
format = "csv"
path = "some/numbers.csv"
[asset.total]
sql = "select sum(n) as total from numbers"
"#;
    let project = Project::new().manifest(body);
    for target in [&[][..], &["-t", "lite"]] {
        assert_eq!(project.materialized(target).len(), 2, "{target:?}");
        let preview = project.run(&[&["preview", "total", "--format", "csv"], target].concat()).succeeded().stdout;
        assert_eq!(preview, "total\n3\n", "{target:?}");
    }
    assert!(project.exists("build/some/numbers.csv") && project.exists("lite.sqlite"));
    // Of an option that the target itself gives, it is told.
    project.edit("assets.toml", "path = \"lite.sqlite\"", "path = \"lite.sqlite\"\nroot = \"x\"");
    let output = project.run(&["validate", "-t", "lite"]).exited(2);
    assert!(output.stderr.contains("`root` means nothing to type = \"sqlite\""), "{}", output.stderr);
}

#[test]
fn what_stops_many_assets_is_told_once() {
    let body = "[io.pg]\ntype = \"postgres\"\nurl = \"postgres://me@127.0.0.1:1/shop\"\n[defaults]\nio = \"pg\"\n\
                [asset.a]\nsql = \"select 1 as n\"\n[asset.b]\nsql = \"select 1 as n\"\n[asset.c]\nsql = \"select 1 as n\"\n\
                [asset.d]\nsql = \"select n from a\"\n[asset.z]\nio = \"default\"\nformat = \"txt\"\ncommand = \"false\"\n\
                [io.default]\ntype = \"fs\"\nroot = \"data\"\n";
    let project = Project::new().manifest(body);
    let run = project.run(&["materialize", "-j", "1"]).exited(1).stderr;
    let down = "postgres://127.0.0.1:1/shop: error connecting to server: Connection refused (os error 111)";
    let help =
        "help: is the server running, and is it reached from here? then run again: what was done is not done twice";
    assert_eq!(run.matches(down).count(), 2, "{run}");
    assert_eq!(run.matches(help).count(), 2, "{run}");
    for part in [
        "Failed b  pg        [TIME]  the same as a\n",
        "Failed c  pg        [TIME]  the same as a\n",
        "Skipped d  pg       upstream a failed\n",
        "\n4 assets failed:\n",
        "    the same stopped: b, c\n",
        "Failed z  default   [TIME]  exit status 1\n",
        "    Finished 4 failed, 1 skipped in",
    ] {
        assert!(run.contains(part), "{part}: {run}");
    }
    let run = project.run(&["materialize", "--json"]).exited(1).json();
    let told = run["steps"].as_array().unwrap().iter().filter(|it| it["error"].as_str().is_some_and(|it| it == down));
    assert_eq!(told.count(), 3, "each has its own: {run}");
}

#[test]
fn a_file_that_is_no_table_is_not_made_one_by_a_target() {
    let body = "[io.warehouse]\ntype = \"fs\"\nroot = \"build\"\n[io.pages]\ntype = \"fs\"\nroot = \"pages\"\n[defaults]\nio = \"warehouse\"\n\
                [target.lite.io.warehouse]\ntype = \"sqlite\"\npath = \"lite.sqlite\"\n\
                [asset.best]\ncommand = \"echo all > {{ output }}\"\nformat = \"txt\"\n\
                [asset.given]\ncommand = \"echo n > {{ output }}\"\nformat = \"csv\"\n";
    let project = Project::new().manifest(body);
    project.run(&["validate"]).succeeded();
    assert_eq!(
        project.run(&["validate", "-t", "lite"]).exited(2).stderr,
        "error[A0008]: a file of txt is no table, and this target keeps it in a database
  --> assets.toml:16:1
   |
16 | format = \"txt\"
   | ^^^^^^
   |
help: give it an `io` of its own that keeps files in every target

1 error in assets.toml
"
    );
    project.edit("assets.toml", "format = \"txt\"", "format = \"txt\"\nio = \"pages\"");
    assert_eq!(project.materialized(&["-t", "lite"]).len(), 2);
    assert_eq!(project.read("pages/best.txt"), "all\n");
}

#[test]
fn a_database_that_is_not_said_is_the_one_mistake() {
    let mut project = shop();
    project.write("models/extra.sql", "select id from orders");
    project.edit("assets.toml", "[asset.report]", "[asset.extra]\nchecks = [{ unique = [\"id\"] }]\n[asset.report]");
    assert_eq!(
        project.run(&["validate"]).exited(2).stderr,
        "error[A0030]: environment variable DATABASE_URL is not set
 --> assets.toml:6:11
  |
6 | url = \"{{ env.DATABASE_URL }}\"
  |           ^^^^^^^^^^^^^^^^
  |
help: set it, or write `{{ env.DATABASE_URL | default(\"...\") }}`

1 error in assets.toml
"
    );
    project.run(&["validate", "-t", "lite"]).succeeded();
    project.set_env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    project.edit("assets.toml", "type = \"postgres\"", "type = \"postgress\"");
    let told = project.run(&["validate"]).exited(2).stderr;
    assert!(told.contains("did you mean \"postgres\"?") && told.contains("1 error in assets.toml"), "{told}");
}
