//! The commands `backup`, `restore` and `salvage`.

use std::path::Path;

use super::{CommandResult, Failure, statistics};
use crate::ctl::call::{Call, PROGRAM};
use crate::ctl::terminal::Progress;
use crate::store::admin::copy::{self, CopyError};
use crate::store::admin::salvage as store_salvage;

pub(super) fn backup(call: &Call) -> CommandResult {
    let (source, target) = (call.database(), Path::new(call.argument(0)));
    let mut progress = Progress::new(call.quiet);
    let synced = copy::backup(&source, target, call.force, |done, all| {
        progress.share(done, all);
    })
    .map_err(|error| failure(error, &source, target))?;
    drop(progress);
    warn_unless(synced, target);
    Ok(format!("{} holds {}", target.display(), size_of(target)))
}

pub(super) fn restore(call: &Call) -> CommandResult {
    let (source, target) = (Path::new(call.argument(0)), call.database());
    let mut progress = Progress::new(call.quiet);
    progress.show("checking the copy".to_owned());
    let synced = copy::restore(source, &target, call.force, |done, all| {
        progress.share(done, all);
    })
    .map_err(|error| failure(error, source, &target))?;
    drop(progress);
    warn_unless(synced, &target);
    Ok(format!("{} holds {}", target.display(), size_of(&target)))
}

pub(super) fn salvage(call: &Call) -> CommandResult {
    let (damaged, new) = (Path::new(call.argument(0)), Path::new(call.argument(1)));
    crate::sys::temporary_files_beside(new);
    let mut progress = Progress::new(call.quiet);
    let salvaged = store_salvage::salvage(damaged, new, |done, all| progress.share(done, all))
        .map_err(|error| failure(error, damaged, new))?;
    drop(progress);
    warn_unless(salvaged.synced, new);
    let mut text = format!("{:<10} {:>10} {:>10}", "", "saved", "lost");
    for kind in &salvaged.kinds {
        let (saved, lost) = (kind.saved, kind.lost);
        text.push_str(&format!("\n{:<10} {saved:>10} {lost:>10}", kind.name));
    }
    if salvaged.pages_lost > 0 {
        let pages = salvaged.pages_lost;
        text.push_str(&format!(
            "\nunreadable pages: {pages}; their contents may be missing from \"lost\""
        ));
    }
    if salvaged.log_lost > 0 {
        let bytes = salvaged.log_lost;
        text.push_str(&format!(
            "\nunreadable bytes of the write-ahead log: {bytes}; the newest changes may be missing"
        ));
    }
    if salvaged.problems.is_empty() {
        return Ok(format!("{text}\n{} is intact", new.display()));
    }
    let found = salvaged.problems.join("\n");
    Err(Failure::Found(format!("{text}\n{found}")))
}

/// The copy is complete and synced; only its name may be lost in a power failure.
fn warn_unless(synced: bool, target: &Path) {
    if !synced {
        eprintln!(
            "{PROGRAM}: warning: {}: this file system cannot sync directories; the copy is complete, \
             but its name may be lost in a power failure within the next minute",
            target.display()
        );
    }
}

fn size_of(path: &Path) -> String {
    let bytes = std::fs::metadata(path).map_or(0, |data| data.len());
    statistics::size(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn failure(error: CopyError, source: &Path, target: &Path) -> Failure {
    match error {
        CopyError::Source(error) => Failure::Store(source.to_owned(), error),
        CopyError::Target(error) => Failure::Store(target.to_owned(), error),
    }
}
