//! What is true of managers that keep all partitions of an asset in one table.

use crate::{
    base::fs,
    exec::{
        io::{Capabilities, Content, IoError, Loaded, Probed, Recovered, Slice, Slices, Staged, Target},
        table::write::csv_text,
    },
    model::key::PartitionKey,
    plan::record::StoredOutput,
};

use super::{Broken, Case, Outcome, World, attempt, same};

pub(super) const CASES: &[Case] = &[
    Case { name: "a_partition_is_replaced_alone", applies, check: a_partition_is_replaced_alone },
    Case { name: "a_partition_of_no_rows_is_there", applies, check: a_partition_of_no_rows_is_there },
    Case { name: "a_partition_is_deleted_alone", applies, check: a_partition_is_deleted_alone },
    Case { name: "rows_of_others_are_refused", applies, check: rows_of_others_are_refused },
    Case { name: "two_keys_of_one_value_are_refused", applies, check: two_keys_of_one_value_are_refused },
    Case { name: "other_columns_are_refused", applies, check: other_columns_are_refused },
    Case { name: "values_are_kept_or_refused", applies, check: values_are_kept_or_refused },
    Case { name: "partitions_at_once", applies, check: partitions_at_once },
    Case { name: "a_table_is_not_its_partitions", applies, check: a_table_is_not_its_partitions },
    Case { name: "crash_with_partitions", applies, check: crash_with_partitions },
];

const fn applies(it: Capabilities) -> bool {
    it.tables && !it.files && it.partitions
}

/// One of the table of this case. Keys are as people make them, quotes and all.
fn part(world: &World, key: &str) -> Target {
    Target { partition: PartitionKey::new(key), slice: of_column(key), ..world.table("it") }
}

fn of_column(key: &str) -> Option<Slice> {
    Some(Slice { columns: vec![("part".to_owned(), key.to_owned())] })
}

/// Rows of the partition with these numbers.
fn rows(key: &str, numbers: &[u32]) -> String {
    let lines = numbers.iter().map(|it| format!("{it},\"{}\"\n", key.replace('"', "\"\"")));
    format!("n,part\n{}", lines.collect::<String>())
}

fn staged(world: &World, target: &Target, number: u32, csv: &str) -> Result<(Staged, Content), Broken> {
    let staged = world.stage(target, number)?;
    fs::write(&staged.path, csv.as_bytes())?;
    let content = world.manager.inspect(&staged)?;
    Ok((staged, content))
}

fn published(world: &World, target: &Target, number: u32, numbers: &[u32]) -> Result<StoredOutput, Broken> {
    let (staged, content) = staged(world, target, number, &rows(target.partition.as_str(), numbers))?;
    Ok(world.manager.publish(&staged, &content)?)
}

