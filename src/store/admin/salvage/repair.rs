//! Makes a sound database of the rows that were saved: `check` finds nothing in it.

use rusqlite::Connection;

use super::{FoundRows, Kind, Salvaged};
use crate::store::{Result, StoreError, lanes};

/// Tables whose ids clients know, and which are never to be used again.
pub(crate) const NUMBERED: [&str; 4] = ["user", "chat", "media", "contact_event"];

/// How far ids of messages go on above all that is known: more than a log has that was lost.
const MESSAGES_AHEAD: i64 = 1 << 24;

/// The same for ids that people type, when something is missing that would tell of them.
const NUMBERS_AHEAD: i64 = 10_000;

const DAY: i64 = 24 * 3_600 * 1_000;

/// What is counted: its name, its table, which rows of that, and how many more are named elsewhere
/// (before anything is repaired).
const KINDS: &[(&str, &str, &str, &str)] = &[
    (
        "accounts",
        "user",
        "SELECT count(*) FROM user WHERE mapped IS NOT NULL",
        "SELECT count(*) FROM (SELECT creator_id AS id FROM chat UNION SELECT other_id FROM chat
           UNION SELECT user_id FROM contact UNION SELECT user_id FROM member
           UNION SELECT user_id FROM delivery) WHERE id NOT IN (SELECT id FROM user)",
    ),
    (
        "contacts",
        "contact",
        "SELECT count(*) FROM contact",
        "SELECT 0",
    ),
    (
        "chats",
        "chat",
        "SELECT count(*) FROM chat",
        "SELECT count(DISTINCT chat_id) FROM member WHERE chat_id NOT IN (SELECT id FROM chat)",
    ),
    (
        "messages",
        "message",
        "SELECT count(*) FROM message",
        "SELECT count(*) FROM lane_message l LEFT JOIN message m ON m.id = l.message_id
         WHERE m.id IS NULL",
    ),
    (
        "media",
        "media",
        "SELECT count(*) FROM media",
        "SELECT count(DISTINCT media_id) FROM media_part
         WHERE media_id NOT IN (SELECT id FROM media)",
    ),
];

/// What is not sound, in an order in which each finds what those before have left. Chats and
/// members tell of each other, and so do the two sides of a contact; of the rest what has lost its
/// other half goes.
const REPAIRS: &[&str] = &[
    // What is still coming in, or going.
    "DELETE FROM media WHERE message_id IS NULL",
    "UPDATE user SET mapped = NULL WHERE password = ''",
    "UPDATE user SET password = '', email = '', gender = '' WHERE mapped IS NULL",
    "DELETE FROM chat WHERE creator_id = other_id OR creator_id < 1 OR other_id < 1
       OR id NOT IN (SELECT max(id) FROM chat
                     GROUP BY min(creator_id, other_id), max(creator_id, other_id))",
    "DELETE FROM member WHERE NOT EXISTS (SELECT 1 FROM chat c WHERE c.id = member.chat_id
       AND ((c.creator_id = member.user_id AND c.other_id = member.other_id)
         OR (c.other_id = member.user_id AND c.creator_id = member.other_id)))",
    "INSERT OR IGNORE INTO member (user_id, chat_id, other_id)
       SELECT creator_id, id, other_id FROM chat UNION ALL SELECT other_id, id, creator_id FROM chat",
    // A lost account is to those who chatted with it what a deleted one is.
    "INSERT INTO user (id, name, mapped, password, email, gender, created)
       SELECT id, 'lost-' || id, NULL, '', '', '', 0
       FROM (SELECT creator_id AS id FROM chat UNION SELECT other_id FROM chat)
       WHERE id NOT IN (SELECT id FROM user)",
    "DELETE FROM departure WHERE user_id NOT IN (SELECT id FROM user)",
    "INSERT OR IGNORE INTO departure (user_id) SELECT id FROM user WHERE mapped IS NULL",
    "DELETE FROM contact WHERE user_id = contact_id OR user_id NOT IN (SELECT id FROM user)
       OR contact_id NOT IN (SELECT id FROM user)",
    "INSERT OR IGNORE INTO contact (user_id, contact_id, since)
       SELECT contact_id, user_id, since FROM contact WHERE since IS NOT NULL",
    "UPDATE contact SET since = other.since FROM contact other
       WHERE other.user_id = contact.contact_id AND other.contact_id = contact.user_id
       AND (contact.since IS NULL OR other.since > contact.since)",
    "DELETE FROM asked WHERE user_id NOT IN (SELECT id FROM user)
       OR contact_id NOT IN (SELECT id FROM user)",
    "DELETE FROM contact_event WHERE user_id NOT IN (SELECT id FROM user)
       OR contact_id NOT IN (SELECT id FROM user)",
    "DELETE FROM delivery WHERE user_id NOT IN (SELECT id FROM user WHERE mapped IS NOT NULL)",
    "DELETE FROM login_start WHERE user_id NOT IN (SELECT id FROM user WHERE mapped IS NOT NULL)",
    "DELETE FROM explicit_receipt
       WHERE user_id NOT IN (SELECT id FROM user WHERE mapped IS NOT NULL)",
    "DELETE FROM message WHERE lane / 2 NOT IN (SELECT id FROM chat)
       AND NOT EXISTS (SELECT 1 FROM purge p WHERE p.lane = message.lane AND p.upto >= message.id)",
    "DELETE FROM media WHERE owner_id NOT IN (SELECT id FROM user)
       OR NOT EXISTS (SELECT 1 FROM message m WHERE m.id = media.message_id
                      AND m.media_id = media.id AND m.lane / 2 = media.chat_id)",
    "DELETE FROM media WHERE id NOT IN (
       SELECT a.id FROM media a LEFT JOIN media_part p ON p.media_id = a.id GROUP BY a.id
       HAVING coalesce(sum(length(CAST(p.data AS BLOB))), 0) = a.size
       AND coalesce(max(p.part) + 1, 0) = count(p.part))",
    "DELETE FROM media_part WHERE media_id NOT IN (SELECT id FROM media)",
    "DELETE FROM media_use WHERE user_id NOT IN (SELECT owner_id FROM media)",
];

