//! Storing and giving back, when nothing goes wrong and when the computation does.

use crate::{
    base::{digest::Digest, fs},
    exec::io::{IoError, Probed},
    model::project::Shape,
};

use super::{Broken, Case, Outcome, World, any, attempt, files, read, same, visible, write};

pub(super) const CASES: &[Case] = &[
    Case { name: "nothing_is_there_at_first", applies: any, check: nothing_is_there_at_first },
    Case { name: "what_is_published_comes_back", applies: any, check: what_is_published_comes_back },
    Case { name: "a_stage_is_not_visible", applies: any, check: a_stage_is_not_visible },
    Case { name: "discard_leaves_the_old", applies: any, check: discard_leaves_the_old },
    Case { name: "publish_replaces", applies: any, check: publish_replaces },
    Case { name: "in_place_is_taken_back", applies: files, check: in_place_is_taken_back },
    Case { name: "equal_content_has_equal_versions", applies: any, check: equal_content_has_equal_versions },
    Case { name: "file_versions_are_plain_blake3", applies: files, check: file_versions_are_plain_blake3 },
    Case { name: "a_missing_output_is_an_error", applies: any, check: a_missing_output_is_an_error },
    Case { name: "the_wrong_kind_is_an_error", applies: files, check: the_wrong_kind_is_an_error },
    Case { name: "the_shape_may_change", applies: files, check: the_shape_may_change },
    Case { name: "empty_content_is_content", applies: any, check: empty_content_is_content },
    Case { name: "probe_tells_missing_from_modified", applies: any, check: probe_tells_missing_from_modified },
    Case { name: "adopt_takes_only_equal_content", applies: any, check: adopt_takes_only_equal_content },
    Case { name: "delete_is_repeatable", applies: any, check: delete_is_repeatable },
    Case { name: "a_changed_stage_is_not_published", applies: any, check: a_changed_stage_is_not_published },
    Case { name: "targets_do_not_disturb_each_other", applies: any, check: targets_do_not_disturb_each_other },
    Case { name: "an_older_version_is_restored_or_not", applies: any, check: an_older_version_is_restored_or_not },
    Case { name: "another_instance_sees_it", applies: |it| it.persistent, check: another_instance_sees_it },
];

fn nothing_is_there_at_first(world: &World) -> Outcome {
    let target = world.target(Shape::File);
    same("current", &world.manager.current(&target)?, &None)?;
    same("adopt", &world.manager.adopt(&target, &Digest([7; 32]))?, &None)?;
    visible(world.visible(&target)?.as_deref(), None)
}

fn what_is_published_comes_back(world: &World) -> Outcome {
    for &shape in world.shapes() {
        let target = world.named(shape, if shape == Shape::File { "file" } else { "folder" });
        let (content, stored) = world.published(&target, 1, "one")?;
        visible(world.visible(&target)?.as_deref(), Some("one"))?;
        same("current", &world.manager.current(&target)?, &Some(content.clone()))?;
        same("probe", &world.manager.probe(&target, &stored)?, &Probed::Same)?;
        if !world.keeps_rows() {
            same("bytes", &content.bytes, &Some(3))?;
        }
    }
    Ok(())
}

fn a_stage_is_not_visible(world: &World) -> Outcome {
    let target = world.target(Shape::File);
    let staged = world.stage(&target, 1)?;
    same("what is at the staged path", &fs::look(&staged.path)?.is_some(), &false)?;
    let folder = staged.path.parent().map(fs::look_through).transpose()?.flatten();
    same("the folder of the staged path is there", &folder.is_some_and(|it| it.is_dir()), &true)?;
    write(&staged, "one")?;
    visible(world.visible(&target)?.as_deref(), None)?;
    world.manager.inspect(&staged)?;
    visible(world.visible(&target)?.as_deref(), None)?;
    world.manager.discard(&staged)?;
    same("the staged place after discard", &fs::look(&staged.path)?.is_some(), &false)?;
    visible(world.visible(&target)?.as_deref(), None)
}

fn discard_leaves_the_old(world: &World) -> Outcome {
    for &shape in world.shapes() {
        let target = world.named(shape, if shape == Shape::File { "file" } else { "folder" });
        let (_, stored) = world.published(&target, 1, "one")?;
        let staged = world.stage(&target, 2)?;
        write(&staged, "two")?;
        world.manager.discard(&staged)?;
        world.manager.discard(&staged)?;
        visible(world.visible(&target)?.as_deref(), Some("one"))?;
        same("probe", &world.manager.probe(&target, &stored)?, &Probed::Same)?;
    }
    Ok(())
}

