//! Tables of a database as assets: queries, what they read, early cut-off by rows, and commands on both sides.

use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::{Project, told::text};

/// Csv -> table by a query -> table by a query -> file by a command.
fn shop() -> Project {
    let body = r#"default_io = "files"
[io.files]
type = "fs"
root = "data"
[io.warehouse]
type = "sqlite"
path = "shop.sqlite"

[source."raw/orders"]
files = ["raw/orders.csv"]

[asset.orders]
sql = "models/orders.sql"
io = "warehouse"

[asset.daily]
sql = "select day, sum(amount) as amount, count(*) as orders from orders group by day order by day"
io = "warehouse"

[asset.report]
command = "sort {{ inputs.daily }} > {{ output }}"
deps = ["daily"]
format = "csv"
"#;
    Project::new()
        .manifest(body)
        .file(
            "models/orders.sql",
            "-- Orders without refunds.\nselect id, day, amount\nfrom \"raw/orders\"\nwhere amount > 0\n",
        )
        .file(
            "raw/orders.csv",
            "id,day,amount\n007,2026-01-01,10\n008,2026-01-01,2.5\n009,2026-01-02,4\n010,2026-01-02,-4\n",
        )
}

/// What each step of a run came to, by key.
fn ran(project: &Project) -> Vec<(String, String)> {
    let mut steps = project.materialized(&[]);
    steps.sort();
    steps
}

fn outcomes(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect()
}

#[test]
fn files_become_tables_and_tables_files() {
    let project = shop();
    assert_eq!(ran(&project), outcomes(&[("daily", "built"), ("orders", "built"), ("report", "built")]));
    assert_eq!(project.read("data/report.csv"), "2026-01-01,12.5,2\n2026-01-02,4.0,1\nday,amount,orders\n");
    project.run(&["status"]).succeeded();
    assert_eq!(ran(&project), []);
    let show = project.run(&["show", "orders", "--json"]).succeeded().json();
    assert_eq!(show["materializations"][0]["rows"], 3);
}

#[test]
fn what_does_not_change_the_rows_stops_there() {
    let project = shop();
    ran(&project);
    // Set out anew: nothing is run at all.
    project.write("models/orders.sql", "select id,day,amount from \"raw/orders\" -- all\nwhere amount>0;");
    project.run(&["status"]).succeeded();
    // A refund more, and the order of lines: the rows that are kept are the same.
    project.write(
        "raw/orders.csv",
        "id,day,amount\n009,2026-01-02,4\n011,2026-01-03,-1\n008,2026-01-01,2.5\n007,2026-01-01,10\n",
    );
    assert_eq!(ran(&project), outcomes(&[("daily", "cut_off"), ("orders", "built"), ("report", "cut_off")]));
    project.run(&["status"]).succeeded();
    // A change that matters goes as far as it matters.
    project.edit("models/orders.sql", "amount>0", "amount > 3");
    let why = project.run(&["why", "orders"]).succeeded().stdout;
    assert!(why.contains("models/orders.sql") && why.contains("amount > 3"), "{why}");
    assert_eq!(ran(&project), outcomes(&[("daily", "built"), ("orders", "built"), ("report", "built")]));
    assert_eq!(project.read("data/report.csv"), "2026-01-01,10.0,1\n2026-01-02,4.0,1\nday,amount,orders\n");
}

fn database(project: &Project) -> Connection {
    Connection::open(project.path("shop.sqlite")).unwrap()
}

fn reasons(project: &Project, key: &str) -> Vec<String> {
    let status = project.run(&["status", "--json"]).json();
    let asset = status["assets"].as_array().unwrap().iter().find(|it| text(&it["key"]) == key).unwrap().clone();
    asset["reasons"].as_array().unwrap().iter().map(|it| text(&it["code"])).collect()
}