const NAMED_MESSAGES: &str = "SELECT max(0, coalesce(max(id), 0)) FROM (
      SELECT max(id) AS id FROM message UNION ALL SELECT max(message_id) FROM lane_message
      UNION ALL SELECT max(message_id) FROM delivery
      UNION ALL SELECT max(message_id) FROM login_start
      UNION ALL SELECT max(cleared_id) FROM member UNION ALL SELECT max(upto) FROM purge
      UNION ALL SELECT max(message_id) FROM media)";

/// The highest id of each numbered table that something names, in the order of [`NUMBERED`].
const NAMED: [&str; 4] = [
    "SELECT max(id) FROM (SELECT id FROM user UNION ALL SELECT creator_id FROM chat
       UNION ALL SELECT other_id FROM chat UNION ALL SELECT user_id FROM member
       UNION ALL SELECT user_id FROM contact UNION ALL SELECT contact_id FROM contact
       UNION ALL SELECT owner_id FROM media UNION ALL SELECT user_id FROM delivery)",
    "SELECT max(id) FROM (SELECT id FROM chat UNION ALL SELECT chat_id FROM member
       UNION ALL SELECT lane / 2 FROM message UNION ALL SELECT lane / 2 FROM lane_message
       UNION ALL SELECT chat_id FROM media UNION ALL SELECT lane / 2 FROM purge)",
    "SELECT max(id) FROM (SELECT id FROM media UNION ALL SELECT media_id FROM media_part
       UNION ALL SELECT media_id FROM message)",
    "SELECT max(id) FROM contact_event",
];

pub(crate) fn repair(
    connection: &Connection,
    found: &mut FoundRows,
) -> Result<Salvaged, StoreError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
    let mark = number(NAMED_MESSAGES)?.unwrap_or(0).max(found.mark);
    let mut highest = [0; NUMBERED.len()];
    for (index, sql) in NAMED.iter().enumerate() {
        let named = number(sql)?.unwrap_or(0);
        highest[index] = match found.numbered.get(NUMBERED[index]) {
            Some(noted) if !found.is_uncertain => named.max(*noted),
            noted => named
                .max(noted.copied().unwrap_or(0))
                .saturating_add(NUMBERS_AHEAD),
        };
    }
    let mut before = Vec::new();
    for (_, _, saved, named) in KINDS {
        before.push((number(saved)?.unwrap_or(0), number(named)?.unwrap_or(0)));
    }
    let loose = number("SELECT count(*) FROM media WHERE message_id IS NULL")?.unwrap_or(0);

    connection.execute_batch("BEGIN")?;
    for sql in REPAIRS {
        connection.execute(sql, [])?;
    }
    connection.execute("DELETE FROM lane_message", [])?;
    date_anew(connection)?;
    lanes::index_all(connection)?;
    connection.execute(
        "UPDATE counter SET value = ?1 WHERE name = 'message'",
        [mark.saturating_add(MESSAGES_AHEAD)],
    )?;
    for (name, highest) in NUMBERED.iter().zip(highest) {
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?1", [name])?;
        connection.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
            (name, highest),
        )?;
    }
    connection.execute_batch("COMMIT")?;

    let mut salvaged = Salvaged::default();
    for ((name, table, saved, _), (read, named)) in KINDS.iter().zip(before) {
        let saved = number(saved)?.unwrap_or(0);
        let ended = if *table == "media" { loose } else { 0 };
        let left_out = (read - saved - ended).max(0);
        let unreadable = found.unreadable.get(table).copied().unwrap_or(0);
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        salvaged.kinds.push(Kind {
            name,
            saved: count(saved),
            // What could not be read is mostly what is named elsewhere.
            lost: count(left_out) + count(named).max(unreadable),
        });
    }
    Ok(salvaged)
}

/// TimeStamps grow within a chat, and none is far ahead of the clock. What breaks that is dated
/// right behind the message before it.
fn date_anew(connection: &Connection) -> Result<()> {
    let ahead: i64 = connection.query_row("SELECT unixepoch() * 1000", [], |row| row.get(0))?;
    let ahead = ahead + DAY;
    let mut wrong = Vec::new();
    {
        let mut statement = connection
            .prepare("SELECT id, lane / 2, timestamp FROM message ORDER BY lane / 2, id")?;
        let mut rows = statement.query([])?;
        let (mut chat, mut last) = (i64::MIN, 0);
        while let Some(row) = rows.next()? {
            let (id, of, time): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if of != chat {
                (chat, last) = (of, 0);
            }
            if time <= last || time > ahead {
                last += 1;
                wrong.push((last, id));
            } else {
                last = time;
            }
        }
    }
    let mut update = connection.prepare("UPDATE message SET timestamp = ?1 WHERE id = ?2")?;
    for message in wrong {
        update.execute(message)?;
    }
    // A floor for the next one.
    connection.execute(
        "UPDATE chat SET last_timestamp = min(last_timestamp, ?1)",
        [ahead],
    )?;
    Ok(())
}
