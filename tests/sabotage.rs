//! The tests can fail: for each protection that the tool has, it is left out, and a test that is named
//! here must miss it. Another copy of this program runs that test, with a tool that was told so.

use std::process::Command;

use assets::base::sabotage::Protection;

use crate::support::SABOTAGE;

/// The test that fails without the protection.
fn missed_by(protection: Protection) -> &'static str {
    match protection {
        Protection::InputCheck => "anchors::a_an_input_edited_after_it_was_read_is_read_again",
        Protection::WrittenBack => "anchors::a_an_input_edited_and_put_back_while_it_was_read_is_read_again",
        Protection::ChangeTime => "mutations::an_output_is_edited_with_the_same_size_and_time",
        Protection::FolderNames => "mutations::a_file_in_a_folder_is_added",
        Protection::PatternFolders => "mutations::a_source_file_is_added",
        Protection::StateStamps => "mutations::the_state_is_lost",
        Protection::OutputCheck => "anchors::f_a_damaged_output_is_made_again",
        Protection::Place => "mutations::the_path_changes",
        Protection::Staging => "anchors::b_the_tool_is_killed_in_the_middle_of_an_output",
        Protection::Audit => "checks::what_a_check_refuses_is_not_published",
        Protection::AuditedAlone => "checks::a_check_that_changes_the_data_proves_nothing",
        Protection::Intent | Protection::RecordLast => "anchors::b_a_result_that_was_complete_is_not_made_again",
        Protection::AttemptFirst => "anchors::b_room_that_was_being_made_is_not_left_behind",
        Protection::Locks | Protection::SecondLook => "anchors::e_a_run_that_waits_says_for_whom",
        Protection::Inheritance => "anchors::e_a_run_that_waited_for_one_that_was_killed_takes_over",
        Protection::SealedEnvironment => "run_features::a_command_is_told_what_is_where_and_sees_nothing_else",
        Protection::Redaction => "run_features::a_secret_is_given_and_never_shown",
        Protection::Controls => "run_features::what_a_command_prints_cannot_move_the_terminal",
    }
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimized build cannot leave any out")]
fn every_protection_is_missed_by_a_test() {
    if std::env::var_os(SABOTAGE).is_some() {
        return;
    }
    let tests = Command::new(std::env::current_exe().unwrap()).args(["--list"]).output().unwrap();
    let tests = String::from_utf8(tests.stdout).unwrap();
    let mut unmissed = Vec::new();
    for (protection, name) in Protection::ALL {
        let test = missed_by(protection);
        assert!(tests.lines().any(|it| it == format!("{test}: test")), "there is no test {test}");
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args(["--exact", test]).env(SABOTAGE, name).env("RUST_BACKTRACE", "0").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() || !said.contains(&format!("{test} ... FAILED")) {
            unmissed.push(format!("{name} by {test}"));
        }
    }
    assert!(unmissed.is_empty(), "left out, and not missed: {unmissed:#?}");
}
