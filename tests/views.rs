//! Views, hooks, indexes, and tables that lose all their rows, in SQLite, DuckDB and a real Postgres.

use rusqlite::Connection;

use crate::support::{
    Project, duckdb,
    postgres::{Database, Server},
    told::text,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    Sqlite,
    Postgres,
    DuckDb,
}

pub const ALL: [Kept; 3] = [Kept::Sqlite, Kept::Postgres, Kept::DuckDb];

/// A project with everything in one database, `shop` in Postgres.
pub struct Shop<'s> {
    pub project: Project,
    kept: Kept,
    database: Database<'s>,
}

impl Shop<'_> {
    pub fn of(kept: Kept, body: &str) -> Shop<'static> {
        let database = Server::shared().database();
        let io = match kept {
            Kept::Sqlite => "[io.db]\ntype = \"sqlite\"\npath = \"shop.sqlite\"\n",
            Kept::DuckDb => "[io.db]\ntype = \"duckdb\"\npath = \"shop.duckdb\"\n",
            Kept::Postgres => "[io.db]\ntype = \"postgres\"\nurl = \"{{ env.DATABASE_URL }}\"\nschema = \"shop\"\n",
        };
        let project = Project::new().manifest(&format!("default_io = \"db\"\n{io}{body}"));
        let project = project.env("DATABASE_URL", &database.url());
        let project = match kept {
            Kept::DuckDb => project.env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap()),
            _ => project,
        };
        Shop { project, kept, database }
    }

    /// The project is somebody else to Postgres from now on.
    pub fn connect_as(&mut self, role: &str) {
        self.project.set_env("DATABASE_URL", &self.database.url().replace("tester", role));
    }

    pub fn run(&self, sql: &str) {
        match self.kept {
            Kept::Sqlite => self.connection().execute_batch(sql).unwrap(),
            Kept::DuckDb => sql.split(';').for_each(|it| duckdb::run(&self.project.path("shop.duckdb"), it)),
            Kept::Postgres => self.database.run(&format!("set search_path to shop; {sql}")),
        }
    }

    /// The one value that a query gives, as a text.
    pub fn value(&self, sql: &str) -> String {
        match self.kept {
            Kept::Sqlite => self
                .connection()
                .query_row(&format!("select cast(({sql}) as text)"), [], |it| it.get::<_, Option<String>>(0))
                .unwrap()
                .unwrap_or_default(),
            Kept::DuckDb => {
                let found = duckdb::rows(&self.project.path("shop.duckdb"), &format!("select cast(({sql}) as text)"));
                found.into_iter().next().unwrap_or_default()
            }
            Kept::Postgres => {
                let found = self.database.rows(&format!("set search_path to shop; select ({sql})::text"));
                found.into_iter().last().unwrap_or_default()
            }
        }
    }

    fn connection(&self) -> Connection {
        Connection::open(self.project.path("shop.sqlite")).unwrap()
    }

    pub fn ran(&self) -> Vec<String> {
        let mut steps: Vec<String> =
            self.project.materialized(&[]).into_iter().map(|it| format!("{} {}", it.0, it.1)).collect();
        steps.sort();
        steps
    }

    fn kind(&self, name: &str) -> String {
        match self.kept {
            Kept::Sqlite => self.value(&format!("select type from sqlite_master where name = '{name}'")),
            Kept::DuckDb => {
                let kind = self
                    .value(&format!("select table_type from information_schema.tables where table_name = '{name}'"));
                if kind == "VIEW" { "view".to_owned() } else { "table".to_owned() }
            }
            Kept::Postgres => {
                let kind = format!(
                    "select relkind from pg_class where relname = '{name}' and relnamespace = 'shop'::regnamespace"
                );
                if self.value(&kind) == "v" { "view".to_owned() } else { "table".to_owned() }
            }
        }
    }
}

const VIEWS: &str = r#"
[vars]
least = 1
[asset."raw/orders"]
command = "cp orders.csv {{ output }}"
sources = ["orders.csv"]
[asset.large]
sql = 'select * from "raw/orders" where amount >= {{ vars.least }}'
materialized = "view"
[asset.customers]
sql = "select customer, sum(amount) as amount from Large group by customer -- each once"
materialized = "view"
checks = [{ unique = ["customer"] }, { range = { column = "amount", max = 100 } }]
[asset.best]
sql = "select max(amount) as amount from customers"
"#;

const ORDERS: &str = "customer,amount\nann,10\nbob,4\nann,3\n";

fn views(kept: Kept) -> Shop<'static> {
    let shop = Shop::of(kept, VIEWS);
    shop.project.write("orders.csv", ORDERS);
    shop
}

