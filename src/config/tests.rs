use super::*;
use crate::options::tests::{check_table, mistake, running};

fn parse(args: &[&str]) -> Result<Invocation<Config>, UsageError> {
    Config::from_args(args.iter().map(OsString::from))
}

fn config(args: &[&str]) -> Config {
    running(args, parse(args))
}

fn error(args: &[&str]) -> String {
    mistake(args, parse(args))
}

#[test]
fn no_arguments_give_the_defaults() {
    let config = config(&[]);
    assert_eq!(config.listen, ["127.0.0.1:4110".parse().unwrap()]);
    assert_eq!(config.database, PathBuf::from("plausch.db"));
    assert_eq!(config.max_media, 8 << 20);
    assert_eq!(config.login_delay, Duration::from_secs(30));
    assert!(config.registration_open && !config.explain);
}

#[cfg(feature = "tls")]
#[test]
fn every_option_does_what_it_says() {
    let all = config(&[
        "-l",
        "0.0.0.0:1",
        "-l[::1]:2",
        "--listen=[::]:3",
        "--tls-listen=[::]:4",
        "--tls-listen",
        "0.0.0.0:5",
        "--tls-cert=chain.pem",
        "--tls-key",
        "key.pem",
        "--require-tls",
        "-d",
        "x/y.db",
        "--marker=y.marker",
        "--leave-checkpoints",
        "--explain",
        "--proxy-from",
        "10.0.0.0/8",
        "--proxy-from=::1",
        "--max-clients",
        "1",
        "--max-per-ip=0",
        "--max-media",
        "3K",
        "--media-quota=2G",
        "--text-quota=3M",
        "--max-database=10g",
        "--keep-days=90",
        "--keep-media-days",
        "30",
        "--registration",
        "closed",
        "--scrypt",
        "4,8,1",
        "--login-grace",
        "3600",
        "--login-delay=0",
        "--register-rate",
        "21",
        "--max-requests=0",
        "--rate",
        "1",
        "--max-inflight=2G",
        "--pool",
        "64",
        "--check",
        "7",
    ]);
    let expected = Config {
        listen: ["0.0.0.0:1", "[::1]:2", "[::]:3"]
            .map(|a| a.parse().unwrap())
            .to_vec(),
        tls_listen: ["[::]:4", "0.0.0.0:5"].map(|a| a.parse().unwrap()).to_vec(),
        tls_cert: Some(PathBuf::from("chain.pem")),
        tls_key: Some(PathBuf::from("key.pem")),
        require_tls: true,
        database: PathBuf::from("x/y.db"),
        marker: Some(PathBuf::from("y.marker")),
        leave_checkpoints: true,
        proxy_from: ["10.0.0.0/8", "::1"].map(|a| a.parse().unwrap()).to_vec(),
        explain: true,
        max_clients: 1,
        max_per_ip: 0,
        max_media: 3072,
        media_quota: 2 << 30,
        text_quota: 3 << 20,
        max_database: 10 << 30,
        keep_days: 90,
        keep_media_days: 30,
        registration_open: false,
        cost: Cost::new(4, 8, 1).unwrap(),
        login_grace: Duration::from_secs(3600),
        login_delay: Duration::ZERO,
        register_rate: 21,
        max_requests: 0,
        rate: 1,
        max_inflight: 2 << 30,
        pool: 64,
        check: Duration::from_secs(7),
    };
    assert_eq!(all, expected);
}

/// A value other than the default, for each option that takes one.
fn sample(long: &str) -> &'static str {
    match long {
        "listen" | "tls-listen" => "[::1]:0",
        "tls-cert" | "tls-key" => "other.pem",
        "database" | "marker" => "other.db",
        "proxy-from" => "10.0.0.0/8",
        "pool" => "5",
        "check" => "6",
        "registration" => "closed",
        "scrypt" => "4,8,1",
        "login-grace" => "61",
        "max-clients" => "4097",
        "max-per-ip" => "65",
        "max-media" => "9M",
        "media-quota" | "text-quota" => "0",
        "max-database" => "1G",
        "keep-days" | "keep-media-days" => "365",
        "login-delay" => "31",
        "register-rate" => "21",
        "max-requests" => "101",
        "rate" => "1001",
        "max-inflight" => "65M",
        other => panic!("--{other} needs a sample here"),
    }
}

