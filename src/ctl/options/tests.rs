use super::*;
use crate::options::tests::check_table;

fn run(args: &[&str]) -> Result<(&'static str, Call), String> {
    match parse(args.iter().map(OsString::from)) {
        Ok(Invocation::Run((command, call))) => Ok((command.words, call)),
        Ok(Invocation::Print(text)) => Err(text),
        Err(failure) => Err(failure.to_string()),
    }
}

#[test]
fn a_command_is_found_wherever_the_options_stand() {
    for args in [
        &["-d", "x.db", "user", "rename", "a", "b"][..],
        &["user", "-dx.db", "rename", "a", "b"],
        &["user", "rename", "a", "b", "--database=x.db"],
    ] {
        let (words, call) = run(args).unwrap();
        assert_eq!(
            (words, call.argument(0), call.argument(1)),
            ("user rename", "a", "b")
        );
        assert_eq!(call.database(), std::path::Path::new("x.db"));
    }
}

#[test]
fn mistakes_are_named_and_passwords_are_not_repeated() {
    for (args, named) in [
        (&[][..], "command is missing"),
        (&["user"], "no such command"),
        (&["user", "dance"], "no such command"),
        (&["backup"], "backup FILE"),
        (&["stats", "now"], "now"),
        (&["stats", "--days", "3"], "--days is for prune only"),
        (&["prune", "--days", "soon"], "--days takes a number"),
        (
            &["prune", "--days"],
            "--days takes a number of days from 0 to 36500, but has no value",
        ),
        (&["--colour", "stats"], "--colour"),
        (&["user", "add", "x", "--email", "nobody"], "--email takes"),
        (&["-d", "", "stats"], "--database takes"),
    ] {
        let said = run(args).unwrap_err();
        assert!(said.contains(named), "{args:?}: {said}");
    }
    for command in ["add", "passwd"] {
        let said = run(&["user", command, "hans", "hunter22"]).unwrap_err();
        assert!(
            said.contains("standard input") && !said.contains("hunter22"),
            "{said}"
        );
    }
}

#[test]
fn every_option_of_a_command_is_in_the_table_and_every_option_has_a_command() {
    for command in COMMANDS {
        for option in command.options {
            assert!(OPTIONS.iter().any(|row| row.long == *option), "{option}");
        }
    }
    for row in OPTIONS {
        let used = COMMANDS
            .iter()
            .any(|command| command.options.contains(&row.long));
        assert_eq!(used, row.long != "database", "{}", row.long);
    }
}

#[test]
fn help_names_everything_and_fits() {
    check_table(&COMMAND_LINE);
    let help = help();
    for command in COMMANDS {
        assert!(help.contains(&command.synopsis()), "{}", command.words);
    }
}
