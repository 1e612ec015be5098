use super::*;
use crate::options::tests::{check_table, mistake, running};

fn parse(args: &[&str]) -> Result<Invocation<Settings>, UsageError> {
    parse_with(args.iter().map(OsString::from), |_| None)
}

fn settings(args: &[&str]) -> Settings {
    running(args, parse(args))
}

fn error(args: &[&str]) -> String {
    mistake(args, parse(args))
}

#[test]
fn chatting_takes_a_host_and_a_port() {
    let cases = [
        (&[][..], "127.0.0.1", 4110),
        (&["chat.example.org"], "chat.example.org", 4110),
        (&["example.org:7"], "example.org", 7),
        (&["::1"], "::1", 4110),
        (&["[::1]:8"], "::1", 8),
        (&["-s", "send:9"], "send", 9),
    ];
    for (args, host, port) in cases {
        let settings = settings(args);
        assert_eq!(settings.mode, Mode::Chat);
        assert_eq!(
            (&*settings.address.host, settings.address.port),
            (host, port)
        );
        assert_eq!((settings.raw, settings.fetch_media), (false, true));
    }
    assert_eq!(settings(&["-uanna", "x"]).user.as_deref(), Some("anna"));
    assert!(settings(&["--raw"]).raw);
    assert!(!settings(&["--no-fetch"]).fetch_media);
}

#[test]
fn the_environment_stands_in_for_what_is_missing() {
    let parse = |args: &[&str]| {
        let variable = |name: &str| match name {
            "PLAUSCH_USER" => Some("bernd".to_owned()),
            "PLAUSCH_SERVER" => Some("elsewhere:5".to_owned()),
            _ => None,
        };
        match parse_with(args.iter().map(OsString::from), variable) {
            Ok(Invocation::Run(settings)) => settings,
            other => panic!("{other:?}"),
        }
    };
    let settings = parse(&[]);
    assert_eq!(settings.user.as_deref(), Some("bernd"));
    assert_eq!(settings.address.to_string(), "elsewhere:5");
    let settings = parse(&["--user", "anna", "here"]);
    assert_eq!(settings.user.as_deref(), Some("anna"));
    assert_eq!(settings.address.to_string(), "here:4110");
}

#[test]
fn scripts_take_their_own_options() {
    let sent = settings(&["send", "--to", "bernd", "two words"]);
    let text = Some("two words".to_owned());
    let to = "bernd".to_owned();
    assert_eq!(
        sent.mode,
        Mode::Send {
            to,
            text,
            file: None
        }
    );
    assert_eq!(sent.timeout, Some(SCRIPT_TIMEOUT));
    assert!(matches!(
        settings(&["send", "--to=b", "-"]).mode,
        Mode::Send { text: None, .. }
    ));
    let with_file = settings(&["send", "--to=b", "--file", "x.png"]).mode;
    assert!(
        matches!(with_file, Mode::Send { text: Some(text), file: Some(_), .. } if text.is_empty())
    );
    let tail = settings(&["--json", "tail", "--count=3", "--timeout=9"]);
    assert_eq!(
        tail.mode,
        Mode::Tail {
            json: true,
            count: Some(3)
        }
    );
    assert_eq!(tail.timeout, Some(Duration::from_secs(9)));
    assert_eq!(settings(&["tail"]).timeout, None);
    let file = PathBuf::from("-");
    assert_eq!(
        settings(&["fetch", "7", "-"]).mode,
        Mode::Fetch { media: 7, file }
    );
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_asked_for() {
    let tls = settings(&["--tls", "here"]);
    assert_eq!(tls.security, Security::Tls { ca: None });
    assert_eq!(tls.address.to_string(), "here:4111");
    let private = settings(&["tail", "--tls", "--ca", "x.pem", "-s", "here:1"]);
    let ca = Some(PathBuf::from("x.pem"));
    assert_eq!(private.security, Security::Tls { ca });
    assert_eq!(private.address.to_string(), "here:1");
    assert_eq!(settings(&[]).security, Security::None);
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_tls_it_says_so() {
    assert!(error(&["--tls"]).starts_with("--tls: this build has no TLS"));
    assert!(help().contains("this build has no TLS"));
}

#[test]
fn mistakes_are_named() {
    let cases: &[(&[&str], &str)] = &[
        (&["send", "hello"], "send needs --to NAME"),
        (&["send", "--to", "b"], "send needs a TEXT, or - to read it"),
        (
            &["send", "--to", "b", "two", "words"],
            "unexpected argument \"words\"",
        ),
        (&["tail", "here"], "unexpected argument \"here\""),
        (&["fetch", "1"], "fetch needs an ID and a FILE"),
        (&["fetch", "0", "x"], "ID is a number from 1 on, not \"0\""),
        (
            &["fetch", "+1", "x"],
            "ID is a number from 1 on, not \"+1\"",
        ),
        (
            &["tail", "--count", "0"],
            "--count takes a number from 1 on, not \"0\"",
        ),
        (&["--json"], "--json is for tail only"),
        (&["tail", "--to", "b"], "--to is for send only"),
        (
            &["--timeout", "3"],
            "--timeout is for send, tail and fetch only",
        ),
        (&["-s", "a", "b"], "the server is named twice"),
        (&[""], "\"\" is not HOST[:PORT]"),
        (&["a", "b"], "unexpected argument \"b\""),
        (&["a:b"], "\"a:b\" is not HOST[:PORT]"),
        #[cfg(feature = "tls")]
        (&["--ca", "x"], "--ca needs --tls too"),
    ];
    for (args, message) in cases {
        assert_eq!(error(args), format!("{message}; see --help"));
    }
    assert!(error(&["--wrong"]).contains("wrong"));
    assert!(error(&["--user"]).contains("user"));
}

#[test]
fn help_names_everything_and_fits_a_terminal() {
    let text = help();
    for (name, _) in VARIABLES {
        assert!(text.contains(name), "{}", name);
    }
    for form in FORMS {
        assert!(text.contains(form.synopsis), "{}", form.synopsis);
    }
    check_table(&COMMAND_LINE);
    assert_eq!(parse(&["--help", "x"]), Ok(Invocation::Print(text)));
    let version = format!("plausch {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(parse(&["-V"]), Ok(Invocation::Print(version)));
}

/// The codes are the table's rows, one each, without a gap.
#[test]
fn exit_codes_are_listed_in_order() {
    let codes: Vec<u8> = EXITS.iter().map(|(exit, _)| *exit as u8).collect();
    assert_eq!(codes, (0..=6).collect::<Vec<u8>>());
}