#[test]
fn every_row_is_used_and_its_default_is_the_real_one() {
    for row in COMMAND_LINE.rows() {
        let long = format!("--{}", row.long);
        if row.is_absent() {
            let args = [long.as_str(), "x"];
            let args = &args[..if row.taken().is_empty() { 1 } else { 2 }];
            assert_eq!(
                error(args),
                format!("{long}: this build has no TLS; see --help")
            );
            let listed = row.description();
            assert!(listed.ends_with("(this build has no TLS)"), "{listed}");
        } else if TOGETHER.contains(&row.long) {
            assert!(row.default_text().is_empty(), "{long}");
        } else if row.taken().is_empty() {
            let given = parse(&[&long]).unwrap();
            assert_ne!(given, Invocation::Run(config(&[])), "{long}");
        } else {
            let changed = config(&[&long, sample(row.long)]);
            assert_ne!(changed, config(&[]), "{long}");
            if !row.default_text().is_empty() {
                // Where the sample can be told from the default, the default's text can be, too.
                let same = config(&[&long, row.default_text()]);
                assert_eq!(same, config(&[]), "{long}");
            }
        }
    }
}

#[cfg(feature = "tls")]
#[test]
fn options_that_need_each_other() {
    let values = TOGETHER.map(|long| format!("--{long}={}", sample(long)));
    let [listen, cert, key] = values.each_ref().map(String::as_str);
    for (args, expected) in [
        (&[listen][..], "--tls-listen needs --tls-cert too"),
        (&[listen, cert], "--tls-listen needs --tls-key too"),
        (&[key, listen], "--tls-listen needs --tls-cert too"),
        (&[cert, key], "--tls-cert needs --tls-listen too"),
        (&[key], "--tls-key needs --tls-listen too"),
    ] {
        assert_eq!(error(args), format!("{expected}; see --help"), "{args:?}");
    }
    let all = config(&[key, cert, listen]);
    assert_eq!(all.tls_listen, ["[::1]:0".parse().unwrap()]);
    assert_eq!(all.listen, config(&[]).listen, "it stays beside it");
}

#[test]
fn help_lists_everything() {
    check_table(&COMMAND_LINE);
    for args in [
        &["--help"][..],
        &["-h"],
        &["-h", "--pool", "x"],
        &["--help", "x"],
    ] {
        assert_eq!(parse(args), Ok(Invocation::Print(help())), "{args:?}");
    }
    let help = help().split_whitespace().collect::<Vec<_>>().join(" ");
    for row in COMMAND_LINE.rows() {
        assert!(help.contains(&row.description()), "{}", row.long);
    }
}

