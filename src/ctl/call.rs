//! What a command line of `plauschctl` asks for; the commands read it.

use std::path::PathBuf;

use super::{Failure, service};
use crate::auth::passwords::Cost;

pub(super) const PROGRAM: &str = "plauschctl";

/// Where the database is when neither an option, the environment nor the settings of the installed
/// service say so: that of `plauschd` started here, or else that of the service.
const DATABASES: [&str; 2] = ["plausch.db", "/var/lib/plausch/plausch.db"];

#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(super) database: Option<PathBuf>,
    pub(super) arguments: Vec<String>,
    pub(super) json: bool,
    pub(super) force: bool,
    pub(super) quiet: bool,
    pub(super) dry_run: bool,
    pub(super) days: Option<u32>,
    pub(super) media_days: Option<u32>,
    pub(super) email: Option<String>,
    pub(super) gender: String,
    pub(super) password_file: Option<PathBuf>,
    pub(super) cost: Cost,
}

impl Call {
    /// An argument of the command; the table says how many there are.
    pub(super) fn argument(&self, index: usize) -> &str {
        self.arguments.get(index).map_or("", String::as_str)
    }

    pub(super) fn find_database(&mut self) -> Result<(), Failure> {
        if self.database.is_none() {
            self.database = Some(usual_database()?);
        }
        Ok(())
    }

    pub(super) fn database(&self) -> PathBuf {
        self.database
            .clone()
            .unwrap_or_else(|| PathBuf::from(DATABASES[0]))
    }
}

fn usual_database() -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os(service::VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    // Named there, it is meant, whatever lies in the directory that an operator happens to be in.
    let named = service::database()
        .map_err(|error| Failure::Refused(format!("{}: {error}", service::SETTINGS)))?;
    let found = || {
        DATABASES
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists())
    };
    Ok(named
        .or_else(found)
        .unwrap_or_else(|| PathBuf::from(DATABASES[0])))
}
