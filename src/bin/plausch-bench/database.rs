//! Databases of any size, written straight into the schema: much faster than through the wire.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use plausch::store::{Limits, Options, Store};
use rusqlite::Connection;

use crate::failure::{Doing, Result};
use crate::server::{PASSWORD, Server};

pub const INSERT: &str = "INSERT INTO message (id, lane, timestamp, body, media_id)
             VALUES (?1, ?2, ?3, ?4, ?5)";

pub const INDEX: &str = "INSERT INTO lane_message (lane, message_id) VALUES (?1, ?2)";

pub const BODY: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

pub struct Plan {
    pub users: usize,
    /// The members of each chat, its creator first; they are contacts. Ids count from 1.
    pub chats: Vec<(usize, usize)>,
    /// How many messages; they go to the lanes in turn.
    pub messages: usize,
    pub delivered: bool,
    /// Whether messages go in one direction only, to the creator.
    pub one_way: bool,
}

impl Plan {
    /// Nobody has said anything yet.
    pub fn quiet(users: usize, chats: Vec<(usize, usize)>) -> Plan {
        Plan {
            users,
            chats,
            messages: 0,
            delivered: true,
            one_way: false,
        }
    }
}

/// Makes an empty database just as the server does.
pub fn create(path: &Path) -> Result<Connection> {
    let options = Options {
        path: path.to_owned(),
        readers: 1,
        check: std::time::Duration::ZERO,
        marker: None,
        stop: Default::default(),
        leave_checkpoints: false,
        limits: Limits::default(),
    };
    Store::open(&options).doing("creating a database")?.stop();
    Ok(Connection::open(path)?)
}

/// The hash of the password, as the server makes it: registered once through the wire.
pub fn password_hash(program: &Path, directory: &Path) -> Result<String> {
    let path = directory.join("hash.db");
    let server = Server::start(program, &path)?;
    let mut wire = server.connect()?;
    wire.send(format!("117 u0 {PASSWORD} u0@example.org m\n").as_bytes())?;
    wire.receive("222 400")?;
    drop(wire);
    server.stop()?;
    let connection = Connection::open(path)?;
    let hash = connection.query_row("SELECT password FROM user", [], |row| row.get(0))?;
    Ok(hash)
}

pub fn build(path: &Path, plan: &Plan, hash: &str) -> Result<()> {
    let mut connection = create(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;",
    )?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let now = i64::try_from(now.as_millis())?;
    let transaction = connection.transaction()?;
    {
        let mut user = transaction.prepare(
            "INSERT INTO user (id, name, mapped, password, email, gender, created)
             VALUES (?1, ?2, ?2, ?3, 'u@example.org', 'm', ?4)",
        )?;
        let mut delivery =
            transaction.prepare("INSERT INTO delivery (user_id, message_id) VALUES (?1, ?2)")?;
        for index in 0..plan.users {
            let id = id(index)?;
            user.execute((id, format!("u{index}"), hash, now))?;
            if plan.delivered {
                delivery.execute((id, plan.messages as i64))?;
            }
        }
        let mut contact = transaction
            .prepare("INSERT INTO contact (user_id, contact_id, since) VALUES (?1, ?2, ?3)")?;
        let mut chat = transaction
            .prepare("INSERT INTO chat (id, creator_id, other_id) VALUES (?1, ?2, ?3)")?;
        let mut member = transaction
            .prepare("INSERT INTO member (user_id, chat_id, other_id) VALUES (?1, ?2, ?3)")?;
        for (index, (creator, other)) in plan.chats.iter().enumerate() {
            let (chat_id, creator, other) = (id(index)?, id(*creator)?, id(*other)?);
            contact.execute((creator, other, now))?;
            contact.execute((other, creator, now))?;
            chat.execute((chat_id, creator, other))?;
            member.execute((creator, chat_id, other))?;
            member.execute((other, chat_id, creator))?;
        }
        let mut message = transaction.prepare(INSERT)?;
        let first = now - plan.messages as i64;
        for index in 0..plan.messages {
            let turn = index / plan.chats.len();
            let chat = id(index % plan.chats.len())?;
            let lane = chat * 2 + i64::from(!plan.one_way && turn % 2 == 1);
            let at = first + index as i64;
            message.execute((id(index)?, lane, at, BODY, None::<i64>))?;
        }
        transaction.execute_batch(
            "INSERT INTO lane_message (lane, message_id)
             SELECT lane, id FROM message ORDER BY lane, id",
        )?;
        transaction.execute(
            "UPDATE counter SET value = ?1 WHERE name IN ('message', 'indexed')",
            [plan.messages as i64],
        )?;
    }
    transaction.commit()?;
    connection.execute_batch("PRAGMA journal_mode = WAL;")?;
    connection.close().map_err(|(_, error)| error)?;
    // What is still to be written would be written while something is measured.
    File::open(path)?.sync_all()?;
    Ok(())
}

fn id(index: usize) -> Result<i64> {
    Ok(i64::try_from(index + 1)?)
}

pub fn copy(from: &Path, directory: &Path) -> Result<PathBuf> {
    let to = directory.join("used.db");
    remove(&to);
    fs::copy(from, &to).doing("copying a database")?;
    File::open(&to)?.sync_all()?;
    Ok(to)
}

pub fn remove(path: &Path) {
    for end in ["", "-wal", "-shm"] {
        let mut path = path.as_os_str().to_owned();
        path.push(end);
        let _ = fs::remove_file(path);
    }
}
