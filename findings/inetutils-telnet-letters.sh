#!/bin/sh
# Package:   inetutils-telnet 2:2.4-2+deb12u3 (Debian 12), on a terminal, line by line, with a peer
#            that negotiates nothing
# Behaviour: of a line of UTF-8 it sends some letters' bytes as commands of telnet, and leaves
#            others out. It compares each byte, with its top bit cut off, with the terminal's signal
#            characters: 9C is taken for Ctrl-\ and becomes IAC BRK, 8F for Ctrl-O and becomes IAC AO,
#            9A for Ctrl-Z and becomes IAC SUSP, 83 for Ctrl-C and becomes IAC IP, each with IAC DO
#            TIMING-MARK behind it; 85 is dropped. RFC 854 makes a command of nothing but what the
#            user means as one. After `toggle outbinary` all bytes pass.
# Seen:      2026-11-30, on Debian 12:
#   | ä c3 a4 -> 61 c3 a4 62
#   | Ü c3 9c -> 61 c3 ff f3 ff fd 06 62
#   | Ï c3 8f -> 61 c3 ff f5 ff fd 06 62
#   | Ú c3 9a -> 61 c3 ff ed ff fd 06 62
#   | Ã c3 83 -> 61 c3 ff f4 ff fd 06 62
#   | Å c3 85 -> 61 c3 62
#   | binary Ü -> 61 c3 9c 62
# Ends with 1 when that has changed, with 2 when it could not be tried. Needs apt-get, dpkg-deb and
# Python; not a part of CI.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && apt-get -q download inetutils-telnet=2:2.4-2+deb12u3 >/dev/null 2>&1 \
    && dpkg-deb -x inetutils-telnet_*.deb tree) || {
    echo 'the package cannot be had' >&2
    exit 2
}
cat >"$folder/try.py" <<'PYTHON'
import os, pty, select, socket, sys, time

telnet = sys.argv[1]


def until(fd, wanted, patience=10):
    seen, end = b"", time.monotonic() + patience
    while wanted not in seen and time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            seen += os.read(fd, 4096)
    if wanted not in seen:
        sys.exit(2)


def line(peer, terminal, text):
    os.write(terminal, text.encode() + b"\r")
    got = b""
    while not got.endswith(b"\n"):
        more = peer.recv(4096)
        if not more:
            sys.exit(2)
        got += more
    return got.rstrip(b"\r\n")


def sent(letter, binary):
    """What a peer gets when somebody types the letter between a and b."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = str(listener.getsockname()[1])
    child, terminal = pty.fork()
    if child == 0:
        os.execv(telnet, [telnet, "127.0.0.1", port])
    peer, _ = listener.accept()
    peer.settimeout(10)
    until(terminal, b"Escape character is '^]'.\r\n")
    # It has set its terminal up when a first line has come.
    line(peer, terminal, "first")
    if binary:
        os.write(terminal, b"\x1d")
        until(terminal, b"telnet> ")
        os.write(terminal, b"toggle outbinary\r")
        if peer.recv(3) != b"\xff\xfb\x00":
            sys.exit(2)
    got = line(peer, terminal, "a" + letter + "b")
    peer.close()
    os.close(terminal)
    os.waitpid(child, 0)
    return got.hex(" ")


for letter in "äÜÏÚÃÅ":
    print(letter, letter.encode().hex(" "), "->", sent(letter, False))
print("binary", "Ü", "->", sent("Ü", True))
PYTHON
seen=$(PYTHONIOENCODING=utf-8 timeout 100 python3 "$folder/try.py" "$folder/tree/usr/bin/inetutils-telnet") || exit 2
printf '%s\n' "$seen"
expected=$(sed -n 's/^#   | //p' "$0")
[ "$seen" = "$expected" ] || {
    echo 'this has changed' >&2
    exit 1
}
