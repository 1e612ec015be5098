"""Users who send to each other all the time and note what was answered and what has come.

For the scripts that do something to the server meanwhile. In the end `Load.check` compares: what
was answered by `219 400` has come and is in the history, once and in order; what was answered by
`211` is nowhere.
"""

import random
import threading
import time

from harness import PATIENCE, Client, Failure, Message, wait_until


class Pair:
    """One who sends, one who receives, and their chat."""

    def __init__(self, server, number, length):
        self.number = number
        self.length = length
        self.sender, self.receiver = f"sender-{number}", f"receiver-{number}"
        self.near = Client(server.address).join(self.sender)
        self.far = Client(server.address).join(self.receiver)
        self.chat = self.near.chat_with(self.far)
        self.next = 0
        # Bodies in the order of their answers, and of their arrival.
        self.acknowledged = []
        self.refused = []
        self.arrived = []
        self.newest = 0

    def next_line(self, media_every):
        """A message that nobody sent before; one in so many has media, small or of many parts."""
        self.next += 1
        body = f"{self.number}-{self.next}-".ljust(self.next * 7 % self.length + 12, ".")
        if not media_every or self.next % media_every:
            return body, f"115 {self.chat} {body}"
        size = random.choice((10, 1000, 200_000))
        return body, f'115 {self.chat} "{body}" data:,{"m" * size}'

    def take(self, line):
        """A line that came to the receiver."""
        if not line.startswith("220 "):
            return
        message = Message(line)
        if message.time <= self.newest:
            raise Failure(f"{self.receiver}: TimeStamp {message.time} after {self.newest}")
        self.newest = message.time
        self.arrived.append(message.body)


class Load:
    """Pairs with two threads each. A failure in a thread is raised by `look`."""

    def __init__(self, server, pairs=4, rate=1500, window=40, media_every=0, length=300):
        self.server = server
        self.window = window
        self.media_every = media_every
        # Seconds for a message of one pair.
        self.pace = pairs / rate
        self.pairs = [Pair(server, number, length) for number in range(1, pairs + 1)]
        self.failure = None
        self.sending = threading.Event()
        self.over = threading.Event()
        self.sending.set()
        self.threads = []
        self.senders = [self.start(self.send, pair) for pair in self.pairs]
        for pair in self.pairs:
            self.start(self.receive, pair)

    def start(self, what, pair):
        def guarded():
            try:
                what(pair)
            except Exception as error:  # pylint: disable=broad-except
                self.failure = self.failure or f"{what.__name__} {pair.number}: {error!r}"

        thread = threading.Thread(target=guarded, daemon=True)
        self.threads.append(thread)
        thread.start()
        return thread

    def send(self, pair):
        while self.sending.is_set() and not self.failure:
            burst = [pair.next_line(self.media_every) for _ in range(random.randint(1, self.window))]
            began = time.monotonic()
            pair.near.send(*(line for _, line in burst))
            for body, _ in burst:
                answer = pair.near.reply()
                if answer == "219 400":
                    pair.acknowledged.append(body)
                elif answer.startswith("211"):
                    pair.refused.append(body)
                else:
                    raise Failure(f"`{body}` was answered by `{answer}`")
            self.over.wait(max(0, began + len(burst) * self.pace - time.monotonic()))

    def receive(self, pair):
        for line in pair.far.pushed:
            pair.take(line)
        while not self.over.is_set():
            line = pair.far.line(0.2)
            if line is not None:
                pair.take(line)

    def look(self):
        """Raises what went wrong in a thread."""
        if self.failure:
            raise Failure(self.failure)

    def answers(self):
        """How many messages were acknowledged and refused so far."""
        return (
            sum(len(pair.acknowledged) for pair in self.pairs),
            sum(len(pair.refused) for pair in self.pairs),
        )

    def wait_for(self, what, acknowledged=0, refused=0, patience=PATIENCE):
        """Waits for so many more answers of each kind."""
        before = self.answers()

        def enough():
            self.look()
            now = self.answers()
            return now[0] >= before[0] + acknowledged and now[1] >= before[1] + refused

        began = time.monotonic()
        wait_until(what, enough, patience, 0.005)
        return time.monotonic() - began

    def finish(self, patience=PATIENCE):
        """No more is sent; all answers are waited for, and all that was acknowledged arrives."""
        self.sending.clear()
        for thread in self.senders:
            thread.join(patience)
            if thread.is_alive():
                raise Failure("a sender's answers do not come")
        try:
            wait_until(
                "all that was acknowledged to arrive",
                lambda: self.failure
                or all(len(p.arrived) >= len(p.acknowledged) for p in self.pairs),
                patience,
            )
        finally:
            self.over.set()
        for thread in self.threads:
            thread.join(patience)
        self.look()

    def check(self, chats):
        """`chats` is what the database holds, see database.check."""
        for pair in self.pairs:
            compare(f"{pair.receiver} received", pair.acknowledged, pair.arrived)
            compare(f"chat {pair.chat} holds", pair.acknowledged, chats.get(pair.chat, []))

    def close(self):
        self.sending.clear()
        self.over.set()
        for pair in self.pairs:
            pair.near.close()
            pair.far.close()


def compare(what, expected, found):
    """Two lists of bodies must be the same."""
    if expected == found:
        return
    missing = set(expected) - set(found)
    surplus = set(found) - set(expected)
    raise Failure(
        f"{what} {len(found)} messages instead of {len(expected)}: {len(missing)} are missing "
        f"({min(missing, default='')[:40]}), {len(surplus)} were never acknowledged "
        f"({min(surplus, default='')[:40]}), or the order is another"
    )
