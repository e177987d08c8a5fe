//! Protections that a debug build can be told to leave out, so that tests show that each is needed: one
//! that nobody misses is not tested. A release build has them all, whatever it is told.

use std::sync::OnceLock;

use crate::base::env::Environment;

/// The variable that names the protection to leave out.
pub const VARIABLE: &str = "ASSETS_SABOTAGE";

/// The variable that makes a debug build take every file system for one on a network: there is none to
/// be had where tests run.
pub const ON_NETWORK: &str = "ASSETS_ON_NETWORK";

/// The variable that makes a debug build panic at a place: what it is doing, a blank, and for which step.
pub const PANIC: &str = "ASSETS_PANIC";

/// What can be left out. `tests/sabotage.rs` names the test that misses each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// Inputs are looked at again after the command.
    InputCheck,
    /// An input that was written and put back counts as changed.
    WrittenBack,
    /// The change time is part of a signature.
    ChangeTime,
    /// Names in a folder that was recorded are compared.
    FolderNames,
    /// Folders that patterns were looked up in are looked at again.
    PatternFolders,
    /// Files of the state are looked at before its generation is believed.
    StateStamps,
    /// Outputs are compared with their records.
    OutputCheck,
    /// A record counts only where its output lies.
    Place,
    /// Commands write beside the target.
    Staging,
    /// What a check refuses is not published.
    Audit,
    /// A check that changes what it looks at proves nothing.
    AuditedAlone,
    /// What is about to be published is recorded first.
    Intent,
    /// An attempt has ended only when its result is published.
    RecordLast,
    /// An attempt is recorded before anything is staged for it.
    AttemptFirst,
    /// Kernel locks.
    Locks,
    /// After waiting for a lock the world is looked at again.
    SecondLook,
    /// What a dead owner of a lock left behind is cleaned up by who gets it.
    Inheritance,
    /// The caller's environment is not passed on.
    SealedEnvironment,
    /// Secrets are taken out of logs.
    Redaction,
    /// What commands said is made harmless for terminals.
    Controls,
}

impl Protection {
    pub const ALL: [(Protection, &'static str); 20] = [
        (Protection::InputCheck, "input_check"),
        (Protection::WrittenBack, "written_back"),
        (Protection::ChangeTime, "change_time"),
        (Protection::FolderNames, "folder_names"),
        (Protection::PatternFolders, "pattern_folders"),
        (Protection::StateStamps, "state_stamps"),
        (Protection::OutputCheck, "output_check"),
        (Protection::Place, "place"),
        (Protection::Staging, "staging"),
        (Protection::Audit, "audit"),
        (Protection::AuditedAlone, "audited_alone"),
        (Protection::Intent, "intent"),
        (Protection::RecordLast, "record_last"),
        (Protection::AttemptFirst, "attempt_first"),
        (Protection::Locks, "locks"),
        (Protection::SecondLook, "second_look"),
        (Protection::Inheritance, "inheritance"),
        (Protection::SealedEnvironment, "sealed_environment"),
        (Protection::Redaction, "redaction"),
        (Protection::Controls, "controls"),
    ];

    /// Whether it is left out.
    pub fn is_off(self) -> bool {
        cfg!(debug_assertions) && off() == Some(self)
    }
}

/// Whether every file system is to be taken for one on a network.
pub fn is_on_network() -> bool {
    static SAID: OnceLock<bool> = OnceLock::new();
    cfg!(debug_assertions) && *SAID.get_or_init(|| Environment::of_process().get(ON_NETWORK).is_some())
}

/// Panics if this is the place that the environment names.
pub fn panic_if_told(doing: &str, step: &str) {
    static PLACE: OnceLock<Option<String>> = OnceLock::new();
    if cfg!(debug_assertions) {
        let place = PLACE.get_or_init(|| Environment::of_process().get(PANIC).map(str::to_owned));
        let told = place.as_ref().and_then(|it| it.split_once(' '));
        assert!(told != Some((doing, step)), "told to panic while {doing} {step}");
    }
}

fn off() -> Option<Protection> {
    static OFF: OnceLock<Option<Protection>> = OnceLock::new();
    *OFF.get_or_init(|| {
        let environment = Environment::of_process();
        let name = environment.get(VARIABLE)?;
        Protection::ALL.iter().find(|it| it.1 == name).map(|it| it.0)
    })
}
