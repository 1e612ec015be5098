//! The options of the server, each declared once.

use super::Config;
use super::values::{bytes, file, listen, seconds};
use crate::options::{OptionRow, Section, number, put};

type ConfigRow = OptionRow<Config>;

const FILE: &str = "the name of a file";
const DAYS: &str = "a number of days from 0 to 36500";
const COUNT: &str = "a number from 0 to 1000000";
const SIZE: &str = "a number of bytes from 0 to 1024G, also with K, M or G";

/// All options of the server, in the order of `--help`.
pub(super) const OPTIONS: &[Section<Config>] = &[
    ("Network", NETWORK),
    ("Storage", STORAGE),
    ("Accounts", ACCOUNTS),
    ("Limits", LIMITS),
    ("Other", &ConfigRow::HELP_AND_VERSION),
];

const NETWORK: &[ConfigRow] = &[
    ConfigRow::new("listen")
        .help(
            "listen on this address: [::1]:4110 for IPv6, [::]:4110 for all addresses, \
             0.0.0.0:4110 for all of IPv4; port 0 picks a free port",
        )
        .takes(
            "ADDR:PORT",
            "an address and a port, such as 127.0.0.1:4110, [::1]:4110 or localhost:4110",
            |c, text| listen(&mut c.listen, text),
        )
        .short("l")
        .default("127.0.0.1:4110")
        .repeatable(|c| c.listen.clear()),
    ConfigRow::new("tls-listen")
        .help("also listen on this address with TLS; needs --tls-cert and --tls-key")
        .takes(
            "ADDR:PORT",
            "an address and a port, such as [::]:4111 or 192.0.2.1:4111",
            |c, text| listen(&mut c.tls_listen, text),
        )
        .repeatable(|c| c.tls_listen.clear())
        .for_tls(),
    ConfigRow::new("tls-cert")
        .help(
            "the server's certificate and the intermediate ones up to its CA (PEM); reread on \
             SIGHUP",
        )
        .takes("FILE", FILE, |c, text| {
            put(&mut c.tls_cert, file(text).map(Some))
        })
        .for_tls(),
    ConfigRow::new("tls-key")
        .help("the certificate's private key (PEM); reread on SIGHUP")
        .takes("FILE", FILE, |c, text| {
            put(&mut c.tls_key, file(text).map(Some))
        })
        .for_tls(),
    ConfigRow::new("require-tls")
        .help("refuse packets with a password unless they come over TLS or from this machine")
        .sets(|c| c.require_tls = true)
        .for_tls(),
    ConfigRow::new("proxy-from")
        .help(
            "address or network of proxies: each connection from there must begin with a \
             PROXY protocol header (version 1 or 2) and counts as coming from the address in \
             it",
        )
        .takes(
            "ADDR[/BITS]",
            "an address or a network, such as 127.0.0.1, 10.0.0.0/8 or 2001:db8::/32",
            |c, text| {
                c.proxy_from.push(text.parse().ok()?);
                Some(())
            },
        )
        .repeatable(|c| c.proxy_from.clear()),
    ConfigRow::new("explain")
        .help("give the reason when a packet is refused, and answer help")
        .sets(|c| c.explain = true),
];

const STORAGE: &[ConfigRow] = &[
    ConfigRow::new("database")
        .help("SQLite database that holds everything; created if missing")
        .takes("FILE", FILE, |c, text| put(&mut c.database, file(text)))
        .short("d")
        .default("plausch.db"),
    ConfigRow::new("marker")
        .help(
            "record in this file that the database exists, and never create another; keep it \
             on a different file system from the database",
        )
        .takes("FILE", FILE, |c, text| {
            put(&mut c.marker, file(text).map(Some))
        }),
    ConfigRow::new("pool")
        .help("number of database connections for reading")
        .takes("N", "a number from 1 to 64", |c, text| {
            put(&mut c.pool, number(text, 1..=64))
        })
        .default("4"),
    ConfigRow::new("check")
        .help(
            "spend at most this long checking the database for damage at startup, unless its \
             file is unchanged since a clean shutdown; 0 to skip the check",
        )
        .takes(
            "SECONDS",
            "a number of seconds from 0 to 86400",
            |c, text| put(&mut c.check, seconds(text, 0..=86_400)),
        )
        .default("5"),
    ConfigRow::new("leave-checkpoints")
        .help(
            "leave checkpoints of the write-ahead log to another program; without one the log \
             grows without limit",
        )
        .sets(|c| c.leave_checkpoints = true),
    ConfigRow::new("keep-days")
        .help("remove delivered messages older than this many days; 0 to keep them forever")
        .takes("N", DAYS, |c, text| {
            put(&mut c.keep_days, number(text, 0..=36_500))
        })
        .default("0"),
    ConfigRow::new("keep-media-days")
        .help("remove media older than this many days; 0 to keep them as long as their messages")
        .takes("N", DAYS, |c, text| {
            put(&mut c.keep_media_days, number(text, 0..=36_500))
        })
        .default("0"),
];

