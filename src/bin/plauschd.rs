//! The server program: options, logger, signals.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plausch::config::{Config, Invocation};
use plausch::server::{Running, Server};
use plausch::{logger, notify};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

/// Exit code for a wrong option.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    // First of all: a SIGHUP or SIGUSR1 that comes early would otherwise kill the process. And from
    // the line that says that it listens on, SIGTERM ends it in order.
    let mut signals = match Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGHUP]) {
        Ok(signals) => signals,
        Err(error) => {
            logger::fatal(format_args!("signals cannot be caught: {error}"));
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
            return ExitCode::from(USAGE);
        }
    };
    Server::prepare(&config);
    logger::start();
    // A start that takes long hears it too: whatever it was doing is rolled back.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&stop)) {
            logger::fatal(format_args!("signals cannot be caught: {error}"));
            return ExitCode::FAILURE;
        }
    }
    let starting = notify::Starting::begin(Arc::clone(&stop));
    let started = Server::start(&config, &stop);
    drop(starting);
    let running = match started {
        Ok(running) => running,
        Err(_) if stop.load(Ordering::Relaxed) => {
            log::info!("ended amid the start; what was not finished is as it was");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            logger::fatal(format_args!("{error}"));
            return ExitCode::FAILURE;
        }
    };
    notify::tell("READY=1");
    serve(&running, &mut signals);
    log::info!("ending");
    notify::tell("STOPPING=1");
    let second = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            // Nothing acknowledged is lost by leaving at once.
            if signals.forever().any(is_end) {
                std::process::exit(1);
            }
        });
    if let Err(error) = second {
        log::warn!("a second signal will not be seen: {error}");
    }
    running.stop();
    log::info!("ended");
    ExitCode::SUCCESS
}

/// Does what signals ask for, until one asks for the end.
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