#[test]
fn a_view_follows_what_it_reads() {
    for kept in ALL {
        let shop = views(kept);
        assert_eq!(shop.ran(), ["best built", "customers built", "large built", "raw/orders built"], "{kept:?}");
        assert_eq!((shop.kind("large"), shop.kind("best")), ("view".to_owned(), "table".to_owned()), "{kept:?}");
        assert_eq!(shop.value("select amount from best"), "13", "{kept:?}");
        assert_eq!(shop.ran(), [""; 0], "{kept:?}");
        shop.project.run(&["status", "--refresh"]).succeeded();
        // The same rows: nothing that rests on them is run.
        shop.project.write("orders.csv", "customer,amount\nann,3\nbob,4\nann,10\n");
        assert_eq!(shop.ran(), ["best cut_off", "customers cut_off", "large cut_off", "raw/orders built"], "{kept:?}");
        // Other rows: everything behind the views is.
        shop.project.write("orders.csv", "customer,amount\nann,10\nbob,40\n");
        assert_eq!(shop.ran(), ["best built", "customers built", "large built", "raw/orders built"], "{kept:?}");
        assert_eq!(shop.value("select amount from best"), "40", "{kept:?}");
        // Another query.
        shop.project.edit("assets.toml", "least = 1", "least = 30");
        assert_eq!(shop.ran(), ["best built", "customers built", "large built"], "{kept:?}");
        assert_eq!(shop.value("select count(*) from customers"), "1", "{kept:?}");
        let rows = shop.project.run(&["query", "select * from customers", "--format", "csv"]).succeeded().stdout;
        assert!(rows == "customer,amount\nbob,40\n", "{rows}");
        // A table of a view, and a view of a table.
        let manifest = shop.project.read("assets.toml");
        shop.project.write("assets.toml", manifest.replacen("materialized = \"view\"\n", "", 1));
        assert_eq!(shop.ran(), ["best built", "customers built", "large built"], "{kept:?}");
        assert_eq!(shop.kind("large"), "table", "{kept:?}");
        shop.project.write("assets.toml", manifest);
        shop.ran();
        assert_eq!((shop.kind("large"), shop.value("select amount from best")), ("view".to_owned(), "40".to_owned()));
        assert_eq!(shop.ran(), [""; 0], "{kept:?}");
    }
}

#[test]
fn a_view_that_somebody_changes_or_drops_is_found() {
    for kept in ALL {
        let shop = views(kept);
        shop.ran();
        for (change, code) in [
            ("drop view customers; create view customers as select 'x' as customer, 5 as amount", "output_modified"),
            ("drop view customers", "output_missing"),
            ("drop view customers; create table customers as select 'x' as customer, 5 as amount", "output_modified"),
        ] {
            shop.run(change);
            let status = shop.project.run(&["status", "--refresh", "--json"]).json();
            let codes: Vec<_> =
                status["assets"].as_array().unwrap().iter().filter(|it| it["key"] == "customers").collect();
            assert_eq!(text(&codes[0]["reasons"][0]["code"]), code, "{kept:?} {change}");
            assert_eq!(shop.ran(), ["best cut_off", "customers built"], "{kept:?} {change}");
            assert_eq!(shop.value("select count(*) from customers"), "2", "{kept:?} {change}");
        }
    }
}

#[test]
fn what_a_check_of_a_view_refuses_is_not_published() {
    for kept in ALL {
        let shop = views(kept);
        shop.ran();
        shop.project.edit("assets.toml", "sum(amount) as amount", "sum(amount) * 1000 as amount");
        shop.project.run(&["materialize"]).exited(4);
        assert_eq!(shop.value("select max(amount) from customers"), "13", "{kept:?}");
        shop.project.edit("assets.toml", "sum(amount) * 1000 as amount", "sum(amout) as amount");
        let said = shop.project.run(&["materialize"]).exited(1).stderr;
        assert!(said.contains("amout") && said.contains("--> assets.toml:"), "{kept:?} {said}");
        assert_eq!(shop.value("select max(amount) from customers"), "13", "{kept:?}");
        let left = match kept {
            Kept::Sqlite => "select count(*) from sqlite_master where name like '%stage%'",
            Kept::DuckDb => "select count(*) from information_schema.tables where table_name like '%stage%'",
            Kept::Postgres => "select count(*) from pg_class where relname like '\\_assets\\_stage%'",
        };
        assert_eq!(shop.value(left), "0", "{kept:?}");
    }
}

