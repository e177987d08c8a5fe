//! Versions that were replaced, kept, and put back.

use assets::{base::digest::Digest, exec::io::Probed};

use super::*;

impl Project {
    /// Publishes over a recorded version.
    fn replaced(&self, target: &Target, number: u32, text: &str, older: &Content) -> Content {
        let staged = self.written(target, number, text);
        let content = self.manager.inspect(&staged).unwrap();
        self.manager.publish_keeping(&staged, &content, &older.data_version).unwrap();
        content
    }

    fn kept(&self) -> Vec<String> {
        if self.at(".assets/kept").exists() { self.names(".assets/kept") } else { Vec::new() }
    }
}

fn shapes() -> [(Target, &'static str); 3] {
    [
        (file("a.csv"), "data/a.csv"),
        (folder("a"), "data/a/text"),
        (Target { in_place: true, ..file("a.csv") }, "data/a.csv"),
    ]
}

#[test]
fn there_and_back_again() {
    for (target, at) in shapes() {
        let project = Project::new();
        let (one, _) = project.published(&target, 1, "one");
        let made = fs::metadata(project.at(at)).unwrap().modified().unwrap();
        let two = project.replaced(&target, 2, "two", &one);
        for _ in 0..2 {
            let stored = project.manager.restore(&target, &one.data_version).unwrap().unwrap();
            assert_eq!(project.read(at), "one");
            assert_eq!(fs::metadata(project.at(at)).unwrap().modified().unwrap(), made);
            assert_eq!(project.manager.probe(&target, &stored).unwrap(), Probed::Same);
            assert_eq!(project.kept().len(), 1, "never more than one copy");
            project.manager.restore(&target, &two.data_version).unwrap().unwrap();
            assert_eq!(project.read(at), "two");
        }
        // Also from another process, and where the output was deleted.
        project.manager.delete(&target).unwrap();
        let next = FsManager::new(project.at(""), path("data"));
        next.restore(&target, &one.data_version).unwrap().unwrap();
        assert_eq!(project.read(at), "one");
        assert_eq!(project.kept(), Vec::<String>::new());
        assert_eq!(project.names("data").len(), 1);
    }
}

#[test]
fn what_is_kept_already_may_be_replaced_once_more() {
    for (target, at) in shapes() {
        let project = Project::new();
        let (one, _) = project.published(&target, 1, "one");
        let two = project.replaced(&target, 2, "two", &one);
        project.replaced(&target, 3, "three", &two);
        // Both older ones are kept; the first is made once more, and gives way to the second.
        project.published(&target, 4, "one");
        project.manager.restore(&target, &two.data_version).unwrap().unwrap();
        assert_eq!(project.read(at), "two");
    }
}

#[test]
fn what_is_not_what_it_was_is_not_restored() {
    for (target, at) in shapes() {
        let project = Project::new();
        let (one, _) = project.published(&target, 1, "one");
        project.replaced(&target, 2, "two", &one);
        let kept = project.at(".assets/kept").join(&project.kept()[0]);
        fs::write(if kept.is_dir() { kept.join("text") } else { kept }, "bad").unwrap();
        assert_eq!(project.manager.restore(&target, &one.data_version).unwrap(), None);
        assert_eq!(project.read(at), "two");
        assert_eq!(project.kept(), Vec::<String>::new());
    }
}

#[test]
fn a_hand_edited_output_is_not_restored_as_what_was_recorded() {
    let project = Project::new();
    let target = file("a.csv");
    let (one, _) = project.published(&target, 1, "one");
    fs::write(project.at("data/a.csv"), "edited").unwrap();
    project.replaced(&target, 2, "two", &one);
    assert_eq!(project.manager.restore(&target, &one.data_version).unwrap(), None);
    assert_eq!(project.read("data/a.csv"), "two");
}

#[test]
fn two_versions_of_an_asset_are_kept() {
    let project = Project::new();
    let target = file("a.csv");
    let mut versions = vec![project.published(&target, 0, "0").0];
    for number in 1..5 {
        let content = project.replaced(&target, number, &number.to_string(), versions.last().unwrap());
        versions.push(content);
        // Change times, by which age is told, must differ on file systems that count in ticks.
        std::thread::sleep(std::time::Duration::from_millis(15));
    }
    let there: Vec<bool> =
        versions.iter().map(|it| project.kept().iter().any(|name| name.starts_with(&it.data_version.hex()))).collect();
    assert_eq!(there, [false, false, true, true, false]);
}

#[test]
fn all_together_stay_below_the_limit() {
    let project = Project::with(Limits { versions_max: 2, bytes_max: 10 }, Swaps::Allowed);
    for (number, name) in (0..4).zip(["a", "b", "c", "d"]) {
        let target = Target { key: AssetKey::parse(name).unwrap(), ..folder(name) };
        let (one, _) = project.published(&target, number, "4444");
        project.replaced(&target, number + 10, "new", &one);
        std::thread::sleep(std::time::Duration::from_millis(15));
    }
    assert_eq!(project.kept().len(), 2);
    // One that alone is too large is not kept, and pushes nothing out.
    let (large, _) = project.published(&file("large"), 90, "eleven byte");
    project.replaced(&file("large"), 91, "new", &large);
    assert_eq!(project.kept().len(), 2);
    assert_eq!(project.read("data/large"), "new");
}

#[test]
fn without_a_state_folder_nothing_is_kept() {
    let project = Project::new();
    fs::remove_dir(project.at(".assets")).unwrap();
    let (one, _) = project.published(&file("a"), 1, "one");
    project.replaced(&file("a"), 2, "two", &one);
    assert_eq!(project.names(""), ["data"]);
    assert_eq!(project.names("data"), ["a"]);
    assert_eq!(project.manager.restore(&file("a"), &one.data_version).unwrap(), None);
}

#[test]
fn versions_of_one_asset_are_not_given_to_another() {
    let project = Project::new();
    let (one, _) = project.published(&file("a"), 1, "one");
    project.replaced(&file("a"), 2, "two", &one);
    let other = Target { key: AssetKey::parse("other").unwrap(), ..file("other") };
    assert_eq!(project.manager.restore(&other, &one.data_version).unwrap(), None);
    assert_eq!(project.manager.restore(&file("a"), &Digest([1; 32])).unwrap(), None);
}