/// The numbers that are there, sorted; `None` if the target is not.
fn numbers(world: &World, target: &Target) -> Result<Option<Vec<u32>>, Broken> {
    let broken = |it: &dyn std::fmt::Display| Broken(format!("rows could not be read: {it}"));
    let rows = match world.manager.load(target) {
        Ok(Loaded::Rows(rows)) => rows,
        Ok(other) => return Err(broken(&format!("{other:?}"))),
        Err(IoError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut numbers = Vec::new();
    for batch in rows {
        let batch = batch.map_err(|it| broken(&it))?;
        let text = csv_text(&batch, false).map_err(|it| broken(&it))?;
        numbers.extend(text.lines().filter_map(|it| it.split(',').next()?.trim_matches('"').parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(Some(numbers))
}

fn a_partition_is_replaced_alone(world: &World) -> Outcome {
    let (one, two) = (part(world, "day 1"), part(world, "it's \"2\""));
    let first = published(world, &one, 1, &[1, 2])?;
    let other = published(world, &two, 2, &[3])?;
    let second = published(world, &one, 3, &[4])?;
    same("the partition", &numbers(world, &one)?, &Some(vec![4]))?;
    same("the other", &numbers(world, &two)?, &Some(vec![3]))?;
    same("the table", &numbers(world, &world.table("it"))?, &Some(vec![3, 4]))?;
    same("probe of the new", &world.manager.probe(&one, &second)?, &Probed::Same)?;
    same("probe of the old", &world.manager.probe(&one, &first)?, &Probed::Modified)?;
    same("probe of the other", &world.manager.probe(&two, &other)?, &Probed::Same)?;
    same("the other read in full", &world.manager.probe_in_full(&two, &other)?, &Probed::Same)?;
    let never = part(world, "day 2");
    same("probe of what was never made", &world.manager.probe(&never, &other)?, &Probed::Missing)?;
    same("content of what was never made", &world.manager.current(&never)?, &None)
}

fn a_partition_of_no_rows_is_there(world: &World) -> Outcome {
    let (one, two) = (part(world, "one"), part(world, "two"));
    published(world, &two, 1, &[1])?;
    let stored = published(world, &one, 2, &[])?;
    same("probe", &world.manager.probe(&one, &stored)?, &Probed::Same)?;
    same("read in full", &world.manager.probe_in_full(&one, &stored)?, &Probed::Same)?;
    same("the partition", &numbers(world, &one)?, &Some(vec![]))?;
    same("the other", &numbers(world, &two)?, &Some(vec![1]))
}

fn a_partition_is_deleted_alone(world: &World) -> Outcome {
    let (one, two) = (part(world, "one"), part(world, "two"));
    world.manager.delete(&one)?;
    let stored = published(world, &one, 1, &[1])?;
    let other = published(world, &two, 2, &[2])?;
    world.manager.delete(&one)?;
    world.manager.delete(&one)?;
    same("the partition", &numbers(world, &one)?, &None)?;
    same("probe", &world.manager.probe(&one, &stored)?, &Probed::Missing)?;
    same("probe of the other", &world.manager.probe(&two, &other)?, &Probed::Same)?;
    same("the other", &numbers(world, &two)?, &Some(vec![2]))
}

fn rows_of_others_are_refused(world: &World) -> Outcome {
    let one = part(world, "one");
    let stored = published(world, &one, 1, &[1])?;
    for csv in ["n,part\n2,one\n3,two\n", "n,part\n2,one\n3,\n", "n,other\n2,one\n"] {
        let stage = world.stage(&one, 2)?;
        fs::write(&stage.path, csv.as_bytes())?;
        if let Ok(content) = world.manager.inspect(&stage) {
            return Err(Broken(format!("{csv:?} was taken for one partition: {content:?}")));
        }
        world.manager.discard(&stage)?;
    }
    same("the partition", &numbers(world, &one)?, &Some(vec![1]))?;
    same("probe", &world.manager.probe(&one, &stored)?, &Probed::Same)
}

/// Each would replace the rows of the other.
fn two_keys_of_one_value_are_refused(world: &World) -> Outcome {
    let known = |key: &str| Target { slices: Some(Slices::new(of_column)), ..part(world, key) };
    // A text tells them apart, whatever it looks like.
    published(world, &known("1x"), 1, &[1])?;
    published(world, &known("01x"), 2, &[2])?;
    same("the partition", &numbers(world, &known("1x"))?, &Some(vec![1]))?;
    world.manager.delete(&world.table("it"))?;
    let stored = published(world, &known("1"), 3, &[1])?;
    published(world, &known("2"), 4, &[2])?;
    for (number, csv) in [(5, "n,part\n7,1\n"), (6, "n,part\n")] {
        let stage = world.stage(&known("01"), number)?;
        fs::write(&stage.path, csv.as_bytes())?;
        match world.manager.inspect(&stage).and_then(|it| world.manager.publish(&stage, &it)) {
            Err(IoError::Refused { .. }) => world.manager.discard(&stage)?,
            other => return Err(Broken(format!("{csv:?} took the rows of another partition away: {other:?}"))),
        }
        same("the rows that were there", &numbers(world, &known("1"))?, &Some(vec![1]))?;
        same("probe", &world.manager.probe(&known("1"), &stored)?, &Probed::Same)?;
    }
    // What it has made it may make again.
    published(world, &known("1"), 7, &[3])?;
    same("the partition", &numbers(world, &known("1"))?, &Some(vec![3]))
}

fn other_columns_are_refused(world: &World) -> Outcome {
    let (one, two) = (part(world, "one"), part(world, "two"));
    published(world, &one, 1, &[1])?;
    let stage = world.stage(&two, 2)?;
    fs::write(&stage.path, b"n,part,more\n2,two,x\n")?;
    let published = world.manager.inspect(&stage).and_then(|it| world.manager.publish(&stage, &it));
    match published {
        Err(IoError::Refused { .. }) => world.manager.discard(&stage)?,
        other => return Err(Broken(format!("rows with other columns: {other:?}"))),
    }
    same("the table", &numbers(world, &world.table("it"))?, &Some(vec![1]))?;
    // In another order they are the same.
    let (stage, content) = staged(world, &two, 3, "part,n\ntwo,2\n")?;
    let stored = world.manager.publish(&stage, &content)?;
    same("the partition", &numbers(world, &two)?, &Some(vec![2]))?;
    same("probe", &world.manager.probe(&two, &stored)?, &Probed::Same)
}

/// A database would round, cut or convert what it has no room for, and say nothing.
fn values_are_kept_or_refused(world: &World) -> Outcome {
    let first = part(world, "first");
    let (stage, content) = staged(world, &first, 1, "n,x,t,part\n1,0.5,007,first\n")?;
    world.manager.publish(&stage, &content)?;
    let of_columns = ["1.5,2.5,008", "2,3,008", ",,", "9007199254740993,9007199254740993,008", "a,1.5,1.5", "1,b,c"];
    for (number, columns) in (2..).zip(of_columns) {
        let target = part(world, &format!("part {number}"));
        let csv = format!("n,x,t,part\n{columns},part {number}\n");
        let stage = world.stage(&target, number)?;
        fs::write(&stage.path, csv.as_bytes())?;
        match world.manager.inspect(&stage) {
            Err(IoError::Refused { .. }) => world.manager.discard(&stage)?,
            Err(error) => return Err(error.into()),
            Ok(content) => {
                let stored = world.manager.publish(&stage, &content)?;
                let found = world.manager.probe_in_full(&target, &stored)?;
                same(&format!("what became of {columns}"), &found, &Probed::Same)?;
                let was = |it: &str| it.trim_start_matches('0').to_owned();
                let Ok(Loaded::Rows(rows)) = world.manager.load(&target) else {
                    return Err(Broken("rows did not come back".to_owned()));
                };
                let batches: Result<Vec<_>, _> = rows.collect();
                let texts = batches.map_err(|it| Broken(it.to_string()))?;
                let text = texts.iter().map(|it| csv_text(it, false).unwrap_or_default()).collect::<String>();
                for (is, expected) in text.trim_end().split(',').zip(columns.split(',')) {
                    let is = is.trim_matches('"').trim_end_matches(".0");
                    same(&format!("a value of {columns}"), &was(is), &was(expected))?;
                }
            }
        }
    }
    Ok(())
}

/// The first of them make the table.
fn partitions_at_once(world: &World) -> Outcome {
    let targets: Vec<Target> = (0..12).map(|it| part(world, &format!("part {it}"))).collect();
    let failures: Vec<Broken> = std::thread::scope(|scope| {
        let make = |(target, number): (_, u32)| scope.spawn(move || published(world, target, number, &[number]));
        let running: Vec<_> = targets.iter().zip(1..).map(make).collect();
        let ended = running.into_iter().map(|it| it.join().unwrap_or_else(|_| Err(Broken("panicked".to_owned()))));
        ended.filter_map(Result::err).collect()
    });
    if let Some(first) = failures.into_iter().next() {
        return Err(first);
    }
    for (target, number) in targets.iter().zip(1..) {
        same("a partition", &numbers(world, target)?, &Some(vec![number]))?;
    }
    same("the table", &numbers(world, &world.table("it"))?, &Some((1..=12).collect()))
}

/// What was written down of one is not believed after the other was written.
fn a_table_is_not_its_partitions(world: &World) -> Outcome {
    let (whole, one, two) = (world.table("it"), part(world, "one"), part(world, "two"));
    let of_one = published(world, &one, 1, &[1])?;
    let of_two = published(world, &two, 2, &[2])?;
    let (stage, content) = staged(world, &whole, 3, "n,part\n1,one\n9,two\n")?;
    let of_whole = world.manager.publish(&stage, &content)?;
    same("probe of what stayed", &world.manager.probe(&one, &of_one)?, &Probed::Same)?;
    same("probe of what changed", &world.manager.probe(&two, &of_two)?, &Probed::Modified)?;
    published(world, &two, 4, &[2])?;
    same("probe of the table", &world.manager.probe(&whole, &of_whole)?, &Probed::Modified)?;
    world.manager.delete(&whole)?;
    same("probe of a table that is gone", &world.manager.probe(&whole, &of_whole)?, &Probed::Missing)?;
    same("probe of a part of what is gone", &world.manager.probe(&one, &of_one)?, &Probed::Missing)
}

fn crash_with_partitions(world: &World) -> Outcome {
    let (one, two) = (part(world, "one"), part(world, "two"));
    published(world, &one, 1, &[1])?;
    for (number, is_published) in [(2, false), (3, true)] {
        let (stage, content) = staged(world, &two, number, &rows("two", &[number]))?;
        // Another partition is staged at the same time: it is nobody's remains.
        let (beside, its_content) = staged(world, &one, number + 10, &rows("one", &[number]))?;
        if is_published {
            world.manager.publish(&stage, &content)?;
        }
        let next = world.manager.capabilities().persistent.then(|| (world.make)());
        let manager = next.as_deref().unwrap_or(&*world.manager);
        for _ in 0..2 {
            let Recovered::Published(stored) = manager.recover(&two, &stage.token, &content)? else {
                return Err(Broken("complete content was given up".to_owned()));
            };
            same("the partition", &numbers(world, &two)?, &Some(vec![number]))?;
            same("probe", &manager.probe(&two, &stored)?, &Probed::Same)?;
        }
        manager.publish(&beside, &its_content)?;
        same("the other", &numbers(world, &one)?, &Some(vec![number]))?;
        let remains = Staged { target: two.clone(), attempt: attempt(world.name, number), ..stage };
        manager.discard(&remains)?;
        same("the partition", &numbers(world, &two)?, &Some(vec![number]))?;
    }
    Ok(())
}
