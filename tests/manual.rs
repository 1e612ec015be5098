//! The manual pages and the completions say what `--help` says, which comes from the tables of
//! options, in a build with TLS. `make manual` (`PLAUSCH_WRITE=1`) writes into them what this test would miss.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// A program, the section of its page, and what completes the last argument of some commands.
struct Program {
    name: &'static str,
    section: u8,
    /// None where it was not built: the client is a feature.
    path: Option<&'static str>,
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "plauschd",
        section: 8,
        path: Some(env!("CARGO_BIN_EXE_plauschd")),
    },
    Program {
        name: "plauschctl",
        section: 8,
        path: Some(env!("CARGO_BIN_EXE_plauschctl")),
    },
    Program {
        name: "plausch",
        section: 1,
        path: option_env!("CARGO_BIN_EXE_plausch"),
    },
];

/// What `--help` says.
struct Help {
    /// Without the program's name.
    usage: Vec<String>,
    /// Heading, and the entries below it.
    sections: Vec<(String, Vec<Entry>)>,
}

struct Entry {
    /// `-d, --database FILE`, or `user list [--json]`.
    term: String,
    text: String,
}

/// One option as its entry declares it.
struct Opt {
    names: Vec<String>,
    hint: String,
}

/// The words of a command, and what follows them.
struct Verb {
    words: Vec<String>,
    rest: String,
}

impl Help {
    fn of(program: &Program, path: &str) -> Help {
        let output = Command::new(path).arg("--help").output().expect("--help");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let mut help = Help {
            usage: Vec::new(),
            sections: Vec::new(),
        };
        for line in text.lines() {
            let trimmed = line.trim_start();
            let indent = line.len() - trimmed.len();
            let call = trimmed.strip_prefix("Usage: ").unwrap_or(trimmed);
            if help.sections.is_empty()
                && let Some(rest) = call.strip_prefix(program.name)
                && (line.starts_with("Usage: ") || indent == 7)
            {
                help.usage.push(rest.trim().to_owned());
            } else if indent == 0 && line.ends_with(':') {
                let heading = line.trim_end_matches(':').to_owned();
                help.sections.push((heading, Vec::new()));
            } else if indent == 0 {
                // The end of a section, or what stands before the first.
                if !line.is_empty() && !help.sections.is_empty() {
                    help.sections.push((String::new(), Vec::new()));
                }
            } else if let Some((_, entries)) = help.sections.last_mut() {
                if indent == 2 || (indent == 6 && trimmed.starts_with("--")) {
                    let (term, text) = trimmed.split_once("  ").unwrap_or((trimmed, ""));
                    entries.push(Entry {
                        term: term.to_owned(),
                        text: text.trim().to_owned(),
                    });
                } else if let Some(entry) = entries.last_mut() {
                    entry.text = format!("{} {trimmed}", entry.text).trim().to_owned();
                }
            }
        }
        help.sections.retain(|(_, entries)| !entries.is_empty());
        assert!(!help.usage.is_empty(), "no usage in\n{text}");
        assert!(help.options().len() > 5, "no options in\n{text}");
        help
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.sections.iter().flat_map(|(_, entries)| entries)
    }

    fn options(&self) -> Vec<Opt> {
        self.entries()
            .filter(|entry| entry.term.starts_with('-'))
            .map(|entry| {
                let words = entry.term.split(' ').map(|word| word.trim_end_matches(','));
                let (names, hint): (Vec<&str>, Vec<&str>) =
                    words.partition(|word| word.starts_with('-'));
                Opt {
                    names: names.into_iter().map(str::to_owned).collect(),
                    hint: hint.join(" "),
                }
            })
            .collect()
    }

    /// The commands, from their own section or else from the usage.
    fn verbs(&self) -> Vec<Verb> {
        let commands = self
            .sections
            .iter()
            .find(|(heading, _)| heading == "Commands");
        let terms: Vec<&str> = match commands {
            Some((_, entries)) => entries.iter().map(|entry| entry.term.as_str()).collect(),
            None => self.usage.iter().map(String::as_str).collect(),
        };
        terms
            .into_iter()
            .map(|term| {
                let is_verb = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
                let words: Vec<String> = term
                    .split(' ')
                    .take_while(is_verb)
                    .map(str::to_owned)
                    .collect();
                let rest = term
                    .split(' ')
                    .skip(words.len())
                    .collect::<Vec<_>>()
                    .join(" ");
                Verb { words, rest }
            })
            .filter(|verb| !verb.words.is_empty())
            .collect()
    }
}

