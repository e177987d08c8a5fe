//! Every point at which the process may die between staging and recording, and what is right after.
//!
//! A crash is played by dropping everything but what the caller has recorded by then: the target, the
//! attempt, and, once there is an intent, the token and the content. Managers whose content outlives
//! the process are opened anew; for others the same instance goes on.

use crate::{
    exec::io::{IoManager, Probed, Recovered, Staged, Target},
    model::project::Shape,
};

use super::{Broken, Case, Outcome, World, any, attempt, same, visible, write};

pub(super) const CASES: &[Case] = &[
    Case { name: "crash_after_stage", applies: any, check: |it| died_before_intent(it, false) },
    Case { name: "crash_while_writing", applies: any, check: |it| died_before_intent(it, true) },
    Case { name: "crash_before_publish", applies: any, check: |it| died_with_intent(it, false) },
    Case { name: "crash_before_record", applies: any, check: |it| died_with_intent(it, true) },
    Case { name: "crash_then_changed_by_others", applies: any, check: crash_then_changed_by_others },
    Case { name: "recovery_is_repeatable", applies: any, check: recovery_is_repeatable },
];

/// Each shape, with and without something visible before, staged and in place.
fn variants(world: &World) -> Vec<(Target, bool)> {
    let mut all = Vec::new();
    let manners: &[(bool, &str)] =
        if world.keeps_rows() { &[(false, "staged")] } else { &[(false, "staged"), (true, "in_place")] };
    for &shape in world.shapes() {
        let shape_name = if shape == Shape::File { "file" } else { "folder" };
        for &(in_place, manner) in manners {
            for (before, had) in [(false, "new"), (true, "old")] {
                let target = world.named(shape, &format!("{shape_name}-{manner}-{had}"));
                all.push((Target { in_place, ..target }, before));
            }
        }
    }
    all
}

/// The manager as the next process finds it.
fn after_crash(world: &World) -> Option<Box<dyn IoManager>> {
    world.manager.capabilities().persistent.then(|| (world.make)())
}

fn old(world: &World, target: &Target, before: bool) -> Outcome {
    if before {
        world.published(&Target { in_place: false, ..target.clone() }, 1, "old")?;
    }
    Ok(())
}

/// All that is known of an attempt that died before its intent was recorded.
fn remains(world: &World, target: &Target) -> Staged {
    Staged {
        target: target.clone(),
        attempt: attempt(world.name, 2),
        path: std::path::PathBuf::new(),
        token: Vec::new(),
    }
}

fn died_before_intent(world: &World, writing: bool) -> Outcome {
    for (target, before) in variants(world) {
        old(world, &target, before)?;
        let staged = world.stage(&target, 2)?;
        if writing {
            write(&staged, "half of the n")?;
        }
        let next = after_crash(world);
        let manager = next.as_deref().unwrap_or(&*world.manager);
        for _ in 0..2 {
            manager.discard(&remains(world, &target))?;
            visible(world.visible(&target)?.as_deref(), before.then_some("old"))?;
        }
    }
    Ok(())
}

fn died_with_intent(world: &World, published: bool) -> Outcome {
    for (target, before) in variants(world) {
        old(world, &target, before)?;
        let (staged, content) = world.written(&target, 2, "new")?;
        if published {
            world.manager.publish(&staged, &content)?;
        }
        let next = after_crash(world);
        let manager = next.as_deref().unwrap_or(&*world.manager);
        let Recovered::Published(stored) = manager.recover(&target, &staged.token, &content)? else {
            return Err(Broken(format!("{}: complete content was given up", target.key)));
        };
        visible(world.visible(&target)?.as_deref(), Some("new"))?;
        same("probe", &manager.probe(&target, &stored)?, &Probed::Same)?;
        // Nothing is left that a later clean-up could take for unfinished.
        manager.discard(&remains(world, &target))?;
        visible(world.visible(&target)?.as_deref(), Some("new"))?;
    }
    Ok(())
}

fn crash_then_changed_by_others(world: &World) -> Outcome {
    for (target, before) in variants(world).into_iter().filter(|(it, _)| !it.in_place) {
        old(world, &target, before)?;
        let (staged, content) = world.written(&target, 2, "new")?;
        world.manager.publish(&staged, &content)?;
        world.published(&target, 3, "somebody else's")?;
        let next = after_crash(world);
        let manager = next.as_deref().unwrap_or(&*world.manager);
        same("recovery", &manager.recover(&target, &staged.token, &content)?, &Recovered::Lost)?;
        visible(world.visible(&target)?.as_deref(), Some("somebody else's"))?;
    }
    Ok(())
}

fn recovery_is_repeatable(world: &World) -> Outcome {
    for (target, before) in variants(world) {
        old(world, &target, before)?;
        let (staged, content) = world.written(&target, 2, "new")?;
        for _ in 0..3 {
            let Recovered::Published(_) = world.manager.recover(&target, &staged.token, &content)? else {
                return Err(Broken(format!("{}: a repeated recovery gave up", target.key)));
            };
            visible(world.visible(&target)?.as_deref(), Some("new"))?;
        }
    }
    Ok(())
}