#[test]
fn version_names_the_program() {
    let text = format!("plauschd {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(parse(&["--version"]), Ok(Invocation::Print(text.clone())));
    assert_eq!(parse(&["-V"]), Ok(Invocation::Print(text)));
}

#[test]
fn addresses() {
    let listen = |text| config(&["-l", text]).listen;
    for text in ["127.0.0.1:4110", "0.0.0.0:0", "[::1]:4110", "[::]:65535"] {
        assert_eq!(listen(text), [text.parse::<SocketAddr>().unwrap()]);
    }
    assert_eq!(
        listen("[::ffff:127.0.0.1]:7"),
        listen("127.0.0.1:7"),
        "of IPv4"
    );
    let found = listen("localhost:4110");
    assert_eq!(found.len(), 1);
    assert!(found[0].ip().is_loopback() && found[0].port() == 4110);
    // The same address twice could only fail; any free port twice is two ports.
    assert_eq!(config(&["-l", "[::1]:1", "-l", "[::1]:1"]).listen.len(), 1);
    assert_eq!(config(&["-l", "[::1]:0", "-l", "[::1]:0"]).listen.len(), 2);
    for text in [
        "",
        "4110",
        ":4110",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "127.0.0.1:+1",
        "::1:4110",
        "[::1]",
        "[::1]:",
        "localhost",
        "localhost:-1",
    ] {
        assert_eq!(
            error(&[&format!("--listen={text}")]),
            format!(
                "--listen takes an address and a port, such as 127.0.0.1:4110, [::1]:4110 or \
                 localhost:4110, not {text:?}; see --help"
            )
        );
    }
}

#[test]
fn sizes() {
    let size = |text| config(&["--max-media", text]).max_media;
    assert_eq!(size("1"), 1);
    assert_eq!(size("007"), 7);
    assert_eq!(size("100k"), 100 << 10);
    assert_eq!(size("16M"), 16 << 20);
    assert_eq!(size("512m"), 512 << 20);
    for text in [
        "",
        "0",
        "0K",
        "K",
        "8 M",
        "8MB",
        "8MiB",
        "+8",
        "8.5M",
        "0x10",
        "1G",
        "513M",
        "8Ü",
        "18446744073709551616",
        "17179869185G",
    ] {
        assert_eq!(
            error(&["--max-media", text]),
            format!(
                "--max-media takes a number of bytes from 1 to 512M, also with K, M or G, \
                 not {text:?}; see --help"
            )
        );
    }
}

#[test]
fn what_an_option_does_not_take() {
    for (long, bad) in [
        ("database", &["", ":memory:"][..]),
        ("marker", &[""]),
        #[cfg(feature = "tls")]
        ("tls-listen", &["", "4111", "::1:4111"]),
        #[cfg(feature = "tls")]
        ("tls-cert", &[""]),
        #[cfg(feature = "tls")]
        ("tls-key", &[""]),
        ("pool", &["", "0", "65", "x", "4.0", "+4"]),
        ("check", &["", "-1", "86401", "x"]),
        ("registration", &["", "OPEN", "no"]),
        (
            "scrypt",
            &["", "14", "14,8", "14,8,5,1", "30,8,1", "14,8,0"],
        ),
        (
            "login-grace",
            &["", "0", "3601", "1m", "99999999999999999999"],
        ),
        ("max-clients", &["", "0", "1000001", "many"]),
        ("max-per-ip", &["", "1000001", "none"]),
        ("media-quota", &["", "1025G", "none", "-1"]),
        ("text-quota", &["", "1025G", "none", "-1"]),
        ("max-database", &["", "1025G", "10 G"]),
        ("keep-days", &["", "36501", "1y", "0.5"]),
        ("keep-media-days", &["", "36501", "-1"]),
        ("login-delay", &["", "-1", "0.5", "3601"]),
        ("register-rate", &["", "-1", "20/h", "1000001"]),
        ("max-requests", &["", "all", "1000001"]),
        ("rate", &["", "-1", "1k", "1000001"]),
        ("max-inflight", &["", "0", "63K", "2049M", "3G"]),
    ] {
        let row = COMMAND_LINE.rows().find(|row| row.long == long).unwrap();
        for value in bad {
            assert_eq!(
                error(&[&format!("--{long}={value}")]),
                format!("--{long} takes {}, not {value:?}; see --help", row.taken())
            );
        }
    }
}

#[test]
fn other_mistakes() {
    for (args, expected) in [
        (&["--port", "1"][..], "there is no option --port"),
        (&["-p"], "there is no option -p"),
        (
            &["--pool"],
            "--pool takes a number from 1 to 64, but has no value",
        ),
        (
            &["-d"],
            "--database takes the name of a file, but has no value",
        ),
        (
            &["--pool", "-1"],
            "--pool takes a number from 1 to 64, not \"-1\"",
        ),
        (
            &["--pool", "1", "--pool", "1"],
            "--pool may be given only once",
        ),
        (
            &["-d", "a", "--database", "b"],
            "--database may be given only once",
        ),
        (
            &["--explain", "--explain"],
            "--explain may be given only once",
        ),
        (&["--explain=yes"], "--explain takes no value"),
        (&["chat.db"], "unexpected argument \"chat.db\""),
        (&["--", "--help"], "unexpected argument \"--help\""),
        (&[""], "unexpected argument \"\""),
        (&["a\nb"], "unexpected argument \"a\\nb\""),
        (&["--a\nb"], "there is no option --a\\nb"),
    ] {
        assert_eq!(error(args), format!("{expected}; see --help"), "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn arguments_that_are_not_utf8() {
    use std::os::unix::ffi::OsStringExt;
    let arg = OsString::from_vec(b"-d\xff.db".to_vec());
    let error = Config::from_args([arg].into_iter()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "argument \"-d\\xFF.db\" is not UTF-8; see --help"
    );
}
