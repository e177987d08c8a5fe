//! Hands the arguments to the face and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // Before anything else: a supervisor must be fast to start and hold nothing.
    if arguments.next().is_some_and(|it| it == assets::exec::supervise::SUBCOMMAND) {
        return u8::try_from(assets::exec::supervise::main()).unwrap_or(1).into();
    }
    ExitCode::SUCCESS
}
