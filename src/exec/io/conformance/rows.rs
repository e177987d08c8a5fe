//! What is true of managers that keep tables.

use crate::{
    base::{digest::Digest, fs},
    exec::{
        io::{Content, Target},
        table::{digest::TableDigest, read},
    },
    model::format::TableFormat,
};

use super::{Broken, Case, Outcome, World, same, tables, visible};

pub(super) const CASES: &[Case] = &[
    Case { name: "rows_in_any_order_are_one_version", applies: tables, check: rows_in_any_order_are_one_version },
    Case { name: "what_differs_has_another_version", applies: tables, check: what_differs_has_another_version },
    Case { name: "versions_are_those_of_the_rows", applies: tables, check: versions_are_those_of_the_rows },
    Case { name: "odd_names_are_names", applies: tables, check: odd_names_are_names },
];

fn published(world: &World, target: &Target, number: u32, csv: &str) -> Result<Content, Broken> {
    let staged = world.stage(target, number)?;
    fs::write(&staged.path, csv.as_bytes())?;
    let content = world.manager.inspect(&staged)?;
    world.manager.publish(&staged, &content)?;
    Ok(content)
}

fn rows_in_any_order_are_one_version(world: &World) -> Outcome {
    let one = published(world, &world.table("one"), 1, "id,text\n1,a\n2,b\n2,b\n")?;
    let two = published(world, &world.table("two"), 2, "id,text\n2,b\n1,a\n2,b\n")?;
    same("data version", &two.data_version, &one.data_version)?;
    same("rows", &(one.rows, two.rows), &(Some(3), Some(3)))
}

/// Each differs from the first in one thing that rows can differ in.
fn what_differs_has_another_version(world: &World) -> Outcome {
    const TABLES: [&str; 8] = [
        "id,text\n1,a\n2,b\n",
        "id,text\n1,a\n2,c\n",
        "id,text\n1,b\n2,a\n",
        "id,text\n1,a\n2,b\n2,b\n",
        "id,text\n1,a\n2,\n",
        "id,name\n1,a\n2,b\n",
        "text,id\na,1\nb,2\n",
        "id,text\n1.5,a\n2,b\n",
    ];
    let mut seen: Vec<(Digest, &str)> = Vec::new();
    for (number, csv) in (1..).zip(TABLES) {
        let version = published(world, &world.table(&number.to_string()), number, csv)?.data_version;
        if let Some((_, other)) = seen.iter().find(|it| it.0 == version) {
            return Err(Broken(format!("{csv:?} and {other:?} have one data version")));
        }
        seen.push((version, csv));
    }
    Ok(())
}

/// So a table that is handed on to another manager is the same there: of types that every engine has.
fn versions_are_those_of_the_rows(world: &World) -> Outcome {
    let csv = "id,price,name\n1,0.5,\"a, \"\"b\"\"\"\n-2,,\"\u{e9}\n\"\n9007199254740993,1e300,\n";
    let target = world.table("all");
    let staged = world.stage(&target, 1)?;
    fs::write(&staged.path, csv.as_bytes())?;
    let digest = read::open(std::slice::from_ref(&staged.path), TableFormat::Csv).and_then(TableDigest::of);
    let digest = digest.map_err(|it| Broken(it.to_string()))?;
    let content = world.manager.inspect(&staged)?;
    same("data version", &content.data_version, &digest.digest)?;
    world.manager.publish(&staged, &content)?;
    same("current", &world.manager.current(&target)?.map(|it| it.data_version), &Some(digest.digest))
}

fn odd_names_are_names(world: &World) -> Outcome {
    for (number, name) in (1..).zip(["with \"quotes\"", "it's; drop table x --", "Caf\u{e9} %s {0}", "select"]) {
        let target = world.table(name);
        world.published(&target, number, name.trim_matches('"').replace('"', "'").as_str())?;
        visible(world.visible(&target)?.as_deref(), Some(name.trim_matches('"').replace('"', "'").as_str()))?;
        world.manager.delete(&target)?;
        visible(world.visible(&target)?.as_deref(), None)?;
    }
    Ok(())
}
