"""Network namespaces of one's own, and the virtual cables between them."""

import contextlib
import ctypes
import os
import subprocess


class Namespaces:
    """A namespace for the server and one for its peers, and cables between them.

    The addresses are those for documentation (RFC 5737): they exist only inside the two.
    """

    NETWORKS = ("192.0.2", "198.51.100", "203.0.113")

    def __init__(self, cables=1):
        self.server = f"plausch-{os.getpid()}-s"
        self.peers = f"plausch-{os.getpid()}-p"
        self.cables = cables

    def address(self, cable=0):
        """The server's address at a cable."""
        return f"{self.NETWORKS[cable]}.1"

    def make(self):
        self.ip("netns", "add", self.server)
        self.ip("netns", "add", self.peers)
        for name in (self.server, self.peers):
            self.ip("-n", name, "link", "set", "lo", "up")
        for cable in range(self.cables):
            self.ip("link", "add", f"cable-s{cable}", "netns", self.server, "type", "veth",
                    "peer", "name", f"cable-p{cable}", "netns", self.peers)  # fmt: skip
            for name, device, host in (
                (self.server, f"cable-s{cable}", 1),
                (self.peers, f"cable-p{cable}", 2),
            ):
                network = self.NETWORKS[cable]
                self.ip("-n", name, "address", "add", f"{network}.{host}/24", "dev", device)
                self.ip("-n", name, "link", "set", device, "up")

    def cut(self, cable=0):
        self.ip("-n", self.peers, "link", "set", f"cable-p{cable}", "down")

    def slow_down(self, rate, cable=0):
        """Lets only so many bytes a second through from the server, in small packets."""
        device = f"cable-s{cable}"
        self.ip("-n", self.server, "link", "set", device, "mtu", "296")
        self.call("tc", "-n", self.server, "qdisc", "add", "dev", device, "root",
                  "tbf", "rate", f"{rate * 8}bit", "burst", "400", "limit", "4000")  # fmt: skip

    def remove(self):
        for name in (self.server, self.peers):
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)

    @classmethod
    def ip(cls, *arguments):
        cls.call("ip", *arguments)

    @staticmethod
    def call(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(done.stderr.strip())


@contextlib.contextmanager
def inside(name):
    """This thread, the sockets it makes and the processes it starts are in a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newnet = 0x40000000

    def enter(path):
        with open(path, "rb") as file:
            if libc.setns(file.fileno(), clone_newnet):
                raise OSError(ctypes.get_errno(), f"setns {path}")

    with open("/proc/thread-self/ns/net", "rb") as home:
        enter(f"/var/run/netns/{name}")
        try:
            yield
        finally:
            if libc.setns(home.fileno(), clone_newnet):
                raise OSError(ctypes.get_errno(), "setns back")
