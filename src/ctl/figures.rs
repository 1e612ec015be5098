//! Figures and checks.

use serde_json::json;

use super::{Database, Failure, Outcome};
use crate::ctl::options::Call;
use crate::ctl::terminal::Progress;
use crate::store::admin::{check as store_check, statistics};

pub(super) fn stats(call: &Call) -> Outcome {
    let database = Database::open(call)?;
    let census = database
        .beside
        .view(|connection| statistics::count(connection, &database.path));
    let census = database.named(census)?;
    let live = database.beside.is_live();
    let live = database.named(live)?;
    if call.json {
        return Ok(json!({
            "users": census.users,
            "contacts": census.contacts,
            "chats": census.chats,
            "messages": census.messages,
            "undelivered": census.undelivered,
            "media": census.media,
            "media_bytes": census.media_bytes,
            "database_bytes": census.database_bytes,
            "free_bytes": census.free_bytes,
            "wal_bytes": census.wal_bytes,
            "schema_version": census.schema_version,
            "server_running": live,
        })
        .to_string());
    }
    let server = if live {
        "is using it"
    } else {
        "none is using it"
    };
    Ok(format!(
        "database     {}, schema {}\nserver       {server}\nusers        {}\n\
         contacts     {} pairs\nchats        {}\nmessages     {}\nundelivered  {}\n\
         media        {} with {}\nsize         {}, of which {} free\nlog          {}",
        database.path.display(),
        census.schema_version,
        census.users,
        census.contacts,
        census.chats,
        census.messages,
        census.undelivered,
        census.media,
        size(census.media_bytes),
        size(census.database_bytes),
        size(census.free_bytes),
        size(census.wal_bytes),
    ))
}

pub(super) fn check(call: &Call) -> Outcome {
    let database = Database::open_to_read(call)?;
    let mut progress = Progress::new(call.quiet);
    let log_limits = database.beside.read(|connection| {
        store_check::log_limits(connection, |what| progress.show(format!("looking: {what}")))
    });
    let log_limits = database.named(log_limits)?;
    drop(progress);
    if log_limits.is_empty() {
        Ok("ok".to_owned())
    } else {
        Err(Failure::Found(log_limits.join("\n")))
    }
}

/// A number of bytes for people.
pub(super) fn size(bytes: i64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1 << 10 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
            (3 << 50, "3072.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
