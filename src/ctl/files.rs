//! Copies of the database.

use std::path::Path;

use super::options::Call;
use super::terminal::Progress;
use super::{Failure, Outcome, figures};
use crate::store::copy::{self, CopyError};

pub(super) fn backup(call: &Call) -> Outcome {
    let (source, target) = (call.database(), Path::new(call.argument(0)));
    let mut progress = Progress::new(call.quiet);
    copy::backup(&source, target, call.force, |done, all| {
        progress.share(done, all);
    })
    .map_err(|error| failure(error, &source, target))?;
    drop(progress);
    Ok(format!("{} holds {}", target.display(), size_of(target)))
}

pub(super) fn restore(call: &Call) -> Outcome {
    let (source, target) = (Path::new(call.argument(0)), call.database());
    let mut progress = Progress::new(call.quiet);
    progress.show("checking the copy".to_owned());
    copy::restore(source, &target, call.force, |done, all| {
        progress.share(done, all);
    })
    .map_err(|error| failure(error, source, &target))?;
    drop(progress);
    Ok(format!("{} holds {}", target.display(), size_of(&target)))
}

fn size_of(path: &Path) -> String {
    let bytes = std::fs::metadata(path).map_or(0, |data| data.len());
    figures::size(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// Names the file that was in the way.
fn failure(error: CopyError, source: &Path, target: &Path) -> Failure {
    match error {
        CopyError::Source(error) => Failure::Store(source.to_owned(), error),
        CopyError::Target(error) => Failure::Store(target.to_owned(), error),
    }
}
