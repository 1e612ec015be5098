//! Where the installed service keeps its database.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The working directory of the installed service; relative paths in [`SETTINGS`] start here.
const STATE: &str = "/var/lib/plausch";

/// The settings of the installed service, read by its unit and its init script.
pub(super) const SETTINGS: &str = "/etc/default/plauschd";

/// The setting, and environment variable, that names the database.
pub(super) const VARIABLE: &str = "PLAUSCHD_DATABASE";

pub(super) fn database() -> io::Result<Option<PathBuf>> {
    match fs::read_to_string(SETTINGS) {
        Ok(text) => Ok(named_in(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The value as both systemd and a shell read it: of the last assignment, quoted or not.
fn named_in(text: &str) -> Option<PathBuf> {
    let mut named = None;
    for line in text.lines() {
        let assigned = line.trim().strip_prefix(VARIABLE);
        if let Some(value) = assigned.and_then(|rest| rest.strip_prefix('=')) {
            named = Some(unquoted(value.trim()));
        }
    }
    let named = named.filter(|path| !path.is_empty())?;
    Some(Path::new(STATE).join(named))
}

fn unquoted(value: &str) -> String {
    let inner = |quote| {
        let rest = value.strip_prefix(quote)?;
        Some(&rest[..rest.find(quote)?])
    };
    match (inner('\''), inner('"')) {
        (Some(inner), _) => inner.to_owned(),
        (None, Some(inner)) => inner.replace("\\\\", "\\"),
        (None, None) => value.replace('\\', ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_read_as_systemd_and_a_shell_read_them() {
        for (text, named) in [
            ("", None),
            ("PLAUSCHD_OPTIONS=\"--explain\"\n", None),
            ("#PLAUSCHD_DATABASE=/a\n", None),
            ("PLAUSCHD_DATABASE=\n", None),
            ("PLAUSCHD_DATABASES=/a\n", None),
            ("PLAUSCHD_DATABASE=/a/b.db\n", Some("/a/b.db")),
            ("  PLAUSCHD_DATABASE=/a/b.db \r\n", Some("/a/b.db")),
            ("PLAUSCHD_DATABASE='/a b/c.db'", Some("/a b/c.db")),
            ("PLAUSCHD_DATABASE=\"/a b/c.db\" # c", Some("/a b/c.db")),
            ("PLAUSCHD_DATABASE=/a\\ b/c.db", Some("/a b/c.db")),
            ("PLAUSCHD_DATABASE=/a\nPLAUSCHD_DATABASE=/b", Some("/b")),
            ("PLAUSCHD_DATABASE=b.db", Some("/var/lib/plausch/b.db")),
        ] {
            assert_eq!(named_in(text), named.map(PathBuf::from), "{text:?}");
        }
    }
}
