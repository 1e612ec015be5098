//! What the fuzzer has found worth keeping, and each transcript, goes through the checks of the
//! fuzz target (`tests/fuzz`, run by `scripts/fuzz`) again and again, with no fuzzer needed.

#[path = "fuzz/check.rs"]
mod check;

use crate::support::random::Random;
use crate::support::transcript;
use check::check;
use plausch::protocol;
use std::fs;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// What the clients of a transcript send, with variables and escapes as they stand: they are as
/// good as anything here.
fn sent(name: &str) -> Vec<u8> {
    let path = transcript::directory().join(format!("{name}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((_, raw)) = line.split_once(" >> ") {
            bytes.extend(transcript::unescape(raw).unwrap_or_else(|e| panic!("{name}: {e}")));
        } else if let Some((_, line)) = line.split_once(" > ") {
            bytes.extend_from_slice(line.replace("$chat", "1").as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes
}

/// Splits of one byte, of two, of many, and none at all, before login and after.
fn check_each_way(bytes: &[u8]) {
    for choice in [0, 1, 2, 3, 90, 91, 254, 255] {
        check(&[&[choice], bytes].concat());
    }
}

#[test]
fn the_corpus_is_replayed() {
    let mut count = 0;
    for entry in fs::read_dir(directory()).expect("tests/fuzz/corpus") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        // The name of what fails is shown when a check panics.
        println!("{}", path.display());
        check(&bytes);
        count += 1;
    }
    assert!(count > 50, "the corpus is gone: {count} files");
}

#[test]
fn transcripts_pass_however_they_are_split() {
    for name in transcript::names() {
        println!("{name}");
        let bytes = sent(&name);
        assert!(!bytes.is_empty());
        check_each_way(&bytes);
    }
}

/// A little of what the fuzzer does, with a seed, where there is none.
#[test]
fn spoilt_transcripts_pass_too() {
    const MAGIC: &[&[u8]] = &[
        b"\"",
        b"\\",
        b"\\u00",
        b"\\ud83d",
        b" ",
        b"\r",
        b"\n",
        b"\t",
        b"\x08",
        b"\x7f",
        b"\xff",
        b"\xff\xfa",
        b"\xff\xf0",
        b"\xff\xfd\x06",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"data:,",
        b"data:;base64,",
        b"115 1 ",
        b"\xef\xbb\xbf",
        b"\xf0\x9f",
    ];
    let mut random = Random::new(1);
    for name in transcript::names() {
        let bytes = sent(&name);
        for round in 0..40 {
            let mut spoilt = bytes.clone();
            for _ in 0..1 + random.below(8) {
                let at = random.below(spoilt.len());
                match random.below(4) {
                    0 => spoilt[at] = random.byte(),
                    1 => drop(spoilt.drain(at..spoilt.len().min(at + random.below(20)))),
                    2 => drop(spoilt.splice(at..at, random.pick(MAGIC).iter().copied())),
                    _ => {
                        let part = spoilt[at..spoilt.len().min(at + random.below(99))].to_vec();
                        spoilt.splice(at..at, part);
                    }
                }
                if spoilt.is_empty() {
                    spoilt.push(b'1');
                }
            }
            println!("{name}, round {round}");
            check(&[&[random.byte()], spoilt.as_slice()].concat());
        }
    }
}

/// For `scripts/fuzz`: writes each transcript into the directory that `PLAUSCH_SEEDS` names.
#[test]
fn seeds_are_written_where_they_are_wanted() {
    let Some(target) = std::env::var_os("PLAUSCH_SEEDS") else {
        assert!(!transcript::names().is_empty());
        return;
    };
    for name in transcript::names() {
        for choice in [1, 2] {
            let seed = [&[choice], sent(&name).as_slice()].concat();
            let path = Path::new(&target).join(format!("{name}-{choice}"));
            fs::write(&path, seed).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }
}
