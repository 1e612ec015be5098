//! A file that says that there is a database: where it is and the database is not, its disk is not
//! mounted, or somebody has deleted it, and a new one would be taken for it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::place;
use crate::store::StoreError;

pub(crate) struct Marker<'m>(pub(super) &'m Path);

impl Marker<'_> {
    /// Refuses to go on where a database was and none is.
    pub(crate) fn expect(&self, database: &Path) -> Result<(), StoreError> {
        let is_there = fs::metadata(database).is_ok_and(|data| data.len() > 0);
        if is_there || !self.named(fs::exists(self.0))? {
            return Ok(());
        }
        Err(StoreError::Foreign(format!(
            "it is not there, and {} says that there was one. Is its disk mounted? Was it moved? No \
             second one is made; to begin with an empty one, remove that file",
            self.0.display()
        )))
    }

    /// Makes the file, on stable storage, unless it is there. The database is.
    pub(crate) fn make(&self, database: &Path) -> Result<(), StoreError> {
        match self.named(File::create_new(self.0)) {
            Ok(mut file) => {
                let text = format!(
                    "There is a database of Plausch, first seen as {}. While this file is here, \
                     plauschd makes no other one.\n",
                    database.display()
                );
                self.named(file.write_all(text.as_bytes()))?;
                self.named(file.sync_all())?;
                let directory = std::path::absolute(self.0)?.parent().map(PathBuf::from);
                self.named(place::sync_directory(&directory.unwrap_or_default()))
                    .map(drop)
            }
            Err(error) if self.0.exists() => {
                log::debug!("{error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Names the file in an error.
    fn named<T>(&self, result: io::Result<T>) -> Result<T, StoreError> {
        result
            .map_err(|error| StoreError::Foreign(format!("--marker {}: {error}", self.0.display())))
    }
}