/// Columns come, go and change their types under two views and what people put on them.
#[test]
fn postgres_keeps_what_rests_on_what_is_replaced() {
    let shop = views(Kept::Postgres);
    shop.ran();
    shop.run("create role reader; grant usage on schema shop to reader; grant select on customers to reader");
    let reads = "select has_table_privilege('reader', 'shop.customers', 'select')";
    shop.project.write("orders.csv", "customer,amount,more\nann,10.5,x\n");
    assert_eq!(shop.ran(), ["best built", "customers built", "large built", "raw/orders built"]);
    assert_eq!(shop.value("select amount from best"), "10.5");
    assert_eq!(shop.value("select more from large"), "x");
    shop.project.write("orders.csv", "customer,amount\nann,7\n");
    assert_eq!(shop.ran(), ["best built", "customers built", "large built", "raw/orders built"]);
    assert_eq!(shop.value("select amount from best"), "7");
    // Of a table that is swapped alone, the views keep who may read them.
    shop.run("grant select on customers to reader");
    shop.project.write("orders.csv", "customer,amount\nann,8\n");
    shop.ran();
    assert_eq!(shop.value(reads), "true");
    // What is not ours is left alone, and nothing below it is replaced.
    shop.run("create view theirs as select customer from customers");
    shop.project.write("orders.csv", "customer,amount\nann,9\n");
    let said = shop.project.run(&["materialize"]).exited(1).stderr;
    assert!(said.contains("raw_orders: shop.theirs rests on it and was not made by this project"), "{said}");
    assert!(said.contains("drop view \"shop\".\"theirs\""), "{said}");
    assert_eq!(shop.value("select sum(amount) from raw_orders"), "8");
    // A view on a view that gets one column more need not be dropped.
    shop.project.write("orders.csv", "customer,amount\nann,8\n");
    shop.project.edit("assets.toml", "sum(amount) as amount from", "sum(amount) as amount, count(*) as n from");
    assert_eq!(shop.ran(), ["best built", "customers built"]);
    assert_eq!(shop.value("select n from customers"), "1");
    assert_eq!(shop.value("select customer from theirs"), "ann");
    shop.run("drop view theirs; drop owned by reader; drop role reader");
    assert_eq!(shop.ran(), [""; 0]);
}

/// A view that is ours and does not go with the new columns of what it reads is told, and comes back.
#[test]
fn a_view_that_goes_with_its_table_is_told() {
    let body = "[asset.orders]\nsql = \"select 1 as id, 2 as amount\"\n\
        [asset.ids]\nsql = \"select id from orders\"\nmaterialized = \"view\"\n\
        [asset.few]\nsql = \"select id from ids where id < 5\"\nmaterialized = \"view\"\n";
    let shop = Shop::of(Kept::Postgres, body);
    shop.ran();
    shop.project.edit("assets.toml", "select 1 as id, 2 as amount", "select 1 as number, 2 as amount");
    shop.project.edit("assets.toml", "select id from orders", "select number as id from orders");
    let said = shop.project.run(&["materialize", "-s", "orders"]).succeeded().stderr;
    let told = "shop.ids, shop.few, views on it, do not go with its new columns: they are gone until made again";
    assert!(said.contains(told), "{said}");
    assert_eq!(shop.ran(), ["few built", "ids built"]);
    assert_eq!(shop.value("select id from few"), "1");
    // Nothing is said where nothing is gone.
    shop.project.edit("assets.toml", "2 as amount", "3 as amount");
    let said = shop.project.run(&["materialize"]).succeeded().stderr;
    assert!(!said.contains("views on it") && !said.contains("a view on it"), "{said}");
}

const HOOKS: &str = r#"
[vars]
who = "night"
[asset.seen]
command = "printf 'mark\nx\n' > {{ output }}"
[asset.orders]
sql = "select 1 as id, 'a' as name union all select 2, 'b'"
deps = ["seen"]
pre_hook = "update seen set mark = mark || '<'"
post_hook = ["update seen set mark = mark || (select count(*) from {{ this }})", "update seen set mark = mark || '{{ vars.who }}>'; update seen set mark = mark || ';'"]
indexes = [["name"], { columns = ["id", "name"], unique = true }]
"#;

#[test]
fn hooks_and_indexes_come_with_the_table_or_not_at_all() {
    for kept in ALL {
        let shop = Shop::of(kept, HOOKS);
        // What they do to a table of ours would be found, which is not what this is about.
        shop.project.edit("assets.toml", "deps = [\"seen\"]\n", "");
        shop.project.run(&["materialize", "-s", "seen"]).succeeded();
        shop.project.run(&["materialize", "-s", "orders"]).succeeded();
        assert_eq!(shop.value("select mark from seen"), "x<2night>;", "{kept:?}");
        let indexes = match kept {
            Kept::Sqlite => "select count(*) from sqlite_master where type = 'index' and tbl_name = 'orders'",
            Kept::DuckDb => "select count(*) from duckdb_indexes() where table_name = 'orders'",
            Kept::Postgres => "select count(*) from pg_indexes where tablename = 'orders' and schemaname = 'shop'",
        };
        assert_eq!(shop.value(indexes), "2", "{kept:?}");
        // The same rows: but a hook is a part of it.
        shop.project.edit("assets.toml", "who = \"night\"", "who = \"day\"");
        let run = shop.project.run(&["materialize", "-s", "orders"]).succeeded().stderr;
        assert!(run.contains("orders") && run.contains("post_hook"), "{kept:?} {run}");
        assert_eq!(shop.value("select mark from seen"), "x<2night>;<2day>;", "{kept:?}");
        assert_eq!(shop.value(indexes), "2", "{kept:?}");
        shop.project.run(&["materialize", "-s", "orders"]).succeeded();
        assert_eq!(shop.value("select mark from seen"), "x<2night>;<2day>;", "{kept:?}");
        // One that fails takes everything with it.
        for (old, new, told) in [
            ("set mark = mark || ';'", "set markk = mark", "post_hook (assets.toml:"),
            ("\"id\", \"name\"], unique", "\"nome\"], unique", "index on orders: "),
            ("select 2, 'b'", "select 1, 'a'", "index on orders: "),
            ("set mark = mark || '<'", "set mark = nosuch('<')", "pre_hook (assets.toml:"),
        ] {
            shop.project.edit("assets.toml", old, new);
            shop.project.edit("assets.toml", "who = \"day\"", "who = \"never\"");
            let said = shop.project.run(&["materialize", "-s", "orders"]).exited(1).stderr;
            // DuckDB sees at the commit which rows are there twice.
            let told = if kept == Kept::DuckDb && new == "select 1, 'a'" { "duplicate key \"1, a\"" } else { told };
            assert!(said.contains(told) && said.contains("nothing was published"), "{kept:?} {told}: {said}");
            assert_eq!(shop.value("select mark from seen"), "x<2night>;<2day>;", "{kept:?}");
            assert_eq!(shop.value("select count(*) from orders where id = 2"), "1", "{kept:?}");
            shop.project.edit("assets.toml", new, old);
            shop.project.edit("assets.toml", "who = \"never\"", "who = \"day\"");
            shop.project.run(&["status", "-s", "orders"]).exited(0);
        }
    }
}