/// A text as roff has it.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    match escaped.chars().next() {
        Some('.' | '\'') => format!("\\&{escaped}"),
        _ => escaped,
    }
}

/// Names bold, what stands for something else italic.
fn term(text: &str) -> String {
    let mut out = String::new();
    for (number, word) in text.split(' ').enumerate() {
        if number > 0 {
            out.push(' ');
        }
        let face = if word.starts_with(|c: char| c == '-' || c.is_ascii_lowercase()) {
            'B'
        } else if word.starts_with(|c: char| c.is_ascii_uppercase()) && word.len() > 1 {
            'I'
        } else {
            'R'
        };
        let _ = write!(out, "\\f{face}{}\\fR", roff(word));
    }
    out
}

fn synopsis(program: &Program, help: &Help) -> String {
    let calls = help.usage.iter().map(|usage| {
        let rest = term(usage);
        format!(".br\n.B {}\n{rest}\n", program.name)
    });
    calls.collect::<String>().replacen(".br\n", "", 1)
}

fn options(help: &Help) -> String {
    let mut out = String::new();
    for (heading, entries) in &help.sections {
        let _ = writeln!(out, ".SS {heading}");
        for entry in entries {
            let _ = writeln!(out, ".TP\n{}\n{}", term(&entry.term), roff(&entry.text));
        }
    }
    out
}

