//! The same files give the same rows to the engine that is built in, to DuckDB, and to what is handed over.

use crate::support::{Project, duckdb::library};

/// Each source is copied by a query into a file, and by one in DuckDB; both are handed to a command as csv.
fn project(sources: &[(&str, &str)]) -> Project {
    let mut body = "default_io = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n\
        [io.dk]\ntype = \"duckdb\"\npath = \"wh.duckdb\"\n"
        .to_owned();
    for (key, files) in sources {
        body += &format!("[source.{key}]\nfiles = [{files:?}]\n");
        body += &format!("[asset.{key}_file]\nsql = \"select * from {key}\"\nformat = \"csv\"\n");
        body += &format!("[asset.{key}_duck]\nsql = \"select * from {key}\"\nio = \"dk\"\n");
        body += &format!("[asset.{key}_back]\ncommand = \"cp {{{{ inputs.{key}_duck }}}} {{{{ output }}}}\"\n");
        body += &format!("deps = [{{ asset = \"{key}_duck\", format = \"csv\" }}]\nformat = \"csv\"\n");
    }
    Project::new().manifest(&body).env("ASSETS_DUCKDB_LIBRARY", library().to_str().unwrap())
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1..].sort_unstable();
    lines
}

#[test]
fn odd_files_of_text_are_read_alike() {
    let long = format!("id,t\n1,{}\n2,b\n", "x".repeat(3_000_000));
    let cases: &[(&str, &str, &str, Option<&str>)] = &[
        ("blank", "csv", "v\n1\n2\n\n", Some("v\n1\n2\n")),
        ("early", "csv", "\n\nv,w\n1,a\n", Some("v,w\n1,a\n")),
        ("ends", "csv", "v,w\r\n1,\"a\nb\"\n2,c\r\n", None),
        ("within", "csv", "v,w\n1,\"a\nb\"\n2,\"\"\"c\"\"\"\n", None),
        ("long", "csv", &long, Some(&long)),
        ("middle", "csv", "v,w\n1,a\"b\n", None),
        ("mixed", "jsonl", "{\"a\":1}\n\n{\"a\":\"x\"}\n{\"a\":2.50}\n", Some("a\n1\nx\n2.50\n")),
        ("large", "jsonl", "{\"a\":18446744073709551615}\n{\"a\":1}\n", Some("a\n18446744073709551615\n1\n")),
        ("exact", "jsonl", "{\"a\":9007199254740993}\n{\"a\":1}\n", Some("a\n9007199254740993\n1\n")),
        ("half", "jsonl", "{\"a\":9007199254740993}\n{\"a\":1.5}\n", Some("a\n9007199254740993\n1.5\n")),
        ("plain", "csv", "id,t,d\r\n1,\"a,b\",2026-01-01\r\n2,,2026-01-02\r\n", None),
    ];
    let names: Vec<String> = cases.iter().map(|it| format!("raw/{}.{}", it.0, it.1)).collect();
    let sources: Vec<_> = cases.iter().zip(&names).map(|(it, file)| (it.0, file.as_str())).collect();
    let project = project(&sources);
    for (case, file) in cases.iter().zip(&names) {
        project.write(file, case.2);
    }
    project.run(&["materialize"]).succeeded();
    for (key, _, _, expected) in cases {
        let (file, back) =
            (project.read(&format!("data/{key}_file.csv")), project.read(&format!("data/{key}_back.csv")));
        assert!(sorted(&file) == sorted(&back), "{key}: {file:.200?} and {back:.200?}");
        if let Some(expected) = expected {
            assert!(sorted(expected) == sorted(&file), "{key}: {file:.200?}");
        }
    }
}

/// Files of one table that we wrote ourselves, with other columns and other numbers.
#[test]
fn parquet_files_with_other_columns_are_one_table() {
    let made = |key: &str, sql: &str| format!("[asset.{key}]\nsql = \"{sql}\"\npath = \"../made/{key}.parquet\"\n");
    let parts = |third: &str| {
        made("one", "select 1 as id, 2.5 as v")
            + &made("two", "select 2 as id, 3 as v, 'x' as c")
            + &made("three", third)
    };
    let io = "default_io = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data/out\"\n";
    let maker = Project::new()
        .manifest(&(io.to_owned() + &parts("select 3 as id, 4 as v, 'y' as c").replace("../made", "made")));
    maker.run(&["materialize"]).succeeded();
    let project = project(&[("s", "raw/*.parquet")]);
    let copy = |from: &Project, name: &str| {
        let bytes = std::fs::read(from.path(&format!("data/out/made/{name}.parquet"))).unwrap();
        project.write(&format!("raw/{name}.parquet"), bytes);
    };
    ["one", "two", "three"].iter().for_each(|it| copy(&maker, it));
    project.run(&["materialize"]).succeeded();
    for file in ["data/s_file.csv", "data/s_back.csv"] {
        let text = project.read(file);
        let header = text.lines().next().unwrap();
        assert_eq!(text.lines().count(), 4, "{file}: {text}");
        assert!(header.contains("id") && header.contains('c'), "{file}: {text}");
    }
    assert_eq!(sorted(&project.read("data/s_file.csv")), sorted(&project.read("data/s_back.csv")));
    // What does not fit together is told with the file in which it is so, in both.
    maker.write_manifest(&(io.to_owned() + &made("three", "select 'z' as id, 4 as v").replace("../made", "made")));
    maker.run(&["materialize"]).succeeded();
    copy(&maker, "three");
    let output = project.run(&["materialize", "-k"]).exited(1);
    let told = output.stderr.matches("s: its files do not fit together: `id` is Int64 in raw/").count();
    assert!(
        told + output.stderr.matches("s: its files do not fit together: `id` is Utf8 in raw/").count() >= 2,
        "{}",
        output.stderr
    );
}

/// What an engine says has the file of the query with it, and what a reader says the file that it read.
#[test]
fn mistakes_without_a_place_have_a_file() {
    let body = "default_io = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n[source.c]\nfiles = [\"raw/*.csv\"]\n\
        [source.l]\nfiles = [\"l.jsonl\"]\n[asset.divided]\nsql = \"models/divided.sql\"\n\
        [asset.cast]\nsql = \"select cast(name as int) as n from c\"\n[asset.lines]\nsql = \"select * from l\"\n";
    let project = Project::new()
        .manifest(body)
        .file("models/divided.sql", "select id / (id - id) as n from c\n")
        .file("raw/a.csv", "id,name\n1,ann\n")
        .file("l.jsonl", "{\"a\": 1}\n{\"a\": \n");
    let output = project.run(&["materialize", "-k"]).exited(1);
    for told in [
        "models/divided.sql: division by zero",
        "assets.toml: Cannot cast string 'ann'",
        "l: l.jsonl, line 2: no JSON object",
    ] {
        assert!(output.stderr.contains(told), "{told}: {}", output.stderr);
    }
    project.write("raw/b.csv", "id,name\n1\n");
    let output = project.run(&["materialize", "divided"]).exited(1);
    assert!(output.stderr.contains("c: raw/b.csv: is not csv"), "{}", output.stderr);
    project.write("raw/b.csv", "id,title\n1,x\n");
    let output = project.run(&["materialize", "divided"]).exited(1);
    assert!(output.stderr.contains("raw/b.csv has others than raw/a.csv"), "{}", output.stderr);
}