/// A hook that was run is not run again because nobody wrote it down, and one that was not, is.
#[test]
#[cfg(debug_assertions)]
fn a_hook_is_run_once_whatever_happens() {
    for kept in ALL {
        let mut shop = Shop::of(kept, HOOKS);
        shop.project.edit("assets.toml", "deps = [\"seen\"]\n", "");
        shop.project.run(&["materialize", "-s", "seen"]).succeeded();
        shop.project.set_env("ASSETS_PANIC", "recording orders");
        assert_ne!(shop.project.run(&["materialize", "-s", "orders"]).code, 0, "{kept:?}");
        shop.project.unset_env("ASSETS_PANIC");
        assert_eq!(shop.value("select mark from seen"), "x<2night>;", "{kept:?}");
        shop.project.run(&["materialize", "-s", "orders"]).succeeded();
        assert_eq!(shop.value("select mark from seen"), "x<2night>;", "{kept:?}");
    }
}

const CHANGING: &str = r#"
[asset.a]
sql = "select 1 as id, 10 as v union all select 2, 20"
post_hook = "delete from {{ this }} where id = 1"
[asset.b]
sql = "select id, v from a"
[asset.z]
sql = "select 1 as id"
"#;

/// What is recorded is what is there after them, and what they do to another table is found.
#[test]
fn hooks_may_change_their_own_table_and_those_of_others() {
    for kept in ALL {
        let shop = Shop::of(kept, CHANGING);
        assert_eq!(shop.ran(), ["a built", "b built", "z built"], "{kept:?}");
        let own = "post_hook = \"delete from {{ this }} where id = 1\"\n";
        let show = shop.project.run(&["show", "a", "--json"]).succeeded().json();
        assert_eq!(show["materializations"][0]["rows"], 1, "{kept:?}");
        for how in [&["status", "--refresh"][..], &["status", "--verify"]] {
            shop.project.run(how).exited(0);
        }
        assert_eq!(shop.ran(), [""; 0], "{kept:?}");
        assert_eq!(shop.value("select count(*) from b"), "1", "{kept:?}");
        // With the same result: published again, and nothing downstream is disturbed.
        shop.project.edit("assets.toml", "where id = 1", "where id < 2");
        assert_eq!(shop.ran(), ["a built", "b cut_off"], "{kept:?}");
        shop.project.edit("assets.toml", "where id < 2", "where id = 1");
        shop.project.edit("assets.toml", own, "");
        assert_eq!(shop.ran(), ["a built", "b built"], "{kept:?}");
        assert_eq!(shop.value("select count(*) from b"), "2", "{kept:?}");
        // One that takes it away.
        shop.project.edit("assets.toml", "[asset.b]", "post_hook = \"drop table {{ this }}\"\n[asset.b]");
        let said = shop.project.run(&["materialize"]).exited(1).stderr;
        assert!(
            said.contains("it is gone after its hooks") && said.contains("nothing was published"),
            "{kept:?} {said}"
        );
        assert_eq!(shop.value("select count(*) from a"), "2", "{kept:?}");
        shop.project.edit("assets.toml", "post_hook = \"drop table {{ this }}\"\n", "");
        // Another one's.
        let z = "sql = \"select 1 as id\"\n";
        shop.project.edit("assets.toml", z, &format!("{z}post_hook = \"update a set v = 0\"\n"));
        shop.project.run(&["materialize", "-s", "z"]).succeeded();
        let told = shop.project.run(&["status", "--refresh"]);
        assert_ne!(told.code, 0, "{kept:?}");
        let told = told.stdout;
        assert!(told.contains("output was modified"), "{kept:?} {told}");
        assert_eq!(shop.ran(), ["a built", "b cut_off"], "{kept:?}");
        assert_eq!(shop.value("select min(v) from a"), "10", "{kept:?}");
    }
}

