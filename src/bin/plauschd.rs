//! The server program: options, logger, signals.

use std::process::ExitCode;

use plausch::config::{Config, Invocation};
use plausch::notify;
use plausch::server::Server;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Exit code for a wrong option.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let config = match Config::from_args(std::env::args_os().skip(1)) {
        Ok(Invocation::Run(config)) => config,
        Ok(Invocation::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("plauschd: {error}");
            return ExitCode::from(USAGE);
        }
    };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    // Before the listeners: from the line that says so on, a signal ends the server in order.
    let mut signals = match Signals::new([SIGTERM, SIGINT]) {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("plauschd: signals cannot be caught: {error}");
            return ExitCode::FAILURE;
        }
    };
    let running = match Server::start(&config) {
        Ok(running) => running,
        Err(error) => {
            eprintln!("plauschd: {error}");
            return ExitCode::FAILURE;
        }
    };
    notify::tell("READY=1");
    if signals.forever().next().is_some() {
        log::info!("ending");
        notify::tell("STOPPING=1");
        let second = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                // Nothing acknowledged is lost by leaving at once.
                if signals.forever().next().is_some() {
                    std::process::exit(1);
                }
            });
        if let Err(error) = second {
            log::warn!("a second signal will not be seen: {error}");
        }
    }
    running.stop();
    log::info!("ended");
    ExitCode::SUCCESS
}
