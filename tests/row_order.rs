//! The order of rows: nothing to a table, and part of a file whose query asks for one.

use crate::support::{Project, asset_of, told::text};

/// The best row of `c` by a command, of a file in the order that the query says.
fn best(io: &str, format: &str, order: &str) -> String {
    let given = "deps = [{ asset = \"top\", format = \"csv\" }]\nformat = \"txt\"\n";
    format!(
        "default_io = \"files\"\n[io.files]\ntype = \"fs\"\nroot = \"data\"\n{io}\n[source.c]\nfiles = [\"c.csv\"]\n"
    ) + &format!("[asset.top]\nsql = \"select id, v from c {order}\"\nformat = \"{format}\"\n")
        + if io.is_empty() { "" } else { "io = \"lake\"\n" }
        + &asset_of("best", &[], "sed -n 2p {{ inputs.top }} > {{ output }}").replace("deps = []\n", "")
        + given
}

fn unchanged(project: &Project, key: &str, arguments: &[&str]) -> bool {
    let told = project.run(&[&["materialize", "--json"], arguments].concat()).succeeded().json();
    let steps = told["steps"].as_array().unwrap().clone();
    let step = steps.iter().find(|it| it["key"] == key).unwrap_or_else(|| panic!("{key} is in {told:#}")).clone();
    text(&step["outcome"]) != "built" || step["unchanged"] == true
}

/// Files of every form, in a folder and in an object store: another order is another file, and its readers see it.
#[test]
fn another_order_of_a_file_is_published_and_seen() {
    let lake = "[io.lake]\ntype = \"object_store\"\nurl = \"file://lake\"\n";
    for io in ["", lake] {
        for format in ["csv", "jsonl", "parquet", "arrow"] {
            let project =
                Project::new().manifest(&best(io, format, "order by v")).file("c.csv", "id,v\n1,10\n2,20\n3,15\n");
            project.run(&["materialize"]).succeeded();
            assert_eq!(project.read("data/best.txt"), "1,10\n", "{format}");
            project.write_manifest(&best(io, format, "order by v desc limit 3"));
            project.run(&["materialize"]).succeeded();
            assert_eq!(project.read("data/best.txt"), "2,20\n", "{format}");
            project.settled(&[]);
            // The same order again cuts off.
            project.write_manifest(&best(io, format, "order by v desc limit 4"));
            assert!(unchanged(&project, "top", &[]), "{format}");
            assert_eq!(project.read("data/best.txt"), "2,20\n", "{format}");
        }
    }
}

/// Without one, rows are the same in any order, and what is forced is there as it was made.
#[test]
fn rows_without_an_order_are_the_same_in_any_until_they_are_forced() {
    let project = Project::new().manifest(&best("", "csv", "")).file("c.csv", "id,v\n1,10\n2,20\n");
    project.run(&["materialize"]).succeeded();
    assert_eq!(project.read("data/top.csv"), "id,v\n1,10\n2,20\n");
    project.write("c.csv", "id,v\n2,20\n1,10\n");
    assert!(unchanged(&project, "top", &[]));
    assert_eq!(project.read("data/top.csv"), "id,v\n1,10\n2,20\n");
    assert!(!unchanged(&project, "top", &["top", "-f"]));
    assert_eq!(project.read("data/top.csv"), "id,v\n2,20\n1,10\n");
    assert!(unchanged(&project, "top", &["top", "-f"]), "these very bytes");
    project.settled(&[]);
}
