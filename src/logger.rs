//! The format of log lines, which depends on what reads standard error.
//!
//! - The journal of systemd (`JOURNAL_STREAM` names its stream, see systemd.exec(5)) adds the time
//!   itself, and takes the priority from `<4>` at the beginning of a line (sd-daemon(3)).
//! - In a file, each line begins with the time in UTC (RFC 3339).
//! - A terminal, and a pipe to another program, get the bare line.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::time::{SystemTime, UNIX_EPOCH};

use env_logger::{Builder, Env};
use log::{Level, Record};

/// What reads the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Journal,
    File,
    Other,
}

/// Starts logging to standard error, at level info or as `RUST_LOG` says.
pub fn start() {
    let mut builder = Builder::from_env(Env::default().default_filter_or("info"));
    let reader = reader(std::env::var_os("JOURNAL_STREAM").as_deref());
    builder.format(move |out, record| line(out, reader, SystemTime::now(), record));
    builder.init();
}

/// Reports in one line why the server does not start.
pub fn fatal(why: fmt::Arguments<'_>) {
    let mut out = Vec::new();
    let reader = reader(std::env::var_os("JOURNAL_STREAM").as_deref());
    let said = begin(&mut out, reader, Level::Error, SystemTime::now())
        .and_then(|()| writeln!(out, "plauschd: {why}"))
        .and_then(|()| io::stderr().write_all(&out));
    // Nobody is left to tell of a failure.
    let _ = said;
}

/// What reads standard error; logs all the same if that cannot be found out.
fn reader(stream: Option<&OsStr>) -> Reader {
    let Ok(data) = io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|descriptor| File::from(descriptor).metadata())
    else {
        return Reader::Other;
    };
    let own = format!("{}:{}", data.dev(), data.ino());
    if data.file_type().is_socket() && stream.is_some_and(|stream| stream == own.as_str()) {
        Reader::Journal
    } else if data.is_file() {
        Reader::File
    } else {
        Reader::Other
    }
}

fn line(out: &mut impl Write, reader: Reader, now: SystemTime, record: &Record) -> io::Result<()> {
    let (level, target) = (record.level(), record.target());
    let text = record.args().to_string();
    // Each line of a text with several needs its own priority or time.
    for line in text.lines() {
        begin(out, reader, level, now)?;
        writeln!(out, "[{level:<5} {target}] {line}")?;
    }
    Ok(())
}

/// Writes what precedes a line.
fn begin(out: &mut impl Write, reader: Reader, level: Level, now: SystemTime) -> io::Result<()> {
    match reader {
        Reader::Journal => write!(out, "<{}>", priority(level)),
        Reader::File => write!(out, "{} ", utc(now)),
        Reader::Other => Ok(()),
    }
}

/// The priority of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// As `2026-11-30T22:15:07.042Z`.
fn utc(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The Gregorian date `days` after 1970-01-01. The year is taken to begin in March: a leap day is
/// then its last day, and 400 years always have the same number of days.
fn date(days: u64) -> (u64, u64, u64) {
    const CENTURIES: u64 = 146_097;
    // From 0000-03-01 on.
    let days = days + 719_468;
    let (era, day) = (days / CENTURIES, days % CENTURIES);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months of 31, 30, 31, 30, 31 days, over and over.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_as_date_gives_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.042Z"),
            (951_782_399, "2000-02-28T23:59:59.042Z"),
            (951_782_400, "2000-02-29T00:00:00.042Z"),
            (951_868_800, "2000-03-01T00:00:00.042Z"),
            (1_735_689_599, "2024-12-31T23:59:59.042Z"),
            (1_796_076_907, "2026-11-30T22:15:07.042Z"),
            (4_107_542_400, "2100-03-01T00:00:00.042Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_millis(seconds * 1_000 + 42);
            assert_eq!(utc(time), text);
        }
    }

    #[test]
    fn each_reader_gets_its_own_lines() {
        let lines = |reader| {
            let mut out = Vec::new();
            let record = |level, args| {
                let mut record = Record::builder();
                record.level(level).target("a::b").args(args).build()
            };
            line(
                &mut out,
                reader,
                UNIX_EPOCH,
                &record(Level::Warn, format_args!("x\ny")),
            )
            .unwrap();
            line(
                &mut out,
                reader,
                UNIX_EPOCH,
                &record(Level::Error, format_args!("z")),
            )
            .unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            lines(Reader::Journal),
            "<4>[WARN  a::b] x\n<4>[WARN  a::b] y\n<3>[ERROR a::b] z\n"
        );
        assert!(lines(Reader::File).starts_with("1970-01-01T00:00:00.000Z [WARN  a::b] x\n1970"));
        assert_eq!(
            lines(Reader::Other),
            "[WARN  a::b] x\n[WARN  a::b] y\n[ERROR a::b] z\n"
        );
    }
}