#[test]
fn a_table_that_somebody_else_changes_is_found_and_made_again() {
    let project = shop();
    ran(&project);
    let modes = ["delete", "wal"];
    for mode in modes {
        database(&project).query_row(&format!("pragma journal_mode = {mode}"), [], |_| Ok(())).unwrap();
        // Something of their own disturbs nobody.
        database(&project).execute_batch(&format!("create table own_{mode} (a)")).unwrap();
        project.run(&["status"]).succeeded();
        for (change, code) in [
            ("update orders set amount = 11 where id = '007'", "output_modified"),
            ("delete from orders", "output_modified"),
            ("insert into orders select * from orders", "output_modified"),
            ("alter table orders add column more", "output_modified"),
            ("drop table orders", "output_missing"),
            ("alter table orders rename to others", "output_missing"),
        ] {
            database(&project).execute_batch(change).unwrap();
            assert_eq!(reasons(&project, "orders"), [code], "{mode}: {change}");
            let outcome = ran(&project).into_iter().find(|it| it.0 == "orders").unwrap().1;
            assert_eq!(outcome, "built", "{mode}: {change}");
            database(&project).execute_batch("drop table if exists others").unwrap();
            project.run(&["status"]).succeeded();
        }
        // Put back as it was, which is no change.
        database(&project)
            .execute_batch("update orders set amount = amount + 1; update orders set amount = amount - 1")
            .unwrap();
        project.run(&["status"]).succeeded();
    }
    assert_eq!(database(&project).query_row("select count(*) from own_wal", [], |it| it.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn a_database_that_is_gone_is_made_again() {
    let project = shop();
    ran(&project);
    project.remove("shop.sqlite");
    assert_eq!(reasons(&project, "orders"), ["output_missing"]);
    assert_eq!(ran(&project), outcomes(&[("daily", "built"), ("orders", "built"), ("report", "cut_off")]));
    project.run(&["status"]).succeeded();
}

#[test]
fn what_the_database_says_is_told_in_its_place() {
    let project = shop();
    project.write("models/orders.sql", "select id,\n       dya\nfrom \"raw/orders\"\n");
    let output = project.run(&["materialize"]).exited(1);
    for part in ["no such column: dya", "models/orders.sql:2:8", "^^^"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    assert!(!project.exists("shop.sqlite"));
    // And before anything is run, what can be told without the database.
    for (query, told) in [
        ("select * from", "A0035"),
        ("select * from oders", "did you mean `orders`?"),
        ("select * from raw.orders", "write it as one name: \"raw/orders\""),
        ("delete from orders", "this is not a query"),
        ("select 1; select 2", "more than one statement"),
    ] {
        project.edit("assets.toml", "sql = \"models/orders.sql\"", &format!("sql = '{query}'"));
        let output = project.run(&["validate"]).exited(2);
        assert!(output.stderr.contains(told), "{query}: {}", output.stderr);
        project.edit("assets.toml", &format!("sql = '{query}'"), "sql = \"models/orders.sql\"");
    }
}

#[test]
fn a_command_fills_a_table_and_checks_see_it_first() {
    let body = r#"default_io = "warehouse"
[vars]
least = 2
[io.warehouse]
type = "sqlite"
path = "db/shop.sqlite"
[asset.cities]
command = "cp cities.csv {{ output }}"
sources = ["cities.csv"]
[[asset.cities.checks]]
name = "enough"
command = "[ $(wc -l < {{ output }}) -gt {{ vars.least }} ]"
[asset.large]
sql = "select city from cities where people >= {{ vars.least }}"
"#;
    let project = Project::new().manifest(body).file("cities.csv", "city,people\nOslo,1\n\"Rio, de\",7\n");
    assert_eq!(ran(&project), outcomes(&[("cities", "built"), ("large", "built")]));
    let rows = |sql: &str| {
        let connection = Connection::open(project.path("db/shop.sqlite")).unwrap();
        let row = connection.query_row(sql, [], |it| it.get::<_, String>(0));
        row.unwrap()
    };
    assert_eq!(rows("select group_concat(city, ';') from large"), "Rio, de");
    assert_eq!(rows("select typeof(people) from cities limit 1"), "integer");
    project.edit("assets.toml", "least = 2", "least = 8");
    project.run(&["materialize"]).exited(4);
    assert_eq!(rows("select group_concat(city, ';') from large"), "Rio, de");
    project.edit("assets.toml", "least = 8", "least = 1");
    project.write("cities.csv", "city,people\nOslo\n");
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("is not csv"), "{}", output.stderr);
    project.write("cities.csv", "city,people\nOslo,\nRio,x\n");
    project.run(&["materialize"]).succeeded();
    assert_eq!(rows("select typeof(people) from cities where city = 'Oslo'"), "null");
    assert_eq!(rows("select typeof(people) from cities where city = 'Rio'"), "text");
}

#[test]
fn a_command_hands_rows_over_in_any_form() {
    let mut body = r#"[io.files]
type = "fs"
root = "data"
[io.warehouse]
type = "sqlite"
path = "shop.sqlite"
[asset.rows]
sql = "select 1 as n, 0.5 as half, 'a,b' as t union all select 2, -1.5, null"
io = "files"
"#
    .to_owned();
    for form in ["parquet", "csv", "jsonl", "arrow"] {
        body += &format!(
            "[asset.from_{form}]\ncommand = [\"cp\", \"{{{{ inputs.rows }}}}\", \"{{{{ output }}}}\"]\nio = \"warehouse\"\n\
             deps = [{{ asset = \"rows\", format = \"{form}\" }}]\nformat = \"{form}\"\n"
        );
    }
    let project = Project::new().manifest(&body);
    let run = project.run(&["materialize", "--json"]).succeeded().json();
    let versions: Vec<_> = run["steps"].as_array().unwrap().iter().map(|it| it["data_version"].to_string()).collect();
    assert_eq!(versions.len(), 5);
    assert!(versions.iter().all(|it| *it == versions[0]), "{versions:?}");
    let read = "select group_concat(n || t || typeof(half)) from from_jsonl where t is not null";
    assert_eq!(database(&project).query_row(read, [], |it| it.get::<_, String>(0)).unwrap(), "1a,breal");
}

#[test]
fn a_run_that_is_killed_leaves_whole_tables_and_the_next_goes_on() {
    let slow = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000) select i from n";
    let body = format!(
        "default_io = \"db\"\n[io.db]\ntype = \"sqlite\"\npath = \"a.sqlite\"\n[asset.a]\nsql = \"{slow}\"\n[asset.b]\nsql = \"select count(*) as n from a\"\n"
    );
    let project = Project::new().manifest(&body);
    for wait in [40, 90, 150, 220, 300, 450, 700] {
        let run = project.start(&["materialize"]);
        std::thread::sleep(std::time::Duration::from_millis(wait));
        run.signal(Signal::KILL);
        run.finish();
        // Whoever looks sees a whole table or none.
        if project.exists("a.sqlite") {
            let connection = Connection::open(project.path("a.sqlite")).unwrap();
            let count: Option<i64> = connection.query_row("select count(*) from a", [], |it| it.get(0)).ok();
            assert!(count.is_none_or(|it| it == 300_000), "{count:?}");
        }
    }
    project.run(&["materialize"]).succeeded();
    project.run(&["status"]).succeeded();
    let connection = Connection::open(project.path("a.sqlite")).unwrap();
    assert_eq!(connection.query_row("select n from b", [], |it| it.get::<_, i64>(0)).unwrap(), 300_000);
    let left = project.snapshot().into_iter().filter(|it| it.0.contains(".assets/tmp/table-"));
    assert_eq!(left.count(), 0);
}

#[test]
fn every_file_of_models_is_an_asset() {
    let body = r#"
[io.warehouse]
type = "sqlite"
path = "shop.sqlite"
[[models]]
files = ["models/**/*.sql"]
group = "marts"
io = "warehouse"
[asset.total]
description = "All of it"
group = "reports"
"#;
    let project = Project::new()
        .manifest(body)
        .file("models/one.sql", "select 1 as n union all select 2")
        .file("models/deep/total.sql", "select sum(n) as n from one");
    assert_eq!(ran(&project), outcomes(&[("one", "built"), ("total", "built")]));
    let list = project.run(&["list", "--json"]).succeeded().json();
    let groups: Vec<_> = list["assets"].as_array().unwrap().iter().map(|it| text(&it["group"])).collect();
    assert_eq!(groups, ["reports", "marts"]);
    // A file more is an asset more, and one that changes is remade with what reads it.
    project.write("models/more.sql", "select n + 1 as n from total");
    assert_eq!(ran(&project), outcomes(&[("more", "built")]));
    project.write("models/one.sql", "select 5 as n");
    assert_eq!(ran(&project), outcomes(&[("more", "built"), ("one", "built"), ("total", "built")]));
    project.write("models/deep/one.sql", "select 1");
    let output = project.run(&["validate"]).exited(2);
    assert!(output.stderr.contains("would both be `one`"), "{}", output.stderr);
    project.remove("models/deep/one.sql");
    project.write("models/bad name.sql", "select 1");
    let output = project.run(&["validate"]).exited(2);
    assert!(output.stderr.contains("cannot be a model: an asset key may not contain ' '"), "{}", output.stderr);
}

/// Each command has rows of its own: what one does to them no other sees, and nothing of them stays.
#[test]
fn commands_that_read_one_table_at_once_are_given_rows_of_their_own() {
    let mut body = "default_io = \"files\"\n[io.db]\ntype = \"sqlite\"\npath = \"shop.sqlite\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n\
                    [asset.numbers]\nio = \"db\"\nsql = \"with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) select i from n\"\n"
        .to_owned();
    for number in 0..6 {
        body += &format!(
            "[asset.reader{number}]\nio = \"files\"\ndeps = [\"numbers\"]\nformat = \"txt\"\n\
             command = \"wc -l < {{{{ inputs.numbers }}}} > {{{{ output }}}}; echo spoilt > {{{{ inputs.numbers }}}}\"\n"
        );
    }
    let project = Project::new().manifest(&body);
    project.run(&["materialize", "-j", "6"]).succeeded();
    for number in 0..6 {
        assert_eq!(project.read(&format!("data/reader{number}.txt")).trim(), "20001");
    }
    project.run(&["materialize", "-f", "-s", "reader3"]).succeeded();
    assert_eq!(project.read("data/reader3.txt").trim(), "20001");
    let left = project.snapshot().into_iter().map(|it| it.0).filter(|it| it.contains("cache/rows/"));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}

/// The processes that run queries for this project.
fn workers(project: &Project) -> Vec<i32> {
    let home = format!("HOME={}", project.root().parent().unwrap().join("home").display());
    let is_ours = |pid: &i32| {
        let read = |what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
        let has = |bytes: Vec<u8>, text: &str| bytes.split(|it| *it == 0).any(|it| it == text.as_bytes());
        has(read("cmdline"), "__work") && has(read("environ"), &home)
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|it| it.file_name().to_str()?.parse().ok()).filter(is_ours).collect()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let pause = || std::thread::sleep(std::time::Duration::from_millis(10));
    assert!((0..1500).any(|_| is_so() || (pause(), false).1), "{what}");
}

const ENDLESS: &str = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) as i from n";

fn endless(more: &str) -> Project {
    Project::new().manifest(&format!(
        "[io.db]\ntype = \"sqlite\"\npath = \"a.sqlite\"\n[asset.endless]\nsql = \"{ENDLESS}\"\n{more}\n[asset.short]\nsql = \"select 1 as n\"\n"
    ))
}

#[test]
fn a_query_does_not_outlive_the_tool() {
    let project = endless("");
    let run = project.start(&["materialize", "-j", "2"]);
    wait_until("nothing works", || !workers(&project).is_empty());
    std::thread::sleep(std::time::Duration::from_millis(200));
    run.signal(Signal::KILL);
    run.finish();
    wait_until("a worker outlives the tool", || workers(&project).is_empty());
    project.run(&["materialize", "-s", "short"]).succeeded();
}

#[test]
fn a_worker_that_dies_takes_one_query_with_it() {
    let project = endless("");
    let run = project.start(&["materialize", "-j", "1"]);
    // Of two, one after the other, the endless one stays.
    wait_until("nothing works", || !workers(&project).is_empty());
    std::thread::sleep(std::time::Duration::from_millis(500));
    for pid in workers(&project) {
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
    let output = run.finish().exited(1);
    assert!(output.stderr.contains("endless"), "{}", output.stderr);
    assert!(output.stderr.contains("killed by SIGKILL") || output.stderr.contains("signal 9"), "{}", output.stderr);
    assert!(output.stderr.contains("1 built"), "{}", output.stderr);
}

#[test]
fn a_query_is_held_to_its_time_and_to_ctrl_c() {
    let project = endless("timeout = \"300ms\"");
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("timed out"), "{}", output.stderr);
    assert!(output.stderr.contains("1 built"), "{}", output.stderr);
    assert_eq!(workers(&project), [0; 0]);
    let project = endless("");
    let run = project.start(&["materialize"]);
    wait_until("nothing works", || !workers(&project).is_empty());
    std::thread::sleep(std::time::Duration::from_millis(500));
    run.signal(Signal::INT);
    run.finish().exited(130);
    wait_until("a worker outlives the tool", || workers(&project).is_empty());
}

/// What SQLite itself would take, rename, or take for a text.
#[test]
fn names_that_sqlite_would_not_have_are_refused() {
    let head = "default_io = \"db\"\n[io.db]\ntype = \"sqlite\"\npath = \"shop.sqlite\"\n";
    for key in ["_assets_tables", "_assets_stage_x", "sqlite_foo"] {
        let project = Project::new().manifest(&format!("{head}[asset.{key}]\nsql = \"select 1 as id\"\n"));
        let said = project.run(&["validate"]).exited(2).stderr;
        assert!(said.contains(&format!("a table in SQLite cannot be called {key}")), "{said}");
    }
    for (query, more, told) in [
        ("select 1 as id, 2 as ID", "", "two columns are called `ID`"),
        ("select * from (select 1 as id) a, (select 2 as id) b", "", "two columns are called `id`"),
        ("select 1 as id", "indexes = [[\"nosuch\"]]\n", "there is no column `nosuch`"),
    ] {
        let project = Project::new().manifest(&format!("{head}[asset.a]\nsql = \"{query}\"\n{more}"));
        let said = project.run(&["materialize"]).exited(1).stderr;
        assert!(said.contains(told), "{said}");
    }
    let project =
        Project::new().manifest(&format!("{head}[asset.a]\nsql = \"select 1 as id\"\nindexes = [[\"ID\"]]\n"));
    project.run(&["materialize"]).succeeded();
}

/// What people add beside a table that refers to it neither keeps it from being replaced nor loses its rows; and a
/// publication that is refused is over.
#[test]
fn tables_of_others_may_refer_to_one_and_a_refusal_does_not_stay() {
    let project = Project::new().manifest(
        "[io.db]\ntype = \"sqlite\"\npath = \"shop.sqlite\"\n\
         [asset.orders]\nsql = \"select 1 as id\"\nio = \"db\"\nindexes = [{ columns = [\"id\"], unique = true }]\n\
         [asset.more]\nsql = \"select 1 as n\"\nio = \"db\"\n",
    );
    project.run(&["materialize"]).succeeded();
    let shop = || Connection::open(project.path("shop.sqlite")).unwrap();
    shop().execute_batch(
        "create table notes (order_id references orders (id) on delete cascade, note text); insert into notes values (1, 'late')",
    ).unwrap();
    project.edit("assets.toml", "select 1 as id", "select 1 as id union all select 2");
    project.run(&["materialize"]).succeeded();
    assert_eq!(shop().query_row("select count(*) from notes", [], |it| it.get::<_, i64>(0)).unwrap(), 1);
    // It cannot be published: another attempt can.
    shop()
        .execute_batch("create trigger no before insert on _assets_tables begin select raise(abort, 'not now'); end")
        .unwrap();
    project.edit("assets.toml", "select 1 as n", "select 2 as n");
    let said = project.run(&["materialize"]).exited(1).stderr;
    assert!(said.contains("not now") && said.contains("nothing was published"), "{said}");
    shop().execute_batch("drop trigger no").unwrap();
    project.run(&["materialize"]).succeeded();
    assert_eq!(shop().query_row("select n from more", [], |it| it.get::<_, i64>(0)).unwrap(), 2);
}

/// A query reads for as long as it takes, and what others wrote in that time they may have taken back.
#[test]
fn a_database_that_is_written_to_while_it_is_read_is_read_again() {
    let query = "select sum(s.value % 7 + a.n) as n from a, generate_series(1, 40000000) s";
    let project = Project::new().manifest(&format!(
        "[io.files]\ntype = \"fs\"\nroot = \"data\"\n[io.db]\ntype = \"sqlite\"\npath = \"shop.sqlite\"\n[asset.a]\nsql = \"select 1 as n\"\nio = \"db\"\n\
         [asset.b]\nsql = \"{query}\"\nio = \"files\"\n"
    ));
    project.run(&["materialize", "-s", "a"]).succeeded();
    let running = project.start(&["materialize"]);
    let is_begun = || {
        let mut logs = std::fs::read_dir(project.path(".assets/logs")).unwrap().flatten();
        logs.any(|it| {
            let told = std::fs::read_to_string(it.path().join("events.jsonl")).unwrap_or_default();
            told.lines().any(|it| it.contains("step_started") && it.contains("\"key\":\"b\""))
        })
    };
    wait_until("b is begun", is_begun);
    // Whose table it was is not told; `a` is what it was all along.
    database(&project).execute_batch("create table other as select 1 as n; drop table other").unwrap();
    let told = running.finish().succeeded().stderr;
    assert!(told.contains("the database of a was written while it was read"), "{told}");
    project.settled(&[]);
}

/// Somebody who never stops to write to tables of their own keeps nothing from being made.
#[test]
fn others_may_write_beside_it_all_the_time() {
    let query = "select sum(s.value % 7 + a.n) as n from a, generate_series(1, 5000000) s";
    let project = Project::new().manifest(&format!(
        "[io.files]\ntype = \"fs\"\nroot = \"data\"\n[io.db]\ntype = \"sqlite\"\npath = \"shop.sqlite\"\n\
         [asset.a]\nsql = \"select 1 as n\"\nio = \"db\"\n[asset.b]\nsql = \"{query}\"\nio = \"files\"\n\
         [asset.c]\nsql = \"select n + 1 as n from a\"\nio = \"db\"\n"
    ));
    project.run(&["materialize", "-s", "a"]).succeeded();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let others = database(&project);
            others.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
            others.execute_batch("create table sessions (n)").unwrap();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                others.execute_batch("insert into sessions values (1)").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(3));
            }
        });
        let run = project.run(&["materialize"]);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        run.succeeded();
    });
    project.settled(&[]);
}
