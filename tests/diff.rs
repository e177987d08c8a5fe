//! `assets diff`: two versions of an asset beside each other, of one target or of two.

use crate::support::{Project, postgres::Server};

const BODY: &str = r#"[io.files]
type = "fs"
root = "data"
[target.lite.io.files]
type = "sqlite"
path = "lite.sqlite"
[target.prod.io.files]
type = "postgres"
url = "{{ env.DATABASE_URL | default('postgres://nobody@127.0.0.1:1/none') }}"
[source.raw]
files = ["raw.csv"]
[asset.orders]
sql = "select * from raw"
[[asset.orders.checks]]
unique = ["id"]
[asset.loose]
sql = "select customer, amount from orders"
"#;

const BEFORE: &str = "id,customer,amount\n1,ann,10\n2,bob,4\n3,ann,2\n4,eve,7\n";
const AFTER: &str = "id,customer,amount\n1,ann,10\n2,bob,5\n3,,2\n5,zoe,2\n6,zoe,2\n";

fn built() -> Project {
    let project = Project::new().manifest(BODY).file("raw.csv", BEFORE);
    project.run(&["materialize"]).succeeded();
    project.write("raw.csv", AFTER);
    project.run(&["materialize"]).succeeded();
    project
}

fn first_run(project: &Project) -> String {
    let runs = project.run(&["runs", "--json"]).succeeded();
    let document: serde_json::Value = serde_json::from_str(&runs.raw_stdout).unwrap();
    document["runs"].as_array().unwrap().last().unwrap()["run"].as_str().unwrap().to_owned()
}

