//! Any database behind an ADBC driver, with the real drivers of SQLite and PostgreSQL.

use assets::{
    base::env::Environment,
    exec::io::{
        IoManager,
        adbc::{AdbcManager, open::database},
        conformance,
        maker::Maker,
    },
    model::{project::AdbcDatabase, sql::Dialect},
};
use rustix::process::Signal;

use crate::support::{
    Project,
    adbc::driver,
    postgres::{Database, Proxy, Server},
};

/// Whom a driver speaks to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Spoken {
    Sqlite,
    Postgres,
}

const ALL: [Spoken; 2] = [Spoken::Sqlite, Spoken::Postgres];

fn io(spoken: Spoken) -> String {
    let name = match spoken {
        Spoken::Sqlite => "sqlite",
        Spoken::Postgres => "postgresql",
    };
    let (dialect, uri) = match spoken {
        Spoken::Sqlite => ("sqlite", "wh.sqlite"),
        Spoken::Postgres => ("postgres", "{{ env.DATABASE_URL }}"),
    };
    format!(
        "default_io = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n[io.wh]\ntype = \"adbc\"\ndriver = \"{}\"\n\
         dialect = \"{dialect}\"\noptions = {{ uri = \"{uri}\" }}\n",
        driver(name).display()
    )
}

fn project(spoken: Spoken, database: &Database<'_>, assets: &str) -> Project {
    Project::new().manifest(&format!("{}{assets}", io(spoken))).env("DATABASE_URL", &database.url())
}

fn rows(spoken: Spoken, project: &Project, database: &Database<'_>, sql: &str) -> Vec<String> {
    if spoken == Spoken::Postgres {
        return database.rows(sql);
    }
    let connection = rusqlite::Connection::open(project.path("wh.sqlite")).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let count = statement.column_count();
    let cell = |it: rusqlite::types::Value| match it {
        rusqlite::types::Value::Text(it) => it,
        rusqlite::types::Value::Integer(it) => it.to_string(),
        rusqlite::types::Value::Real(it) => it.to_string(),
        _ => String::new(),
    };
    let row = |row: &rusqlite::Row<'_>| (0..count).map(|it| row.get(it).map(cell)).collect::<Result<Vec<_>, _>>();
    statement.query_map([], row).unwrap().map(|it| it.unwrap().join("|")).collect()
}

fn run(spoken: Spoken, project: &Project, database: &Database<'_>, sql: &str) {
    match spoken {
        Spoken::Postgres => database.run(sql),
        Spoken::Sqlite => rusqlite::Connection::open(project.path("wh.sqlite")).unwrap().execute_batch(sql).unwrap(),
    }
}

fn ran(project: &Project) -> Vec<String> {
    let mut steps: Vec<String> = project.materialized(&[]).into_iter().map(|it| format!("{} {}", it.0, it.1)).collect();
    steps.sort();
    steps
}

const ORDERS: &str = "id,customer,amount\n007,ann,10.5\n008,bob,\n009,ann,7.25\n";

const SHOP: &str = r#"[source."raw/orders"]
files = ["raw/*.csv"]
[asset.orders]
sql = "select id, customer, amount from \"raw/orders\" where amount is not null"
io = "wh"
[asset."per/customer"]
sql = "select customer, count(*) as n from Orders group by 1"
io = "wh"
checks = [{ not_null = ["customer"] }, { row_count = { min = 1 } }]
[asset.large]
sql = 'select * from "per/customer" where n > 1'
[asset.given]
command = "cp raw/orders.csv {{ output }}"
io = "wh"
[asset.back]
sql = "select l.customer, l.n, g.id from large l join given g on g.customer = l.customer and g.amount = 10.5"
io = "wh"
[asset.report]
command = "cat {{ inputs.back }} > {{ output }}"
deps = ["back"]
format = "txt"
"#;

