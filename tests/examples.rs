//! The examples are projects that work: from nothing to fresh, and after an edit exactly what must run does.

use std::collections::BTreeMap;

use crate::support::{Output, Project, duckdb::library, postgres::Server};

/// How each asset of a run ended, fresh ones left out.
fn outcomes(output: &Output) -> BTreeMap<String, String> {
    let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
    let document = output.json();
    let steps = document["steps"].as_array().expect("steps are a list");
    let told = steps.iter().map(|it| (text(&it["key"]), text(&it["outcome"])));
    told.filter(|it| it.1 != "fresh").collect()
}

fn materialized(project: &Project, arguments: &[&str]) -> BTreeMap<String, String> {
    outcomes(&project.run(&[&["materialize", "--json"], arguments].concat()).succeeded())
}

#[track_caller]
fn expect(told: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    let expected: BTreeMap<String, String> = expected.iter().map(|it| (it.0.into(), it.1.into())).collect();
    assert_eq!(told, &expected);
}

/// Fresh now, and a second run says so.
#[track_caller]
fn settled(project: &Project, arguments: &[&str]) {
    project.run(&[&["status"], arguments].concat()).succeeded();
    let again = project.run(&[&["materialize"], arguments].concat()).succeeded();
    let told = format!("{}{}", again.stdout, again.stderr).to_lowercase();
    assert!(told.contains("are fresh"), "{told}");
}

const CEREALS: [&str; 4] = ["cereals", "display", "highest_calories", "highest_protein"];

fn cereal() -> Project {
    let project = Project::example("cereal");
    expect(&materialized(&project, &[]), &CEREALS.map(|it| (it, "built")));
    project
}

#[test]
fn cereal_from_nothing() {
    let project = cereal();
    assert_eq!(project.read("data/display.txt"), "Most calories: Almond Anvils\nMost protein:  Oat Oars\n");
    assert_eq!(project.read("data/cereals.csv"), project.read("raw/cereal.csv"));
    settled(&project, &[]);
}

#[test]
fn cereal_an_edit_stops_where_it_makes_no_difference() {
    let project = cereal();
    project.edit("raw/cereal.csv", "Corn Comets,Sunday Foods,110,2,0,12", "Corn Comets,Sunday Foods,110,2,0,13");
    let told = materialized(&project, &[]);
    let expected =
        [("cereals", "built"), ("highest_calories", "built"), ("highest_protein", "built"), ("display", "cut_off")];
    expect(&told, &expected);
    settled(&project, &[]);
}

#[test]
fn cereal_an_edit_that_matters_goes_through() {
    let project = cereal();
    project.edit("raw/cereal.csv", "Millet Moons,Old Bridge,95,", "Millet Moons,Old Bridge,195,");
    expect(&materialized(&project, &[]), &CEREALS.map(|it| (it, "built")));
    assert_eq!(project.read("data/display.txt"), "Most calories: Millet Moons\nMost protein:  Oat Oars\n");
    settled(&project, &[]);
}

#[test]
fn cereal_a_comment_in_the_code_ends_at_the_answers() {
    let project = cereal();
    let script = project.read("highest.awk");
    project.write("highest.awk", format!("# Only a comment.\n{script}"));
    let told = materialized(&project, &[]);
    expect(&told, &[("highest_calories", "built"), ("highest_protein", "built"), ("display", "cut_off")]);
    settled(&project, &[]);
    // Undone: what was made then is recognised, and nothing is run.
    project.write("highest.awk", script);
    let told = materialized(&project, &[]);
    expect(&told, &[("highest_calories", "restored"), ("highest_protein", "restored"), ("display", "cut_off")]);
    settled(&project, &[]);
}

#[test]
fn cereal_a_broken_table_fails_by_name_and_is_mended() {
    let project = cereal();
    let table = project.read("raw/cereal.csv");
    project.edit("raw/cereal.csv", "name,maker,calories,protein", "name,maker,calories,proteins");
    let failed = project.run(&["materialize"]).exited(1);
    assert!(failed.stderr.contains("there is no column protein"), "{}", failed.stderr);
    assert_eq!(project.read("data/highest_protein.csv").lines().count(), 2, "the last good version stays");
    project.write("raw/cereal.csv", table);
    project.run(&["materialize"]).succeeded();
    settled(&project, &[]);
}

