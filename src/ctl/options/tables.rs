//! The commands and options, each declared once.

use std::path::PathBuf;

use super::Call;
use crate::ctl::{Outcome, accounts, figures, files, health, prune};
use crate::options;
use crate::options::number;

/// The longest age that can be given, in days: about a hundred years.
const DAYS_MAX: u32 = 36_500;

/// One command.
pub struct CommandRow {
    /// Its words, as `user list`.
    pub words: &'static str,
    /// What stands for its arguments in `--help`; all of them must be given.
    pub arguments: &'static [&'static str],
    /// Its own options, by their long names.
    pub options: &'static [&'static str],
    /// What it does.
    pub help: &'static str,
    pub(in crate::ctl) run: fn(&Call) -> Outcome,
}

impl CommandRow {
    /// The words and what follows them: `user rename OLD NEW`.
    #[must_use]
    pub fn synopsis(&self) -> String {
        let mut text = self.words.to_owned();
        for argument in self.arguments {
            text.push(' ');
            text.push_str(argument);
        }
        text
    }
}

/// One option.
pub type OptionRow = options::OptionRow<Own>;

/// What is told of an option beside its names and what it does.
pub struct Own {
    /// What an error message says that the option takes; empty for a flag.
    pub takes: &'static str,
    pub(super) set: fn(&mut Call, &str) -> Option<()>,
}

/// All commands, in the order of `--help`.
pub static COMMANDS: &[CommandRow] = &[
    CommandRow {
        words: "user list",
        arguments: &[],
        options: &["json"],
        help: "all accounts: id, when registered (UTC), name",
        run: accounts::list,
    },
    CommandRow {
        words: "user show",
        arguments: &["NAME"],
        options: &["json"],
        help: "what there is to say of one account",
        run: accounts::show,
    },
    CommandRow {
        words: "user add",
        arguments: &["NAME"],
        options: &["email", "gender", "password-file", "scrypt"],
        help: "make an account; the password is asked for, or read from standard input",
        run: accounts::add,
    },
    CommandRow {
        words: "user passwd",
        arguments: &["NAME"],
        options: &["password-file", "scrypt"],
        help: "give an account another password and end its login; the password is asked for, or \
               read from standard input",
        run: accounts::passwd,
    },
    CommandRow {
        words: "user rename",
        arguments: &["OLD", "NEW"],
        options: &[],
        help: "give an account another name and end its login; contacts, chats and messages stay",
        run: accounts::rename,
    },
    CommandRow {
        words: "user kick",
        arguments: &["NAME"],
        options: &[],
        help: "end the login of an account, which may log in again",
        run: accounts::kick,
    },
    CommandRow {
        words: "user delete",
        arguments: &["NAME"],
        options: &["force"],
        help: "delete an account for good and end its login, as its owner could; asks before",
        run: accounts::delete,
    },
    CommandRow {
        words: "stats",
        arguments: &[],
        options: &["json"],
        help: "how many users, chats, messages and media there are, and what they take up",
        run: figures::stats,
    },
    CommandRow {
        words: "backup",
        arguments: &["FILE"],
        options: &["force", "quiet"],
        help: "copy the database, as it is at this moment, to a file of mode 0600; a server goes on",
        run: files::backup,
    },
    CommandRow {
        words: "restore",
        arguments: &["FILE"],
        options: &["force", "quiet"],
        help: "check a copy and make it the database; refused while a server uses that",
        run: files::restore,
    },
    CommandRow {
        words: "check",
        arguments: &[],
        options: &["quiet"],
        help: "look whether the database is whole, and keeps what the schema promises",
        run: figures::check,
    },
    CommandRow {
        words: "salvage",
        arguments: &["DAMAGED", "NEW"],
        options: &["quiet"],
        help: "save what can be read of a damaged database, which is only read, and of its log \
               beside it into a new one; stop the server first",
        run: files::salvage,
    },
    CommandRow {
        words: "health",
        arguments: &[],
        options: &[],
        help: "whether the server of the database answers, its last transaction was kept and the \
               disk has room; nothing is written",
        run: health::health,
    },
    CommandRow {
        words: "ping",
        arguments: &["ADDR:PORT"],
        options: &[],
        help: "whether a server answers there (without TLS), which says nothing of its store",
        run: health::ping,
    },
    CommandRow {
        words: "prune",
        arguments: &[],
        options: &["days", "media-days", "dry-run"],
        help: "remove old messages that have arrived, with their media, or old media alone",
        run: prune::prune,
    },
];

