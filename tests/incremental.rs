//! Queries whose rows are added to those that are there: in files, in SQLite, in Postgres and in DuckDB alike.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{
    Project, duckdb,
    postgres::{Database, Server},
    told::text,
};

/// Where the table is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kept {
    Parquet,
    Csv,
    Sqlite,
    Postgres,
    DuckDb,
}

const ALL: [Kept; 5] = [Kept::Parquet, Kept::Csv, Kept::Sqlite, Kept::Postgres, Kept::DuckDb];

impl Kept {
    fn io(self) -> &'static str {
        match self {
            Kept::Parquet | Kept::Csv => "io = \"files\"\n",
            Kept::Sqlite => "io = \"db\"\n",
            Kept::Postgres => "io = \"pg\"\n",
            Kept::DuckDb => "io = \"wh\"\n",
        }
    }

    fn settings(self) -> String {
        let format = if self == Kept::Csv { "format = \"csv\"\n" } else { "" };
        format!("{}{format}", self.io())
    }
}

const FIRST: &str = "id,day,amount\n1,2026-03-01,10.5\n2,2026-03-01,4.0\n3,2026-03-02,1.5\n";
const QUERY: &str = "select id, day, amount\nfrom \"raw/orders\"\n{% if is_incremental() %}\nwhere day >= (select max(day) from {{ this }})\n{% endif %}\n";

/// Days of orders, the newest of which replace those that are there.
fn shop(kept: Kept, database: &Database<'_>) -> Project {
    let body = format!(
        r#"default_io = "files"
[io.files]
type = "fs"
root = "data"
[io.db]
type = "sqlite"
path = "shop.sqlite"
[io.pg]
type = "postgres"
url = "{{{{ env.DATABASE_URL }}}}"
[io.wh]
type = "duckdb"
path = "shop.duckdb"
[source."raw/orders"]
files = ["raw/*.csv"]
[asset.orders]
sql = "models/orders.sql"
materialized = "incremental"
unique_key = "id"
{}[asset.total]
sql = "select count(*) as n, sum(amount) as amount from orders"
{}"#,
        kept.settings(),
        kept.io(),
    );
    Project::new()
        .manifest(&body)
        .file("models/orders.sql", QUERY)
        .file("raw/1.csv", FIRST)
        .env("DATABASE_URL", &database.url())
        .env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap())
}

/// Key, outcome and how much of it was made, of everything that a run did.
fn ran_with(project: &Project, arguments: &[&str]) -> Vec<String> {
    let run = project.run(&[&["materialize", "--json"], arguments].concat()).succeeded().json();
    let steps = run["steps"].as_array().unwrap().iter();
    let mut told: Vec<String> = steps
        .filter(|it| it["outcome"] != "fresh")
        .map(|it| format!("{} {} {}", text(&it["key"]), text(&it["outcome"]), it["extent"].as_str().unwrap_or("-")))
        .collect();
    told.sort();
    told
}

fn ran(project: &Project) -> Vec<String> {
    ran_with(project, &[])
}