/// A run that is killed before it has recorded what hooks have left is finished by the next one, with that.
#[test]
#[cfg(debug_assertions)]
fn what_hooks_have_left_is_recorded_after_a_crash() {
    for kept in ALL {
        let mut shop = Shop::of(kept, CHANGING);
        shop.project.set_env("ASSETS_PANIC", "recording a");
        assert_ne!(shop.project.run(&["materialize", "-s", "a"]).code, 0, "{kept:?}");
        shop.project.unset_env("ASSETS_PANIC");
        assert_eq!(shop.ran(), ["b built", "z built"], "{kept:?}");
        assert_eq!(shop.value("select count(*) from b"), "1", "{kept:?}");
        let show = shop.project.run(&["show", "a", "--json"]).succeeded().json();
        assert_eq!(show["materializations"][0]["rows"], 1, "{kept:?}");
    }
}

/// The help can help: nothing was left out of the selection.
#[test]
fn what_a_hook_changes_in_the_middle_of_a_run_is_told() {
    for kept in ALL {
        let shop = Shop::of(kept, CHANGING);
        shop.project.edit("assets.toml", "post_hook = \"delete from {{ this }} where id = 1\"\n", "");
        let z = "sql = \"select 1 as id\"\n";
        shop.project.edit("assets.toml", z, &format!("{z}deps = [\"a\"]\npost_hook = \"update a set v = 0\"\n"));
        shop.project.edit("assets.toml", "from a\"\n", "from a\"\ndeps = [\"z\"]\n");
        let said = shop.project.run(&["materialize"]).exited(1).stderr;
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("since this run has seen to it") && said.contains("run again"), "{kept:?} {said}");
        assert!(!said.contains("put `+`"), "{kept:?} {said}");
    }
}

#[test]
fn a_table_that_loses_all_its_rows_is_told() {
    for kept in ALL {
        let body = "[asset.orders]\nsql = \"select 1 as id where 1 = 1\"\n[asset.file]\nsql = \"select id from orders\"\nio = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n";
        let shop = Shop::of(kept, body);
        shop.ran();
        shop.project.edit("assets.toml", "1 = 1", "1 = 2");
        let run = shop.project.run(&["materialize"]).succeeded().stderr;
        assert_eq!(run.matches("it has no rows any more, and had 1 row").count(), 2, "{kept:?} {run}");
        assert_eq!(shop.value("select count(*) from orders"), "0", "{kept:?}");
        // Empty before and after is nothing new.
        let run = shop.project.run(&["materialize", "-f"]).succeeded().stderr;
        assert!(!run.contains("no rows any more"), "{kept:?} {run}");
        shop.project.edit("assets.toml", "1 = 2", "1 = 1");
        shop.ran();
        for allow in ["allow_empty = false", "allow_empty = true"] {
            shop.project.edit("assets.toml", "1 = 1\"", &format!("1 = 2\"\n{allow}"));
            let run = shop.project.run(&["materialize", "-s", "orders"]);
            let said = format!("{}{}", run.stdout, run.stderr);
            if allow.ends_with("false") {
                assert_eq!(run.code, 4, "{kept:?} {said}");
                assert!(
                    said.contains("it has no rows any more, and had 1 row") && said.contains("allow_empty = true"),
                    "{said}"
                );
                assert_eq!(shop.value("select count(*) from orders"), "1", "{kept:?}");
            } else {
                assert_eq!((run.code, said.contains("no rows any more")), (0, false), "{kept:?} {said}");
                assert_eq!(shop.value("select count(*) from orders"), "0", "{kept:?}");
            }
            shop.project.edit("assets.toml", &format!("1 = 2\"\n{allow}"), "1 = 1\"");
        }
    }
}

/// Tables, a view, checks and what is added to, in schemas that nobody has made.
#[test]
fn a_schema_comes_from_the_prefix_of_the_key() {
    let body = r#"
[source."raw/orders"]
files = ["orders.csv"]
[asset."staging/orders"]
sql = 'select * from "raw/orders"'
materialized = "incremental"
unique_key = "customer"
[asset."Marts/eu/best"]
sql = "select o.customer, o.amount, p.n from \"staging/orders\" o, plain p"
checks = [{ not_null = ["customer"] }, { relationships = { column = "customer", to = "staging/orders", field = "customer" } }]
post_hook = "comment on table {{ this }} is 'best'"
indexes = [["customer"]]
[asset.plain]
sql = "select 1 as n"
[asset."marts/seen"]
sql = "select b.customer, n from \"Marts/eu/best\" b -- all"
materialized = "view"
checks = [{ unique = ["customer"] }]
[asset."marts/count"]
sql = "select count(*) as n from \"marts/seen\""
"#;
    for schema in ["", "schema = \"shop\"\n"] {
        let shop = Shop::of(Kept::Postgres, body);
        shop.project.edit("assets.toml", "schema = \"shop\"\n", &format!("{schema}schema_from_key = true\n"));
        shop.project.write("orders.csv", "customer,amount\nann,10\nbob,4\n");
        let all =
            ["Marts/eu/best built", "marts/count built", "marts/seen built", "plain built", "staging/orders built"];
        assert_eq!(shop.ran(), all);
        let tables = "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace \
            where c.relkind in ('r', 'v') and c.relname !~ '^(_assets|pg_)' and n.nspname !~ '^(pg_|information)' order by 1";
        let own = if schema.is_empty() { "public.plain" } else { "shop.plain" };
        let mut expected = vec!["Marts_eu.best", "marts.count", "marts.seen", own, "staging.orders"];
        let mut found = shop.database.rows(tables);
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(shop.database.rows("select n from marts.count"), ["2"]);
        assert_eq!(shop.database.rows("select obj_description('\"Marts_eu\".best'::regclass)"), ["best"]);
        assert_eq!(shop.ran(), [""; 0]);
        shop.project.run(&["status", "--refresh"]).succeeded();
        shop.project.run(&["check"]).succeeded();
        let rows = shop.project.run(&["preview", "marts/seen", "--format", "csv"]).succeeded().stdout;
        assert_eq!(rows.lines().count(), 3, "{rows}");
        shop.project.write("orders.csv", "customer,amount\nbob,5\neve,1\n");
        assert_eq!(shop.ran().len(), 4);
        assert_eq!(
            shop.database.rows("select customer, amount from staging.orders order by 1"),
            ["ann|10", "bob|5", "eve|1"]
        );
        assert_eq!(shop.database.rows("select n from marts.count"), ["3"]);
        shop.database.run("drop table staging.orders cascade");
        assert_eq!(shop.ran().len(), 4);
        assert_eq!(shop.database.rows("select customer from staging.orders order by 1"), ["bob", "eve"]);
    }
}

