//! Large things beside small ones: media of 1 MiB, and what a message waits meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crate::Bench;
use crate::database::{self, Plan};
use crate::failure::{Failure, Result};
use crate::load::{self, Outcome};
use crate::process;
use crate::report::{Section, Unit};
use crate::server::Server;
use crate::wire::Wire;

const SIZE: usize = 1 << 20;

pub fn measure(bench: &mut Bench) -> Result<()> {
    let path = bench.dir.join("media.db");
    let plan = Plan::quiet(4, vec![(0, 1), (2, 3)]);
    database::build(&path, &plan, &bench.hash)?;
    let server = Server::start(&bench.program, &path)?;
    // u0 and u1 talk; u2 sends media to u3.
    let mut talk = load::talks(&server, 1, 1, 64)?;
    let mut sender = server.login("u2")?;
    let mut receiver = server.login("u3")?;
    let uri = "data:application/octet-stream;base64,";
    let media = format!("{uri}{}", "QUJD".repeat((SIZE - uri.len()) / 4));
    let send = format!("115 2 \"\" {media}\n").into_bytes();
    drop(media);
    let newest = upload(&mut sender, &mut receiver, &send)?;
    let fetch = format!("119 {newest}\n").into_bytes();
    for run in 1..=bench.runs {
        bench.say(&format!("media, {run} of {}", bench.runs));
        process::settle()?;
        let alone = load::drive(&mut talk, 1, bench.seconds)?;
        quantiles(bench, "alone", &alone);
        for what in ["sent", "fetched"] {
            process::settle()?;
            let done = AtomicBool::new(false);
            let beside = thread::scope(|scope| -> Result<_> {
                let media = scope.spawn(|| -> Result<f64> {
                    let begun = Instant::now();
                    let mut count = 0.0;
                    while !done.load(Ordering::Acquire) {
                        if what == "sent" {
                            upload(&mut sender, &mut receiver, &send)?;
                        } else {
                            receiver.send(&fetch)?;
                            receiver.receive("227 400 ")?;
                        }
                        count += 1.0;
                    }
                    Ok(count / begun.elapsed().as_secs_f64())
                });
                let beside = load::drive(&mut talk, 1, bench.seconds);
                done.store(true, Ordering::Release);
                let rate = media
                    .join()
                    .map_err(|_| Failure::new("a thread of the load generator panicked"))??;
                Ok((rate, beside?))
            })?;
            let (rate, outcome) = beside;
            bench.report.add(format!("{what} rate"), rate);
            quantiles(bench, what, &outcome);
        }
    }
    drop((talk, sender, receiver));
    server.stop()?;
    database::remove(&path);
    rows(bench);
    Ok(())
}

fn quantiles(bench: &mut Bench, what: &str, outcome: &Outcome) {
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let key = format!("{what} {name}");
        bench.report.add(key, outcome.quantile(quantile));
    }
}

/// Sends media and waits for both ends; the id that the receiver is told.
fn upload(sender: &mut Wire, receiver: &mut Wire, send: &[u8]) -> Result<i64> {
    sender.send(send)?;
    sender.receive("219 400")?;
    let line = receiver.line()?;
    std::str::from_utf8(line)?
        .rsplit(' ')
        .next()
        .filter(|_| line.starts_with(b"220 "))
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Failure::new("media arrived in another form"))
}

fn rows(bench: &mut Bench) {
    let report = &mut bench.report;
    for what in ["sent", "fetched"] {
        let name = format!("media of 1 MiB {what}, by one user");
        let key = format!("{what} rate");
        report.row(Section::Media, &name, &key, Unit::Rate, "");
    }
    for quantile in ["p50", "p99"] {
        let alone = format!("alone {quantile}");
        let name = format!("a message of 64 bytes, alone: {quantile}");
        report.row(Section::Media, &name, &alone, Unit::Millis, "");
        for what in ["sent", "fetched"] {
            let key = format!("{what} {quantile}");
            let name = format!("a message of 64 bytes, while media are {what}: {quantile}");
            let compared = report.compare(&key, &alone, "that alone");
            report.row(Section::Media, &name, &key, Unit::Millis, &compared);
        }
    }
}
