//! Tables in a real Postgres server: made, read, cut off at, changed by others, and lost in the middle.

use assets::exec::io::{IoManager, conformance, maker::Maker, postgres::PostgresManager};
use rustix::process::Signal;

use crate::support::{
    Project,
    postgres::{Database, Proxy, Server},
};

fn ran(project: &Project) -> Vec<String> {
    let mut steps: Vec<String> = project.materialized(&[]).into_iter().map(|it| format!("{} {}", it.0, it.1)).collect();
    steps.sort();
    steps
}

#[test]
fn postgres_conforms() {
    let database = Server::shared().database();
    let project = tempfile::tempdir().unwrap();
    for schema in [None, Some("mart")] {
        let make = || -> Box<dyn IoManager> {
            Box::new(PostgresManager::new(project.path().to_owned(), Ok(database.url()), schema, Maker::new("it")))
        };
        let report = conformance::run(&make);
        report.assert_passed();
        assert_eq!(report.skipped, crate::io::OF_FILES);
    }
}

const ORDERS: &str = "id,customer,amount,day\n007,ann,10.5,2026-03-01\n008,bob,,2026-03-01\n009,ann,7.25,2026-03-02\n";

/// A file of csv -> Postgres -> Postgres -> parquet and SQLite -> Postgres, and a command on either side.
fn shop(database: &Database<'_>) -> Project {
    let body = r#"default_io = "files"
[io.files]
type = "fs"
root = "data"
[io.pg]
type = "postgres"
url = "{{ env.DATABASE_URL }}"
[io.mart]
type = "postgres"
url = "{{ env.DATABASE_URL }}"
schema = "mart"
[io.db]
type = "sqlite"
path = "shop.sqlite"
[source."raw/orders"]
files = ["raw/*.csv"]

[asset.orders]
sql = "models/orders.sql"
io = "pg"
[asset."per/customer"]
sql = "select customer, sum(amount::numeric(10, 2)) as total, count(*) as n from Orders group by 1"
io = "mart"
[asset.large]
sql = 'select * from "per/customer" where total > 1'
[asset.kept]
sql = "select customer, n from large"
io = "db"
[asset.given]
command = "cp raw/orders.csv {{ output }}"
io = "pg"
[asset.back]
sql = "select k.customer, k.n, g.day from kept k join given g on g.customer = k.customer and g.amount = 10.5"
io = "pg"
[asset.report]
command = "cat {{ inputs.back }} > {{ output }}"
deps = ["back"]
format = "txt"
"#;
    Project::new()
        .manifest(body)
        .file("models/orders.sql", "select id, customer, amount, day\nfrom \"raw/orders\"\nwhere amount is not null\n")
        .file("raw/orders.csv", ORDERS)
        .env("DATABASE_URL", &database.url())
}

