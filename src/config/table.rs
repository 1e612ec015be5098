//! The options of the server, each declared once.

use std::time::Duration;

use crate::config::row::{Action, Group, OptionRow, Own, tls};
use crate::config::values::{address, bytes, file};
use crate::options::number;

/// All options of the server, in the order of `--help`.
pub static OPTIONS: &[OptionRow] = &[
    OptionRow {
        long: "listen",
        short: "l",
        hint: "ADDR:PORT",
        help: "listen there; IPv6 as [::1]:4110, everywhere as [::]:4110, all of IPv4 as \
               0.0.0.0:4110, port 0 for any free one",
        own: Own {
            takes: "an address and a port, such as 127.0.0.1:4110, [::1]:4110 or localhost:4110",
            default: "127.0.0.1:4110",
            group: Group::Network,
            action: Action::Many {
                clear: |config| config.listen.clear(),
                add: |config, text| {
                    let address = address(text)?;
                    if !config.listen.contains(&address) || address.port() == 0 {
                        config.listen.push(address);
                    }
                    Some(())
                },
            },
        },
    },
    OptionRow {
        long: "tls-listen",
        short: "",
        hint: "ADDR:PORT",
        help: "listen there too, with TLS; needs --tls-cert and --tls-key",
        own: Own {
            takes: "an address and a port, such as [::]:4111 or 192.0.2.1:4111",
            default: "",
            group: Group::Network,
            action: tls(Action::Many {
                clear: |config| config.tls_listen.clear(),
                add: |config, text| {
                    let address = address(text)?;
                    if !config.tls_listen.contains(&address) || address.port() == 0 {
                        config.tls_listen.push(address);
                    }
                    Some(())
                },
            }),
        },
    },
    OptionRow {
        long: "tls-cert",
        short: "",
        hint: "FILE",
        help: "the server's certificate and those between it and its CA, as PEM; SIGHUP has it \
               read again",
        own: Own {
            takes: "the name of a file",
            default: "",
            group: Group::Network,
            action: tls(Action::One(|config, text| {
                config.tls_cert = Some(file(text)?);
                Some(())
            })),
        },
    },
    OptionRow {
        long: "tls-key",
        short: "",
        hint: "FILE",
        help: "the certificate's private key, as PEM; SIGHUP has it read again",
        own: Own {
            takes: "the name of a file",
            default: "",
            group: Group::Network,
            action: tls(Action::One(|config, text| {
                config.tls_key = Some(file(text)?);
                Some(())
            })),
        },
    },
    OptionRow {
        long: "require-tls",
        short: "",
        hint: "",
        help: "without TLS, refuse packets with a password unless they come from this machine",
        own: Own {
            takes: "",
            default: "",
            group: Group::Network,
            action: tls(Action::Flag(|config| config.require_tls = true)),
        },
    },
    OptionRow {
        long: "proxy-from",
        short: "",
        hint: "ADDR[/BITS]",
        help: "where proxies are: connections from there have to begin with a header of the PROXY \
               protocol (1 or 2), and count for the address in it",
        own: Own {
            takes: "an address or a network, such as 127.0.0.1, 10.0.0.0/8 or 2001:db8::/32",
            default: "",
            group: Group::Network,
            action: Action::Many {
                clear: |config| config.proxy_from.clear(),
                add: |config, text| {
                    config.proxy_from.push(text.parse().ok()?);
                    Some(())
                },
            },
        },
    },
    OptionRow {
        long: "explain",
        short: "",
        hint: "",
        help: "say why a packet was refused, and answer help",
        own: Own {
            takes: "",
            default: "",
            group: Group::Network,
            action: Action::Flag(|config| config.explain = true),
        },
    },
    OptionRow {
        long: "database",
        short: "d",
        hint: "FILE",
        help: "keep everything in this SQLite database; it is made when missing",
        own: Own {
            takes: "the name of a file",
            default: "plausch.db",
            group: Group::Storage,
            action: Action::One(|config, text| {
                config.database = file(text)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "marker",
        short: "",
        hint: "FILE",
        help: "note in this file that there is a database, and never make a second one; it belongs on \
               another file system than the database",
        own: Own {
            takes: "the name of a file",
            default: "",
            group: Group::Storage,
            action: Action::One(|config, text| {
                config.marker = Some(file(text)?);
                Some(())
            }),
        },
    },
    OptionRow {
        long: "pool",
        short: "",
        hint: "N",
        help: "read with this many database connections",
        own: Own {
            takes: "a number from 1 to 64",
            default: "4",
            group: Group::Storage,
            action: Action::One(|config, text| {
                config.pool = number(text, 1..=64)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "check",
        short: "",
        hint: "SECONDS",
        help: "look through the database for damage before starting on it, for so long at most, \
               unless its file is as the last orderly end left it; 0 for not at all",
        own: Own {
            takes: "a number of seconds from 0 to 86400",
            default: "5",
            group: Group::Storage,
            action: Action::One(|config, text| {
                config.check = Duration::from_secs(number(text, 0..=86_400)?);
                Some(())
            }),
        },
    },
    OptionRow {
        long: "leave-checkpoints",
        short: "",
        hint: "",
        help: "leave checkpoints of the write-ahead log to another program; without one the log \
               grows for ever",
        own: Own {
            takes: "",
            default: "",
            group: Group::Storage,
            action: Action::Flag(|config| config.leave_checkpoints = true),
        },
    },
    OptionRow {
        long: "keep-days",
        short: "",
        hint: "N",
        help: "remove messages that have arrived when they are older, 0 for never",
        own: Own {
            takes: "a number of days from 0 to 36500",
            default: "0",
            group: Group::Storage,
            action: Action::One(|config, text| {
                config.keep_days = number(text, 0..=36_500)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "keep-media-days",
        short: "",
        hint: "N",
        help: "remove media when they are older, 0 for as long as their messages",
        own: Own {
            takes: "a number of days from 0 to 36500",
            default: "0",
            group: Group::Storage,
            action: Action::One(|config, text| {
                config.keep_media_days = number(text, 0..=36_500)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "registration",
        short: "",
        hint: "open|closed",
        help: "whether people can register by themselves",
        own: Own {
            takes: "open or closed",
            default: "open",
            group: Group::Accounts,
            action: Action::One(|config, text| {
                config.registration_open = match text {
                    "open" => true,
                    "closed" => false,
                    _ => return None,
                };
                Some(())
            }),
        },
    },
    OptionRow {
        long: "scrypt",
        short: "",
        hint: "LOG_N,R,P",
        help: "the cost of a password hash: 128*R*2^LOG_N bytes of memory, P times over",
        own: Own {
            takes: "LOG_N,R,P of at most 256 MiB and some seconds a hash, such as 14,8,5",
            default: "14,8,5",
            group: Group::Accounts,
            action: Action::One(|config, text| {
                config.cost = text.parse().ok()?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "login-grace",
        short: "",
        hint: "SECONDS",
        help: "close a connection that has not logged in by then",
        own: Own {
            takes: "a number of seconds from 1 to 3600",
            default: "60",
            group: Group::Accounts,
            action: Action::One(|config, text| {
                config.login_grace = Duration::from_secs(number(text, 1..=3600)?);
                Some(())
            }),
        },
    },
    OptionRow {
        long: "login-delay",
        short: "",
        hint: "SECONDS",
        help: "hold answers to failed logins back, from half a second doubling up to this; \
               0 for none",
        own: Own {
            takes: "a number of seconds from 0 to 3600",
            default: "30",
            group: Group::Accounts,
            action: Action::One(|config, text| {
                config.login_delay = Duration::from_secs(number(text, 0..=3600)?);
                Some(())
            }),
        },
    },
    OptionRow {
        long: "register-rate",
        short: "",
        hint: "N",
        help: "the most accounts that one address may register within an hour, 0 for no limit",
        own: Own {
            takes: "a number from 0 to 1000000",
            default: "20",
            group: Group::Accounts,
            action: Action::One(|config, text| {
                config.register_rate = number(text, 0..=1_000_000)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "max-requests",
        short: "",
        hint: "N",
        help: "the most contact requests of one user without an answer, 0 for no limit",
        own: Own {
            takes: "a number from 0 to 1000000",
            default: "100",
            group: Group::Accounts,
            action: Action::One(|config, text| {
                config.max_requests = number(text, 0..=1_000_000)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "max-clients",
        short: "",
        hint: "N",
        help: "the most connections at a time",
        own: Own {
            takes: "a number from 1 to 1000000",
            default: "4096",
            group: Group::Limits,
            action: Action::One(|config, text| {
                config.max_clients = number(text, 1..=1_000_000)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "max-per-ip",
        short: "",
        hint: "N",
        help: "the most connections at a time from one address, 0 for no limit",
        own: Own {
            takes: "a number from 0 to 1000000",
            default: "64",
            group: Group::Limits,
            action: Action::One(|config, text| {
                config.max_per_ip = number(text, 0..=1_000_000)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "max-media",
        short: "",
        hint: "BYTES",
        help: "the largest media; K, M and G may follow the number",
        own: Own {
            takes: "a number of bytes from 1 to 512M, also with K, M or G",
            default: "8M",
            group: Group::Limits,
            action: Action::One(|config, text| {
                config.max_media = usize::try_from(bytes(text, 1..=512 << 20)?).ok()?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "media-quota",
        short: "",
        hint: "BYTES",
        help: "how much media one user may have on the server, 0 for no limit",
        own: Own {
            takes: "a number of bytes from 0 to 1024G, also with K, M or G",
            default: "256M",
            group: Group::Limits,
            action: Action::One(|config, text| {
                config.media_quota = bytes(text, 0..=1 << 40)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "text-quota",
        short: "",
        hint: "BYTES",
        help: "how much text of one user may wait to be received, 0 for no limit",
        own: Own {
            takes: "a number of bytes from 0 to 1024G, also with K, M or G",
            default: "64M",
            group: Group::Limits,
            action: Action::One(|config, text| {
                config.text_quota = bytes(text, 0..=1 << 40)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "max-database",
        short: "",
        hint: "BYTES",
        help: "add nothing to a database of this size, 0 for no limit",
        own: Own {
            takes: "a number of bytes from 0 to 1024G, also with K, M or G",
            default: "0",
            group: Group::Limits,
            action: Action::One(|config, text| {
                config.max_database = bytes(text, 0..=1 << 40)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "max-inflight",
        short: "",
        hint: "BYTES",
        help: "the most memory for all long lines being received at once; further ones wait",
        own: Own {
            takes: "a number of bytes from 64K to 2G, also with K, M or G",
            default: "64M",
            group: Group::Limits,
            action: Action::One(|config, text| {
                config.max_inflight = usize::try_from(bytes(text, 64 << 10..=2 << 30)?).ok()?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "rate",
        short: "",
        hint: "N",
        help: "the messages a second of one connection, after a burst of ten times as many; \
               beyond that it is read more slowly; 0 for no limit",
        own: Own {
            takes: "a number from 0 to 1000000",
            default: "1000",
            group: Group::Limits,
            action: Action::One(|config, text| {
                config.rate = number(text, 0..=1_000_000)?;
                Some(())
            }),
        },
    },
    OptionRow {
        long: "help",
        short: "h",
        hint: "",
        help: "print this and exit",
        own: Own {
            takes: "",
            default: "",
            group: Group::Other,
            action: Action::Help,
        },
    },
    OptionRow {
        long: "version",
        short: "V",
        hint: "",
        help: "print the version and exit",
        own: Own {
            takes: "",
            default: "",
            group: Group::Other,
            action: Action::Version,
        },
    },
];