/// A target that keeps in files what a database keeps else: the rows are the same, and no more is done.
#[test]
fn a_target_of_files_has_no_views_and_hooks() {
    let body = "[asset.a]\nsql = \"select 1 as n\"\nmaterialized = \"view\"\npost_hook = \"analyze\"\n\
        [asset.b]\nsql = \"select n from a\"\nindexes = [[\"n\"]]\n\
        [target.test.io.db]\ntype = \"fs\"\nroot = \"test\"\n";
    let shop = Shop::of(Kept::Sqlite, body);
    assert_eq!(shop.ran(), ["a built", "b built"]);
    shop.project.run(&["-t", "test", "materialize"]).succeeded();
    assert!(shop.project.exists("test/a.parquet") && shop.project.exists("test/b.parquet"));
}

/// What is read through a view is what lies beneath it now, whatever the view was when it was recorded.
#[test]
fn a_view_is_not_read_over_tables_that_are_others_by_now() {
    for kept in ALL {
        let shop = Shop::of(
            kept,
            "[asset.t]\nsql = \"select 1 as v\"\n[asset.low]\nsql = \"select v from t\"\nmaterialized = \"view\"\n\
             [asset.vw]\nsql = \"select v from low\"\nmaterialized = \"view\"\n[asset.b]\nsql = \"select v from vw\"\n",
        );
        let make = |keys: &[&str]| {
            let all = ["materialize"].into_iter().chain(keys.iter().flat_map(|it| ["-s", it])).collect::<Vec<_>>();
            shop.project.run(&all)
        };
        make(&["t", "low", "vw"]).succeeded();
        // By this tool.
        shop.project.edit("assets.toml", "select 1 as v", "select 2 as v");
        make(&["t"]).succeeded();
        let said = make(&["b"]).exited(1).stderr;
        assert!(said.contains("upstream vw shows t, which is another since, and is not selected"), "{kept:?}: {said}");
        assert!(said.contains("select it too: put `+` before the name"), "{kept:?}: {said}");
        make(&["+b"]).succeeded();
        assert_eq!(shop.value("select v from b"), "2", "{kept:?}");
        shop.project.edit("assets.toml", "select 2 as v", "select 1 as v");
        assert_eq!(shop.ran(), ["b built", "low built", "t built", "vw built"], "{kept:?}");
        assert_eq!(shop.value("select v from b"), "1", "{kept:?}");
        // By others.
        shop.run("update t set v = 999");
        shop.project.edit("assets.toml", "select v from vw", "select v + 0 as v from vw");
        let said = make(&["b"]).exited(1).stderr;
        assert!(said.contains("upstream vw shows t, which was modified outside of assets"), "{kept:?}: {said}");
        make(&[]).succeeded();
        assert_eq!(shop.value("select v from b"), "1", "{kept:?}");
        shop.project.run(&["status"]).succeeded();
    }
}

