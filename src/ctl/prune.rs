//! The command `prune`.
//!
//! Undelivered messages are never removed. Old ones are found by reading, and marked for removal in
//! small transactions with pauses in between. A running server then removes them in small steps,
//! between its own work, and spares what is being read; without a server they are removed here.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{CommandResult, Failure, await_server};
use crate::ctl::call::Call;
use crate::options::UsageError;
use crate::store::admin::access::AdminAccess;
use crate::store::admin::orders::{self, Order};
use crate::store::admin::queries;
use crate::store::removal::retention;

/// Chats or media per transaction, which takes some milliseconds.
const STEP: u32 = 64;

/// The pause between two transactions, for a busy server.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn prune(call: &Call) -> CommandResult {
    if call.days.is_none() && call.media_days.is_none() {
        let what = "prune needs --days N or --media-days N";
        return Err(UsageError::new(what).into());
    }
    let mut access = AdminAccess::open(&call.database())?;
    let messages = match call.days {
        Some(days) => prune_messages(&mut access, before(days), call.dry_run)?,
        None => 0,
    };
    let media = match call.media_days {
        Some(days) => prune_media(&mut access, before(days), call.dry_run)?,
        None => 0,
    };
    let what = format!("{messages} messages with their media and {media} other media");
    if call.dry_run {
        return Ok(format!("{what} would be removed"));
    }
    // The operator vouches for the clock.
    access.write(|tx| Ok(retention::note_retained(&*tx, tx.now())?))?;
    if messages + media == 0 || access.purge_alone()? {
        return Ok(format!("{what} were removed"));
    }
    let placed = access.write(|tx| orders::place(tx, Order::Purge))?;
    let late = await_server(&access, placed)?;
    Ok(format!(
        "{what} are being removed by the server, in small steps{late}"
    ))
}

fn prune_messages(access: &mut AdminAccess, before: i64, dry_run: bool) -> Result<i64, Failure> {
    let (mut sum, mut last) = (0, None);
    loop {
        let (upto, old) = access.view(|view| queries::old_lanes(view, last, STEP, before))?;
        if upto.is_none() {
            return Ok(sum);
        }
        last = upto;
        if old.is_empty() {
            continue;
        }
        sum += old.iter().map(|lane| lane.messages).sum::<i64>();
        if !dry_run {
            access.write(|tx| queries::doom_messages(tx, &old))?;
            thread::sleep(PAUSE);
        }
    }
}

fn prune_media(access: &mut AdminAccess, before: i64, dry_run: bool) -> Result<i64, Failure> {
    let (mut sum, mut last) = (0, None);
    loop {
        let (upto, old) = access.read(|moment| queries::old_media(moment, last, STEP, before))?;
        if upto.is_none() {
            return Ok(sum);
        }
        last = upto;
        if old.is_empty() {
            continue;
        }
        sum += i64::try_from(old.len()).unwrap_or(i64::MAX);
        if !dry_run {
            access.write(|tx| queries::doom_media(tx, &old))?;
            thread::sleep(PAUSE);
        }
    }
}

fn before(days: u32) -> i64 {
    let day = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let then = now.unwrap_or_default().saturating_sub(day * days);
    i64::try_from(then.as_millis()).unwrap_or(i64::MAX)
}