#[test]
fn a_table_goes_through_files_and_a_driver_and_back() {
    let database = Server::shared().database();
    for spoken in ALL {
        run(Spoken::Postgres, &Project::new(), &database, "drop schema public cascade; create schema public");
        let project = project(spoken, &database, SHOP).file("raw/orders.csv", ORDERS);
        let keys = ["back", "given", "large", "orders", "per/customer", "report"];
        assert_eq!(ran(&project), keys.map(|it| format!("{it} built")), "{spoken:?}");
        assert_eq!(project.read("data/report.txt"), "customer,n,id\nann,2,007\n", "{spoken:?}");
        assert_eq!(ran(&project), Vec::<String>::new(), "{spoken:?}");
        project.run(&["status"]).succeeded();
        // The same rows from another text: nothing downstream is run.
        project.edit("assets.toml", "where amount is not null", "where amount > 0 order by id desc");
        let steps = ran(&project);
        let built: Vec<&String> = steps.iter().filter(|it| it.ends_with("built")).collect();
        assert_eq!(built, ["orders built"], "{spoken:?}");
        // By hand.
        run(spoken, &project, &database, "delete from orders where id = '009'");
        assert_ne!(project.run(&["status", "--refresh"]).code, 0, "{spoken:?}");
        assert!(ran(&project).contains(&"orders built".to_owned()), "{spoken:?}");
        let all = "select id, customer, amount from orders order by id";
        assert_eq!(rows(spoken, &project, &database, all), ["007|ann|10.5", "009|ann|7.25"], "{spoken:?}");
        // What fails its checks is not published.
        project.edit(
            "assets.toml",
            "select customer, count(*) as n from Orders group by 1",
            "select customer, 3 as n from Orders where 1 = 0",
        );
        let refused = project.run(&["materialize"]);
        assert_eq!(refused.code, 4, "{spoken:?}: {}{}", refused.stdout, refused.stderr);
        assert_eq!(rows(spoken, &project, &database, "select n from per_customer"), ["2"], "{spoken:?}");
        project.edit(
            "assets.toml",
            "select customer, 3 as n from Orders where 1 = 0",
            "select customer,, 3 as n from Orders",
        );
        let refused = project.run(&["materialize"]);
        assert_eq!(refused.code, 2, "{spoken:?}: {}{}", refused.stdout, refused.stderr);
        let staged = match spoken {
            Spoken::Sqlite => "select name from sqlite_master where name like '\\_assets\\_stage%' escape '\\'",
            Spoken::Postgres => "select relname from pg_class where relname like '\\_assets\\_stage%'",
        };
        assert_eq!(rows(spoken, &project, &database, staged), [""; 0], "{spoken:?}");
        let found = std::process::Command::new("grep").args(["-rl", "not-so-secret"]).arg(project.root()).output();
        assert_eq!(String::from_utf8_lossy(&found.unwrap().stdout), "", "{spoken:?}");
    }
}

/// Killed wherever it happens to be: the table is whole, old or new, and the next run goes on.
#[test]
fn a_run_that_is_killed_is_gone_on_with() {
    let database = Server::shared().database();
    for spoken in ALL {
        let assets = "[asset.a]\nsql = \"select 1 as n\"\nio = \"wh\"\n[asset.b]\nsql = \"select n + 1 as n from a\"\n";
        let project = project(spoken, &database, assets);
        assert_eq!(ran(&project), ["a built", "b built"]);
        for round in 2..8u64 {
            project.edit(
                "assets.toml",
                &format!("select {} as n\"\nio", round - 1),
                &format!("select {round} as n\"\nio"),
            );
            let started = project.start(&["materialize"]);
            std::thread::sleep(std::time::Duration::from_millis(40 * round));
            started.signal(Signal::KILL);
            started.finish();
            let found = rows(spoken, &project, &database, "select n from a");
            assert!(
                found == [round.to_string()] || found == [(round - 1).to_string()],
                "{spoken:?} {round}: {found:?}"
            );
            project.run(&["materialize"]).succeeded();
            assert_eq!(rows(spoken, &project, &database, "select n from a"), [round.to_string()], "{spoken:?}");
            assert_eq!(ran(&project), Vec::<String>::new(), "{spoken:?}");
        }
        run(spoken, &project, &database, "drop table a");
        assert!(ran(&project).contains(&"a built".to_owned()));
    }
}

const SMALL: &str = "[asset.a]\nsql = \"select 1 as n\"\nio = \"wh\"\n[asset.b]\nsql = \"select n + 1 as n from a\"\n";

/// A project on the real server. Each publication is counted by a trigger; the server takes its time to commit one.
fn slow<'a>(database: &Database<'a>) -> Project {
    let project = project(Spoken::Postgres, database, SMALL);
    assert_eq!(ran(&project), ["a built", "b built"]);
    database.run(
        "create table published (name text);
         create function note() returns trigger language plpgsql as \
             'begin insert into published values (new.name); perform pg_sleep(1.5); return new; end';
         create constraint trigger note after insert on _assets_tables deferrable initially deferred for each row \
             execute function note()",
    );
    project.edit("assets.toml", "select 1 as n", "select 2 as n");
    project
}

fn published_once(project: &Project, database: &Database<'_>) {
    assert_eq!(database.rows("select n from a"), ["2"]);
    assert_eq!(database.rows("select name from published"), ["a"], "published once, and not made again");
    assert_eq!(ran(project), Vec::<String>::new());
    project.run(&["status", "--refresh"]).succeeded();
    assert_eq!(database.rows("select relname from pg_class where relname like '\\_assets\\_stage%'"), [""; 0]);
}

