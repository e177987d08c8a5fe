//! Tables that are replaced partition by partition, in databases.

use crate::support::{Project, adbc::driver, duckdb, fakesnow, postgres::Server};

/// Days in tables, their months, and a total; `io` is the database.
fn roll_ups(io: &str) -> String {
    format!(
        r#"default_io = "db"
{io}
[partitions.hourly]
type = "time"
every = "hour"
start = "2025-01-01"
end = "2025-03-01"
[partitions.daily]
type = "time"
every = "day"
start = "2025-01-01"
end = "2025-03-01"
[partitions.monthly]
type = "time"
every = "month"
start = "2025-01-01"
end = "2025-03-01"

[source.raw]
files = ["raw/{{{{ partition.key }}}}.csv"]
partitions = "hourly"

[asset.daily]
sql = "select '{{{{ partition.key }}}}' as day, hour, n from raw"
partitions = "daily"
partition_column = "day"

[asset.monthly]
sql = "select '{{{{ partition.key }}}}' as month, sum(n) as n from daily"
partitions = "monthly"
partition_column = "month"

[asset.total]
sql = "select sum(n) as n from monthly"
"#
    )
}

/// Assets that were built, with their partitions, sorted; what was cut off is left out.
fn built(project: &Project) -> Vec<String> {
    let document = project.run(&["materialize", "--json"]).succeeded().json();
    let steps = document["steps"].as_array().unwrap();
    let mut built: Vec<String> = steps
        .iter()
        .filter(|it| it["outcome"] == "built")
        .map(|it| format!("{}@{}", it["key"].as_str().unwrap(), it["partition"].as_str().unwrap_or_default()))
        .collect();
    built.sort();
    built
}

fn late_data(project: &Project, days: usize) {
    for day in 0..days {
        let first = jiff::civil::date(2025, 1, 1);
        let date = first.checked_add(jiff::Span::new().days(day as i64)).unwrap();
        for hour in ["00", "01"] {
            project.write(&format!("raw/{date}T{hour}.csv"), format!("hour,n\n{hour},1\n"));
        }
    }
    assert_eq!(built(project).len(), days + days.div_ceil(31) + 1);
    assert_eq!(built(project), [""; 0]);
    project.run(&["status", "--refresh"]).succeeded();
    project.write("raw/2025-01-14T20.csv", "hour,n\n20,5\n");
    project.write("raw/2025-01-15T21.csv", "hour,n\n21,5\n");
    assert_eq!(built(project), ["daily@2025-01-14", "daily@2025-01-15", "monthly@2025-01", "total@"]);
    // The same data in another form: the day is made, and nothing below it.
    project.write("raw/2025-01-14T20.csv", "hour,n\r\n20,5\r\n");
    assert_eq!(built(project), ["daily@2025-01-14"]);
    project.run(&["status", "--refresh"]).succeeded();
}

#[test]
fn tables_of_sqlite_are_replaced_by_partition() {
    let project = Project::new().manifest(&roll_ups("[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\""));
    late_data(&project, 36);
    let database = rusqlite::Connection::open(project.path("db.sqlite")).unwrap();
    let total = |text: &str| -> i64 { database.query_row(text, [], |it| it.get(0)).unwrap() };
    assert_eq!(total("select n from total"), 36 * 2 + 10);
    assert_eq!(total("select count(*) from daily where day = '2025-01-14'"), 3);
    // Rows that somebody changed are found, and the other partitions are as they were.
    database.execute("delete from daily where day = '2025-01-20' and hour = '00'", []).unwrap();
    assert_eq!(built(&project), ["daily@2025-01-20"]);
    assert_eq!(total("select count(*) from daily where day = '2025-01-20'"), 2);
    // A query of a whole table sees every partition.
    let rows = project.run(&["query", "select count(*) as n from daily", "--json"]).succeeded().json();
    assert_eq!(rows["rows"][0]["n"], 74);
}