/// All options, in the order of `--help`.
pub static OPTIONS: &[OptionRow] = &[
    OptionRow {
        long: "database",
        short: "d",
        hint: "FILE",
        help: "the database (default PLAUSCHD_DATABASE of the environment or of \
               /etc/default/plauschd, or else plausch.db if it is here, or else \
               /var/lib/plausch/plausch.db)",
        own: Own {
            takes: "the name of a file",
            set: |call, text| {
                call.database = (!text.is_empty()).then(|| PathBuf::from(text));
                call.database.is_some().then_some(())
            },
        },
    },
    OptionRow {
        long: "json",
        short: "j",
        hint: "",
        help: "print JSON",
        own: Own {
            takes: "",
            set: |call, _| {
                call.json = true;
                Some(())
            },
        },
    },
    OptionRow {
        long: "force",
        short: "f",
        hint: "",
        help: "replace a file that exists, delete without asking",
        own: Own {
            takes: "",
            set: |call, _| {
                call.force = true;
                Some(())
            },
        },
    },
    OptionRow {
        long: "quiet",
        short: "q",
        hint: "",
        help: "show no progress",
        own: Own {
            takes: "",
            set: |call, _| {
                call.quiet = true;
                Some(())
            },
        },
    },
    OptionRow {
        long: "email",
        short: "",
        hint: "ADDRESS",
        help: "the new account's address (default NAME@localhost)",
        own: Own {
            takes: "an address with one @, of at most 254 characters",
            set: |call, text| {
                call.email = accounts::is_email(text).then(|| text.to_owned());
                call.email.is_some().then_some(())
            },
        },
    },
    OptionRow {
        long: "gender",
        short: "",
        hint: "TEXT",
        help: "the new account's gender, any text (default -)",
        own: Own {
            takes: "1 to 32 characters",
            set: |call, text| {
                call.gender = accounts::is_gender(text).then(|| text.to_owned());
                call.gender.is_some().then_some(())
            },
        },
    },
    OptionRow {
        long: "password-file",
        short: "",
        hint: "FILE",
        help: "take the password from the first line of this file, which nobody else should be \
               able to read",
        own: Own {
            takes: "the name of a file",
            set: |call, text| {
                call.password_file = (!text.is_empty()).then(|| text.into());
                call.password_file.is_some().then_some(())
            },
        },
    },
    OptionRow {
        long: "scrypt",
        short: "",
        hint: "LOG_N,R,P",
        help: "the cost of the password hash, as plauschd has it (default 14,8,5)",
        own: Own {
            takes: "LOG_N,R,P of at most 256 MiB and some seconds a hash, such as 14,8,5",
            set: |call, text| {
                call.cost = text.parse().ok()?;
                Some(())
            },
        },
    },
    OptionRow {
        long: "days",
        short: "",
        hint: "N",
        help: "prune messages older than this",
        own: Own {
            takes: "a number of days from 0 to 36500",
            set: |call, text| {
                call.days = Some(number(text, 0..=DAYS_MAX)?);
                Some(())
            },
        },
    },
    OptionRow {
        long: "media-days",
        short: "",
        hint: "N",
        help: "prune media older than this; their messages stay",
        own: Own {
            takes: "a number of days from 0 to 36500",
            set: |call, text| {
                call.media_days = Some(number(text, 0..=DAYS_MAX)?);
                Some(())
            },
        },
    },
    OptionRow {
        long: "dry-run",
        short: "n",
        hint: "",
        help: "say what prune would remove, and remove nothing",
        own: Own {
            takes: "",
            set: |call, _| {
                call.dry_run = true;
                Some(())
            },
        },
    },
    OptionRow {
        long: "help",
        short: "h",
        hint: "",
        help: "print this and exit",
        own: Own {
            takes: "",
            set: |call, _| {
                call.help = true;
                Some(())
            },
        },
    },
    OptionRow {
        long: "version",
        short: "V",
        hint: "",
        help: "print the version and exit",
        own: Own {
            takes: "",
            set: |call, _| {
                call.version = true;
                Some(())
            },
        },
    },
];