/// The same of a table with partitions, all of which the view shows.
#[test]
fn a_view_is_not_read_over_partitions_that_are_others_by_now() {
    for kept in ALL {
        let shop = Shop::of(
            kept,
            "[partitions.part]\ntype = \"static\"\nkeys = [\"x\", \"y\"]\n\
             [asset.t]\nsql = \"select '{{ partition.key }}' as p, 1 as v\"\npartitions = \"part\"\npartition_column = \"p\"\n\
             [asset.vw]\nsql = \"select p, v from t\"\nmaterialized = \"view\"\n\
             [asset.b]\nsql = \"select sum(v) as v from vw\"\n",
        );
        shop.ran();
        shop.project.run(&["status"]).succeeded();
        let make = |arguments: &[&str]| shop.project.run(&[&["materialize"], arguments].concat());
        // By this tool, of one partition and back again: what is made of it in between would be taken for the first.
        shop.project.edit("assets.toml", "1 as v", "2 as v");
        make(&["-s", "t", "--partition", "y"]).succeeded();
        let said = make(&["-s", "b", "--force"]).exited(1).stderr;
        assert!(said.contains("upstream vw shows t, which is another since, and is not selected"), "{kept:?}: {said}");
        shop.project.edit("assets.toml", "2 as v", "1 as v");
        make(&["-s", "t"]).succeeded();
        make(&["-s", "b", "--force"]).succeeded();
        assert_eq!(shop.value("select v from b"), "2", "{kept:?}");
        // By others.
        shop.run("update t set v = 999 where p = 'x'");
        let said = make(&["-s", "b", "--force"]).exited(1).stderr;
        assert!(said.contains("upstream vw shows t@x, which was modified outside of assets"), "{kept:?}: {said}");
        make(&[]).succeeded();
        shop.project.run(&["status"]).succeeded();
        // A partition less.
        shop.run("delete from t where p = 'y'");
        make(&["-s", "b", "--force"]).exited(1);
        make(&[]).succeeded();
        assert_eq!(shop.value("select v from b"), "2", "{kept:?}");
    }
}

/// What somebody accepts is recorded as made from what the views show, so that is looked at as by a run.
#[test]
fn what_reads_a_view_is_not_accepted_over_tables_that_are_others_by_now() {
    for kept in ALL {
        let shop = Shop::of(
            kept,
            "[asset.t]\nsql = \"select 1 as v\"\n[asset.low]\nsql = \"select v from t\"\nmaterialized = \"view\"\n\
             [asset.vw]\nsql = \"select v from low\"\nmaterialized = \"view\"\n[asset.b]\nsql = \"select v from vw\"\n",
        );
        let accept = |keys: &[&str]| shop.project.run(&[&["accept", "--reason", "it is so"], keys].concat());
        shop.ran();
        // By this tool.
        shop.project.edit("assets.toml", "select 1 as v", "select 2 as v");
        shop.project.run(&["materialize", "-s", "t"]).succeeded();
        let said = accept(&["b"]).exited(2).stderr;
        assert!(said.contains("b is made from vw, which is stale"), "{kept:?}: {said}");
        assert_eq!(shop.ran(), ["b built", "low built", "vw built"], "{kept:?}");
        // By others, whether b is itself as it was recorded or not.
        shop.run("update t set v = 999");
        for query in ["select v from vw", "select v + 0 as v from vw"] {
            shop.project.edit("assets.toml", "select v from vw", query);
            for key in ["b", "vw", "low"] {
                let said = accept(&[key]).exited(2).stderr;
                assert!(said.contains("which is stale"), "{kept:?} {key}: {said}");
            }
        }
        // What is accepted with all that is beneath it is of that: the next other table is seen.
        accept(&["t", "low", "vw", "b"]).succeeded();
        assert_eq!(shop.ran(), [""; 0], "{kept:?}");
        shop.run("update t set v = 998");
        assert_eq!(shop.ran(), ["b built", "low built", "t built", "vw built"], "{kept:?}");
        assert_eq!(shop.value("select v from b"), "2", "{kept:?}");
    }
}

/// In words that only one of them has: all that they read is seen, and they do what they say.
#[test]
fn joins_that_one_engine_alone_writes_are_understood() {
    for (kept, join) in [
        (Kept::Sqlite, "select a.v + b.w as n from (a, b) where a.id = b.id"),
        (Kept::Postgres, "select a.v + b.w + j.id - 1 as n from a join b using (id) as j"),
    ] {
        let body = "[asset.a]\nsql = \"select 1 as id, 2 as v\"\n[asset.b]\nsql = \"select 1 as id, 3 as w\"\n";
        let shop = Shop::of(kept, &format!("{body}[asset.joined]\nsql = \"{join}\"\n"));
        assert_eq!(shop.ran(), ["a built", "b built", "joined built"], "{kept:?}");
        shop.project.edit("assets.toml", "3 as w", "4 as w");
        assert_eq!(shop.ran(), ["b built", "joined built"], "{kept:?}");
        assert_eq!(shop.value("select n from joined"), "6", "{kept:?}");
    }
}

/// The names of a view's columns may stand apart from its query.
#[test]
fn a_view_whose_columns_were_renamed_by_hand_is_found() {
    let body = "[asset.t]\nsql = \"select 1 as a, 2 as b\"\n[asset.vw]\nsql = \"select a, b from t\"\nmaterialized = \"view\"\n";
    for kept in ALL {
        let shop = Shop::of(kept, body);
        assert_eq!(shop.ran(), ["t built", "vw built"]);
        shop.run("drop view vw; create view vw (b, a) as select a, b from t");
        assert_ne!(shop.project.run(&["status", "--refresh"]).code, 0, "{kept:?}");
        assert_eq!(shop.ran(), ["vw built"], "{kept:?}");
        assert_eq!(shop.value("select a from vw"), "1", "{kept:?}");
    }
}

