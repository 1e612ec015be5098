-- The whole database of Plausch, compiled into the server; PRAGMA user_version (set by
-- src/store/open/schema.rs) numbers it. Ids are never used again: AUTOINCREMENT for users, chats,
-- media and contact events, a stored high-water mark for messages. Times are milliseconds
-- since 1970-01-01T00:00:00Z.

-- One row an account. A deleted account that a chat still refers to stays as a tombstone
-- (mapped IS NULL): its name is free again, its id is not.
CREATE TABLE user (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    name     TEXT NOT NULL,     -- as registered, in NFC
    mapped   TEXT UNIQUE,       -- RFC 8265 UsernameCaseMapped; NULL once deleted
    password TEXT NOT NULL,     -- scrypt, as a PHC string; empty once deleted
    email    TEXT NOT NULL,
    gender   TEXT NOT NULL,
    created  INTEGER NOT NULL
) STRICT;

-- How far messages to a user have arrived. Apart from user, so that the rows written most
-- often share few pages.
CREATE TABLE delivery (
    user_id    INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
    message_id INTEGER NOT NULL  -- all messages to the user up to this id have arrived
) STRICT;

-- The users whose last login has used 135: their next one counts nothing as received without it.
CREATE TABLE explicit_receipt (
    user_id INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE
) STRICT;

-- Where a login began that has not used 135, from the first position on that it saves: its first 135
-- may take the position back to there, so nothing above is removed while it lasts, for a day from
-- since on at most.
CREATE TABLE login_start (
    user_id    INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
    message_id INTEGER NOT NULL,
    since      INTEGER NOT NULL
) STRICT;

-- user_id wants contact_id as a contact. Both rows exist once both sides want it; since is
-- that moment in both of them and NULL before.
CREATE TABLE contact (
    user_id    INTEGER NOT NULL REFERENCES user (id),
    contact_id INTEGER NOT NULL REFERENCES user (id),
    since      INTEGER,
    PRIMARY KEY (user_id, contact_id)
) WITHOUT ROWID, STRICT;

-- What user_id has asked contact_id before: when contact_id was last told of it by a 233, and whether
-- contact_id has declined. It outlives the request, so that asking again pesters nobody. quiet: the
-- request was withdrawn and made again within a day of told.
CREATE TABLE asked (
    user_id    INTEGER NOT NULL REFERENCES user (id),
    contact_id INTEGER NOT NULL REFERENCES user (id),
    told       INTEGER NOT NULL,
    declined   INTEGER NOT NULL DEFAULT 0,
    quiet      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, contact_id)
) WITHOUT ROWID, STRICT;

-- For an account that goes.
CREATE INDEX asked_contact ON asked (contact_id);

-- The open requests to a user, in the order of the askers' ids.
CREATE INDEX contact_open ON contact (contact_id, user_id) WHERE since IS NULL;

-- A 233 that user_id is still to be told. Rows go when the peer's TCP has taken them.
CREATE TABLE contact_event (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL REFERENCES user (id),
    contact_id INTEGER NOT NULL REFERENCES user (id)
) STRICT;

CREATE INDEX contact_event_user ON contact_event (user_id);