const WEATHER: [&str; 10] = [
    "by_month",
    "daily",
    "days/new_york",
    "days/seattle",
    "extremes",
    "monthly",
    "report",
    "winter",
    "years/new_york",
    "years/seattle",
];

fn weather() -> Project {
    let project = Project::example("weather");
    expect(&materialized(&project, &[]), &WEATHER.map(|it| (it, "built")));
    project
}

/// Names in a folder, sorted.
fn names(project: &Project, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(project.path(folder)).expect("the folder is there");
    let mut names: Vec<String> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn weather_from_nothing() {
    let project = weather();
    assert_eq!(names(&project, "data/years/seattle"), ["2012.csv", "2013.csv", "2014.csv", "2015.csv"]);
    assert_eq!(project.read("data/years/new_york/2012.csv").lines().count(), 1 + 366);
    assert_eq!(project.read("data/monthly.csv").lines().count(), 1 + 2 * 48);
    let report = project.read("data/report.md");
    assert!(report.contains("| new_york | hottest | 2013-07-18 | 37.8 |"), "{report}");
    settled(&project, &[]);
}

#[test]
fn weather_a_failed_check_holds_back_what_depends_on_it() {
    let project = weather();
    let report = project.read("data/report.md");
    let failed = project.run(&["materialize", "--json", "--var", "hottest_believable=36"]).exited(4);
    expect(&outcomes(&failed), &[("extremes", "failed"), ("report", "skipped")]);
    assert!(failed.stderr.contains("new_york: 37.8 degrees on 2013-07-18"), "{}", failed.stderr);
    assert_eq!(project.read("data/report.md"), report);
    // With the limit of before nothing has changed.
    settled(&project, &[]);
}

#[test]
fn weather_a_variable_counts_for_what_names_it() {
    let project = weather();
    let told = materialized(&project, &["--var", "wet_mm=5.0"]);
    expect(&told, &[("monthly", "built"), ("report", "built")]);
}

#[test]
fn weather_a_city_that_did_not_change_is_left_alone() {
    let project = weather();
    project.edit("raw/weather.csv", "Seattle,2014-06-01,0.0,", "Seattle,2014-06-01,3.0,");
    let expected = [
        ("days/new_york", "built"),
        ("days/seattle", "built"),
        ("years/new_york", "cut_off"),
        ("years/seattle", "built"),
        ("monthly", "built"),
        ("extremes", "built"),
        ("report", "built"),
    ];
    expect(&materialized(&project, &[]), &expected);
    settled(&project, &[]);
}

#[test]
fn weather_a_day_that_comes_again_makes_its_month_and_the_winter() {
    let project = weather();
    assert_eq!(names(&project, "data/daily").len(), 61);
    assert!(project.read("data/winter.csv").contains("Seattle,2015-12,31,6.1,284.5"));
    let built = |arguments: &[&str]| -> Vec<String> {
        let document = project.run(&[&["materialize", "--json"], arguments].concat()).succeeded().json();
        let steps = document["steps"].as_array().unwrap().iter().filter(|it| it["outcome"] == "built");
        let name = |it: &serde_json::Value| line(it["key"].as_str().unwrap(), it["partition"].as_str());
        let mut built: Vec<String> = steps.map(name).collect();
        built.sort();
        built
    };
    let day = "raw/days/2015-12-24.csv";
    let text = project.read(day);
    let seattle = text.lines().find(|it| it.starts_with("Seattle,")).unwrap();
    let (rain, rest) = seattle.strip_prefix("Seattle,2015-12-24,").unwrap().split_once(',').unwrap();
    assert_ne!(rain, "9.9");
    project.write(day, text.replace(seattle, &format!("Seattle,2015-12-24,9.9,{rest}")));
    let status = project.run(&["status"]).exited(3);
    assert!(status.stdout.contains("60 of 61 partitions fresh; 2015-12-24 stale"), "{}", status.stdout);
    assert_eq!(built(&[]), ["by_month@2015-12", "daily@2015-12-24", "winter"]);
    // The last column is read by nobody.
    project.write(day, project.read(day).replace(",rain\n", ",drizzle\n").replace(",sun\n", ",fog\n"));
    assert_eq!(built(&[]), ["daily@2015-12-24"]);
    assert_eq!(built(&["--partition", "2015-12..", "-f", "-s", "daily"]).len(), 31);
    settled(&project, &[]);
}

fn line(key: &str, partition: Option<&str>) -> String {
    partition.map_or_else(|| key.to_owned(), |it| format!("{key}@{it}"))
}

#[test]
fn weather_targets_have_places_of_their_own() {
    let project = weather();
    let dev = materialized(&project, &["-t", "dev"]);
    assert_eq!(dev.len(), WEATHER.len(), "{dev:?}");
    assert_eq!(names(&project, "build/dev/years/seattle"), ["2015.csv"]);
    settled(&project, &["-t", "dev"]);
    materialized(&project, &["-t", "prod"]);
    assert_eq!(names(&project, "build/prod/years/seattle").len(), 4);
    settled(&project, &["-t", "prod"]);
    // What one target made is no answer for another, and does no harm to it.
    assert_eq!(names(&project, "data/years/seattle").len(), 4);
    materialized(&project, &[]);
    settled(&project, &[]);
}

#[test]
fn editors_find_no_fault_with_an_example() {
    let schema = jsonschema::draft7::new(&assets::model::manifest::json_schema()).unwrap();
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path().join("assets.toml");
        let table: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let json = serde_json::to_value(table).unwrap();
        let errors: Vec<String> = schema.iter_errors(&json).map(|it| format!("{}: {it}", it.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        seen += 1;
    }
    assert!(seen >= 2);
}

const SHOP: [&str; 12] = [
    "best_sellers",
    "customer_value",
    "customers",
    "daily_sales",
    "first_orders",
    "journal",
    "kinds",
    "orders",
    "products",
    "report",
    "sales",
    "tea_lovers",
];

/// What the owner reads is the same wherever the tables are.
#[track_caller]
fn shop(arguments: &[&str], project: &Project) {
    expect(&materialized(project, arguments), &SHOP.map(|it| (it, "built")));
    let report = project.read("pages/report.txt");
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines[1], "Gyokuro          522.00");
    assert_eq!(lines[6], "Aiko             190.20");
    settled(project, arguments);
    // An order that was cancelled, and one that brings the last day of March something.
    let late = |row: &str| {
        let path = "raw/orders/2026-03.csv";
        project.write(path, project.read(path) + row);
    };
    late("1999,2026-03-31,3,2,1,cancelled\n");
    let told = materialized(project, arguments);
    assert_eq!(told.iter().filter(|it| it.1 == "built").map(|it| it.0.as_str()).collect::<Vec<_>>(), ["orders"]);
    assert_eq!(told.values().filter(|it| *it == "cut_off").count(), 9);
    late("2000,2026-03-31,3,2,1,paid\n");
    let told = materialized(project, arguments);
    assert_eq!(told["journal"], "built");
    let last = ["query", "select orders, cents from journal where day = '2026-03-31'"];
    let told = project.run(&[&last[..], arguments, &["--format", "csv"]].concat()).succeeded();
    assert_eq!(told.stdout, "orders,cents\n2,2230\n");
    settled(project, arguments);
    late("2001,2026-03-31,3,2,1,lost\n");
    let told = project.run(&[&["materialize"], arguments].concat()).exited(4);
    assert!(told.stderr.contains("1 of 79 rows with another `status`"), "{}", told.stderr);
}

#[test]
fn shop_in_files() {
    shop(&[], &Project::example("shop"));
}

#[test]
fn shop_in_postgres() {
    let database = Server::shared().database();
    shop(&["-t", "prod"], &Project::example("shop").env("DATABASE_URL", &database.url()));
}

#[test]
fn shop_in_duckdb() {
    let project = Project::example("shop").env("ASSETS_DUCKDB_LIBRARY", library().to_str().unwrap());
    shop(&["-t", "duck"], &project);
}