/// Puts `text` between the two comments that begin and end a part of a page.
fn fill(page: &str, part: &str, text: &str) -> String {
    let (begin, end) = (
        format!(".\\\" begin {part} (make manual)\n"),
        format!(".\\\" end {part}\n"),
    );
    let from = page.find(&begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len();
    let to = page.find(&end).unwrap_or_else(|| panic!("no {end}"));
    format!("{}{text}{}", &page[..from], &page[to..])
}

/// A completion for bash.
fn completion(program: &Program, help: &Help) -> String {
    let name = program.name;
    let options = help.options();
    let mut out = format!(
        "# Completion of {name} for bash; written by `make manual` from the table of options.\n\
         _{name}() {{\n    local cur=${{COMP_WORDS[COMP_CWORD]}} word words= skip=\n    \
         COMPREPLY=()\n    case ${{COMP_WORDS[COMP_CWORD - 1]}} in\n"
    );
    let mut taking = Vec::new();
    for option in options.iter().filter(|option| !option.hint.is_empty()) {
        let names = option.names.join(" | ");
        taking.push(names.clone());
        let complete = if option.hint == "FILE" {
            "compopt -o filenames\n            COMPREPLY=($(compgen -f -- \"$cur\"))\n            "
                .to_owned()
        } else if option.hint.contains('|') {
            let values = option.hint.replace('|', " ");
            format!("COMPREPLY=($(compgen -W '{values}' -- \"$cur\"))\n            ")
        } else {
            String::new()
        };
        let _ = writeln!(
            out,
            "        {names})\n            {complete}return\n            ;;"
        );
    }
    out.push_str("    esac\n");
    let verbs = help.verbs();
    if !verbs.is_empty() {
        let _ = write!(
            out,
            "    for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n        \
             if [ -n \"$skip\" ]; then\n            skip=\n            continue\n        fi\n        \
             case $word in\n            {}) skip=1 ;;\n            -*) ;;\n            \
             *) words+=\"${{words:+ }}$word\" ;;\n        esac\n    done\n",
            taking.join(" | ")
        );
    }
    let all: Vec<&str> = options
        .iter()
        .flat_map(|option| &option.names)
        .map(String::as_str)
        .collect();
    let _ = write!(
        out,
        "    if [[ $cur == -* ]]; then\n        COMPREPLY=($(compgen -W '{}' -- \"$cur\"))\n        \
         return\n    fi\n",
        all.join(" ")
    );
    if !verbs.is_empty() {
        out.push_str("    case $words in\n");
        let mut prefixes: Vec<String> = vec![String::new()];
        for verb in &verbs {
            for count in 1..verb.words.len() {
                prefixes.push(verb.words[..count].join(" "));
            }
        }
        prefixes.dedup();
        for prefix in prefixes {
            let depth = prefix.split_whitespace().count();
            let mut next: Vec<&str> = verbs
                .iter()
                .filter(|verb| verb.words.len() > depth && verb.words[..depth].join(" ") == prefix)
                .map(|verb| verb.words[depth].as_str())
                .collect();
            next.dedup();
            let _ = writeln!(
                out,
                "        '{prefix}') COMPREPLY=($(compgen -W '{}' -- \"$cur\")) ;;",
                next.join(" ")
            );
        }
        for verb in verbs.iter().filter(|verb| verb.rest.contains("FILE")) {
            // FILE may come behind other arguments.
            let _ = writeln!(
                out,
                "        '{}'*)\n            compopt -o filenames\n            \
                 COMPREPLY=($(compgen -f -- \"$cur\"))\n            ;;",
                verb.words.join(" ")
            );
        }
        out.push_str("    esac\n");
    }
    let _ = writeln!(out, "}}\ncomplete -F _{name} {name}");
    out
}

/// Compares a file with what it should be, or writes it.
fn settle(path: &str, wanted: &str) {
    let full = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("PLAUSCH_WRITE").is_some() {
        std::fs::write(&full, wanted).expect("write");
        return;
    }
    let there = std::fs::read_to_string(&full).unwrap_or_default();
    if there == wanted {
        return;
    }
    let (mut old, mut new) = (there.lines(), wanted.lines());
    loop {
        match (old.next(), new.next()) {
            (None, None) => panic!("{path} differs in its line ends"),
            (old, new) if old == new => {}
            (old, new) => panic!("{path} says {old:?}, --help {new:?}; run `make manual`"),
        }
    }
}

#[test]
fn the_manual_pages_say_what_help_says() {
    for program in PROGRAMS {
        let path = format!("scripts/packaging/man/{}.{}", program.name, program.section);
        let full = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(&path);
        let page = std::fs::read_to_string(&full).unwrap_or_else(|error| panic!("{path}: {error}"));
        let title = format!(".TH {} {} ", program.name.to_uppercase(), program.section);
        assert!(page.contains(&title), "{path} has no `{title}`");
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"] {
            assert!(
                page.contains(&format!("\n.SH {section}\n")),
                "{path}: {section}"
            );
        }
        let Some(binary) = program.path else { continue };
        let help = Help::of(program, binary);
        let page = fill(&page, "synopsis", &synopsis(program, &help));
        settle(&path, &fill(&page, "options", &options(&help)));
    }
}

#[test]
fn the_completions_know_what_help_says() {
    for program in PROGRAMS {
        let Some(binary) = program.path else { continue };
        let help = Help::of(program, binary);
        let wanted = completion(program, &help);
        for option in help.options() {
            assert!(wanted.contains(&option.names[0]), "{:?}", option.names);
        }
        settle(
            &format!("scripts/packaging/completions/{}", program.name),
            &wanted,
        );
    }
}

/// The README shows the server's options as `--help` does.
#[test]
fn the_readme_has_the_options() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let output = Command::new(env!("CARGO_BIN_EXE_plauschd"))
        .arg("--help")
        .output();
    let help = String::from_utf8(output.expect("--help").stdout).expect("UTF-8");
    let block = |text: &str| {
        let from = text.find("\nNetwork:\n").expect("the options") + 1;
        let text = &text[from..];
        let until = text.find("  -V, --version").expect("the last option");
        let line = text[until..].find('\n').map_or(text.len(), |at| until + at);
        (from, text[..line].to_owned())
    };
    let ((at, shown), (_, wanted)) = (block(&readme), block(&help));
    if shown != wanted && std::env::var_os("PLAUSCH_WRITE").is_some() {
        let written = format!("{}{wanted}{}", &readme[..at], &readme[at + shown.len()..]);
        std::fs::write(&path, written).expect("README.md");
        return;
    }
    assert_eq!(
        shown, wanted,
        "the options in README.md; `make manual` writes them"
    );
}
