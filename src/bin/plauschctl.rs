//! The operator's tool, see `plausch::ctl`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(plausch::ctl::run(std::env::args_os().skip(1)))
}