const ACCOUNTS: &[ConfigRow] = &[
    ConfigRow::new("registration")
        .help("whether users can register themselves")
        .takes("open|closed", "open or closed", |c, text| {
            c.registration_open = match text {
                "open" => true,
                "closed" => false,
                _ => return None,
            };
            Some(())
        })
        .default("open"),
    ConfigRow::new("scrypt")
        .help("cost of a password hash: 128*R*2^LOG_N bytes of memory, P times over")
        .takes(
            "LOG_N,R,P",
            "LOG_N,R,P of at most 256 MiB and some seconds a hash, such as 14,8,5",
            |c, text| put(&mut c.cost, text.parse().ok()),
        )
        .default("14,8,5"),
    ConfigRow::new("login-grace")
        .help("close connections that have not logged in within this time")
        .takes(
            "SECONDS",
            "a number of seconds from 1 to 3600",
            |c, text| put(&mut c.login_grace, seconds(text, 1..=3600)),
        )
        .default("60"),
    ConfigRow::new("login-delay")
        .help(
            "delay replies to failed logins, doubling from half a second up to this; 0 for no \
             delay",
        )
        .takes(
            "SECONDS",
            "a number of seconds from 0 to 3600",
            |c, text| put(&mut c.login_delay, seconds(text, 0..=3600)),
        )
        .default("30"),
    ConfigRow::new("register-rate")
        .help("maximum accounts registered from one address per hour; 0 for no limit")
        .takes("N", COUNT, |c, text| {
            put(&mut c.register_rate, number(text, 0..=1_000_000))
        })
        .default("20"),
    ConfigRow::new("max-requests")
        .help("maximum unanswered contact requests of one user; 0 for no limit")
        .takes("N", COUNT, |c, text| {
            put(&mut c.max_requests, number(text, 0..=1_000_000))
        })
        .default("100"),
];

const LIMITS: &[ConfigRow] = &[
    ConfigRow::new("max-clients")
        .help("maximum simultaneous connections")
        .takes("N", "a number from 1 to 1000000", |c, text| {
            put(&mut c.max_clients, number(text, 1..=1_000_000))
        })
        .default("4096"),
    ConfigRow::new("max-per-ip")
        .help("maximum simultaneous connections from one address; 0 for no limit")
        .takes("N", COUNT, |c, text| {
            put(&mut c.max_per_ip, number(text, 0..=1_000_000))
        })
        .default("64"),
    ConfigRow::new("max-media")
        .help("maximum size of media; the number may end in K, M or G")
        .takes(
            "BYTES",
            "a number of bytes from 1 to 512M, also with K, M or G",
            |c, text| put(&mut c.max_media, bytes(text, 1..=512 << 20)),
        )
        .default("8M"),
    ConfigRow::new("media-quota")
        .help("maximum media of one user on the server; 0 for no limit")
        .takes("BYTES", SIZE, |c, text| {
            put(&mut c.media_quota, bytes(text, 0..=1 << 40))
        })
        .default("256M"),
    ConfigRow::new("text-quota")
        .help("maximum undelivered text of one sender; 0 for no limit")
        .takes("BYTES", SIZE, |c, text| {
            put(&mut c.text_quota, bytes(text, 0..=1 << 40))
        })
        .default("64M"),
    ConfigRow::new("max-database")
        .help("store nothing more once the database is this large; 0 for no limit")
        .takes("BYTES", SIZE, |c, text| {
            put(&mut c.max_database, bytes(text, 0..=1 << 40))
        })
        .default("0"),
    ConfigRow::new("max-inflight")
        .help("maximum memory for all long lines being received; further ones wait")
        .takes(
            "BYTES",
            "a number of bytes from 64K to 2G, also with K, M or G",
            |c, text| put(&mut c.max_inflight, bytes(text, 64 << 10..=2 << 30)),
        )
        .default("64M"),
    ConfigRow::new("rate")
        .help(
            "messages per second on one connection, after a burst of ten times as many; \
             beyond that it is read more slowly; 0 for no limit",
        )
        .takes("N", COUNT, |c, text| {
            put(&mut c.rate, number(text, 0..=1_000_000))
        })
        .default("1000"),
];
