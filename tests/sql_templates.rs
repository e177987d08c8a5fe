//! Templates in SQL: `ref`, `vars`, `env` and secrets, tables that nobody declares, and where mistakes are shown.

use rusqlite::Connection;

use crate::support::Project;

const BODY: &str = r#"default_io = "warehouse"
[vars]
least = 2
[io.warehouse]
type = "sqlite"
path = "shop.sqlite"
[source."raw/orders"]
files = ["orders.csv"]
[[models]]
files = ["models/*.sql"]
"#;

fn shop(model: &str) -> Project {
    let project = Project::new().manifest(BODY).file("models/large.sql", model);
    project.file("orders.csv", "id,amount\na,1\nb,2\nc,3\n")
}

fn rows(project: &Project, sql: &str) -> String {
    let connection = Connection::open(project.path("shop.sqlite")).unwrap();
    connection.query_row(sql, [], |it| it.get::<_, String>(0)).unwrap()
}

/// Code and subject of each reason why an asset is not fresh.
fn why(project: &Project, key: &str) -> Vec<(String, String)> {
    project.reasons(&[]).into_iter().filter(|it| it.0 == key).map(|it| (it.1, it.2)).collect()
}

#[test]
fn what_is_referred_to_is_read_and_upstream() {
    let project = shop("select id\nfrom {{ ref(\"raw/orders\") }}\nwhere amount >= {{ vars.least }}\n");
    project.write("models/count.sql", "select count(*) || '' as n from {{ ref('large') }}\n");
    project.run(&["materialize"]).succeeded();
    assert_eq!(rows(&project, "select n from count"), "2");
    let rendered = project.run(&["render", "large"]).succeeded().stdout;
    assert_eq!(rendered, "select id\nfrom \"raw/orders\"\nwhere amount >= 2\n");
    let list = project.run(&["list", "--json"]).succeeded().json();
    let deps: Vec<_> = list["assets"].as_array().unwrap().iter().map(|it| it["deps"].to_string()).collect();
    assert_eq!(deps, [r#"["large"]"#, r#"["raw/orders"]"#, "[]"]);
    // The value is told by its name, and how the text is set out does not count.
    project.write("models/large.sql", "select id from {{ ref('raw/orders') }} -- all\nwhere amount >= {{vars.least}}");
    project.run(&["status"]).succeeded();
    project.edit("assets.toml", "least = 2", "least = 3");
    assert_eq!(why(&project, "large"), [("config_changed".to_owned(), "vars.least".to_owned())]);
    project.run(&["materialize"]).succeeded();
    assert_eq!(rows(&project, "select n from count"), "1");
    project.edit("models/large.sql", ">=", ">");
    assert_eq!(why(&project, "large"), [("code_changed".to_owned(), "models/large.sql".to_owned())]);
    let why = project.run(&["why", "large"]).succeeded().stdout;
    assert!(why.contains("amount > {{ vars.least }}"), "{why}");
}

#[test]
fn mistakes_in_templates_are_told_in_their_place() {
    for (model, told) in [
        (
            "select *\nfrom {{ ref(\"raw/ordres\") }}\n",
            &["there is no asset or source `raw/ordres`", "models/large.sql:2:14", "did you mean `raw/orders`?"][..],
        ),
        ("select * from {{ ref(vars.least) }}", &["`ref` takes one key: `ref(\"KEY\")`"]),
        ("select * from {{ ref('a', 'b') }}", &["`ref` takes one key"]),
        ("select {{ vars.lest }}", &["`vars.lest` is not declared", "did you mean `vars.least`?"]),
        (
            "{{ config(materialized='table') }} select 1 as n",
            &["`config` is not known", "models/large.sql:1:4", "[asset.KEY] materialized"],
        ),
        ("select {{ var('least') }} as n", &["`var` is not known", "models/large.sql:1:11", "write `vars.NAME`"]),
        ("select {{ partition.key }}", &["there are no partitions here", "models/large.sql:1:11"]),
        ("select {{ inputs.large }}", &["a query is known before anything is run"]),
        ("select '{{ env.STAGE }}'", &["environment variable STAGE is not set", "default("]),
        ("select {{ env[vars.least] }}", &["which variable of the environment is meant?"]),
        // In the template, though the text that is parsed is another.
        (
            "select {{ vars.least }} as a,\n{% if vars.least > 1 %}  1 as b,{% endif %} 2 as c\nfrom nowhere",
            &["there is no asset or source `nowhere`", "models/large.sql:3:6"],
        ),
        ("select {{ vars.least }} as a\nfrom \"raw/orders\" where )", &["models/large.sql:2:25"]),
    ] {
        let output = shop(model).run(&["validate"]).exited(2);
        told.iter().for_each(|it| assert!(output.stderr.contains(it), "{it}: {}", output.stderr));
    }
}

#[test]
fn what_the_engine_says_is_shown_where_it_was_written() {
    let project = shop("{% set n = vars.least + 1 %}select id, {{ n }},\n       dya\nfrom {{ ref(\"raw/orders\") }}\n");
    let output = project.run(&["materialize"]).exited(1);
    for part in ["no such column: dya", "models/large.sql:2:8", "       dya", "       ^^^"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    // Of what was inserted, the tag.
    project.edit("assets.toml", "least = 2", "least = \"dya\"");
    project.write("models/large.sql", "select id,\n       {{ vars.least }}\nfrom {{ ref(\"raw/orders\") }}\n");
    let output = project.run(&["materialize"]).exited(1);
    for part in ["no such column: dya", "models/large.sql:2:8", "{{ vars.least }}", "^^^^^^^^^^^^^^^^"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    assert!(!output.stderr.contains("from \"raw/orders\""), "{}", output.stderr);
    let output = project.run(&["materialize", "-v"]).exited(1);
    assert!(
        output.stderr.contains("       dya\n") && output.stderr.contains("from \"raw/orders\""),
        "{}",
        output.stderr
    );
}

#[test]
fn what_is_wrong_in_a_text_with_escapes_is_shown_in_the_manifest() {
    let shown = |sql: &str, more: &str, arguments: &[&str]| {
        let cut = if more.is_empty() { "" } else { "partitions = \"daily\"\n" };
        let asset = format!("[asset.a]\nformat = \"csv\"\n{cut}sql = {sql}\n");
        let project = Project::new().manifest(&format!("{more}[vars]\nleast = \"dya\"\n{asset}"));
        let output = project.run(&[&["materialize"], arguments].concat()).exited(1).stderr;
        let lines: Vec<&str> =
            output.lines().map(str::trim).skip_while(|it| !it.starts_with("error[")).take(6).collect();
        let line = lines[1].split(':').nth(1).unwrap();
        let margin = output.lines().find_map(|it| it.find("sql = ")).unwrap();
        let drawn = output.lines().filter(|it| it.contains("sql = ") || it.contains('^'));
        let drawn: Vec<String> = drawn.map(|it| it[margin..].to_owned()).collect();
        (lines[0].to_owned(), lines[1].replacen(line, "N", 1), drawn)
    };
    let told = |column: usize, drawn: [&str; 2]| {
        let drawn = drawn.map(str::to_owned).to_vec();
        ("error[A0035]: there is no column `dya`".to_owned(), format!("--> assets.toml:N:{column}"), drawn)
    };
    assert_eq!(
        shown(r#""select \"x\" + 1, \t dya from (select 1 as \"x\")""#, "", &[]),
        told(
            29,
            [r#"sql = "select \"x\" + 1, \t dya from (select 1 as \"x\")""#, r#"                            ^^^"#,]
        )
    );
    // What was inserted, by its tag.
    assert_eq!(
        shown(r#""select \"x\", {{ vars.least }} from (select 1 as \"x\")""#, "", &[]),
        told(
            22,
            [
                r#"sql = "select \"x\", {{ vars.least }} from (select 1 as \"x\")""#,
                r#"                     ^^^^^^^^^^^^^^^^"#,
            ]
        )
    );
    // After what stands for a partition.
    let daily = "[partitions.daily]\ntype = \"time\"\nevery = \"day\"\nstart = \"2026-01-01\"\n";
    assert_eq!(
        shown(
            r#""select '{{ partition.key }}' as \"d\", dya from (select 1 as \"x\")""#,
            daily,
            &["--partition", "2026-01-01"]
        ),
        told(
            47,
            [
                r#"sql = "select '{{ partition.key }}' as \"d\", dya from (select 1 as \"x\")""#,
                r#"                                              ^^^"#,
            ]
        )
    );
    // What is told before anything is run, too.
    let project = Project::new().manifest("[asset.a]\nsql = \"select \\\"x\\\"\\nfrom nobody, other\"\n");
    let told = project.run(&["validate"]).exited(2).stderr;
    assert!(told.contains("assets.toml:4:27") && told.contains("assets.toml:4:35"), "{told}");
}

#[test]
fn a_variable_of_the_environment_counts_set_or_not() {
    let mut project = shop("select '{{ env.STAGE | default(\"none\") }}' as stage\n");
    project.run(&["materialize"]).succeeded();
    assert_eq!(rows(&project, "select stage from large"), "none");
    // Absent is not the same as what it then stands for.
    for (value, stage) in [(Some("none"), "none"), (Some("dev"), "dev"), (None, "none")] {
        match value {
            Some(value) => project.set_env("STAGE", value),
            None => project.unset_env("STAGE"),
        }
        assert_eq!(why(&project, "large"), [("env_changed".to_owned(), "STAGE".to_owned())], "{value:?}");
        project.run(&["materialize"]).succeeded();
        assert_eq!(rows(&project, "select stage from large"), stage);
        project.run(&["status"]).succeeded();
    }
}

#[test]
fn a_secret_is_inserted_and_stands_nowhere() {
    let mut project = shop("select length('{{ env.TOKEN }}') || '' as n, dya from \"raw/orders\"\n");
    project.edit("assets.toml", "files = [\"models/*.sql\"]", "files = [\"models/*.sql\"]\nsecret_env = [\"TOKEN\"]");
    project.set_env("TOKEN", "correct-horse");
    let failed = project.run(&["materialize", "-v"]).exited(1);
    for part in ["no such column: dya", "models/large.sql:1:46"] {
        assert!(failed.stderr.contains(part), "{part}: {}", failed.stderr);
    }
    project.edit("models/large.sql", ", dya", "");
    let mut said = vec![failed.stderr, failed.stdout];
    for arguments in [&["render", "large"][..], &["materialize"], &["show", "large", "--json"], &["logs"]] {
        let output = project.run(arguments).succeeded();
        said.extend([output.stdout, output.stderr]);
    }
    assert_eq!(said[2], "select length('***') || '' as n from \"raw/orders\"\n");
    assert_eq!(rows(&project, "select n from large limit 1"), "13");
    project.set_env("TOKEN", "another");
    assert_eq!(why(&project, "large"), [("env_changed".to_owned(), "TOKEN".to_owned())]);
    said.push(project.run(&["why", "large"]).stdout);
    for (name, content) in project.snapshot() {
        let found = content.windows(13).any(|it| it == b"correct-horse");
        assert!(!found, "{name}");
    }
    assert!(said.iter().all(|it| !it.contains("correct-horse")), "{said:?}");
    project.unset_env("TOKEN");
    let output = project.run(&["materialize"]).exited(1);
    assert!(output.stderr.contains("environment variable TOKEN is not set"), "{}", output.stderr);
    // What is made of it cannot be known before it is run.
    project.write("models/large.sql", "select '{{ env.TOKEN | upper }}' as t");
    let output = project.run(&["validate"]).exited(2);
    assert!(output.stderr.contains("a secret can be inserted, and nothing else"), "{}", output.stderr);
}

#[test]
fn a_secret_that_a_query_put_into_its_rows_is_not_shown_with_those_that_fail() {
    let mut project = shop("select '{{ env.TOKEN }}' as token, 'x {{ env.TOKEN }}' as more");
    let checks = "secret_env = [\"TOKEN\"]\n[asset.large]\nchecks = [{ accepted_values = { column = \"token\", values = [\"a\"] } }]";
    project.edit("assets.toml", "files = [\"models/*.sql\"]", &format!("files = [\"models/*.sql\"]\n{checks}"));
    project.set_env("TOKEN", "correct-horse");
    let failed = project.run(&["materialize"]).exited(4);
    assert!(failed.stderr.contains("x ***"), "{}", failed.stderr);
    let again = project.run(&["show", "large", "--json"]);
    for said in [failed.stderr, failed.stdout, again.stdout] {
        assert!(!said.contains("correct-horse"), "{said}");
    }
    for (name, content) in project.snapshot() {
        let found = content.windows(13).any(|it| it == b"correct-horse");
        assert!(!found, "{name}");
    }
}

#[test]
fn tables_that_nobody_declares_may_be_read_if_that_is_said() {
    let project = shop("select id from legacy_orders union all select id from \"raw/orders\"");
    let output = project.run(&["validate"]).exited(2);
    assert!(output.stderr.contains("there is no asset or source `legacy_orders`"), "{}", output.stderr);
    Connection::open(project.path("shop.sqlite"))
        .unwrap()
        .execute_batch("create table legacy_orders as select 'z' as id")
        .unwrap();
    let manifest = project.read("assets.toml");
    for (old, new) in [
        ("path = \"shop.sqlite\"\n", "path = \"shop.sqlite\"\nexternal_tables = [\"Legacy_*\"]\n"),
        ("default_io = \"warehouse\"\n", "default_io = \"warehouse\"\nexternal_tables = [\"legacy_*\"]\n"),
        ("files = [\"models/*.sql\"]\n", "files = [\"models/*.sql\"]\nexternal_tables = [\"legacy_orders\"]\n"),
        ("[[models]]\n", "[asset.large]\nexternal_tables = [\"*\"]\n[[models]]\n"),
    ] {
        project.write("assets.toml", &manifest);
        project.edit("assets.toml", old, new);
        project.run(&["validate"]).succeeded();
    }
    project.run(&["materialize"]).succeeded();
    assert_eq!(rows(&project, "select group_concat(id, '') from large"), "zabc");
    // Files have no others.
    project.edit("assets.toml", "type = \"sqlite\"\npath = \"shop.sqlite\"", "type = \"fs\"");
    let output = project.run(&["validate"]).exited(2);
    assert!(output.stderr.contains("are those of a database, and this query reads files"), "{}", output.stderr);
}

/// As it stands in the project, and as it is run for one partition.
#[test]
fn the_query_of_one_partition_is_shown() {
    let sql = "select '{{ partition.keys.day }}' as day, '{{ partition.keys.shop }}' as shop, {{ vars.least }} as least, \
        '{{ partition.key }}' as part, '{{ partition.start }}' as start";
    let body = format!(
        r#"
[vars]
least = 3
[io.db]
type = "sqlite"
path = "shop.sqlite"
[partitions.daily]
type = "time"
every = "day"
start = "2026-03-01"
end = "2026-03-04"
[partitions.shop]
type = "static"
keys = ["north", "mo's"]
[partitions.both]
type = "multi"
dimensions = {{ day = "daily", shop = "shop" }}
[asset.daily]
sql = """{sql}"""
io = "db"
partitions = "both"
partition_column = {{ day = "day", shop = "shop" }}
[asset.all]
sql = "select 1 as one"
io = "db"
"#
    );
    let project = Project::new().manifest(&body);
    let told = |arguments: &[&str]| project.run(arguments).succeeded().stdout;
    assert_eq!(told(&["render", "daily"]), format!("{}\n", sql.replace("{{ vars.least }}", "3")));
    let of_one = "select '2026-03-02' as day, 'mo''s' as shop, 3 as least, 'day=2026-03-02,shop=mo''s' as part, \
        '2026-03-02T00:00:00Z' as start\n";
    let partition = ["--partition", "day=2026-03-02,shop=mo's"];
    assert_eq!(told(&[&["render", "daily"], &partition[..]].concat()), of_one);
    // It is what is run.
    project.run(&[&["materialize", "-s", "daily"], &partition[..]].concat()).succeeded();
    let kept = told(&["query", "select * from daily", "--format", "json"]);
    let asked = told(&["query", of_one.trim_end(), "--format", "json"]);
    assert_eq!(kept, asked);
    for (partition, said) in [
        ("day=2026-03-09,shop=north", "--partition day=2026-03-09,shop=north: "),
        ("all", "--partition all: 6 partitions, where one is meant"),
    ] {
        let run = project.run(&["render", "daily", "--partition", partition]).exited(2).stderr;
        assert!(run.contains(said), "{run}");
    }
    let run = project.run(&["render", "all", "--partition", "2026-03-01"]).exited(2).stderr;
    assert!(run.contains("all has no partitions") && run.contains("leave `--partition` out"), "{run}");
}
