//! Early cut-off, counted: one graph through every kind of place where content is kept. Whatever is remade with the
//! same content stops there; what is only set out anew does not run; what is really other runs exactly what
//! reads it.

use crate::support::{
    Project,
    duckdb::library,
    postgres::{Database, Server},
    s3::{CREDENTIALS, S3},
};

/// In the order in which they read each other; every one is kept somewhere else.
const CHAIN: [&str; 7] = ["cleaned", "sorted", "lite", "served", "ducked", "lake", "report"];

/// A file -> Parquet by SQL -> a command -> SQLite -> Postgres -> DuckDB -> an S3 object -> a file.
fn chain(database: &Database<'_>, s3: &S3) -> Project {
    let manifest = format!(
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
[io.duck]
type = "duckdb"
path = "shop.duckdb"
[io.lake]
type = "object_store"
url = "s3://{}/shop"
endpoint = "{}"
allow_http = true

[source.raw]
files = ["raw.csv"]
[asset.cleaned]
sql = "select id, name, price from raw where price > 0"
[asset.sorted]
# Puts the names of the columns first.
command = "sort -r {{{{ inputs.cleaned }}}} > {{{{ output }}}}"
deps = [{{ asset = "cleaned", format = "csv" }}]
path = "sorted/rows.csv"
[asset.lite]
sql = "select id, name, price from sorted where id > 0"
io = "db"
[asset.served]
sql = "select id, name, price from lite where id > 0"
io = "pg"
[asset.ducked]
sql = "select id, name, price from served where id > 0"
io = "duck"
[asset.lake]
sql = "select id, name, price from ducked where id > 0"
io = "lake"
[asset.report]
sql = "select count(*) as n, sum(price) as total from lake where id > 0"
format = "csv"
"#,
        s3.bucket,
        s3.endpoint()
    );
    let project = Project::new()
        .manifest(&manifest)
        .file("raw.csv", "id,name,price\n1,pen,2\n2,cup,3\n3,odd,-1\n")
        .env("DATABASE_URL", &database.url())
        .env("ASSETS_DUCKDB_LIBRARY", library().to_str().unwrap());
    CREDENTIALS.iter().fold(project, |project, (name, value)| project.env(name, value))
}

/// The assets that were made, in the order of the chain; none may have failed.
#[track_caller]
fn made(project: &Project) -> Vec<String> {
    let outcomes = project.materialized(&[]);
    // What was made of the very same before is taken from there.
    let is_made = |outcome: &str| matches!(outcome, "built" | "restored");
    let was_made = |key: &str| outcomes.iter().any(|it| it.0 == key && is_made(&it.1));
    let others = outcomes.iter().filter(|it| !is_made(&it.1) && !matches!(it.1.as_str(), "fresh" | "cut_off"));
    assert_eq!(others.count(), 0, "{outcomes:?}");
    CHAIN.iter().filter(|it| was_made(it)).map(|it| (*it).to_owned()).collect()
}

#[test]
fn the_same_content_stops_wherever_it_is_kept() {
    let (database, s3) = (Server::shared().database(), S3::new());
    let project = chain(&database, &s3);
    assert_eq!(made(&project), CHAIN);
    assert_eq!(project.read("data/report.csv"), "n,total\n2,5\n");
    assert_eq!(made(&project), [""; 0]);

    // The source: a row that is not taken, and the rows in another order.
    project.write("raw.csv", "id,name,price\n3,odd,-1\n2,cup,3\n4,bad,-7\n1,pen,2\n");
    assert_eq!(made(&project), ["cleaned"]);

    // Each computation in turn: set out anew, made otherwise with the same result, and really changed.
    for (at, key) in CHAIN.iter().enumerate() {
        let (old, form, same, other) = match *key {
            "cleaned" => ("price > 0", "price   > 0 /* paid */", "price >= 1", "price > 2"),
            "sorted" => ("sort -r {{", "sort -r {{", "LC_ALL=C sort -r {{", "grep -v cup {{"),
            _ => ("id > 0", "id >\\n 0 -- all\\n", "id >= 1", "id > 1"),
        };
        let key_line = format!("[asset.{key}]\n");
        let whole = project.read("assets.toml");
        let (before, own) = whole.split_once(&key_line).unwrap();
        let with = |text: &str| format!("{before}{key_line}{}", own.replacen(old, text, 1));
        if form != old {
            project.write("assets.toml", with(form));
            assert_eq!(made(&project), [""; 0], "{key} is set out anew");
        }
        project.write("assets.toml", with(same));
        assert_eq!(made(&project), [*key], "{key} gives the same");
        project.write("assets.toml", with(other));
        let wanted: Vec<&str> = CHAIN[at..].to_vec();
        assert_eq!(made(&project), wanted, "{key} is other");
        project.write("assets.toml", &whole);
        project.run(&["materialize", "-q"]).succeeded();
        assert_eq!(project.read("data/report.csv"), "n,total\n2,5\n", "{key} as before");
    }
}