fn publish_replaces(world: &World) -> Outcome {
    for &shape in world.shapes() {
        let target = world.named(shape, if shape == Shape::File { "file" } else { "folder" });
        let (_, first) = world.published(&target, 1, "one")?;
        let (_, second) = world.published(&target, 2, "two, and longer")?;
        visible(world.visible(&target)?.as_deref(), Some("two, and longer"))?;
        same("probe of the new", &world.manager.probe(&target, &second)?, &Probed::Same)?;
        same("probe of the old", &world.manager.probe(&target, &first)?, &Probed::Modified)?;
    }
    Ok(())
}

fn in_place_is_taken_back(world: &World) -> Outcome {
    for &shape in world.shapes() {
        let mut target = world.named(shape, if shape == Shape::File { "file" } else { "folder" });
        let (_, first) = world.published(&target, 1, "one")?;
        target.in_place = true;
        let (staged, _) = world.written(&target, 2, "two")?;
        world.manager.discard(&staged)?;
        visible(world.visible(&target)?.as_deref(), Some("one"))?;
        same("probe after discard", &world.manager.probe(&target, &first)?, &Probed::Same)?;
        world.manager.discard(&staged)?;
        visible(world.visible(&target)?.as_deref(), Some("one"))?;
        let (_, second) = world.published(&target, 3, "three")?;
        visible(world.visible(&target)?.as_deref(), Some("three"))?;
        same("probe after publish", &world.manager.probe(&target, &second)?, &Probed::Same)?;
    }
    Ok(())
}

fn equal_content_has_equal_versions(world: &World) -> Outcome {
    for &shape in world.shapes() {
        let name = if shape == Shape::File { "file" } else { "folder" };
        let (one, _) = world.published(&world.named(shape, name), 1, "the same")?;
        let (two, _) = world.published(&world.named(shape, &format!("{name}-2")), 2, "the same")?;
        let (three, _) = world.published(&world.named(shape, &format!("{name}-3")), 3, "not the same")?;
        same("versions of equal content", &one.data_version, &two.data_version)?;
        if one.data_version == three.data_version {
            return Err(Broken(format!("different content of a {name} has one data version")));
        }
    }
    Ok(())
}

fn file_versions_are_plain_blake3(world: &World) -> Outcome {
    let (content, _) = world.published(&world.target(Shape::File), 1, "id,amount\n1,2\n")?;
    same("data version", &content.data_version, &Digest::of(b"id,amount\n1,2\n"))
}

fn a_missing_output_is_an_error(world: &World) -> Outcome {
    for &shape in world.shapes() {
        let target = world.named(shape, if shape == Shape::File { "file" } else { "folder" });
        let staged = world.stage(&target, 1)?;
        match world.manager.inspect(&staged) {
            Err(IoError::OutputMissing(_)) => {}
            other => return Err(Broken(format!("inspect of nothing: {other:?}"))),
        }
        world.manager.discard(&staged)?;
    }
    Ok(())
}

fn the_wrong_kind_is_an_error(world: &World) -> Outcome {
    let file = world.stage(&world.named(Shape::File, "file"), 1)?;
    fs::create_folder(&file.path)?;
    let folder = world.stage(&world.named(Shape::Folder, "folder"), 2)?;
    fs::write(&folder.path, b"a file")?;
    for staged in [file, folder] {
        match world.manager.inspect(&staged) {
            Err(IoError::WrongKind { .. }) => {}
            other => return Err(Broken(format!("inspect of the wrong kind: {other:?}"))),
        }
        world.manager.discard(&staged)?;
        visible(world.visible(&staged.target)?.as_deref(), None)?;
    }
    Ok(())
}

fn the_shape_may_change(world: &World) -> Outcome {
    let as_file = world.target(Shape::File);
    let as_folder = super::Target { shape: Shape::Folder, ..as_file.clone() };
    for (number, target) in [(1, &as_file), (2, &as_folder), (3, &as_file)] {
        world.published(target, number, "one")?;
        visible(world.visible(target)?.as_deref(), Some("one"))?;
    }
    Ok(())
}

fn empty_content_is_content(world: &World) -> Outcome {
    for &shape in world.shapes() {
        let staged = world.stage(&world.named(shape, if shape == Shape::File { "file" } else { "folder" }), 1)?;
        match shape {
            Shape::File if world.keeps_rows() => fs::write(&staged.path, b"text\n")?,
            Shape::File => fs::write(&staged.path, b"")?,
            Shape::Folder => fs::create_folder(&staged.path)?,
        }
        let content = world.manager.inspect(&staged)?;
        let stored = world.manager.publish(&staged, &content)?;
        same("probe", &world.manager.probe(&staged.target, &stored)?, &Probed::Same)?;
        same("current", &world.manager.current(&staged.target)?, &Some(content))?;
    }
    Ok(())
}

