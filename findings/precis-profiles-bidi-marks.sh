#!/bin/sh
# Package:   precis-profiles 0.2.0 (crates.io), with precis-core 0.2.0
# Behaviour: the Bidi rule of UsernameCaseMapped refuses a text from right to left as soon as a
#            combining mark (Bidi_Class NSM) stands inside it. RFC 5893, section 2, allows NSM in
#            such a text (condition 2) and asks only that the text's end be R, AL, EN or AN with
#            any number of NSM behind it (condition 3). So the name Muhammad is accepted without
#            its shadda and refused with it, and so is pointed Hebrew.
# Seen:      2026-11-30, rustc 1.95.0:
#              muhammad: accepted
#              muhammad, mark at the end: accepted
#              muhammad, shadda inside: refused
#              david with points: refused
# Ends with 1 when that has changed, with 2 when it could not be tried. Needs cargo and the
# registry; not a part of CI.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "tried"
version = "0.0.0"
edition = "2021"

[dependencies]
precis-core = "=0.2.0"
precis-profiles = "=0.2.0"

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
use precis_core::profile::PrecisFastInvocation;
use precis_profiles::UsernameCaseMapped;

fn main() {
    for (what, name) in [
        ("muhammad", "\u{645}\u{62d}\u{645}\u{62f}"),
        ("muhammad, mark at the end", "\u{645}\u{62d}\u{645}\u{62f}\u{651}"),
        ("muhammad, shadda inside", "\u{645}\u{62d}\u{645}\u{651}\u{62f}"),
        ("david with points", "\u{5d3}\u{5b8}\u{5d5}\u{5d3}"),
    ] {
        let fine = UsernameCaseMapped::enforce(name).is_ok();
        println!("{what}: {}", if fine { "accepted" } else { "refused" });
    }
}
RUST
seen=$(cargo run --quiet --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target") || exit 2
echo "$seen"
expected='muhammad: accepted
muhammad, mark at the end: accepted
muhammad, shadda inside: refused
david with points: refused'
if [ "$seen" != "$expected" ]; then
    echo "this has changed; before:" >&2
    echo "$expected" >&2
    exit 1
fi
