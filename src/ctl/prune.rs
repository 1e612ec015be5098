//! Removing what is old.
//!
//! What has not arrived yet is never removed. This only finds what is old, by reading, and orders
//! its removal in small transactions with pauses between; a running server removes it in small steps
//! between its own work, and spares what is being read. Without a server it is removed here.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Database, Failure, Outcome};
use crate::ctl::options::Call;
use crate::store::admin::orders;
use crate::store::admin::orders::Order;
use crate::store::admin::queries;
use crate::store::removal::retention;

/// Chats, and media, of one transaction: some milliseconds.
const STEP: u32 = 64;

/// Between two transactions, so that a busy server loses little.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn prune(call: &Call) -> Outcome {
    if call.days.is_none() && call.media_days.is_none() {
        let what = "prune needs --days N or --media-days N";
        return Err(Failure::Usage(what.to_owned()));
    }
    let mut database = Database::open(call)?;
    let messages = match call.days {
        Some(days) => prune_messages(&mut database, before(days), call.dry_run)?,
        None => 0,
    };
    let media = match call.media_days {
        Some(days) => prune_media(&mut database, before(days), call.dry_run)?,
        None => 0,
    };
    let what = format!("{messages} messages and, apart from theirs, {media} media");
    if call.dry_run {
        return Ok(format!("{what} would be removed"));
    }
    // A person has looked at the clock.
    let noted = database
        .beside
        .write(|tx| Ok(retention::note_retained(&*tx, tx.now())?));
    database.named(noted)?;
    if messages + media == 0 {
        return Ok(format!("{what} are removed"));
    }
    let purged = database.beside.purge_alone();
    if database.named(purged)? {
        return Ok(format!("{what} are removed"));
    }
    let placed = database.beside.write(|tx| orders::place(tx, Order::Purge));
    let placed = database.named(placed)?;
    let late = database.settle(placed)?;
    Ok(format!(
        "{what} are being removed by the server, in small steps{late}"
    ))
}

fn prune_messages(database: &mut Database, before: i64, dry_run: bool) -> Result<i64, Failure> {
    let (mut sum, mut last) = (0, None);
    loop {
        let found = database
            .beside
            .view(|connection| queries::old_lanes(connection, last, STEP, before));
        let (upto, old) = database.named(found)?;
        if upto.is_none() {
            return Ok(sum);
        }
        last = upto;
        if old.is_empty() {
            continue;
        }
        sum += old.iter().map(|lane| lane.messages).sum::<i64>();
        if !dry_run {
            let doomed = database.beside.write(|tx| queries::doom_messages(tx, &old));
            database.named(doomed)?;
            thread::sleep(PAUSE);
        }
    }
}

fn prune_media(database: &mut Database, before: i64, dry_run: bool) -> Result<i64, Failure> {
    let (mut sum, mut last) = (0, None);
    loop {
        let found = database
            .beside
            .read(|connection| queries::old_media(connection, last, STEP, before));
        let (upto, old) = database.named(found)?;
        if upto.is_none() {
            return Ok(sum);
        }
        last = upto;
        if old.is_empty() {
            continue;
        }
        sum += i64::try_from(old.len()).unwrap_or(i64::MAX);
        if !dry_run {
            let doomed = database.beside.write(|tx| queries::doom_media(tx, &old));
            database.named(doomed)?;
            thread::sleep(PAUSE);
        }
    }
}

/// So many days ago, in milliseconds since 1970.
fn before(days: u32) -> i64 {
    let day = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let then = now.unwrap_or_default().saturating_sub(day * days);
    i64::try_from(then.as_millis()).unwrap_or(i64::MAX)
}
