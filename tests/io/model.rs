//! Random lives of two outputs against the plainest model there is: what is visible.

use assets::exec::io::{Recovered, fs::sweep_leftovers};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Happens {
    Published {
        text: String,
        keep: bool,
    },
    Failed,
    /// The tool dies before the intent is recorded; the next one sweeps, or discards by name.
    DiedEarly {
        written: bool,
        swept: bool,
    },
    /// It dies after; the next one recovers.
    DiedLate {
        published: bool,
        text: String,
    },
    WentBack {
        versions: usize,
    },
    Deleted,
}

fn happens() -> impl Strategy<Value = Happens> {
    let text = || "[a-c]{1,3}";
    prop_oneof![
        4 => (text(), any::<bool>()).prop_map(|(text, keep)| Happens::Published { text, keep }),
        1 => Just(Happens::Failed),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(written, swept)| Happens::DiedEarly { written, swept }),
        2 => (any::<bool>(), text()).prop_map(|(published, text)| Happens::DiedLate { published, text }),
        2 => (1..4_usize).prop_map(|versions| Happens::WentBack { versions }),
        1 => Just(Happens::Deleted),
    ]
}

/// One output as the model sees it: what is visible, and every version that ever was.
#[derive(Default)]
struct Known {
    visible: Option<(Shape, String)>,
    versions: Vec<(Shape, String, Content)>,
}

impl Known {
    fn is_now(&mut self, shape: Shape, text: &str, content: Content) {
        self.visible = Some((shape, text.to_owned()));
        self.versions.push((shape, text.to_owned(), content));
    }
}

fn live(project: &Project, known: &mut Known, target: &Target, number: u32, what: Happens) {
    let manager = &project.manager;
    let next = || FsManager::new(project.at(""), path("data"));
    match what {
        Happens::Published { text, keep } => {
            let older = known.versions.last().map(|it| it.2.data_version);
            let staged = project.written(target, number, &text);
            let content = manager.inspect(&staged).unwrap();
            match older.filter(|_| keep) {
                Some(older) => manager.publish_keeping(&staged, &content, &older).unwrap(),
                None => manager.publish(&staged, &content).unwrap(),
            };
            known.is_now(target.shape, &text, content);
        }
        Happens::Failed => {
            let staged = project.written(target, number, "half");
            manager.discard(&staged).unwrap();
        }
        Happens::DiedEarly { written, swept } => {
            let staged = manager.stage(target, &attempt(number)).unwrap();
            if written {
                fs::write(&staged.path, "half").unwrap();
            }
            // A sweep knows no names: what an in-place command wrote where nothing was stays.
            if swept && !(target.in_place && known.visible.is_none()) {
                sweep_leftovers(project.folder.path(), &path("data"), &|_| false).unwrap();
            } else {
                let remains = Staged { path: PathBuf::new(), token: Vec::new(), ..staged };
                next().discard(&remains).unwrap();
            }
        }
        Happens::DiedLate { published, text } => {
            let staged = project.written(target, number, &text);
            let content = manager.inspect(&staged).unwrap();
            if published {
                manager.publish(&staged, &content).unwrap();
            }
            let recovered = next().recover(target, &staged.token, &content).unwrap();
            assert!(matches!(recovered, Recovered::Published(_)), "{recovered:?}");
            known.is_now(target.shape, &text, content);
        }
        Happens::WentBack { versions } => {
            let Some(at) = known.versions.len().checked_sub(versions) else { return };
            let (shape, text, content) = known.versions[at].clone();
            let target = Target { shape, ..target.clone() };
            if manager.restore(&target, &content.data_version).unwrap().is_some() {
                known.is_now(shape, &text, content);
            }
        }
        Happens::Deleted => {
            manager.delete(target).unwrap();
            known.visible = None;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_visible_is_always_what_it_should_be(
        swaps in prop_oneof![Just(Swaps::Allowed), Just(Swaps::Never)],
        lives in prop::collection::vec((0..2_usize, any::<bool>(), prop::bool::weighted(0.3), happens()), 1..25),
    ) {
        let project = Project::with(Limits::default(), swaps);
        let mut known = [Known::default(), Known::default()];
        for (number, (which, is_folder, in_place, what)) in lives.into_iter().enumerate() {
            let shape = if is_folder { Shape::Folder } else { Shape::File };
            let name = ["a", "b"][which];
            let key = AssetKey::parse(name).unwrap();
            let target = Target { in_place, key, ..target(shape, name) };
            live(&project, &mut known[which], &target, u32::try_from(number).unwrap(), what);
            for (name, known) in ["a", "b"].into_iter().zip(&known) {
                let at = project.at("data").join(name);
                let visible = match &known.visible {
                    None => { prop_assert!(!at.exists()); continue }
                    Some((Shape::File, text)) => (fs::read_to_string(&at).ok(), text),
                    Some((Shape::Folder, text)) => (fs::read_to_string(at.join("text")).ok(), text),
                };
                prop_assert_eq!(visible.0.as_ref(), Some(visible.1));
            }
        }
        let there = if project.at("data").exists() { project.names("data") } else { Vec::new() };
        prop_assert!(there.iter().all(|it| it == "a" || it == "b"), "left behind: {:?}", there);
    }
}
