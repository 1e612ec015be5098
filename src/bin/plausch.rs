//! The terminal client.

use std::process::ExitCode;

fn main() -> ExitCode {
    plausch::client::main(std::env::args_os().skip(1))
}
