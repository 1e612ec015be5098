//! The server program: options, logger, signals.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plausch::config::Config;
use plausch::options::{Invocation, UsageError};
use plausch::server::{Running, Server};
use plausch::{logger, notify};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    // First of all: an early SIGHUP or SIGUSR1 would otherwise kill the process. SIGTERM is handled
    // in order from the line on that says where the server listens.
    let mut signals = match Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGHUP]) {
        Ok(signals) => signals,
        Err(error) => {
            logger::fatal(format_args!("cannot catch signals: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let config = match Config::from_args(std::env::args_os().skip(1)) {
        Ok(Invocation::Run(config)) => config,
        Ok(Invocation::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            logger::fatal(format_args!("{error}"));
            return ExitCode::from(UsageError::EXIT);
        }
    };
    Server::prepare(&config);
    logger::start();
    // A long start sees this flag too, and rolls back what it was doing.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&stop)) {
            logger::fatal(format_args!("cannot catch signals: {error}"));
            return ExitCode::FAILURE;
        }
    }
    let starting = notify::Starting::begin(Arc::clone(&stop));
    let started = Server::start(&config, &stop);
    drop(starting);
    let running = match started {
        Ok(running) => running,
        Err(_) if stop.load(Ordering::Relaxed) => {
            log::info!("stopped during startup; unfinished work was rolled back");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            logger::fatal(format_args!("{error}"));
            return ExitCode::FAILURE;
        }
    };
    notify::tell("READY=1");
    serve(&running, &mut signals);
    log::info!("shutting down");
    notify::tell("STOPPING=1");
    let second = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            // An immediate exit loses nothing that was acknowledged.
            if signals.forever().any(is_end) {
                std::process::exit(1);
            }
        });
    if let Err(error) = second {
        log::warn!("a second signal will have no effect: {error}");
    }
    running.stop();
    log::info!("stopped");
    ExitCode::SUCCESS
}

/// Acts on signals, until one asks for the end.
fn serve(running: &Running, signals: &mut Signals) {
    for signal in signals.forever() {
        match signal {
            SIGUSR1 => log::info!("{}", running.figures()),
            SIGHUP => running.reload(),
            _ if is_end(signal) => return,
            _ => {}
        }
    }
}

fn is_end(signal: i32) -> bool {
    matches!(signal, SIGTERM | SIGINT)
}
