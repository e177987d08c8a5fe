//! Tables in Snowflake, as far as fakesnow tells: the real driver, a server that is not the real one.

use assets::{
    base::env::Environment,
    exec::io::{
        IoManager,
        adbc::{AdbcManager, open::database},
        conformance,
        maker::Maker,
    },
    model::{project::AdbcDatabase, sql::Dialect},
};

use crate::support::{
    Project,
    fakesnow::{Server, driver},
};

fn ran(project: &Project) -> Vec<String> {
    let mut steps: Vec<String> = project.materialized(&[]).into_iter().map(|it| format!("{} {}", it.0, it.1)).collect();
    steps.sort();
    steps
}

const SHOP: &str = r#"[source."raw/orders"]
files = ["raw/*.csv"]
[asset.orders]
sql = "select \"id\" as id, \"customer\" as customer, \"amount\" as amount from \"raw/orders\" where \"amount\" is not null"
io = "snow"
[asset."per/customer"]
sql = "select customer, count(*) as n from orders group by 1"
io = "snow"
checks = [{ not_null = ["customer"] }, { row_count = { min = 1 } }]
[asset.large]
sql = 'select * from "per/customer" where "N" > 1'
[asset.given]
command = "cp raw/orders.csv {{ output }}"
io = "snow"
[asset.back]
sql = "select l.customer, l.n, g.\"id\" as id from (select \"CUSTOMER\" as customer, \"N\" as n from large) l join given g on g.\"customer\" = l.customer and g.\"amount\" = 10.5"
io = "snow"
[asset.report]
command = "cat {{ inputs.back }} > {{ output }}"
deps = ["back"]
format = "txt"
"#;

#[test]
fn a_table_goes_through_files_and_snowflake_and_back() {
    let io = Server::shared().io("snow", "SHOP");
    let head = "default_io = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n";
    let project = Project::new()
        .manifest(&format!("{head}{io}{SHOP}"))
        .file("raw/orders.csv", "id,customer,amount\n007,ann,10.5\n008,bob,\n009,ann,7.25\n")
        .env("SNOWFLAKE_PASSWORD", "not-so-secret");
    let keys = ["back", "given", "large", "orders", "per/customer", "report"];
    assert_eq!(ran(&project), keys.map(|it| format!("{it} built")));
    assert_eq!(project.read("data/report.txt"), "CUSTOMER,N,ID\nann,2,007\n");
    assert_eq!(ran(&project), Vec::<String>::new());
    // The same rows from another text: nothing downstream is run.
    project.edit("assets.toml", "where \\\"amount\\\" is not null", "where \\\"amount\\\" > 0");
    let steps = ran(&project);
    let built: Vec<&String> = steps.iter().filter(|it| it.ends_with("built")).collect();
    assert_eq!(built, ["orders built"]);
    // What fails its checks is not published.
    project.edit(
        "assets.toml",
        "select customer, count(*) as n from orders",
        "select null as customer, count(*) as n from orders",
    );
    let refused = project.run(&["materialize"]);
    assert_eq!(refused.code, 4, "{}{}", refused.stdout, refused.stderr);
    project.edit("assets.toml", "select null as customer", "select nosuch as customer");
    let refused = project.run(&["materialize"]);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(refused.code != 0 && said.to_lowercase().contains("nosuch"), "{said}");
    let found = std::process::Command::new("grep").args(["-rl", "not-so-secret"]).arg(project.root()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn the_io_manager_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let of = AdbcDatabase {
        driver: Some(driver().to_str().unwrap().to_owned()),
        entrypoint: None,
        dialect: Dialect::Snowflake,
        file: None,
        schema: None,
        options: Server::shared().options("CONFORMS"),
    };
    let vars = Default::default();
    let env = [("SNOWFLAKE_PASSWORD", "not-so-secret")].into_iter().collect::<Environment>();
    let make = || -> Box<dyn IoManager> {
        Box::new(AdbcManager::new(database(folder.path(), &of, &vars, &env, Maker::new("it"))))
    };
    let report = conformance::run(&make);
    let failed: Vec<&str> = report.failed.iter().map(|it| it.0).collect();
    // Whole numbers come back as decimals; and of a quote in a name fakesnow makes an internal error of its own.
    assert_eq!(failed, ["versions_are_those_of_the_rows", "odd_names_are_names"], "{:?}", report.failed);
    assert!(format!("{:?}", report.failed[1].1).contains("HTTP Status: 500"), "{:?}", report.failed);
    assert_eq!(report.skipped, crate::io::OF_FILES);
}