-- One chat between two users. last_timestamp is a floor for the next TimeStamp; it is kept
-- up to date only when messages are removed, since otherwise the newest message tells.
CREATE TABLE chat (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    creator_id     INTEGER NOT NULL REFERENCES user (id),
    other_id       INTEGER NOT NULL REFERENCES user (id),
    last_timestamp INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What a chat is to each of its two members. chat_id is no foreign key: checking it when a chat
-- is deleted would take an index of its own, or a scan.
CREATE TABLE member (
    user_id    INTEGER NOT NULL REFERENCES user (id),
    chat_id    INTEGER NOT NULL,
    other_id   INTEGER NOT NULL REFERENCES user (id),
    cleared_id INTEGER NOT NULL DEFAULT 0,  -- messages up to this id are gone for the member
    listed     INTEGER NOT NULL DEFAULT 1,  -- 0 once deleted by the member, until it comes back
    PRIMARY KEY (user_id, chat_id)
) WITHOUT ROWID, STRICT;

CREATE UNIQUE INDEX member_pair ON member (user_id, other_id);

-- Ids grow in commit order over all chats. A lane is one direction of a chat: chat_id * 2 for
-- messages to the creator, chat_id * 2 + 1 for messages to the other.
-- No foreign keys and no index: this is the table that every message pays for.
CREATE TABLE message (
    id        INTEGER PRIMARY KEY,
    lane      INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    body      TEXT NOT NULL,
    media_id  INTEGER
) STRICT;

-- The messages of each lane: for the backlog of a user (one lane of each chat) and the history of
-- a chat (both its lanes). It is filled behind the messages, in sorted runs, and complete up to
-- the id that counter has as 'indexed'; rows above that are of a run that has not come to its end.
CREATE TABLE lane_message (
    lane       INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (lane, message_id)
) WITHOUT ROWID, STRICT;

-- message_id is NULL while parts are still coming in, and again once its message was removed:
-- then the parts are purged in small steps.
CREATE TABLE media (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id   INTEGER NOT NULL REFERENCES user (id),
    chat_id    INTEGER NOT NULL,
    message_id INTEGER,
    size       INTEGER NOT NULL,  -- bytes of UTF-8
    quoted     INTEGER NOT NULL   -- 1 if it must be quoted on the wire
) STRICT;

CREATE INDEX media_loose ON media (id) WHERE message_id IS NULL;

-- What a user's media take up together. Kept by triggers: summing a hundred thousand rows at each
-- upload would hold up every commit, and whoever removes media must not have to think of this.
CREATE TABLE media_use (
    user_id INTEGER PRIMARY KEY REFERENCES user (id),
    bytes   INTEGER NOT NULL
) STRICT;

CREATE TRIGGER media_added AFTER INSERT ON media BEGIN
    INSERT INTO media_use (user_id, bytes) VALUES (new.owner_id, new.size)
    ON CONFLICT (user_id) DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER media_removed AFTER DELETE ON media BEGIN
    UPDATE media_use SET bytes = bytes - old.size WHERE user_id = old.owner_id;
END;

-- Media in parts of 64 KiB, each cut between two characters, so that no transaction and no
-- reader ever handles a whole one.
CREATE TABLE media_part (
    media_id INTEGER NOT NULL REFERENCES media (id),
    part     INTEGER NOT NULL,
    data     TEXT NOT NULL,
    PRIMARY KEY (media_id, part)
) WITHOUT ROWID, STRICT;

-- Lanes whose messages up to an id nobody can see any more, still to be removed.
CREATE TABLE purge (
    lane INTEGER PRIMARY KEY,
    upto INTEGER NOT NULL
) STRICT;

-- Deleted accounts whose contacts and chats are still to be taken away.
CREATE TABLE departure (
    user_id INTEGER PRIMARY KEY REFERENCES user (id)
) STRICT;

-- Lanes with messages up to an id that retention had to leave when their days had passed, since
-- they had not arrived. arrived is when they were first found to have; NULL before.
CREATE TABLE held_lane (
    lane    INTEGER PRIMARY KEY,
    upto    INTEGER NOT NULL,
    arrived INTEGER
) STRICT;

-- The same for media that are kept for fewer days than their messages.
CREATE TABLE held_media (
    media_id INTEGER PRIMARY KEY,
    arrived  INTEGER
) STRICT;

-- Numbers by name. message is an id that no message has passed yet; retention has looked at the
-- messages up to kept_message and the media up to kept_media; lane_message is complete up to
-- indexed; ended is the time that the file got at an orderly end, retained that of the last pass
-- of retention. Rows order:… are what plauschctl
-- asks of a running server.
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

INSERT INTO counter (name, value) VALUES ('message', 0), ('kept_message', 0), ('kept_media', 0),
    ('indexed', 0);
