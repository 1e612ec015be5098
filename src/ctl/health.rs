//! The commands `health`, which asks the server of a database, and `ping`, which asks an address.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{CommandResult, Failure};
use crate::ctl::call::Call;
use crate::{notify, sys};

/// How long a server may take to respond; it polls four times a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// Free disk space below this counts as full: the write-ahead log alone needs as much.
const ROOM: u64 = 16 << 20;

/// A word that no other server sends back by chance.
const WORD: &str = "plauschctl-ping";

pub(super) fn ping(call: &Call) -> CommandResult {
    let address = call.argument(0);
    let found = address
        .to_socket_addrs()
        .map_err(|error| Failure::Refused(format!("{address}: {error}")))?;
    let mut why = "no such address".to_owned();
    for one in found {
        let answer = TcpStream::connect_timeout(&one, PATIENCE).and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            write!(stream, "134 {WORD}\r\n")?;
            line(stream)
        });
        match answer {
            Ok(line) if line == format!("247 {WORD}") => {
                return Ok(format!("{one} responds; its store was not checked"));
            }
            Ok(_) => {
                why = "the peer is not a Plausch server, or it refused the connection".to_owned()
            }
            Err(error) => why = error.to_string(),
        }
    }
    Err(Failure::Refused(format!("{address}: {why}")))
}

pub(super) fn health(call: &Call) -> CommandResult {
    let database = call.database();
    let refused = |why: String| Failure::Refused(format!("{}: {why}", database.display()));
    let name = notify::health_name(&database).map_err(|error| refused(error.to_string()))?;
    let stream = UnixStream::connect_addr(&name)
        .map_err(|_| refused("no server on this machine is using it".to_owned()))?;
    let said = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| line(stream))
        .map_err(|error| refused(format!("its server does not respond: {error}")))?;
    if said != "ok" {
        return Err(refused(said));
    }
    // Of the file itself, where the name is a link.
    let file = std::fs::canonicalize(&database).map_err(|error| refused(error.to_string()))?;
    let directory = file.parent().unwrap_or(Path::new("/"));
    let room = sys::room(directory).map_err(|error| refused(error.to_string()))?;
    if room < ROOM {
        return Err(refused(format!(
            "its disk has only {} KiB left",
            room >> 10
        )));
    }
    Ok(format!(
        "ok: the server responds, the last transaction was stored, the disk has {} MiB left",
        room >> 20
    ))
}

fn line(stream: impl Read) -> std::io::Result<String> {
    let mut line = String::new();
    // No line of ours is longer.
    BufReader::new(stream.take(512)).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