fn probe_tells_missing_from_modified(world: &World) -> Outcome {
    let target = world.target(Shape::File);
    let (_, first) = world.published(&target, 1, "one")?;
    world.published(&target, 2, "two")?;
    same("probe of what was replaced", &world.manager.probe(&target, &first)?, &Probed::Modified)?;
    world.published(&target, 3, "one")?;
    same("probe of equal content", &world.manager.probe(&target, &first)?, &Probed::Same)?;
    world.manager.delete(&target)?;
    same("probe of what was deleted", &world.manager.probe(&target, &first)?, &Probed::Missing)
}

fn adopt_takes_only_equal_content(world: &World) -> Outcome {
    let target = world.target(Shape::File);
    let (content, _) = world.published(&target, 1, "one")?;
    same("adopting other content", &world.manager.adopt(&target, &Digest([7; 32]))?, &None)?;
    let Some(stored) = world.manager.adopt(&target, &content.data_version)? else {
        return Err(Broken("equal content was not adopted".to_owned()));
    };
    same("probe of what was adopted", &world.manager.probe(&target, &stored)?, &Probed::Same)
}

fn delete_is_repeatable(world: &World) -> Outcome {
    for &shape in world.shapes() {
        let target = world.named(shape, if shape == Shape::File { "file" } else { "folder" });
        world.manager.delete(&target)?;
        world.published(&target, 1, "one")?;
        world.manager.delete(&target)?;
        world.manager.delete(&target)?;
        visible(world.visible(&target)?.as_deref(), None)?;
        same("current", &world.manager.current(&target)?, &None)?;
    }
    Ok(())
}

/// Something that the command left behind still writes.
fn a_changed_stage_is_not_published(world: &World) -> Outcome {
    let target = world.target(Shape::File);
    world.published(&target, 1, "one")?;
    let (staged, content) = world.written(&target, 2, "two")?;
    fs::write(&staged.path, b"not what was inspected")?;
    match world.manager.publish(&staged, &content) {
        Err(IoError::Unstable { .. }) => {}
        // Rows that are read once are what they were then.
        Ok(_) if world.keeps_rows() => return visible(world.visible(&target)?.as_deref(), Some("two")),
        other => return Err(Broken(format!("publish of other content than was inspected: {other:?}"))),
    }
    visible(world.visible(&target)?.as_deref(), Some("one"))?;
    Ok(world.manager.discard(&staged)?)
}

fn targets_do_not_disturb_each_other(world: &World) -> Outcome {
    let names: Vec<String> = (0..16).map(|it| format!("it-{it}")).collect();
    let failures: Vec<Broken> = std::thread::scope(|scope| {
        let running: Vec<_> = (names.iter().zip(1..))
            .map(|(name, number)| {
                scope.spawn(move || {
                    let target = world.named(*world.shapes().last().expect("there is one"), name);
                    let staged = world.manager.stage(&target, &attempt(world.name, number))?;
                    write(&staged, name)?;
                    let content = world.manager.inspect(&staged)?;
                    world.manager.publish(&staged, &content)?;
                    visible(world.visible(&target)?.as_deref(), Some(name))
                })
            })
            .collect();
        running
            .into_iter()
            .filter_map(|it| it.join().unwrap_or_else(|_| Err(Broken("panicked".to_owned()))).err())
            .collect()
    });
    match failures.into_iter().next() {
        Some(first) => Err(first),
        None => Ok(()),
    }
}

/// Whether it is kept is the manager's business; that it is the right content is not.
fn an_older_version_is_restored_or_not(world: &World) -> Outcome {
    for &shape in world.shapes() {
        let target = world.named(shape, if shape == Shape::File { "file" } else { "folder" });
        let (one, _) = world.published(&target, 1, "one")?;
        let (staged, two) = world.written(&target, 2, "two")?;
        world.manager.publish_keeping(&staged, &two, &one.data_version)?;
        visible(world.visible(&target)?.as_deref(), Some("two"))?;
        same("restore of what never was", &world.manager.restore(&target, &Digest([7; 32]))?, &None)?;
        match world.manager.restore(&target, &one.data_version)? {
            None => visible(world.visible(&target)?.as_deref(), Some("two"))?,
            Some(stored) => {
                visible(world.visible(&target)?.as_deref(), Some("one"))?;
                same("probe of what was restored", &world.manager.probe(&target, &stored)?, &Probed::Same)?;
            }
        }
    }
    Ok(())
}

fn another_instance_sees_it(world: &World) -> Outcome {
    let target = world.target(*world.shapes().last().expect("there is one"));
    let (content, stored) = world.published(&target, 1, "one")?;
    let again = (world.make)();
    same("probe", &again.probe(&target, &stored)?, &Probed::Same)?;
    same("current", &again.current(&target)?, &Some(content))?;
    same("content", &read(again.load(&target)?, &target)?.as_str(), &"one")
}
