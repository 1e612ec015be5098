//! What the server has to know of each of its options.

use super::{Config, NO_TLS, UsageError};
use crate::options;

/// The headings under which `--help` lists the options, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where and how to talk.
    Network,
    /// Where things are kept.
    Storage,
    /// Who may come in.
    Accounts,
    /// How much of everything.
    Limits,
    /// The rest.
    Other,
}

impl Group {
    /// All headings, in order.
    pub const ALL: [Group; 5] = [
        Group::Network,
        Group::Storage,
        Group::Accounts,
        Group::Limits,
        Group::Other,
    ];

    /// The heading itself.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Group::Network => "Network",
            Group::Storage => "Storage",
            Group::Accounts => "Accounts",
            Group::Limits => "Limits",
            Group::Other => "Other",
        }
    }
}

/// One option of the server.
pub type OptionRow = options::OptionRow<Own>;

/// What is told of an option of the server beside its names and what it does.
#[derive(Debug)]
pub struct Own {
    /// What an error message says that the option takes; empty for a flag.
    pub takes: &'static str,
    /// What holds without the option, as one would write it; empty for a flag.
    pub default: &'static str,
    /// The heading under which it stands.
    pub group: Group,
    pub(super) action: Action,
}

/// What an option does to the configuration, or instead of running.
#[derive(Debug)]
pub(super) enum Action {
    /// Without a value.
    Flag(fn(&mut Config)),
    /// With a value, once. `None` refuses the value.
    One(fn(&mut Config, &str) -> Option<()>),
    /// With a value each time. The first replaces the default.
    Many {
        clear: fn(&mut Config),
        add: fn(&mut Config, &str) -> Option<()>,
    },
    /// Prints the help.
    Help,
    /// Prints the version.
    Version,
    /// This build is without what it is for.
    Absent,
}

/// The action of an option for TLS.
pub(super) const fn tls(action: Action) -> Action {
    if cfg!(feature = "tls") {
        action
    } else {
        Action::Absent
    }
}

impl OptionRow {
    /// Whether the option may be given more than once.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        matches!(self.own.action, Action::Many { .. })
    }

    /// Puts its values, as they were given, into `config`.
    pub(super) fn apply(
        &'static self,
        config: &mut Config,
        values: Vec<String>,
    ) -> Result<(), UsageError> {
        let set = match self.own.action {
            Action::Flag(set) => {
                set(config);
                return Ok(());
            }
            Action::One(set) => set,
            Action::Many { clear, add } => {
                clear(config);
                add
            }
            Action::Help | Action::Version | Action::Absent => return Ok(()),
        };
        for value in values {
            if set(config, &value).is_none() {
                return Err(UsageError::Invalid(self, value));
            }
        }
        Ok(())
    }

    /// What it does, what holds without it, and whether it can be repeated.
    #[must_use]
    pub fn description(&self) -> String {
        let mut remarks = Vec::new();
        if !self.own.default.is_empty() {
            remarks.push(format!("default {}", self.own.default));
        }
        if self.is_repeatable() {
            remarks.push("repeatable".to_owned());
        }
        if matches!(self.own.action, Action::Absent) {
            remarks.push(NO_TLS.to_owned());
        }
        match remarks.as_slice() {
            [] => self.help.to_owned(),
            remarks => format!("{} ({})", self.help, remarks.join("; ")),
        }
    }
}