#[test]
fn a_table_goes_through_files_and_databases_and_back() {
    let database = Server::shared().database();
    let project = shop(&database);
    let all = [
        "back built",
        "given built",
        "kept built",
        "large built",
        "orders built",
        "per/customer built",
        "report built",
    ];
    assert_eq!(ran(&project), all);
    assert_eq!(project.read("data/report.txt"), "customer,n,day\nann,2,2026-03-01\n");
    assert_eq!(
        database.rows("select * from orders order by id"),
        ["007|ann|10.5|2026-03-01", "009|ann|7.25|2026-03-02"]
    );
    assert_eq!(database.rows("select * from mart.per_customer"), ["ann|17.75|2"]);
    project.run(&["status"]).succeeded();
    project.run(&["status", "--refresh"]).succeeded();
    assert_eq!(ran(&project), Vec::<String>::new());
    // The same rows, in another order and from another text: nothing downstream is run.
    project.write(
        "models/orders.sql",
        "select id, customer, amount, day from \"raw/orders\" where amount > 0 order by id desc",
    );
    let stopped =
        ["back cut_off", "kept cut_off", "large cut_off", "orders built", "per/customer cut_off", "report cut_off"];
    assert_eq!(ran(&project), stopped);
    let left = "select relname from pg_class where relname like '\\_assets\\_stage%'";
    assert_eq!(database.rows(left), [""; 0]);
    // Who we are is nowhere.
    let found = std::process::Command::new("grep").args(["-rl", "not-so-secret"]).arg(project.root()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

/// Each by itself must be noticed, and what is changed and changed back in full must not be.
#[test]
fn a_table_changed_by_hand_is_found() {
    let database = Server::shared().database();
    let body = "[io.pg]\ntype = \"postgres\"\nurl = \"{{ env.DATABASE_URL }}\"\n\
        [asset.a]\nsql = \"select n, n::text as t from generate_series(1, 5) as s(n)\"\nio = \"pg\"\n";
    let project = Project::new().manifest(body).env("DATABASE_URL", &database.url());
    assert_eq!(ran(&project), ["a built"]);
    for change in [
        "update a set t = 'x' where n = 3",
        "delete from a where n = 1",
        "insert into a values (9, 'y')",
        "begin; delete from a where n = 1; insert into a values (1, 'other'); commit",
        "truncate a",
        "alter table a rename column t to u",
        "alter table a add column more integer default 7",
        "alter table a alter column n type integer using n + 1",
        "alter table a alter column t type text using t || 'x'",
        "begin; create table b as table a; delete from a; insert into a select n, t || '.' from b; drop table b; commit",
        "drop table a",
        "drop table a; create view a as select 1 as n, 'v' as t",
        "drop table a; create table a as select n, n::text || '!' as t from generate_series(1, 5) as s(n)",
    ] {
        database.run(change);
        // Without asking the server it cannot be known.
        project.run(&["status"]).succeeded();
        assert_ne!(project.run(&["status", "--refresh"]).code, 0, "{change}");
        assert_eq!(ran(&project), ["a built"], "{change}");
        project.run(&["status", "--refresh"]).succeeded();
        assert_eq!(database.rows("select count(*), sum(n), max(t) from a"), ["5|15|5"], "{change}");
    }
    // What a value of an enum is called is in no row.
    database.run("create type state as enum ('v1', 'v2', 'v3', 'v4', 'v5')");
    project.edit("assets.toml", "n::text as t", "('v' || n)::state as t");
    ran(&project);
    project.run(&["status", "--refresh"]).succeeded();
    database.run("alter type state rename value 'v3' to 'w'");
    assert_ne!(project.run(&["status", "--refresh"]).code, 0);
    database.run("alter type state rename value 'w' to 'v3'");
    project.run(&["status", "--refresh"]).succeeded();
    project.edit("assets.toml", "('v' || n)::state as t", "n::text as t");
    ran(&project);
    // The same rows again, however they are written.
    database.run("update a set n = n");
    database.run("vacuum full a");
    project.run(&["status", "--refresh"]).succeeded();
    assert_eq!(ran(&project), Vec::<String>::new());
}

/// An asset of one row, made by a query that says in a file that it ran.
fn small(database: &Database<'_>) -> Project {
    let body = "[io.pg]\ntype = \"postgres\"\nurl = \"{{ env.DATABASE_URL }}\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n\
        [asset.a]\nsql = \"select 1 as n\"\nio = \"pg\"\n\
        [asset.b]\nsql = \"select n + 1 as n from a\"\nio = \"files\"\n\
        [project]\nname = \"test\"\ndefault_io = \"files\"\n";
    let project = Project::new().env("DATABASE_URL", &database.url());
    project.write("assets.toml", body);
    project
}

#[test]
fn what_the_server_says_is_shown_in_its_place() {
    let database = Server::shared().database();
    let project = small(&database);
    project.edit("assets.toml", "select 1 as n", "select 'é' as t, 1 +\\n  nosuch as n");
    let run = project.run(&["materialize"]);
    assert_ne!(run.code, 0);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("column \"nosuch\" does not exist (SQLSTATE 42703)"), "{said}");
    // Through the escapes.
    assert!(said.contains("--> assets.toml:8:32"), "{said}");
    assert!(said.contains("^^^^^^"), "{said}");
    let manifest = project.read("assets.toml");
    let text = "\"select 'é' as t, 1 +\\n  nosuch as n\"";
    assert!(manifest.contains(text), "{manifest}");
    project.write("assets.toml", manifest.replace(text, "\"\"\"\nselect 'é' as t, 1 +\n  nosuch as n\"\"\""));
    let run = project.run(&["materialize"]).exited(1).stderr;
    assert!(run.contains("--> assets.toml:10:3") && run.contains("10 |   nosuch as n"), "{run}");
    project.write("assets.toml", manifest);
    project.edit("assets.toml", "select 'é' as t, 1 +\\n  nosuch as n", "select array[1] as n");
    let run = project.run(&["materialize"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_ne!(run.code, 0);
    assert!(said.contains("column `n` is of type integer[], which cannot be read; cast it to text"), "{said}");
    assert_eq!(database.rows("select relname from pg_class where relname like '\\_assets\\_stage%'"), [""; 0]);
}

#[test]
fn rows_are_checked_before_they_are_published() {
    let database = Server::shared().database();
    let project = small(&database);
    let checks = r#"io = "pg"
checks = [
    { range = { column = "n", min = 1 } },
    { accepted_values = { column = "n", values = [1, 2] } },
    { regex = { column = "t", pattern = "^x" } },
    { unique = ["n"] },
    { row_count = { min = 1 } },
    { freshness = { column = "at", within = "1d" } },
    { sql = "select * from a where n > 1 -- odd" },
]
"#;
    let manifest = project.read("assets.toml").replace("select 1 as n", "select 1 as n, 'xy' as t, now() as at");
    let manifest = manifest.replacen("io = \"pg\"\n", checks, 1);
    project.write("assets.toml", &manifest);
    project.run(&["materialize"]).succeeded();
    project.run(&["check"]).succeeded();
    project.edit("assets.toml", "select 1 as n", "select 3 as n");
    let run = project.run(&["materialize"]);
    assert_eq!(run.code, 4, "{}{}", run.stdout, run.stderr);
    assert_eq!(database.rows("select n from a"), ["1"], "the old table stays");
}

#[test]
fn a_server_that_is_not_there_is_told_and_what_was_done_is_not_done_twice() {
    let server = Server::new();
    let database = server.database();
    let project = small(&database);
    ran(&project);
    server.stop();
    // Nobody is asked.
    project.run(&["status"]).succeeded();
    let run = project.run(&["materialize"]);
    assert_ne!(run.code, 0);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("postgres://127.0.0.1:") && said.contains("onnection refused"), "{said}");
    assert!(!said.contains("not-so-secret"), "{said}");
    server.start();
    assert_eq!(ran(&project), Vec::<String>::new());
}

/// The server goes in mid-run: while the query runs.
#[test]
fn a_server_that_is_lost_in_mid_run_fails_the_run_and_the_next_goes_on() {
    let server = Server::new();
    let database = server.database();
    let project = small(&database);
    project.edit("assets.toml", "select 1 as n", "select 1 as n from pg_sleep(3)");
    let said = server.lose_in_mid_run(&project, &database);
    assert!(said.contains("the query failed") && said.contains("is the server running"), "{said}");
    assert!(["the connection was cut", "SQLSTATE 57P"].iter().any(|it| said.contains(it)), "{said}");
    assert_eq!(ran(&project), ["a built", "b built"]);
    assert_eq!(ran(&project), Vec::<String>::new());
    assert_eq!(database.rows("select relname from pg_class where relname like '\\_assets\\_stage%'"), [""; 0]);
}

/// Killed after COMMIT and before the record: the row in the database tells, and nothing is run again.
#[test]
fn a_publication_that_nobody_recorded_is_looked_up() {
    let database = Server::shared().database();
    let project = small(&database);
    project.run(&["materialize"]).succeeded();
    // A trigger holds the answer to COMMIT back until the run is dead: what is deferred is part of the commit.
    database.run(
        "create function wait() returns trigger language plpgsql as 'begin perform pg_sleep(2); return new; end';
         create constraint trigger wait after update on _assets_tables deferrable initially deferred for each row execute function wait()",
    );
    project.edit("assets.toml", "select 1 as n", "select 2 as n");
    let run = project.start(&["materialize"]);
    let busy = "select count(*) from pg_stat_activity where query = 'commit' and state = 'active'";
    while database.rows(busy) != ["1"] {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    run.signal(Signal::KILL);
    run.finish();
    // At once, while the server is still committing: it is waited for.
    let steps = ran(&project);
    assert_eq!(steps, ["b built"], "the table was published, and is not made again");
    assert_eq!(database.rows("select n from a"), ["2"]);
    assert_eq!(ran(&project), Vec::<String>::new());
}

fn version(project: &Project, asset: &str) -> String {
    let show = project.run(&["show", asset, "--json"]).succeeded().json();
    show["materializations"][0]["data_version"].as_str().expect("it was made").to_owned()
}

/// Every type that is read: what comes out is, by its version, what went in.
#[test]
fn the_same_rows_have_the_same_version_in_files_and_in_postgres() {
    let database = Server::shared().database();
    let body = r#"default_io = "files"
[io.files]
type = "fs"
root = "data"
[io.pg]
type = "postgres"
url = "{{ env.DATABASE_URL }}"
[asset.first]
sql = """select * from (values
  (1, 1.5, 'a\\b	c', true, cast('2026-03-01' as date), cast('2026-03-01 10:11:12.5' as timestamp), cast('12.30' as decimal(10, 2)), X'00ff'),
  (-9223372036854775807, -0.0, '', false, cast('1900-01-01' as date), cast('1969-12-31 23:59:59.999999' as timestamp), cast('-0.01' as decimal(10, 2)), X''),
  (null, null, null, null, null, null, null, null),
  (null, 'NaN'::double, '\\N', null, null, null, null, null)
) as t (a, b, c, d, e, f, g, h)"""
[asset.second]
sql = "select * from first"
io = "pg"
[asset.third]
sql = "select * from second"
io = "pg"
[asset.fourth]
sql = "select * from third"
[asset.wide]
sql = "select 'infinity'::float8 as a, now()::timestamptz(0) - now()::timestamptz(0) + timestamptz '2026-03-01 12:00+02' as b, time '10:11:12.5' as c, 3::smallint as d, sum(x) as e, '{}'::json as f, 'x'::varchar(3) as g from (values (1.25), (2.5)) as t (x)"
io = "pg"
[asset.narrow]
sql = "select * from wide"
"#;
    let project = Project::new().manifest(body).env("DATABASE_URL", &database.url());
    ran(&project);
    let first = version(&project, "first");
    for other in ["second", "third", "fourth"] {
        assert_eq!(version(&project, other), first, "{other}");
    }
    assert_eq!(version(&project, "narrow"), version(&project, "wide"));
    let types = "select string_agg(format_type(atttypid, atttypmod), ',' order by attnum) from pg_attribute where attrelid = 'second'::regclass and attnum > 0";
    let all = "bigint,double precision,text,boolean,date,timestamp without time zone,numeric(10,2),bytea";
    assert_eq!(database.rows(types), [all]);
    assert_eq!(database.rows("select b, e from wide"), ["2026-03-01 10:00:00+00|3.75"]);
}

/// The answer to the nth COMMIT is lost with its connection.
/// Rows that a command hands over are hashed on their way in; `--verify` reads what came of them.
#[test]
fn what_was_hashed_on_its_way_is_what_is_there() {
    let database = Server::shared().database();
    let body = r#"default_io = "files"
[io.files]
type = "fs"
root = "data"
[io.warehouse]
type = "postgres"
url = "{{ env.DATABASE_URL }}"
[asset.rows]
sql = """select * from (values
  (1, true, 0.1, '', cast(1.50 as decimal(9, 2)), cast('2026-01-31' as date), cast('2026-01-31 12:00:00.000001' as timestamp), X'00ff'),
  (-9223372036854775807, false, -0.0, 'a\\b	c \\N', cast(-0.01 as decimal(9, 2)), cast('0001-01-01' as date), cast('1969-12-31 23:59:59' as timestamp), X''),
  (9223372036854775807, null, 'NaN'::double, 'e\u0301 \r\n', cast(0 as decimal(9, 2)), cast('9999-12-31' as date), null, X'5c'),
  (null, null, 'Infinity'::double, null, null, null, cast('2100-01-01' as timestamp), null)
) as t (n, b, f, t, d, day, at, x)"""
[asset.numbers]
sql = """select * from (values
  (cast(0 as decimal(38, 0)), cast(0.00000001 as decimal(38, 20)), cast(-12345.6 as decimal(10, 1)), cast('12:34:56.789' as time)),
  (cast('99999999999999999999999999999999999999' as decimal(38, 0)), cast('-123456789012345678.12345678901234567890' as decimal(38, 20)), cast(10000 as decimal(10, 1)), null),
  (cast('-10000000000000000000000000000000000000' as decimal(38, 0)), cast('0.00010000' as decimal(38, 20)), cast(99999999.9 as decimal(10, 1)), cast('00:00:00' as time))
) as t (whole, small, d, at)"""
[asset.numbers_kept]
sql = "select * from numbers"
io = "warehouse"
[asset.kept]
command = ["cp", "{{ inputs.rows }}", "{{ output }}"]
deps = ["rows"]
format = "parquet"
io = "warehouse"
[asset.copied]
sql = "SELECT * FROM Rows;"
io = "warehouse"
[asset.queried]
sql = "select * from rows where true"
io = "warehouse"
[asset.fewer]
sql = "select x, n from rows"
io = "warehouse"
"#;
    let project = Project::new().manifest(body).env("DATABASE_URL", &database.url());
    project.run(&["materialize"]).succeeded();
    for asset in ["kept", "copied", "queried"] {
        assert_eq!(version(&project, asset), version(&project, "rows"), "{asset}");
    }
    assert_eq!(version(&project, "numbers_kept"), version(&project, "numbers"));
    assert_eq!(
        database.rows("select small::text, d::text from numbers_kept where whole = 0"),
        ["0.00000001000000000000|-12345.6"]
    );
    assert_eq!(database.rows("select * from fewer where n is null"), ["NULL|NULL"]);
    // What is written beside a table for as long as it is staged goes.
    assert_eq!(database.rows("select count(*) from pg_description where description like 'assets version%'"), ["0"]);
    let status = project.run(&["status", "--verify", "--json"]).succeeded().json();
    assert_eq!(status["counts"]["fresh"], 7, "{status}");
    project.edit("assets.toml", "select x, n from", "select x, nn from");
    let said = project.run(&["materialize"]).stderr;
    assert!(said.contains("column \"nn\" does not exist"), "{said}");
}

#[test]
fn a_connection_that_is_cut_after_commit_was_sent_is_looked_up() {
    for (nth, ends) in [(1, 1), (2, 0)] {
        let database = Server::shared().database();
        let mut project = small(&database);
        project.run(&["materialize"]).succeeded();
        project.edit("assets.toml", "select 1 as n", "select 2 as n");
        let proxy = Proxy::that_cuts(database.server.port, nth);
        let direct = database.url();
        project.set_env(
            "DATABASE_URL",
            &direct.replace(&format!(":{}/", database.server.port), &format!(":{}/", proxy.port)),
        );
        let run = project.run(&["materialize"]);
        assert_eq!(run.code, ends, "{nth}: {}{}", run.stdout, run.stderr);
        assert!(proxy.has_cut(), "{nth}");
        project.run(&["materialize"]).succeeded();
        assert_eq!(ran(&project), Vec::<String>::new(), "{nth}");
        assert_eq!(database.rows("select n from a"), ["2"]);
        assert_eq!(database.rows("select relname from pg_class where relname like '\\_assets\\_stage%'"), [""; 0]);
    }
}

#[test]
fn what_cannot_be_kept_is_refused_before_anything_runs() {
    let io = "[io.pg]\ntype = \"postgres\"\n";
    let url = "url = \"{{ env.DATABASE_URL }}\"\n";
    let asset = |key: &str| format!("[asset.\"{key}\"]\nsql = \"select 1 as n\"\nio = \"pg\"\n");
    for (manifest, said) in [
        (format!("{io}{url}{}{}", asset("a/b"), asset("A_b")), "would both be the table"),
        (format!("{io}{url}{}", asset(&"x".repeat(64))), "longer than 63 bytes"),
        (format!("{io}{url}{}", asset("_assets_tables")), "not for data"),
        (format!("{io}url = \"postgres://me:secret@host/db\"\n{}", asset("a")), "a password stands in the manifest"),
        (format!("{io}url = \"mysql://host/db\"\n{}", asset("a")), "not the address of a Postgres database"),
        (format!("{io}{}", asset("a")), "has no `url`"),
    ] {
        let run = Project::new().manifest(&manifest).env("DATABASE_URL", "postgres://host/db").run(&["validate"]);
        assert_eq!(run.code, 2, "{manifest}");
        assert!(run.stderr.contains(said), "{said}: {}{}", run.stdout, run.stderr);
    }
}

/// Many at once in a schema that is not there yet, by commands, with checks of what is staged; and a view that
/// somebody put on one of them.
#[test]
fn many_tables_at_once_by_commands() {
    let database = Server::shared().database();
    let mut body = "[io.pg]\ntype = \"postgres\"\nurl = \"{{ env.DATABASE_URL }}\"\nschema = \"New One\"\n".to_owned();
    for it in 0..6 {
        body += &format!(
            "[asset.t{it}]\ncommand = \"printf 'a,b\\n{it},x\\n' > {{{{ output }}}}\"\nchecks = [{{ not_null = [\"a\"] }}]\n"
        );
    }
    let project = Project::new().manifest(&body).env("DATABASE_URL", &database.url());
    assert_eq!(ran(&project).len(), 6);
    assert_eq!(database.rows("select a, b from \"New One\".t3"), ["3|x"]);
    assert_eq!(ran(&project), Vec::<String>::new());
    project.edit("assets.toml", "\\n3,x", "\\n,x");
    assert_eq!(project.run(&["materialize"]).code, 4);
    database.run("create view v as select * from \"New One\".t3");
    project.edit("assets.toml", "\\n,x", "\\n4,x");
    let run = project.run(&["materialize"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_ne!(run.code, 0, "{said}");
    assert!(said.contains("public.v rests on it and was not made by this project"), "{said}");
    assert_eq!(database.rows("select a from v"), ["3"]);
    database.run("drop view v");
    project.run(&["materialize"]).succeeded();
    assert_eq!(database.rows("select a from \"New One\".t3"), ["4"]);
    assert_eq!(ran(&project), Vec::<String>::new());
}

/// A command that reads a table while somebody works on it: `b` of `a`, beside which there is `other`.
fn read_by_a_command(database: &Database<'_>) -> Project {
    Project::new().env("URL", &database.url()).manifest(
        r#"[io.db]
type = "postgres"
url = "{{ env.URL }}"
[asset.a]
sql = "select 1 as n, 'sad'::mood as m union all select 2, 'sad'"
io = "db"
[asset.gathered]
sql = "select n from a"
materialized = "incremental"
io = "db"
[asset.seen]
sql = "select n from gathered"
materialized = "view"
io = "db"
[asset.b]
command = "touch started; until [ -e go ]; do sleep 0.01; done; cat {{ inputs.seen }} > {{ output }}"
deps = ["a", "seen"]
"#,
    )
}

#[test]
fn what_is_changed_and_changed_back_while_it_is_read_is_read_again() {
    let database = Server::shared().database();
    database.run("create type mood as enum ('sad')");
    for (table, changes) in [
        ("a", &["update a set n = 3 where n = 2", "update a set n = 2 where n = 3"][..]),
        // Rows of several publications, read by way of a view.
        ("gathered", &["delete from gathered where n = 1", "insert into gathered values (1)"]),
        (
            "seen",
            &[
                "create or replace view seen as select -n as n from gathered",
                "create or replace view seen as select n from gathered",
            ],
        ),
        ("a", &["alter type mood rename value 'sad' to 'glad'", "alter type mood rename value 'glad' to 'sad'"]),
        ("", &["create table other as select 1 as n", "drop table other"]),
    ] {
        let project = read_by_a_command(&database);
        project.run(&["materialize", "--force", "-s", "a", "-s", "gathered", "-s", "seen"]).succeeded();
        project.run(&["materialize", "--force", "-s", "gathered"]).succeeded();
        let running = project.start(&["materialize"]);
        project.wait_for("started");
        changes.iter().for_each(|it| database.run(it));
        project.write("go", "");
        let told = running.finish().succeeded().stderr;
        let expected = format!("{table} was written during the run");
        assert_eq!(told.contains(&expected), !table.is_empty(), "{table}: {told}");
        project.settled(&[]);
    }
}
