//! A year of days from hourly files, its months and a total, at full size, in files and in databases: what late data
//! touches is rebuilt, counted exactly, and nothing else.

use crate::support::{Project, duckdb, postgres::Server};

const DAYS: usize = 365;

/// `io` says where tables are kept, `form` what else each asset needs there.
fn manifest(io: &str, form: &str, column: fn(&str) -> String, daily: &str) -> String {
    let cut = |name: &str, every: &str| {
        format!(
            "[partitions.{name}]\ntype = \"time\"\nevery = \"{every}\"\nstart = \"2025-01-01\"\nend = \"2026-01-01\"\n"
        )
    };
    let asset = |name: &str, made: &str, column: &str| {
        let cut = if column.is_empty() { String::new() } else { format!("partitions = \"{name}\"\n{column}\n") };
        format!("[asset.{name}]\n{made}\n{form}\n{cut}")
    };
    let sum = "select '{{ partition.key }}' as month, sum(n) as n from daily";
    [
        io.to_owned(),
        cut("hourly", "hour") + &cut("daily", "day") + &cut("monthly", "month"),
        "[source.raw]\nfiles = [\"raw/{{ partition.key }}.csv\"]\npartitions = \"hourly\"\n".to_owned(),
        asset("daily", daily, &column("day")),
        asset("monthly", &format!("sql = \"{sum}\""), &column("month")),
        asset("total", "sql = \"select sum(n) as n from monthly\"", ""),
    ]
    .join("\n")
}

fn write_hours(project: &Project, hours: usize) {
    let first = jiff::civil::date(2025, 1, 1);
    for day in 0..DAYS {
        let date = first.checked_add(jiff::Span::new().days(day as i64)).unwrap();
        for hour in 0..hours {
            project.write(&format!("raw/{date}T{hour:02}.csv"), format!("n,what\n{},a\n", day + hour));
        }
    }
}

/// Everything that was built or put back, sorted.
fn built(project: &Project) -> Vec<String> {
    let document = project.run(&["materialize", "--json"]).succeeded().json();
    let made = |it: &&serde_json::Value| it["outcome"] == "built" || it["outcome"] == "restored";
    let name = |it: &serde_json::Value| {
        format!("{}@{}", it["key"].as_str().unwrap(), it["partition"].as_str().unwrap_or_default())
    };
    let mut built: Vec<String> = document["steps"].as_array().unwrap().iter().filter(made).map(name).collect();
    built.sort();
    built
}

/// `hours` files for each day, of which two come late.
fn proven(project: &Project, hours: usize) {
    write_hours(project, hours);
    // They come later.
    project.remove("raw/2025-03-14T00.csv");
    project.remove("raw/2025-03-15T01.csv");
    assert_eq!(built(project).len(), DAYS + 12 + 1);
    assert_eq!(built(project), [""; 0]);
    let total = || project.run(&["query", "select n from total", "--json"]).succeeded().json()["rows"][0]["n"].clone();
    let all: usize = (0..DAYS).map(|day| (0..hours).map(|hour| day + hour).sum::<usize>()).sum();
    let late = 72 + 73 + 1;
    assert_eq!(total(), all - late);

    project.write("raw/2025-03-14T00.csv", "n,what\n72,a\n");
    project.write("raw/2025-03-15T01.csv", "n,what\n74,a\n");
    assert_eq!(built(project), ["daily@2025-03-14", "daily@2025-03-15", "monthly@2025-03", "total@"]);
    assert_eq!(total(), all);

    // The same data again, written anew.
    project.write("raw/2025-03-14T00.csv", "n,what\n72,a\n");
    project.write("raw/2025-03-15T01.csv", "n,what\n74,a\n");
    assert_eq!(built(project), [""; 0]);

    // Another form of the query, and of the file that it stands in.
    project.edit("assets.toml", "as month, sum(n) as n from", "as month,   sum( n )  as n /* of its days */ from");
    project.edit("assets.toml", "[asset.total]", "\n# All of it.\n[asset.total]");
    assert_eq!(built(project), [""; 0]);
    project.run(&["status", "-q"]).succeeded();
}

const BY_QUERY: &str = "sql = \"select '{{ partition.key }}' as day, sum(n) as n, count(*) as hours from raw\"";
/// 8,760 small files are read by what begins fastest.
const BY_COMMAND: &str = r#"deps = ["raw"]
command = ["sh", "-c", "./daily.sh \"$ASSETS_INPUT_RAW\"/* > \"$ASSETS_OUTPUT\""]
code = ["daily.sh"]"#;
const DAILY: &str = r#"#!/bin/sh
exec awk -F, '/^[0-9]/ { n += $1; hours++ } END { printf "day,n,hours\n%s,%d,%d\n", ENVIRON["ASSETS_PARTITION_KEY"], n, hours }' "$@"
"#;

fn by_column(name: &str) -> String {
    format!("partition_column = \"{name}\"")
}

#[test]
fn late_hours_of_a_year_in_files() {
    let project =
        Project::new().manifest(&manifest("", "format = \"csv\"", |_| "group = \"a\"".to_owned(), BY_COMMAND));
    project.write("daily.sh", DAILY);
    std::fs::set_permissions(project.path("daily.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    proven(&project, 24);
}

#[test]
fn late_hours_of_a_year_in_sqlite() {
    let io = "default_io = \"db\"\n[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"\n";
    proven(&Project::new().manifest(&manifest(io, "", by_column, BY_QUERY)), 24);
}

#[test]
fn late_hours_of_a_year_in_duckdb() {
    let io = "default_io = \"db\"\n[io.db]\ntype = \"duckdb\"\npath = \"wh.duckdb\"\n";
    let project = Project::new().manifest(&manifest(io, "", by_column, BY_QUERY));
    proven(&project.env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap()), 24);
}

#[test]
fn late_hours_of_a_year_in_postgres() {
    let database = Server::shared().database();
    let io = "default_io = \"db\"\n[io.db]\ntype = \"postgres\"\nurl = \"{{ env.DATABASE_URL }}\"\n";
    proven(&Project::new().manifest(&manifest(io, "", by_column, BY_QUERY)).env("DATABASE_URL", &database.url()), 24);
}
