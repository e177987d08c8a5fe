//! Tables of others: nothing replaces them unseen, and what this project has made is known as its own even where all
//! that was recorded of it is lost.

use crate::support::{Project, duckdb, postgres::Server};

const MANIFEST: &str = r#"default_io = "db"
[asset.orders]
sql = "select 1 as n"
[asset.more]
sql = "select n + 1 as n from orders"
"#;

/// A project with this database, in which `orders` is somebody else's.
fn with_orders(io: &str, url: &str, make: impl FnOnce(&Project)) -> Project {
    let project = Project::new()
        .manifest(&format!("{MANIFEST}[io.db]\n{io}\n"))
        .env("URL", url)
        .env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
    make(&project);
    project
}

/// `look` gives all rows of `orders`.
fn nothing_of_others_is_lost(project: &Project, look: &dyn Fn(&Project) -> Vec<String>) {
    let refused = project.run(&["materialize"]).exited(1);
    for part in [
        "there is a table or view orders already, which this project has not made",
        "assets materialize --force -s orders",
        "assets accept orders --reason",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert_eq!(look(project), ["precious"]);

    project.run(&["accept", "orders", "--reason", "it is"]).succeeded();
    assert_eq!(look(project), ["precious"]);
    assert!(project.run(&["status", "orders"]).succeeded().stdout.contains("fresh"));
    // An edit is a wish for another table.
    project.edit("assets.toml", "select 1 as n", "select 2 as n");
    project.run(&["materialize"]).succeeded();
    assert_eq!(look(project), ["2"]);

    std::fs::remove_dir_all(project.path(".assets")).unwrap();
    project.run(&["materialize"]).succeeded();
    assert_eq!(look(project), ["2"]);
}

fn forced_it_is_replaced(project: &Project, look: &dyn Fn(&Project) -> Vec<String>) {
    project.run(&["materialize", "-s", "orders"]).exited(1);
    project.run(&["materialize", "--force", "-s", "orders"]).succeeded();
    assert_eq!(look(project), ["1"]);
    project.run(&["materialize"]).succeeded();
}

/// A table that has no partition any more is still this project's.
#[test]
fn a_table_without_partitions_is_no_other_than_before() {
    let database = Server::shared().database();
    for io in [
        "type = \"sqlite\"\npath = \"db.sqlite\"",
        "type = \"duckdb\"\npath = \"db.duckdb\"",
        "type = \"postgres\"\nurl = \"{{ env.URL }}\"",
    ] {
        let manifest = format!(
            r#"default_io = "db"
[partitions.region]
type = "static"
keys = ["east", "west"]
[asset.sold]
sql = "select '{{{{ partition.key }}}}' as region, 1 as n"
partitions = "region"
partition_column = "region"
[io.db]
{io}
"#
        );
        let project = Project::new()
            .manifest(&manifest)
            .env("URL", &database.url())
            .env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
        project.run(&["materialize"]).succeeded();
        project.run(&["clean", "sold", "--yes"]).succeeded();
        project.run(&["materialize"]).succeeded();
        let told = project.run(&["query", "select count(*) as n from sold", "--format", "csv"]).succeeded();
        assert_eq!(told.stdout, "n\n2\n", "{io}");
    }
}

#[test]
fn a_table_of_others_in_sqlite_is_left_alone() {
    let open = |it: &Project| rusqlite::Connection::open(it.path("db.sqlite")).unwrap();
    let make = |it: &Project| open(it).execute_batch("create table Orders as select 'precious' as n").unwrap();
    let look = |it: &Project| {
        let connection = open(it);
        let mut statement = connection.prepare("select cast(n as text) from orders").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<Vec<String>, _>>().unwrap()
    };
    let io = "type = \"sqlite\"\npath = \"db.sqlite\"";
    nothing_of_others_is_lost(&with_orders(io, "", make), &look);
    forced_it_is_replaced(&with_orders(io, "", make), &look);
}

#[test]
fn a_table_of_others_in_duckdb_is_left_alone() {
    let make = |it: &Project| duckdb::run(&it.path("db.duckdb"), "create table Orders as select 'precious' as n");
    let look = |it: &Project| duckdb::rows(&it.path("db.duckdb"), "select n::varchar from orders");
    let io = "type = \"duckdb\"\npath = \"db.duckdb\"";
    nothing_of_others_is_lost(&with_orders(io, "", make), &look);
    forced_it_is_replaced(&with_orders(io, "", make), &look);
}

#[test]
fn a_table_of_others_in_postgres_is_left_alone() {
    for as_forced in [false, true] {
        let database = Server::shared().database();
        let make = |_: &Project| database.run("create table orders as select 'precious' as n");
        let look = |_: &Project| database.rows("select n::text from orders");
        let project = with_orders("type = \"postgres\"\nurl = \"{{ env.URL }}\"", &database.url(), make);
        match as_forced {
            false => nothing_of_others_is_lost(&project, &look),
            true => forced_it_is_replaced(&project, &look),
        }
    }
}

/// A table, a view and partitions, in projects of this name that mean the same database.
fn of_project(name: &str, io: &str, url: &str) -> Project {
    let project = Project::new()
        .manifest(&format!(
            r#"default_io = "db"
[partitions.region]
type = "static"
keys = ["east", "west"]
[asset.orders]
sql = "select '{name}' as n"
[asset.seen]
sql = "select n from orders"
materialized = "view"
[asset.sold]
sql = "select '{{{{ partition.key }}}}' as region, '{name}' as n"
partitions = "region"
partition_column = "region"
[io.db]
{io}
"#
        ))
        .env("URL", url)
        .env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
    project.edit("assets.toml", "name = \"test\"", &format!("name = \"{name}\""));
    project
}

/// Two projects do not take each other's tables for their own, and another checkout of one does.
#[test]
fn tables_are_those_of_one_project() {
    let database = Server::shared().database();
    for (io, file) in [
        ("type = \"sqlite\"\npath = \"db.file\"", true),
        ("type = \"duckdb\"\npath = \"db.file\"", true),
        ("type = \"postgres\"\nurl = \"{{ env.URL }}\"", false),
    ] {
        let give = |from: &Project, to: &Project| {
            if file {
                std::fs::copy(from.path("db.file"), to.path("db.file")).unwrap();
            }
        };
        let held = |project: &Project, by: &str| {
            for table in ["orders", "seen", "sold"] {
                let query = format!("select distinct n from {table}");
                let rows = project.run(&["query", &query, "--format", "csv"]).succeeded().stdout;
                assert_eq!(rows, format!("n\n{by}\n"), "{io}: {table}");
            }
        };
        let first = of_project("first", io, &database.url());
        first.run(&["materialize"]).succeeded();

        let second = of_project("second", io, &database.url());
        give(&first, &second);
        let refused = second.run(&["materialize", "--keep-going"]).exited(1);
        for table in ["orders", "sold"] {
            let told = format!("there is a table or view {table} already, which this project has not made");
            assert!(refused.stderr.contains(&told), "{io}: {}", refused.stderr);
        }
        let checkout = of_project("first", io, &database.url());
        give(&second, &checkout);
        checkout.run(&["materialize"]).succeeded();
        held(&checkout, "first");

        // Whoever asks for it takes them over, and they are theirs from then on: one partition alone, and then the rest.
        give(&checkout, &second);
        second.run(&["materialize", "--force", "-s", "sold", "--partition", "east"]).succeeded();
        let refused = second.run(&["materialize", "-s", "sold"]).exited(1).stderr;
        assert!(refused.contains("there is a table or view sold already"), "{io}: {refused}");
        if !file {
            // Postgres does not let a table go from beneath a view, and the view is somebody else's.
            let refused = second.run(&["materialize", "--force", "-s", "orders"]).exited(1).stderr;
            assert!(refused.contains("public.seen rests on it and was not made by this project"), "{refused}");
            database.run("drop view seen");
        }
        second.run(&["materialize", "--force"]).succeeded();
        held(&second, "second");
        let late = of_project("first", io, &database.url());
        give(&second, &late);
        let refused = late.run(&["materialize", "-s", "orders", "-s", "sold"]).exited(1).stderr;
        assert!(refused.contains("there is a table or view orders already"), "{io}: {refused}");
        assert!(refused.contains("there is a table or view sold already"), "{io}: {refused}");
        // A view of which the first project knows nothing is not taken away with what it reads either.
        late.edit("assets.toml", "select n from orders", "select n from elsewhere");
        late.edit(
            "assets.toml",
            "materialized = \"view\"",
            "materialized = \"view\"\nexternal_tables = [\"elsewhere\"]",
        );
        let refused = late.run(&["materialize", "-s", "seen"]).exited(1).stderr;
        assert!(refused.contains("there is a table or view seen already"), "{io}: {refused}");
    }
}
