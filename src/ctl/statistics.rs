//! The commands `stats` and `check`.

use serde_json::json;

use super::{CommandResult, Failure};
use crate::ctl::call::Call;
use crate::ctl::terminal::Progress;
use crate::store::admin::access::AdminAccess;
use crate::store::admin::{check as store_check, statistics};

pub(super) fn stats(call: &Call) -> CommandResult {
    let database = call.database();
    let access = AdminAccess::open(&database)?;
    let statistics = access.view(|view| statistics::count(view, &database))?;
    let live = access.is_live()?;
    if call.json {
        return Ok(json!({
            "users": statistics.users,
            "contacts": statistics.contacts,
            "chats": statistics.chats,
            "messages": statistics.messages,
            "undelivered": statistics.undelivered,
            "media": statistics.media,
            "media_bytes": statistics.media_bytes,
            "database_bytes": statistics.database_bytes,
            "free_bytes": statistics.free_bytes,
            "wal_bytes": statistics.wal_bytes,
            "schema_version": statistics.schema_version,
            "server_running": live,
        })
        .to_string());
    }
    let server = if live { "running" } else { "not running" };
    Ok(format!(
        "database     {}, schema {}\nserver       {server}\nusers        {}\n\
         contacts     {} pairs\nchats        {}\nmessages     {}\nundelivered  {}\n\
         media        {} with {}\nsize         {}, of which {} free\nlog          {}",
        database.display(),
        statistics.schema_version,
        statistics.users,
        statistics.contacts,
        statistics.chats,
        statistics.messages,
        statistics.undelivered,
        statistics.media,
        size(statistics.media_bytes),
        size(statistics.database_bytes),
        size(statistics.free_bytes),
        size(statistics.wal_bytes),
    ))
}

pub(super) fn check(call: &Call) -> CommandResult {
    let access = AdminAccess::open_to_read(&call.database())?;
    let mut progress = Progress::new(call.quiet);
    let problems = access.read(|connection| {
        store_check::problems(connection, |what| {
            progress.show(format!("checking: {what}"))
        })
    })?;
    drop(progress);
    if problems.is_empty() {
        Ok("ok".to_owned())
    } else {
        Err(Failure::Found(problems.join("\n")))
    }
}

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