#[test]
fn rows_are_told_apart_by_what_is_unique() {
    let project = built();
    expect_test::expect![[r#"
        orders: [RUN] -> now
        rows: 4 -> 5 (+1)
        by id: 2 added, 1 removed, 2 changed

        columns:
              id        max 4 -> 6, distinct 4 -> 5
              customer  1 changed, nulls 0 -> 1, max eve -> zoe
              amount    1 changed, distinct 4 -> 3

        added:
              id  customer  amount
               5  zoe            2
               6  zoe            2

        removed:
              id  customer  amount
               4  eve            7

        changed:
              id  customer     amount
               2  bob          4 -> 5
               3  ann -> NULL  2
    "#]]
    .assert_eq(&project.run(&["diff", "orders"]).succeeded().stdout);
    let json = project.run(&["diff", "orders", "-n", "1", "--json"]).succeeded().json();
    let table = &json["table"];
    assert_eq!((&table["added"], &table["removed"], &table["changed"]), (&2.into(), &1.into(), &2.into()));
    assert_eq!(table["added_rows"], serde_json::json!([{"id": "5", "customer": "zoe", "amount": "2"}]));
    assert_eq!(table["columns"][2]["changed"], 1);
    // The same question, asked in other words.
    let run = first_run(&project);
    let asked = project.run(&["diff", "orders", "--from", &run, "--to", "latest", "--json"]).succeeded().json();
    assert_eq!(asked["table"], project.run(&["diff", "orders", "--json"]).succeeded().json()["table"]);
    let back = project.run(&["diff", "orders", "--from", "latest", "--to", &run, "--json"]).succeeded().json();
    assert_eq!((&back["table"]["added"], &back["table"]["removed"]), (&1.into(), &2.into()));
    let same = project.run(&["diff", "orders", "--from", "latest"]).succeeded().stdout;
    assert!(same.ends_with("nothing is different\n"), "{same}");
}

#[test]
fn rows_without_a_key_are_compared_whole() {
    let project = built();
    let told = project.run(&["diff", "loose"]).succeeded().stdout;
    assert!(told.contains("\n4 added, 3 removed\n"), "{told}");
    // How often a row is there counts.
    let json = project.run(&["diff", "loose", "--json"]).succeeded().json();
    assert_eq!(json["table"]["added_rows"].as_array().unwrap().len(), 3, "{json}");
    assert_eq!(json["table"]["by"], serde_json::json!([]));
    let output = project.run(&["diff", "loose", "--key", "customer"]).exited(1);
    assert!(output.stderr.contains("`customer` is not different in every row"), "{}", output.stderr);
    let output = project.run(&["diff", "orders", "--key", "idd"]).exited(1);
    assert!(output.stderr.contains("there is no column `idd` here: there are id, "), "{}", output.stderr);
    let json = project.run(&["diff", "orders", "--key", "id,customer", "--json"]).exited(1);
    assert!(json.stderr.contains("is NULL in some rows"), "{}", json.stderr);
}

#[test]
fn columns_come_go_and_change() {
    let project = built();
    project.edit("assets.toml", "select * from raw", "select amount, cast(id as varchar) as id, 1 as more from raw");
    project.edit("assets.toml", "select customer, amount from orders", "select amount from orders");
    project.run(&["materialize"]).succeeded();
    let told = project.run(&["diff", "orders"]).succeeded().stdout;
    for part in [
        "by id: 0 added, 0 removed, 0 changed\n",
        "more      added, int\n",
        "customer  removed, was text\n",
        "id        int -> text\n",
        "stand in another order\n",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = project.run(&["diff", "loose"]).succeeded().stdout;
    assert!(told.contains("note: rows are compared by the columns that both have\n0 added, 0 removed\n"), "{told}");
}

#[test]
fn what_is_kept_no_more_is_told() {
    let project = Project::new().manifest(BODY).file("raw.csv", BEFORE);
    assert!(project.run(&["diff", "orders"]).exited(2).stderr.contains("no older version of orders is recorded"));
    project.run(&["materialize"]).succeeded();
    assert!(project.run(&["diff", "orders"]).exited(2).stderr.contains("`--to TARGET` compares with another target"));
    let first = first_run(&project);
    for amount in 20..25 {
        project.write("raw.csv", format!("id,customer,amount\n1,ann,{amount}\n"));
        project.run(&["materialize"]).succeeded();
    }
    project.run(&["diff", "orders"]).succeeded();
    let output = project.run(&["diff", "orders", "--from", &first]);
    assert!(output.code == 1 || output.code == 2, "{}", output.stderr);
    let told = ["is not kept any more", "nothing is recorded of orders"];
    assert!(told.iter().any(|it| output.stderr.contains(it)), "{}", output.stderr);
    // A database keeps none.
    for amount in [1, 2] {
        project.write("raw.csv", format!("id,customer,amount\n1,ann,{amount}\n"));
        project.run(&["materialize", "-t", "lite"]).succeeded();
    }
    let output = project.run(&["diff", "orders", "-t", "lite"]).exited(1);
    for part in ["is not kept any more", "a database keeps none"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    let output = project.run(&["diff", "orders", "--to", "nowhere"]).exited(2);
    assert!(output.stderr.contains("`nowhere` is neither a run nor a target"), "{}", output.stderr);
}

#[test]
fn targets_are_compared_whatever_keeps_them() {
    let database = Server::shared().database();
    let project = Project::new().manifest(BODY).file("raw.csv", BEFORE).env("DATABASE_URL", &database.url());
    for target in ["lite", "prod"] {
        project.run(&["materialize", "-t", target]).succeeded();
    }
    project.write("raw.csv", AFTER);
    project.run(&["materialize"]).succeeded();
    for target in ["lite", "prod"] {
        let json = project.run(&["diff", "orders", "--from", target, "--to", "default", "--json"]).succeeded().json();
        let table = &json["table"];
        assert_eq!(table["rows"], serde_json::json!([4, 5]), "{target}");
        assert_eq!((&table["added"], &table["removed"], &table["changed"]), (&2.into(), &1.into(), &2.into()));
        assert_eq!(json["from"]["target"], target);
    }
    let same = project.run(&["-t", "lite", "diff", "orders", "--to", "prod"]).succeeded().stdout;
    assert!(same.contains("orders: now -> prod") && same.ends_with("nothing is different\n"), "{same}");
}

#[test]
fn texts_are_compared_line_by_line() {
    let body = "[asset.note]\ncommand = \"cp in {{ output }}\"\nsources = [\"in\"]\nformat = \"txt\"\n";
    let project = Project::new().manifest(body).file("in", "a\nb\n");
    project.run(&["materialize"]).succeeded();
    project.write("in", "a\nc\n");
    project.run(&["materialize"]).succeeded();
    let told = project.run(&["diff", "note"]).succeeded().stdout;
    assert_eq!(told, "note: [RUN] -> now\n  @@ -1,2 +1,2 @@\n   a\n  -b\n  +c\n");
}

/// Seeded edits of many rows are found exactly, however they are asked for.
#[test]
fn every_edit_of_many_rows_is_found() {
    let body = "[source.raw]\nfiles = [\"raw.csv\"]\n[asset.many]\nsql = \"select * from raw\"\n";
    let row = |it: u32| format!("{it},{},{}\n", it % 7, it * 3);
    let rows = |edit: &dyn Fn(u32) -> Option<String>| -> String {
        let rows: String = (0..20_000).filter_map(edit).collect();
        format!("id,kind,value\n{rows}")
    };
    let project = Project::new().manifest(body).file("raw.csv", &rows(&|it| Some(row(it))));
    project.run(&["materialize"]).succeeded();
    let edited = |it: u32| match it % 1000 {
        7 => None,
        11 => Some(format!("{it},{},\n", it % 7)),
        13 => Some(format!("{it},{},-1\n{},1,1\n", it % 7, it + 100_000)),
        _ => Some(row(it)),
    };
    project.write("raw.csv", rows(&edited));
    project.run(&["materialize"]).succeeded();
    let keyed = project.run(&["diff", "many", "--key", "id", "--json"]).succeeded().json()["table"].clone();
    assert_eq!((&keyed["added"], &keyed["removed"], &keyed["changed"]), (&20.into(), &20.into(), &40.into()));
    assert_eq!(keyed["columns"][2]["nulls"], serde_json::json!([0, 20]));
    let whole = project.run(&["diff", "many", "--json"]).succeeded().json()["table"].clone();
    assert_eq!((&whole["added"], &whole["removed"]), (&60.into(), &60.into()));
}
