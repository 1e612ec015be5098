"""Users who work beside an attack, and how long their messages take meanwhile.

Their times are compared with their own, undisturbed, in the same run. So whoever disturbs them
belongs into another process: threads of one Python program hold each other up.
"""

import os
import pathlib
import threading
import time

from harness import Client, Disconnected, Failure, figure, wait_until

# How often each pair writes, in seconds.
PAUSE = 0.01
# Messages of each pair after which nothing is cold any more.
WARM = 30
# A 99th percentile under attack is to stay under so many times its undisturbed value.
TIMES = 10
# Seconds. Below this nothing is judged: it is one time slice of the kernel's scheduler for who was
# just not running, and an undisturbed value under half a millisecond would ask for less.
FLOOR = 0.005


class Pair(threading.Thread):
    """Two users who write to each other; keeps when each message was sent and how long it took."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.clients = [
            Client(server.address, source=f"127.0.1.{1 + number}").join(f"user{user}")
            for user in (2 * number, 2 * number + 1)
        ]
        self.chat = self.clients[0].chat_with(self.clients[1])
        for client in self.clients:
            client.take_requests()
        self.times = []
        self.failure = None
        self.ending = False

    def run(self):
        try:
            count = 0
            while not self.ending:
                sender, receiver = self.clients
                began = time.monotonic()
                sender.ask(f"115 {self.chat} message {count}", "219 400")
                acknowledged = time.monotonic()
                line = receiver.line()
                if line is None or not line.endswith(f" message {count}"):
                    raise Failure(f"`{line}` came instead of message {count}")
                self.times.append((began, acknowledged - began, time.monotonic() - began))
                count += 1
                self.clients.reverse()
                time.sleep(PAUSE)
        except (Failure, Disconnected) as failure:
            self.failure = failure


def percentile(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(share * len(times)))]


class Users:
    """Pairs at work. The first messages, which find everything cold, are over."""

    def __init__(self, server, pairs):
        self.pairs = [Pair(server, number) for number in range(pairs)]
        for pair in self.pairs:
            pair.start()
        wait_until("the first messages", self.are_warm)

    def are_warm(self):
        for pair in self.pairs:
            if pair.failure:
                raise Failure(f"a working user's connection failed: {pair.failure}")
        return all(len(pair.times) >= WARM for pair in self.pairs)

    def since(self, began, until):
        """The 99th percentiles to the acknowledgement and to the arrival, and how many."""
        taken = []
        for pair in self.pairs:
            if pair.failure:
                raise Failure(f"a working user's connection failed: {pair.failure}")
            now = time.monotonic()
            if pair.times and now - pair.times[-1][0] > 10:
                raise Failure("a working user has waited for 10 s")
            taken += [times for times in list(pair.times) if began <= times[0] < until]
        if len(taken) < 50:
            raise Failure(f"only {len(taken)} messages came through")
        return tuple(percentile([t[at] for t in taken], 0.99) for at in (1, 2)) + (len(taken),)

    def stop(self):
        for pair in self.pairs:
            pair.ending = True
        for pair in self.pairs:
            pair.join(30)


def reset_peak(server):
    pathlib.Path(f"/proc/{server.pid}/clear_refs").write_text("5")


def peak(server):
    return figure(server, "VmHWM")


def threads(server):
    return len(os.listdir(f"/proc/{server.pid}/task"))


def too_slow(name, times, quiet):
    """Compares the percentiles of `Users.since` with the undisturbed ones: their ratios, and what
    of it is too much."""
    ratios, broken = [], []
    for kind, taken, undisturbed in zip(("acknowledged", "arrived"), times, quiet):
        ratios.append(taken / undisturbed)
        bound = max(TIMES * undisturbed, FLOOR)
        if taken > bound:
            broken.append(f"{name}: {kind} after {taken * 1e3:.1f} ms, not {bound * 1e3:.1f}")
    return ratios, broken


def undisturbed(server, users, seconds):
    """The 99th percentiles while nobody attacks."""
    began = time.monotonic()
    time.sleep(max(seconds, 4))
    *quiet, count = users.since(began, time.monotonic())
    print(
        f"{'undisturbed':24} p99 {quiet[0] * 1e3:6.1f} / {quiet[1] * 1e3:6.1f} ms of {count:5} "
        f"messages, {peak(server) / (1 << 20):6.1f} MiB",
        flush=True,
    )
    return quiet