/// The same while a command is at it.
#[test]
fn a_table_beneath_a_view_that_is_changed_while_the_view_is_read_voids_what_is_made() {
    let shop = Shop::of(
        Kept::Sqlite,
        "[asset.t]\nsql = \"select 1 as v\"\n[asset.vw]\nsql = \"select v from t\"\nmaterialized = \"view\"\n\
         [asset.b]\ncommand = \"touch began; until [ -e go ]; do sleep 0.05; done; cp {{ inputs.vw }} {{ output }}\"\ndeps = [\"vw\"]\n\
         io = \"files\"\nformat = \"csv\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n",
    );
    shop.project.run(&["materialize", "-s", "t", "-s", "vw"]).succeeded();
    let run = shop.project.start(&["materialize"]);
    while !shop.project.path("began").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    shop.run("update t set v = 999");
    shop.project.write("go", "");
    let run = run.finish();
    assert!(run.stderr.contains("vw shows t") || run.stderr.contains("t changed during the run"), "{}", run.stderr);
    shop.project.run(&["materialize"]).succeeded();
    assert_eq!(shop.project.read("data/b.csv"), "v\n1\n");
}

/// A trigger of people's own on a table that is replaced by partition: what it made of the rows is what is recorded, and what it
/// did to another table is found.
#[test]
fn what_triggers_do_is_seen() {
    for kept in [Kept::Sqlite, Kept::Postgres] {
        let shop = Shop::of(
            kept,
            "[partitions.part]\ntype = \"static\"\nkeys = [\"a\", \"b\"]\n\
             [asset.t]\nsql = \"select '{{ partition.key }}' as p, 1 as v\"\npartitions = \"part\"\npartition_column = \"p\"\n\
             [asset.other]\nsql = \"select 5 as n\"\n",
        );
        shop.project.run(&["materialize"]).succeeded();
        shop.run(match kept {
            Kept::Sqlite => {
                "create trigger tr after insert on t begin update other set n = n + 100; update t set v = v * 7 where rowid = new.rowid; end"
            }
            _ => {
                "create function seven() returns trigger language plpgsql as $$ begin new.v := new.v * 7; update shop.other set n = n + 100; return new; end $$; \
                 create trigger tr before insert on t for each row execute function seven()"
            }
        });
        shop.project.run(&["materialize"]).succeeded();
        shop.project.edit("assets.toml", "1 as v", "3 as v");
        shop.project.run(&["materialize", "-s", "t"]).succeeded();
        assert_eq!(shop.value("select sum(v) from t"), "42", "{kept:?}");
        shop.project.run(&["status", "--refresh", "-s", "t"]).succeeded();
        shop.project.run(&["status", "--verify", "-s", "t"]).succeeded();
        assert_eq!(shop.value("select n from other"), "205", "{kept:?}");
        assert_ne!(shop.project.run(&["status", "--refresh", "-s", "other"]).code, 0, "{kept:?}");
    }
}

/// Each of the two takes the view away and makes it again.
#[test]
fn tables_beneath_one_view_are_replaced_at_once() {
    let shop = Shop::of(
        Kept::Postgres,
        "[vars]\nk = 100\n[asset.orders]\nsql = \"select {{ vars.k }} as n\"\n[asset.customers]\nsql = \"select {{ vars.k }} as m\"\n\
         [asset.sold]\nsql = \"select {{ vars.k }} as o\"\n\
         [asset.joined]\nsql = \"select n, m, o from orders, customers, sold\"\nmaterialized = \"view\"\n\
         [asset.again]\nsql = \"select n + m as n from joined\"\nmaterialized = \"view\"\n",
    );
    shop.ran();
    for k in 101..113 {
        shop.project.edit("assets.toml", &format!("k = {}", k - 1), &format!("k = {k}"));
        shop.project.run(&["materialize", "-j", "4"]).succeeded();
        assert_eq!(shop.value("select n from again"), (2 * k).to_string());
    }
}

/// A view of another project is somebody else's, though this tool made it.
#[test]
fn a_view_of_another_project_is_not_taken_away() {
    let shop = Shop::of(Kept::Postgres, "[asset.orders]\nsql = \"select 1 as id, 2 as amount\"\n");
    shop.ran();
    let manifest = shop.project.read("assets.toml");
    let other = manifest.replace("name = \"test\"", "name = \"beta\"").replace("[asset.orders]", "[asset.totals]");
    let query =
        "select sum(amount) as amount from shop.orders\"\nmaterialized = \"view\"\nexternal_tables = [\"shop.orders\"]";
    shop.project.write("assets.toml", other.replace("select 1 as id, 2 as amount\"", query));
    shop.ran();
    shop.project.write("assets.toml", manifest.replace("2 as amount", "2 as price"));
    let said = shop.project.run(&["materialize"]).exited(1).stderr;
    assert!(said.contains("shop.totals rests on it and was not made by this project"), "{said}");
    assert_eq!(shop.value("select amount from totals"), "2");
}