/// The answer to the nth COMMIT is lost with its connection: of what is staged, and of what is published, with which
/// the server is still busy then.
#[test]
fn a_connection_that_is_cut_after_commit_was_sent_is_looked_up() {
    for (nth, ends) in [(1, 1), (2, 0)] {
        let database = Server::shared().database();
        let mut project = slow(&database);
        let (direct, port) = (database.url(), database.server.port);
        let proxy = Proxy::that_cuts(port, nth);
        project.set_env("DATABASE_URL", &direct.replace(&format!(":{port}/"), &format!(":{}/", proxy.port)));
        project.run(&["materialize"]).exited(ends);
        assert!(proxy.has_cut(), "{nth}");
        project.run(&["materialize"]).succeeded();
        published_once(&project, &database);
    }
}

/// Killed after COMMIT was sent and before the record: the next run begins while the server is still busy with it.
#[test]
fn a_publication_that_nobody_recorded_is_looked_up() {
    let database = Server::shared().database();
    let project = slow(&database);
    let run = project.start(&["materialize"]);
    let busy = "select count(*) from pg_stat_activity where query ilike 'commit' and state = 'active'";
    while database.rows(busy) != ["1"] {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    run.signal(Signal::KILL);
    run.finish();
    assert_eq!(ran(&project), ["b built"], "the table was published, and is not made again");
    published_once(&project, &database);
}

/// The server goes in mid-run: while the query runs.
#[test]
fn a_server_that_is_lost_in_mid_run_fails_the_run_and_the_next_goes_on() {
    let server = Server::new();
    let database = server.database();
    let project = project(Spoken::Postgres, &database, SMALL);
    project.edit("assets.toml", "select 1 as n", "select 1 as n from pg_sleep(3)");
    let said = server.lose_in_mid_run(&project, &database);
    assert!(!said.contains("not-so-secret"), "{said}");
    assert_eq!(ran(&project), ["a built", "b built"]);
    assert_eq!(ran(&project), Vec::<String>::new());
    assert_eq!(database.rows("select relname from pg_class where relname like '\\_assets\\_stage%'"), [""; 0]);
}

#[test]
fn what_the_driver_says_is_shown_without_secrets() {
    let database = Server::shared().database();
    for spoken in ALL {
        let project = project(spoken, &database, "[asset.a]\nsql = \"select 1 as n,\\n nosuch as m\"\nio = \"wh\"\n");
        let run = project.run(&["materialize"]);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_ne!(run.code, 0, "{spoken:?}");
        assert!(said.contains("nosuch"), "{spoken:?}: {said}");
    }
    let mut project = project(Spoken::Postgres, &database, "[asset.a]\nsql = \"select 1 as n\"\nio = \"wh\"\n");
    project.set_env("DATABASE_URL", "postgres://me:not-so-secret@127.0.0.1:1/nowhere");
    let run = project.run(&["materialize"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_ne!(run.code, 0);
    assert!(!said.contains("not-so-secret"), "{said}");
    for (change, told) in
        [("dialect = \"cobol\"", "cannot be \"cobol\""), ("dialect = \"sqlite\"\nschema = 3", "schema")]
    {
        let manifest = project.read("assets.toml");
        project.edit("assets.toml", "dialect = \"postgres\"", change);
        let run = project.run(&["validate"]);
        assert_eq!(run.code, 2, "{change}");
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
        project.write("assets.toml", &manifest);
    }
    project.edit("assets.toml", "{{ env.DATABASE_URL }}", "x\", password = \"hush");
    let run = project.run(&["validate"]);
    assert!(run.stderr.contains("a secret stands in the manifest"), "{}", run.stderr);
    project.edit("assets.toml", &driver("postgresql").display().to_string(), "/nowhere/driver.so");
    project.edit("assets.toml", ", password = \"hush\"", "");
    let run = project.run(&["materialize"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("/nowhere/driver.so") && said.contains("give the path of its library"), "{said}");
}

#[test]
fn both_conform() {
    let server = Server::shared().database();
    for (name, dialect, uri) in
        [("sqlite", Dialect::Sqlite, "wh.sqlite".to_owned()), ("postgresql", Dialect::Postgres, server.url())]
    {
        let folder = tempfile::tempdir().unwrap();
        let of = AdbcDatabase {
            driver: Some(driver(name).to_str().unwrap().to_owned()),
            entrypoint: None,
            dialect,
            file: None,
            schema: None,
            options: [("uri".to_owned(), uri)].into(),
        };
        let (vars, env) = (Default::default(), Environment::default());
        let make = || -> Box<dyn IoManager> {
            Box::new(AdbcManager::new(database(folder.path(), &of, &vars, &env, Maker::new("it"))))
        };
        let report = conformance::run(&make);
        report.assert_passed();
        assert_eq!(report.skipped, crate::io::OF_FILES);
        let left = std::fs::read_dir(folder.path().join(".assets/tmp")).unwrap().count();
        assert_eq!(left, 0, "something staged was left");
    }
}
