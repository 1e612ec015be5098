//! The commands and options, each declared once.

use crate::ctl::call::Call;
use crate::ctl::{CommandResult, accounts, files, health, prune, statistics};
use crate::options::{OptionRow, file, number, put};

pub(crate) struct CommandRow {
    /// Its words, as `user list`.
    pub(super) words: &'static str,
    /// What stands for its arguments in `--help`; all of them must be given.
    pub(super) arguments: &'static [&'static str],
    pub(super) options: &'static [&'static str],
    pub(super) help: &'static str,
    pub(in crate::ctl) run: fn(&Call) -> CommandResult,
}

impl CommandRow {
    const fn new(words: &'static str, run: fn(&Call) -> CommandResult) -> Self {
        CommandRow {
            words,
            arguments: &[],
            options: &[],
            help: "",
            run,
        }
    }

    const fn arguments(mut self, arguments: &'static [&'static str]) -> Self {
        self.arguments = arguments;
        self
    }

    const fn options(mut self, options: &'static [&'static str]) -> Self {
        self.options = options;
        self
    }

    const fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    /// The words and what follows them: `user rename OLD NEW`.
    pub(super) fn synopsis(&self) -> String {
        [&[self.words], self.arguments].concat().join(" ")
    }
}

/// All commands, in the order of `--help`.
pub(super) static COMMANDS: &[CommandRow] = &[
    CommandRow::new("user list", accounts::list)
        .options(&["json"])
        .help("list all accounts: id, registration time (UTC), name"),
    CommandRow::new("user show", accounts::show)
        .arguments(&["NAME"])
        .options(&["json"])
        .help("show the details of one account"),
    CommandRow::new("user add", accounts::add)
        .arguments(&["NAME"])
        .options(&["email", "gender", "password-file", "scrypt"])
        .help("create an account; prompt for the password, or read it from standard input"),
    CommandRow::new("user passwd", accounts::passwd)
        .arguments(&["NAME"])
        .options(&["password-file", "scrypt"])
        .help(
            "set an account's password and end its login; prompt for the password, or read it \
             from standard input",
        ),
    CommandRow::new("user rename", accounts::rename)
        .arguments(&["OLD", "NEW"])
        .help("rename an account and end its login; contacts, chats and messages stay"),
    CommandRow::new("user kick", accounts::kick)
        .arguments(&["NAME"])
        .help("end an account's login; the user may log in again"),
    CommandRow::new("user delete", accounts::delete)
        .arguments(&["NAME"])
        .options(&["force"])
        .help("delete an account permanently and end its login, as its owner could; asks first"),
    CommandRow::new("stats", statistics::stats)
        .options(&["json"])
        .help("count users, chats, messages and media, and show the space they use"),
    CommandRow::new("backup", files::backup)
        .arguments(&["FILE"])
        .options(&["force", "quiet"])
        .help("copy the database as of now to a file of mode 0600; a running server continues"),
    CommandRow::new("restore", files::restore)
        .arguments(&["FILE"])
        .options(&["force", "quiet"])
        .help(
            "check a backup, then replace the database with it; refused while a server is using the \
             database",
        ),
    CommandRow::new("check", statistics::check)
        .options(&["quiet"])
        .help("check the database for damage, and its contents against the rules of the schema"),
    CommandRow::new("salvage", files::salvage)
        .arguments(&["DAMAGED", "NEW"])
        .options(&["quiet"])
        .help(
            "recover what is readable in a damaged database and its write-ahead log into a new \
             database, without changing the damaged one; stop the server first",
        ),
    CommandRow::new("health", health::health).help(
        "check that the database's server responds, its last transaction was stored and the disk \
         has room; writes nothing",
    ),
    CommandRow::new("ping", health::ping)
        .arguments(&["ADDR:PORT"])
        .help("check that a server responds at an address (without TLS), not that its store works"),
    CommandRow::new("prune", prune::prune)
        .options(&["days", "media-days", "dry-run"])
        .help("remove old delivered messages with their media, or only old media"),
];

type CtlRow = OptionRow<Call>;

const FILE: &str = "the name of a file";
const DAYS: &str = "a number of days from 0 to 36500";

/// All options, in the order of `--help`; then come `--help` and `--version`.
pub(super) const OPTIONS: &[CtlRow] = &[
    CtlRow::new("database")
        .help(
            "database file (default PLAUSCHD_DATABASE in the environment or in \
             /etc/default/plauschd, else plausch.db if it exists here, else \
             /var/lib/plausch/plausch.db)",
        )
        .takes("FILE", FILE, |c, text| put(&mut c.database, file(text)))
        .short("d"),
    CtlRow::new("json")
        .help("print JSON")
        .sets(|c| c.json = true)
        .short("j"),
    CtlRow::new("force")
        .help("overwrite an existing file; delete without asking")
        .sets(|c| c.force = true)
        .short("f"),
    CtlRow::new("quiet")
        .help("do not show progress")
        .sets(|c| c.quiet = true)
        .short("q"),
    CtlRow::new("email")
        .help("email address of the new account (default NAME@localhost)")
        .takes(
            "ADDRESS",
            "an address with one @, of at most 254 characters",
            |c, text| {
                c.email = Some(text.to_owned());
                accounts::is_email(text).then_some(())
            },
        ),
    CtlRow::new("gender")
        .help("gender of the new account, any text")
        .takes("TEXT", "1 to 32 characters", |c, text| {
            text.clone_into(&mut c.gender);
            accounts::is_gender(text).then_some(())
        })
        .default("-"),
    CtlRow::new("password-file")
        .help(
            "read the password from the first line of this file, which only its owner should be \
             able to read",
        )
        .takes("FILE", FILE, |c, text| {
            put(&mut c.password_file, file(text))
        }),
    CtlRow::new("scrypt")
        .help("cost of the password hash, as for plauschd")
        .takes(
            "LOG_N,R,P",
            "LOG_N,R,P of at most 256 MiB and some seconds a hash, such as 14,8,5",
            |c, text| put(&mut c.cost, text.parse().ok()),
        )
        .default("14,8,5"),
    CtlRow::new("days")
        .help("prune messages older than this many days")
        .takes("N", DAYS, |c, text| put(&mut c.days, days(text))),
    CtlRow::new("media-days")
        .help("prune media older than this many days; their messages stay")
        .takes("N", DAYS, |c, text| put(&mut c.media_days, days(text))),
    CtlRow::new("dry-run")
        .help("report what prune would remove, without removing it")
        .sets(|c| c.dry_run = true)
        .short("n"),
];

fn days(text: &str) -> Option<Option<u32>> {
    number(text, 0..=36_500).map(Some)
}
