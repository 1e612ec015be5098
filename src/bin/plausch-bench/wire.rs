//! A connection to a server by lines, whose peer must answer in time.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::failure::{Doing, Failure, Result};
use crate::link::{Lines, Link, Way};

/// Silence after which a peer has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Wire(Lines);

impl Wire {
    pub fn connect(way: &Way, address: SocketAddr) -> Result<Wire> {
        let stream = TcpStream::connect(address).doing(format_args!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let link = Link::over(stream, way).doing("the handshake")?;
        Ok(Wire(Lines::new(link)))
    }

    /// The connection without a buffer, for one that is to do nothing.
    pub fn into_link(self) -> Link {
        self.0.link
    }

    pub fn socket(&self) -> &TcpStream {
        self.0.link.socket()
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.link.write_all(bytes).doing("sending")
    }

    pub fn line(&mut self) -> Result<&[u8]> {
        while !self.0.has_line() {
            self.fill()?;
        }
        Ok(self.0.line().trim_ascii_end())
    }

    pub fn receive(&mut self, prefix: &str) -> Result<()> {
        let line = self.line()?;
        if line.starts_with(prefix.as_bytes()) {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        Err(Failure::new(format!("expected {prefix}, got {shown:?}")))
    }

    pub fn until(&mut self, prefix: &str) -> Result<()> {
        while !self.line()?.starts_with(prefix.as_bytes()) {}
        Ok(())
    }

    pub fn skip(&mut self, count: usize) -> Result<()> {
        while self.0.ahead().len() < count {
            self.fill()?;
        }
        self.0.take(count);
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        match self.0.fill().doing("reading")? {
            0 => Err(Failure::new("the connection was closed")),
            _ => Ok(()),
        }
    }
}
