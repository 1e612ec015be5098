use super::*;

fn command(line: &str) -> Command {
    match parse(line) {
        Typed::Command(command) => command,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn lines_are_sent_as_they_are() {
    assert_eq!(
        command("  two  words "),
        Command::Say("  two  words ".to_owned())
    );
    assert_eq!(command("//help"), Command::Say("/help".to_owned()));
    assert_eq!(parse("  "), Typed::Nothing);
}

#[test]
fn commands_take_their_arguments() {
    let name = || "bernd".to_owned();
    assert_eq!(command("/add bernd"), Command::Add(name()));
    assert_eq!(command("/accept  bernd "), Command::Accept(name()));
    assert_eq!(command("/remove bernd"), Command::Remove(name()));
    assert_eq!(command("/chat bernd"), Command::Chat(name()));
    assert_eq!(command("/history"), Command::History(20));
    assert_eq!(command("/history 7"), Command::History(7));
    let path = PathBuf::from("x.png");
    assert_eq!(command("/save 4 x.png"), Command::Save { media: 4, path });
    assert_eq!(parse("/passwd"), Typed::Passwd);
}

#[test]
fn file_names_can_be_quoted() {
    for line in [
        "/send a\\ b.png look at this",
        "/send \"a b.png\" look at this",
        "/send 'a b.png'  look at this ",
    ] {
        let path = PathBuf::from("a b.png");
        let text = "look at this".to_owned();
        assert_eq!(command(line), Command::SendFile { path, text });
    }
    assert_eq!(
        parse("/send"),
        Typed::Wrong("usage: /send FILE [TEXT]".to_owned())
    );
    assert_eq!(
        parse("/send \"a"),
        Typed::Wrong("usage: /send FILE [TEXT]".to_owned())
    );
}

#[test]
fn mistakes_are_explained() {
    for (line, part) in [
        ("/add", "usage: /add NAME"),
        ("/chat a b", "usage: /chat NAME"),
        ("/quit now", "usage: /quit"),
        ("/save x y", "usage: /save ID FILE"),
        ("/save 0 y", "usage: /save ID FILE"),
        ("/save 1 y z", "usage: /save ID FILE"),
        ("/history 0", "from 1 to 1000"),
        ("/history 1001", "from 1 to 1000"),
        ("/x", "no such command"),
        ("/", "no such command"),
    ] {
        match parse(line) {
            Typed::Wrong(text) => assert!(text.contains(part), "{line}: {text}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}

/// A row without a meaning of its own would be taken for another one.
#[test]
fn every_command_of_the_table_does_something_of_its_own() {
    let mut seen = Vec::new();
    for row in COMMANDS {
        let (name, hint) = name_and_hint(row);
        let arguments = match hint {
            "" => "",
            "NAME" | "FILE [TEXT]" => " x",
            "ID FILE" => " 1 x",
            "[N]" => " 1",
            hint => panic!("{hint}"),
        };
        let typed = parse(&format!("{name}{arguments}"));
        assert!(!matches!(typed, Typed::Wrong(_)), "{name}");
        assert!(!seen.contains(&typed), "{name} does what another does");
        assert!(help().contains(name));
        seen.push(typed);
    }
}
