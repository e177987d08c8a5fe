//! Damage to the tool's own files, of which none may cost a run.

use crate::oracle::Bench;

/// Damages one file of the state and tells how; `None` if there is none yet.
///
/// Database and journal answer for each other, so a project only ever loses bytes of one of the two:
/// which one its seed says. Indexes are never missed.
pub fn damage(bench: &mut Bench) -> Option<String> {
    let spared = if bench.seed % 4 < 2 { "state.db" } else { ".assets/journal/" };
    let wanted = |name: &str| {
        let state = name.contains("state.db") || name.contains("/journal/") || name.ends_with(".idx");
        name.starts_with(".assets/") && state && !name.contains(spared)
    };
    let files: Vec<_> = bench.project.snapshot().into_iter().filter(|it| !it.1.is_empty() && wanted(&it.0)).collect();
    if files.is_empty() {
        return None;
    }
    let random = &mut bench.random;
    let (name, mut content) = random.pick(&files).clone();
    let at = random.below(content.len());
    let how = match random.below(5) {
        0 => {
            bench.project.remove(&name);
            return Some(format!("removed {name}"));
        }
        1 => {
            content.truncate(at);
            "cut short"
        }
        2 => {
            let end = content.len().min(at + 4096);
            content[at..end].fill(0);
            "filled with zeros"
        }
        3 => {
            let end = content.len().min(at + 1 + random.below(64));
            content[at..end].iter_mut().for_each(|it| *it = it.wrapping_mul(13).wrapping_add(7));
            "overwritten with noise"
        }
        _ => {
            content[at] ^= 1 << random.below(8);
            "changed by a bit"
        }
    };
    bench.project.write(&name, content);
    Some(format!("{name} is {how} at {at}"))
}