fn rows(project: &Project) -> Vec<String> {
    let query = "select id, day, amount from orders order by id, amount";
    let told = project.run(&["query", query, "--format", "csv"]).succeeded().stdout;
    told.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn new_rows_are_added_and_take_the_place_of_those_with_their_key() {
    let database = Server::shared().database();
    for kept in ALL {
        let project = shop(kept, &database);
        assert_eq!(ran(&project), ["orders built full", "total built -"], "{kept:?}");
        assert_eq!(ran(&project), [""; 0], "{kept:?}");
        // Order 3 is corrected, order 4 is new, and the row of an old day is seen only when all are made.
        project.write("raw/2.csv", "id,day,amount\n4,2026-03-03,2.5\n3,2026-03-02,8.5\n9,2026-02-01,1.5\n");
        project.edit("raw/1.csv", "3,2026-03-02,1.5\n", "");
        assert_eq!(ran(&project), ["orders built incremental", "total built -"], "{kept:?}");
        let added = ["1,2026-03-01,10.5", "2,2026-03-01,4.0", "3,2026-03-02,8.5", "4,2026-03-03,2.5"];
        assert_eq!(rows(&project), added, "{kept:?}");
        project.run(&["status"]).succeeded();
        assert_eq!(ran(&project), [""; 0], "{kept:?}");
        // Nothing new for the table: what reads it is left alone.
        project.write("raw/3.csv", "id,day,amount\n8,2026-02-01,1.5\n");
        assert_eq!(ran(&project), ["orders built incremental", "total cut_off -"], "{kept:?}");
        assert_eq!(rows(&project), added, "{kept:?}");
        // All of it.
        assert_eq!(ran_with(&project, &["--full-refresh"]), ["orders built full", "total built -"], "{kept:?}");
        assert_eq!(rows(&project).len(), 6, "{kept:?}");
        assert_eq!(ran(&project), [""; 0], "{kept:?}");
        let run = project.run(&["materialize", "--full-refresh"]).succeeded();
        let line = run.stderr.lines().find(|it| it.contains("orders")).unwrap().to_owned();
        // A file that was forced is what was made now, rows in their new order.
        let is_said = line.contains("Unchanged") || matches!(kept, Kept::Parquet | Kept::Csv) && line.contains("Built");
        assert!(is_said && line.ends_with("6 rows  full, forced"), "{line}");
    }
}

#[test]
fn whatever_else_is_the_reason_makes_all_of_it() {
    let database = Server::shared().database();
    for kept in ALL {
        let project = shop(kept, &database);
        ran(&project);
        let lost = || match kept {
            Kept::Parquet => project.remove("data/orders.parquet"),
            Kept::Csv => project.remove("data/orders.csv"),
            Kept::Sqlite => project.remove("shop.sqlite"),
            Kept::Postgres => database.run("drop table orders"),
            Kept::DuckDb => duckdb::run(&project.path("shop.duckdb"), "drop table orders"),
        };
        let by_hand = || match kept {
            Kept::Parquet => project.write("data/orders.parquet", "x"),
            Kept::Csv => project.write("data/orders.csv", "id,day,amount\n7,2026-03-09,1.5\n"),
            Kept::Sqlite => {
                let database = rusqlite::Connection::open(project.path("shop.sqlite")).unwrap();
                database.execute_batch("delete from orders where id = 1").unwrap();
            }
            Kept::Postgres => database.run("delete from orders where id = 1"),
            Kept::DuckDb => duckdb::run(&project.path("shop.duckdb"), "delete from orders where id = 1"),
        };
        let other_query = || project.edit("models/orders.sql", "select id,", "select id + 0 as id,");
        let other_setting = || project.edit("assets.toml", "unique_key = \"id\"\n", "unique_key = [\"id\", \"day\"]\n");
        let changes: [&dyn Fn(); 4] = [&lost, &by_hand, &other_query, &other_setting];
        for (number, change) in changes.into_iter().enumerate() {
            change();
            // With new data too.
            project
                .write(&format!("raw/{}.csv", number + 2), format!("id,day,amount\n{},2026-02-01,1.5\n", number + 20));
            let steps = ran(&project);
            assert_eq!(steps[0], "orders built full", "{kept:?} {number}");
            assert_eq!(rows(&project).len(), number + 4, "{kept:?} {number}");
        }
        assert_eq!(ran_with(&project, &["--force", "-s", "orders"]), ["orders built full"], "{kept:?}");
    }
}

/// The same batch again is not what it was made of the first time.
#[test]
fn what_was_added_is_never_taken_back() {
    let database = Server::shared().database();
    for kept in ALL {
        let project = shop(kept, &database);
        project.edit("assets.toml", "unique_key = \"id\"\n", "");
        project.write("models/orders.sql", "select id, day, amount from \"raw/orders\"");
        ran(&project);
        project.write("raw/1.csv", "id,day,amount\n4,2026-03-03,2.5\n");
        assert_eq!(ran(&project)[0], "orders built incremental", "{kept:?}");
        assert_eq!(rows(&project).len(), 4, "{kept:?}");
        project.write("raw/1.csv", FIRST);
        assert_eq!(ran(&project)[0], "orders built incremental", "{kept:?}");
        assert_eq!(rows(&project).len(), 7, "{kept:?}");
    }
}

#[test]
fn rows_that_do_not_fit_are_refused_and_the_table_stays() {
    let database = Server::shared().database();
    let again = "assets materialize --full-refresh makes the whole table anew";
    for kept in ALL {
        let project = shop(kept, &database);
        ran(&project);
        let before = rows(&project);
        for (batch, query, told) in [
            (
                "5,2026-03-04,1.5\n5,2026-03-04,2.5\n",
                QUERY,
                &["unique_key is not unique: 2 of the new rows have id = 5"][..],
            ),
            (",2026-03-04,1.5\n", QUERY, &["`id` of its unique_key is NULL in 1 of the new rows"]),
            (
                "5,2026-03-04,1.5\n",
                "select id, day, amount, {% if is_incremental() %}1 as more{% else %}2 as less{% endif %} from \"raw/orders\"",
                &["`less` is missing", "`more` is new", again],
            ),
            (
                "5,2026-03-04,1.5\n",
                "select id, {% if is_incremental() %}'x'{% else %}day{% endif %} as day, {% if is_incremental() %}'x' as amount{% else %}amount{% endif %} from \"raw/orders\"",
                &["`amount` is ", "and was ", again],
            ),
            (
                "5,2026-03-04,1.5\n",
                "select id as ident, day, amount from \"raw/orders\"",
                &["the query gives no `id`, which unique_key names", "it gives `ident`"],
            ),
        ] {
            // A text holds what it is given.
            if kept == Kept::Csv && query.contains("'x'") {
                continue;
            }
            if project.exists("raw/9.csv") {
                project.remove("raw/9.csv");
            }
            project.write("models/orders.sql", query);
            // The rows of a query that is new are all made first, where there are some to be made.
            let first = project.run(&["materialize", "-s", "orders"]);
            project.write("raw/9.csv", format!("id,day,amount\n{batch}"));
            let run = project.run(&["materialize", "-s", "orders"]).exited(1).stderr;
            assert!(told.iter().all(|it| run.contains(it)), "{kept:?} {batch}: {run}");
            if first.code == 0 && query == QUERY {
                assert_eq!(rows(&project), before, "{kept:?}");
            }
        }
    }
}

/// Of a text nothing says what its columns are, and one without values says nothing either.
#[test]
fn columns_may_be_in_another_order_or_without_values() {
    let database = Server::shared().database();
    for kept in ALL {
        let project = shop(kept, &database);
        ran(&project);
        let query =
            "select {% if is_incremental() %}amount, day, id{% else %}id, day, amount{% endif %} from \"raw/orders\"";
        project.write("models/orders.sql", query);
        assert_eq!(ran(&project)[0], "orders built full", "{kept:?}");
        project.write("raw/1.csv", "id,day,amount\n5,2026-03-04,\n");
        assert_eq!(ran(&project)[0], "orders built incremental", "{kept:?}");
        assert_eq!(
            rows(&project),
            ["1,2026-03-01,10.5", "2,2026-03-01,4.0", "3,2026-03-02,1.5", "5,2026-03-04,"],
            "{kept:?}"
        );
    }
}

#[test]
fn a_check_sees_all_rows_before_anybody_else() {
    let database = Server::shared().database();
    for kept in ALL {
        let project = shop(kept, &database);
        project.edit(
            "assets.toml",
            "unique_key = \"id\"\n",
            "unique_key = \"id\"\nchecks = [{ row_count = { max = 4 } }]\n",
        );
        ran(&project);
        project.write("raw/2.csv", "id,day,amount\n4,2026-03-03,2.5\n5,2026-03-03,2.5\n");
        project.run(&["materialize"]).exited(4);
        assert_eq!(rows(&project).len(), 3, "{kept:?}");
        project.write("raw/2.csv", "id,day,amount\n4,2026-03-03,2.5\n");
        assert_eq!(ran(&project)[0], "orders built incremental", "{kept:?}");
        assert_eq!(rows(&project).len(), 4, "{kept:?}");
    }
}

/// Killed wherever it may be: every batch is there once.
#[test]
fn a_run_that_is_killed_adds_nothing_twice() {
    let database = Server::shared().database();
    for kept in ALL {
        let project = shop(kept, &database);
        project.edit("assets.toml", "unique_key = \"id\"\n", "");
        project.write("models/orders.sql", "select id, day, amount from \"raw/orders\"");
        ran(&project);
        let mut known = 3;
        for (number, wait) in [15, 30, 45, 60, 80, 100, 130, 170, 220].into_iter().enumerate() {
            project.write("raw/1.csv", format!("id,day,amount\n{},2026-03-03,2.5\n", number + 10));
            let run = project.start(&["materialize", "-s", "orders"]);
            std::thread::sleep(Duration::from_millis(wait));
            run.signal(Signal::KILL);
            run.finish();
            project.run(&["materialize"]).succeeded();
            known += 1;
            assert_eq!(rows(&project).len(), known, "{kept:?} after {wait} ms");
        }
    }
}

/// Published, and nobody wrote it down.
#[test]
#[cfg(debug_assertions)]
fn a_batch_that_was_published_and_not_recorded_is_not_added_again() {
    let database = Server::shared().database();
    for kept in ALL {
        let mut project = shop(kept, &database);
        project.edit("assets.toml", "unique_key = \"id\"\n", "");
        project.write("models/orders.sql", "select id, day, amount from \"raw/orders\"");
        ran(&project);
        project.write("raw/1.csv", "id,day,amount\n10,2026-03-03,2.5\n");
        project.set_env("ASSETS_PANIC", "recording orders");
        assert_ne!(project.run(&["materialize", "-s", "orders"]).code, 0, "{kept:?}");
        project.unset_env("ASSETS_PANIC");
        assert_eq!(ran(&project), ["total built -"], "{kept:?}");
        assert_eq!(rows(&project).len(), 4, "{kept:?}");
        assert_eq!(ran(&project), [""; 0], "{kept:?}");
    }
}

#[test]
fn a_full_build_is_foretold_and_says_how_many_rows_had_been_gathered() {
    let project = Project::new().manifest(
        "[source.raw]\nfiles = [\"raw.csv\"]\n[asset.events]\nsql = \"select id from raw\"\nmaterialized = \"incremental\"\n",
    );
    for id in 1..=3 {
        project.write("raw.csv", format!("id\n{id}\n"));
        let planned = project.run(&["plan", "--json"]).succeeded().json();
        assert_eq!(planned["steps"][0]["extent"], if id == 1 { "full" } else { "incremental" });
        let made = project.run(&["materialize"]).succeeded();
        assert!(!made.stderr.contains("gathered"), "{}", made.stderr);
    }
    project.edit("assets.toml", "materialized", "checks = [{ not_null = [\"id\"] }]\nmaterialized");
    let planned = project.run(&["plan"]).succeeded();
    assert!(planned.stdout.contains("full, configuration changed"), "{}", planned.stdout);
    let made = project.run(&["materialize"]).succeeded();
    let told = "check `gathered_rows` failed: all of it was made again: it has 1 row, and had gathered 3 rows";
    assert!(made.stderr.contains(told), "{}", made.stderr);
}
