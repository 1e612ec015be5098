"""What must be true of a database of the server's, whatever has happened to it."""

import sqlite3

from harness import Failure

# Each asks for what must not be there. `lane / 2` is the chat (see schema.sql).
INVARIANTS = {
    "message ids stay below the mark that was set aside for them": """
        SELECT id FROM message
        WHERE id > (SELECT value FROM counter WHERE name = 'message')""",
    "TimeStamps of a chat grow with the ids": """
        SELECT id FROM (SELECT id, timestamp, lag(timestamp) OVER
            (PARTITION BY lane / 2 ORDER BY id) AS before FROM message)
        WHERE timestamp <= before""",
    "each message belongs to a chat, or waits to be purged": """
        SELECT m.id FROM message m WHERE m.lane / 2 NOT IN (SELECT id FROM chat)
            AND m.lane NOT IN (SELECT lane FROM purge)""",
    "each chat has both its members": """
        SELECT c.id FROM chat c
        WHERE (SELECT count(*) FROM member m WHERE m.chat_id = c.id
               AND m.user_id IN (c.creator_id, c.other_id)) <> 2
          AND c.creator_id NOT IN (SELECT id FROM user WHERE mapped IS NULL)
          AND c.other_id NOT IN (SELECT id FROM user WHERE mapped IS NULL)""",
    "no position is ahead of the messages": """
        SELECT user_id FROM delivery
        WHERE message_id > (SELECT value FROM counter WHERE name = 'message')""",
    "a confirmed contact is one of both sides, since the same moment": """
        SELECT a.user_id FROM contact a LEFT JOIN contact b
            ON b.user_id = a.contact_id AND b.contact_id = a.user_id
        WHERE a.since IS NOT NULL AND b.since IS NOT a.since""",
    "a message's media are there": """
        SELECT id FROM message WHERE media_id IS NOT NULL
            AND media_id NOT IN (SELECT id FROM media WHERE message_id = message.id)""",
    "media of a message have all their parts": """
        SELECT a.id FROM media a WHERE a.message_id IS NOT NULL AND a.size <>
            (SELECT coalesce(sum(length(CAST(data AS BLOB))), 0)
             FROM media_part p WHERE p.media_id = a.id)""",
}


def check(path):
    """Integrity and invariants; returns the bodies of each chat's messages in their order."""
    connection = sqlite3.connect(path)
    try:
        found = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            raise Failure(f"{path}: integrity_check: {found}")
        if broken := connection.execute("PRAGMA foreign_key_check").fetchone():
            raise Failure(f"{path}: foreign_key_check: {broken}")
        for promise, query in INVARIANTS.items():
            if (broken := connection.execute(query).fetchone()) is not None:
                raise Failure(f"{path}: not true: {promise}; first {broken[0]}")
        chats = {}
        for chat, body in connection.execute("SELECT lane / 2, body FROM message ORDER BY id"):
            chats.setdefault(chat, []).append(body)
        return chats
    except sqlite3.Error as error:
        raise Failure(f"{path}: {error}") from None
    finally:
        connection.close()