#[test]
fn rows_of_another_partition_are_refused() {
    let body = roll_ups("[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"")
        .replace("select '{{ partition.key }}' as day", "select '2025-01-02' as day");
    let project = Project::new().manifest(&body);
    project.write("raw/2025-01-01T00.csv", "hour,n\n0,1\n");
    let refused = project.run(&["materialize", "-s", "daily"]).exited(1);
    assert!(refused.stderr.contains("1 rows are of another partition"), "{}", refused.stderr);
    project.write_manifest(&body.replace("partition_column = \"month\"", ""));
    let refused = project.run(&["validate"]).exited(2);
    assert!(refused.stderr.contains("has no `partition_column`"), "{}", refused.stderr);
}

/// Each would replace the rows of the other: hours in a column of dates, `01` in one of numbers.
#[test]
fn keys_that_a_column_takes_for_one_value_are_refused() {
    let database = Server::shared().database();
    let keys = |io: &str, name: &str, column: &str| {
        format!(
            "default_io = \"db\"\n{io}\n[partitions.shop]\ntype = \"static\"\nkeys = [\"1\", \"2\", \"01\"]\n\
             [asset.{name}]\nsql = \"select {column} as shop, 5 as n\"\npartitions = \"shop\"\npartition_column = \"shop\"\n"
        )
    };
    let postgres = "[io.db]\ntype = \"postgres\"\nurl = \"{{ env.URL }}\"";
    let sqlite = "[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"";
    for io in [sqlite, DUCKDB, postgres] {
        let project = Project::new()
            .env("URL", &database.url())
            .env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
        project.write_manifest(&keys(io, "sales", "cast('{{ partition.key }}' as integer)"));
        let refused = project.run(&["materialize"]).exited(1);
        for told in ["its column takes the two keys for one value", "or make shop a text", "Finished 2 built, 1 failed"]
        {
            assert!(refused.stderr.contains(told), "{io}: {}", refused.stderr);
        }
        let rows = project.run(&["query", "select shop, n from sales order by shop", "--format", "csv"]).succeeded();
        assert_eq!(rows.stdout, "shop,n\n1,5\n2,5\n", "{io}");
        project.write_manifest(&keys(io, "named", "'{{ partition.key }}'"));
        project.run(&["materialize"]).succeeded();
        let rows = project.run(&["query", "select shop from named order by shop", "--format", "csv"]).succeeded();
        assert_eq!(rows.stdout, "shop\n01\n1\n2\n", "{io}");
    }

    let project = Project::new().env("URL", &database.url());
    project.write_manifest(&format!(
        "default_io = \"db\"\n{postgres}\n[partitions.hourly]\ntype = \"time\"\nevery = \"hour\"\nstart = \"2025-01-01\"\n\
         end = \"2025-01-01T02:00\"\nformat = \"%Y%m%dT%H%M\"\n[asset.hits]\nsql = \"select cast('{{{{ partition.start }}}}' as date) as hour, 1 as n\"\n\
         partitions = \"hourly\"\npartition_column = \"hour\"\n"
    ));
    let refused = project.run(&["materialize"]).exited(1);
    let told = "its column takes the two keys for one value";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
}

#[test]
fn tables_of_postgres_are_replaced_by_partition() {
    let database = Server::shared().database();
    let io = "[io.db]\ntype = \"postgres\"\nurl = \"{{ env.DATABASE_URL }}\"";
    let project = Project::new().manifest(&roll_ups(io)).env("DATABASE_URL", &database.url());
    late_data(&project, 36);
    assert_eq!(database.rows("select n from total"), [(36 * 2 + 10).to_string()]);
    assert_eq!(database.rows("select count(*) from daily where day = '2025-01-14'"), ["3"]);
    database.run("delete from daily where day = '2025-01-20' and hour = '00'");
    assert_eq!(built(&project), ["daily@2025-01-20"]);
    assert_eq!(database.rows("select count(*) from daily where day = '2025-01-20'"), ["2"]);
}

const DUCKDB: &str = "[io.db]\ntype = \"duckdb\"\npath = \"wh.duckdb\"";

#[test]
fn tables_of_duckdb_are_replaced_by_partition() {
    let project =
        Project::new().manifest(&roll_ups(DUCKDB)).env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
    late_data(&project, 36);
    let file = project.path("wh.duckdb");
    assert_eq!(duckdb::rows(&file, "select n from total"), [(36 * 2 + 10).to_string()]);
    assert_eq!(duckdb::rows(&file, "select count(*) from daily where day = '2025-01-14'"), ["3"]);
    let left = "select count(*) from information_schema.tables where table_name like '\\_assets\\_stage%' escape '\\'";
    assert_eq!(duckdb::rows(&file, left), ["0"], "something staged was left");
    // Rows that somebody changed are found, and the other partitions are as they were.
    duckdb::run(&file, "delete from daily where day = '2025-01-20' and hour = '00'");
    assert_eq!(built(&project), ["daily@2025-01-20"]);
    assert_eq!(duckdb::rows(&file, "select count(*) from daily where day = '2025-01-20'"), ["2"]);
    // Killed wherever it happens to be: whole partitions, and the next run goes on.
    for round in 1..6_u64 {
        for day in 10..14 {
            project.write(&format!("raw/2025-01-{day}T00.csv"), format!("hour,n\n0,{round}{day}\n"));
        }
        let started = project.start(&["materialize"]);
        std::thread::sleep(std::time::Duration::from_millis(120 * round));
        started.signal(rustix::process::Signal::KILL);
        started.finish();
        project.run(&["materialize"]).succeeded();
        let found = duckdb::rows(&file, "select sum(n) from daily where day between '2025-01-10' and '2025-01-13'");
        let expected: u64 = (10..14).map(|day| round * 100 + day + 1).sum();
        assert_eq!(found, [expected.to_string()], "round {round}");
        assert_eq!(built(&project), [""; 0], "round {round}");
        assert_eq!(duckdb::rows(&file, left), ["0"], "round {round}: something staged was left");
    }
}

#[test]
fn tables_behind_any_driver_are_replaced_by_partition() {
    let database = Server::shared().database();
    for (name, dialect, uri) in
        [("sqlite", "sqlite", "wh.sqlite".to_owned()), ("postgresql", "postgres", database.url())]
    {
        let driver = driver(name).display().to_string();
        let io = format!(
            "[io.db]\ntype = \"adbc\"\ndriver = \"{driver}\"\ndialect = \"{dialect}\"\n\
             options = {{ uri = \"{{{{ env.URI }}}}\" }}"
        );
        let project = Project::new().manifest(&roll_ups(&io)).env("URI", &uri);
        late_data(&project, 15);
    }
    let project = Project::new().manifest(&roll_ups(
        "[io.db]\ntype = \"adbc\"\ndriver = \"x\"\ndialect = \"bigquery\"\noptions = { project = \"p\" }",
    ));
    let refused = project.run(&["validate"]).exited(2);
    assert!(refused.stderr.contains("its tables are not kept by partition"), "{}", refused.stderr);
}

#[test]
fn tables_of_snowflake_are_replaced_by_partition() {
    let io = fakesnow::Server::shared().io("db", "ROLLUPS");
    // There a name that is not quoted is one in capitals, and that of a column of a file is not.
    let manifest = roll_ups(&io)
        .replace("as day, hour, n from raw", r#"as day, cast(\"hour\" as varchar) as hour, \"n\" as n from raw"#);
    let project = Project::new().manifest(&manifest).env("SNOWFLAKE_PASSWORD", "not-so-secret");
    late_data(&project, 4);
    let total = project.run(&["query", "select cast(\"N\" as bigint) as n from total", "--format", "csv"]);
    assert_eq!(total.succeeded().stdout, "n\n18\n");
}

/// Days that come as text, whose first one has no rows.
fn empty_first(io: &str) -> String {
    format!(
        r#"default_io = "db"
{io}
[partitions.daily]
type = "time"
every = "day"
start = "2025-01-01"
end = "2025-01-04"

[source.raw]
files = ["raw/{{{{ partition.key }}}}.csv"]
partitions = "daily"

[asset.copied]
command = ["cp", "{{{{ inputs.raw }}}}", "{{{{ output }}}}"]
deps = ["raw"]
partitions = "daily"
partition_column = "day"

[asset.asked]
sql = "select day, n from raw"
partitions = "daily"
partition_column = "day"
"#
    )
}

#[test]
fn a_partition_without_rows_does_not_settle_what_columns_hold() {
    let database = Server::shared().database();
    let adbc = |name: &str, dialect: &str, uri: &str| {
        let driver = driver(name).display().to_string();
        format!(
            "[io.db]\ntype = \"adbc\"\ndriver = \"{driver}\"\ndialect = \"{dialect}\"\noptions = {{ uri = \"{uri}\" }}"
        )
    };
    for io in [
        "[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"".to_owned(),
        DUCKDB.to_owned(),
        "[io.db]\ntype = \"postgres\"\nurl = \"{{ env.URL }}\"".to_owned(),
        adbc("sqlite", "sqlite", "wh.sqlite"),
        adbc("postgresql", "postgres", "{{ env.URL }}"),
    ] {
        let project = Project::new()
            .manifest(&empty_first(&io))
            .env("URL", &database.url())
            .env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
        project.write("raw/2025-01-01.csv", "day,n\n");
        project.run(&["materialize", "-q"]).succeeded();
        for day in ["2025-01-02", "2025-01-03"] {
            project.write(&format!("raw/{day}.csv"), format!("day,n\n{day},2\n"));
        }
        assert_eq!(built(&project).len(), 4, "{io}");
        project.run(&["status", "-q", "--refresh"]).succeeded();
        for table in ["copied", "asked"] {
            let sum = project.run(&["query", &format!("select sum(n + 1) as n from {table}"), "--json"]).succeeded();
            assert_eq!(sum.json()["rows"][0]["n"].to_string().trim_matches('"'), "6", "{io}");
        }

        // The first one gets rows after all; those that are not of that kind are told.
        project.write("raw/2025-01-01.csv", "day,n\n2025-01-01,5\n");
        assert_eq!(built(&project), ["asked@2025-01-01", "copied@2025-01-01"], "{io}");
        project.write("raw/2025-01-01.csv", "day,n\n2025-01-01,five\n");
        // In SQLite a column takes values of any kind.
        let told = project.run(&["materialize"]);
        assert_eq!(told.code, i32::from(!io.contains("sqlite")), "{io}{}", told.stderr);

        // As long as no other has rows, one may be made of other columns than it had.
        for day in ["2025-01-02", "2025-01-03"] {
            project.write(&format!("raw/{day}.csv"), "day,n\n");
        }
        project.run(&["materialize", "-s", "copied", "--partition", "2025-01-02.."]).succeeded();
        project.run(&["materialize", "-s", "copied"]).succeeded();
        project.edit("assets.toml", "select day, n from", "select day, n as m from");
        let told = project.run(&["materialize", "-s", "asked", "--partition", "2025-01-01"]);
        assert_eq!(told.code, 1, "{}", told.stderr);
    }
}

/// A file without a row does not say that `n` is a number; those beside it do.
#[test]
fn a_day_without_rows_has_the_columns_of_its_neighbours() {
    let database = Server::shared().database();
    for io in [
        "[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"",
        DUCKDB,
        "[io.db]\ntype = \"postgres\"\nurl = \"{{ env.URL }}\"",
        "[io.db]\ntype = \"fs\"\nroot = \"data\"",
    ] {
        let manifest = format!(
            r#"default_io = "db"
{io}
[partitions.daily]
type = "time"
every = "day"
start = "2025-01-01"
end = "2025-01-04"
[partitions.monthly]
type = "time"
every = "month"
start = "2025-01-01"
end = "2025-02-01"
[source.raw]
files = ["raw/{{{{ partition.key }}}}.csv"]
partitions = "daily"
[source.more]
files = ["raw/{{{{ partition.key }}}}.jsonl"]
partitions = "daily"
[asset.daily]
sql = "select '{{{{ partition.key }}}}' as day, sum(n) as n, sum(m) as m, count(*) as c from (select n, 0 as m from raw union all select 0, m from more) as t group by 1"
partitions = "daily"
partition_column = "day"
[asset.month]
sql = "select sum(n + m) as n from daily"
"#
        );
        let project = Project::new()
            .manifest(&manifest)
            .env("URL", &database.url())
            .env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
        for day in ["2025-01-01", "2025-01-02", "2025-01-03"] {
            let some = day != "2025-01-02";
            project.write(&format!("raw/{day}.csv"), if some { "n\n2\n" } else { "n\n" });
            project.write(&format!("raw/{day}.jsonl"), if some { "{\"m\": 3}\n" } else { "" });
        }
        let made = project.run(&["materialize"]);
        assert_eq!(made.code, 0, "{io}: {}{}", made.stdout, made.stderr);
        let sum = project.run(&["query", "select n from month", "--json"]).succeeded().json();
        assert_eq!(sum["rows"][0]["n"].to_string().trim_matches('"'), "10", "{io}");
    }
}

/// The first day reads no day before it.
#[test]
fn a_query_that_reads_none_of_the_partitions_has_their_columns() {
    let database = Server::shared().database();
    for io in [
        "[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"",
        DUCKDB,
        "[io.db]\ntype = \"postgres\"\nurl = \"{{ env.URL }}\"",
        "[io.db]\ntype = \"fs\"\nroot = \"data\"",
    ] {
        let manifest = format!(
            r#"default_io = "db"
{io}
[partitions.daily]
type = "time"
every = "day"
start = "2025-01-01"
end = "2025-01-04"
[asset.daily]
sql = "select '{{{{ partition.key }}}}' as day, 7 as n"
partitions = "daily"
partition_column = "day"
[asset.before]
sql = "select '{{{{ partition.key }}}}' as day, count(*) as days, coalesce(sum(n), 0) as n from daily"
deps = [{{ asset = "daily", partitions = {{ offset = -1 }} }}]
partitions = "daily"
partition_column = "day"
"#
        );
        let project = Project::new()
            .manifest(&manifest)
            .env("URL", &database.url())
            .env("ASSETS_DUCKDB_LIBRARY", duckdb::library().to_str().unwrap());
        let alone = project.run(&["materialize", "-s", "before", "--partition", "2025-01-01"]).exited(1);
        let told = "it reads none of the partitions of daily, and as none is there its columns are not known";
        assert!(alone.stderr.contains(told), "{io}{}", alone.stderr);
        assert!(alone.stderr.contains("make one first: assets materialize -s daily"), "{}", alone.stderr);
        assert_eq!(built(&project).len(), 6, "{io}");
        let rows = project.run(&["query", "select day, days, n from before order by day", "--json"]).succeeded().json();
        let row = |it: &serde_json::Value| format!("{} {} {}", it["day"], it["days"], it["n"]).replace('"', "");
        let rows: Vec<String> = rows["rows"].as_array().unwrap().iter().map(row).collect();
        assert_eq!(rows, ["2025-01-01 0 0", "2025-01-02 1 7", "2025-01-03 1 7"], "{io}");
    }
}

/// In files and in tables; each partition by itself.
#[test]
fn partitions_are_checked_one_by_one() {
    for (io, column) in [
        ("", ""),
        ("default_io = \"db\"\n[io.db]\ntype = \"sqlite\"\npath = \"db.sqlite\"\n", "partition_column = \"region\"\n"),
    ] {
        let form = if io.is_empty() { "format = \"csv\"\n" } else { "" };
        let project = Project::new().manifest(&format!(
            "{io}[partitions.region]\ntype = \"static\"\nkeys = [\"jp\", \"us\", \"de\"]\n\
             [asset.a]\nsql = \"select '{{{{ partition.key }}}}' as region, 1 as n\"\npartitions = \"region\"\n{form}{column}\
             checks = [{{ row_count = {{ max = 1 }}, severity = \"warn\" }}]\n"
        ));
        let made = project.run(&["materialize", "--partition", "jp,us"]);
        assert_eq!(made.code, 0, "{}{}", made.stdout, made.stderr);
        let told = project.run(&["check", "--json"]).succeeded().json();
        let of = |it: &serde_json::Value| {
            format!("{} {}", it["partition"].as_str().unwrap(), it["outcome"].as_str().unwrap())
        };
        let all = |it: &serde_json::Value| it["assets"].as_array().unwrap().iter().map(of).collect::<Vec<_>>();
        assert_eq!(all(&told), ["jp passed", "us passed"]);
        // A row more in one of them.
        if io.is_empty() {
            project.write("data/a/us.csv", "region,n\nus,1\nus,2\n");
        } else {
            let database = rusqlite::Connection::open(project.path("db.sqlite")).unwrap();
            database.execute("insert into a values ('us', 2)", []).unwrap();
        }
        let told = project.run(&["check", "--json"]).succeeded().json();
        assert_eq!(all(&told), ["jp passed", "us warned"], "{io}");
        let show = project.run(&["show", "a", "--json"]).succeeded().json();
        let last = &show["checks"][0]["last"];
        assert_eq!(
            (&last["partition"], &last["outcome"], &last["run"]),
            (&"us".into(), &"failed".into(), &told["run"])
        );
        let show = project.run(&["show", "a"]).succeeded();
        assert!(show.stdout.contains("(warns, failed at us)"), "{}", show.stdout);
        let one = project.run(&["check", "a", "--partition", "jp,de", "--json"]).succeeded().json();
        assert_eq!(all(&one), ["jp passed", "de missing"], "{io}");
        let text = project.run(&["check", "a", "--partition", "us"]).succeeded();
        assert!(text.stdout.contains("a@us"), "{}", text.stdout);
    }
}

/// What a check compares with is what it said of the same partition.
#[test]
fn a_number_is_compared_with_the_last_one_of_its_partition() {
    let project = Project::new().manifest(
        "[partitions.region]\ntype = \"static\"\nkeys = [\"jp\", \"us\"]\n\
         [source.raw]\nfiles = [\"raw/{{ partition.key }}.csv\"]\npartitions = \"region\"\n\
         [asset.a]\nsql = \"select n from raw\"\npartitions = \"region\"\nformat = \"csv\"\n\
         checks = [{ metric = { value = \"sum(n)\", change = \"10 %\" } }]\n",
    );
    project.write("raw/jp.csv", "n\n1000\n");
    project.write("raw/us.csv", "n\n1\n");
    project.run(&["materialize"]).succeeded();
    project.write("raw/jp.csv", "n\n1001\n");
    project.run(&["materialize"]).succeeded();
    project.write("raw/us.csv", "n\n2\n");
    let refused = project.run(&["materialize"]).exited(4);
    assert!(refused.stderr.contains("a@us"), "{}", refused.stderr);
}

#[test]
fn one_partition_is_compared_with_what_it_was() {
    let project = Project::new().manifest(
        "[partitions.region]\ntype = \"static\"\nkeys = [\"jp\", \"us\"]\n\
         [source.raw]\nfiles = [\"raw/{{ partition.key }}.csv\"]\npartitions = \"region\"\n\
         [asset.a]\nsql = \"select id, n from raw\"\npartitions = \"region\"\nformat = \"csv\"\n",
    );
    project.write("raw/jp.csv", "id,n\n1,5\n2,6\n");
    project.write("raw/us.csv", "id,n\n1,7\n");
    project.run(&["materialize"]).succeeded();
    project.write("raw/jp.csv", "id,n\n1,5\n2,60\n3,1\n");
    project.run(&["materialize"]).succeeded();
    let told = project.run(&["diff", "a", "--partition", "jp", "--key", "id", "--json"]).succeeded().json();
    assert_eq!(told["key"], "a@jp");
    assert_eq!((&told["table"]["added"], &told["table"]["changed"]), (&1.into(), &1.into()), "{told}");
    let refused = project.run(&["diff", "a", "--partition", "us"]).exited(2);
    assert!(refused.stderr.contains("no older version of a"), "{}", refused.stderr);
    let refused = project.run(&["diff", "a"]).exited(2);
    assert!(refused.stderr.contains("say which: `--partition KEY`"), "{}", refused.stderr);
}
