//! The operator's tool: accounts, figures, copies and checks of a database.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(plausch::ctl::run(std::env::args_os().skip(1)))
}
