//! The table of packets: one row a packet. Parsing (number and types of values), `help` and the
//! reasons of `--explain` derive from it.
//!
//! Numbers and names are the seed table's, with section 7 of the contract (226 is the End, 100 is
//! another number of Login); 130 to 135 and 240 to 248 are section 6's, requests of our own.

use std::fmt;

/// Who sends a packet (seed table, column "Absender").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender {
    /// A request.
    Client,
    /// A reply, or a push that answers nothing.
    Server,
}

/// The type of a value (contract, section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A signed 64-bit number: an id (from 1 on) or milliseconds since 1970-01-01T00:00:00Z.
    Long,
    /// A number without sign or leading zero.
    Int,
    /// Text, bare (one word) or quoted; without control characters when a client sends it.
    Str,
    /// Text whose bare form is the rest of the line; quoted if a value follows it.
    Message,
    /// For people: the rest of the line, as a Message without anything behind it.
    Text,
    /// A `Str` that may also hold control characters, as escapes.
    Media,
    /// A STATUSCODE, 400 to 412.
    Status,
}

/// As the seed table writes the types. Message and Media are `Str` there too.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Long => "Long",
            Kind::Int => "int",
            Kind::Str | Kind::Message | Kind::Media => "Str",
            Kind::Text => "Text",
            Kind::Status => "STATUSCODE",
        })
    }
}

/// One value of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// The name, as in the seed table.
    pub name: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// May be missing. Only the last value of a packet can be.
    pub optional: bool,
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The opcode, 110 to 248.
    pub number: u16,
    /// Who sends it.
    pub sender: Sender,
    /// The name, as in the seed table.
    pub name: &'static str,
    /// The values, in their order.
    pub values: &'static [Field],
    /// One line for people, without a full stop.
    pub help: &'static str,
}

/// The second number of Login: the seed table's example logs in with it.
pub const LOGIN_ALIAS: u16 = 100;

/// The most values that a packet has (242 HistoryElement).
pub const VALUES_MAX: usize = 5;

macro_rules! packets {
    ($($sender:ident $number:literal $name:ident [$($value:literal $kind:ident $($optional:ident)?),*] $help:literal;)*) => {
        &[$(Packet {
            number: $number,
            sender: Sender::$sender,
            name: stringify!($name),
            values: &[$(Field { name: $value, kind: Kind::$kind, optional: packets!(@$($optional)?) }),*],
            help: $help,
        }),*]
    };
    (@optional) => { true };
    (@) => { false };
}

/// All packets, in the order of their numbers (a test holds that; the search relies on it).
pub static PACKETS: &[Packet] = packets! {
    Client 110 Login ["Username" Str, "Password" Str] "log in; answers 212, then what was missed";
    Client 111 Logout [] "log out, the connection stays open; answers 213";
    Client 112 RequestChatList [] "your chats; answers 214, 215 for each, 216";
    Client 113 ChatCreate ["ContactName" Str] "open the chat with a contact; answers 217";
    Client 114 ChatDelete ["ChatID" Long] "remove a chat and its messages from your list; answers 218";
    Client 115 MessageSend ["ChatID" Long, "Message" Message, "Media" Media optional] "send: the rest of the line, or a \"quoted\" message and media; answers 219";
    Client 117 RegisterAccount ["Username" Str, "Password" Str, "Email" Str, "Gender" Str] "make an account, does not log in; answers 222";
    Client 118 RequestOwnContactList [] "your confirmed contacts; answers 223, 224, 225 for each, 226";
    Client 119 RequestMedia ["MediaID" Long] "fetch media of a message; answers 227";
    Client 120 RequestContactList [] "all other users; answers 228, 229, 230 for each, 231";
    Client 121 RequestConfirmContact ["Username" Str] "ask a user to be your contact, or agree; answers 232";
    Client 130 RequestHistory ["ChatID" Long, "Before" Long, "Count" Int] "up to Count (1-1000) messages older than Before, 0 for the newest; answers 240, 241, 242 for each, 243";
    Client 131 ContactDelete ["Username" Str] "end a contact, decline or withdraw a request; answers 244";
    Client 132 PasswordChange ["Old" Str, "New" Str] "change your password; answers 245";
    Client 133 AccountDelete ["Password" Str] "delete your account for good; answers 246";
    Client 134 Ping ["Text" Str optional] "is anybody there; answers 247 with the same text";
    Client 135 Received ["ChatID" Long, "TimeStamp" Long] "everything up to this message has been read; answers 248";
    // The reason is for people, and there only with --explain (contract, section 5).
    Server 210 Unknown ["Reason" Text optional] "no such request";
    Server 211 Invalid ["Reason" Text optional] "the request is malformed, or nothing could be kept";
    Server 212 LoginResponse ["Status" Status, "Username" Str] "answers 110";
    Server 213 LogoutResponse ["Status" Status] "answers 111";
    Server 214 ChatListBegin ["ChatCount" Int] "answers 112, this many 215 follow";
    Server 215 ChatListElement ["ChatID" Long, "Username" Str, "Username" Str] "a chat, its creator and the other member";
    Server 216 ChatListEnd [] "the list is complete";
    Server 217 ChatCreateResponse ["Status" Status] "answers 113";
    Server 218 ChatDeleteResponse ["Status" Status] "answers 114";
    Server 219 MessageSendResponse ["Status" Status] "answers 115; with 400 the message is on disk";
    Server 220 MessageSended ["ChatID" Long, "TimeStamp" Long, "Message" Message, "MediaID" Long optional] "a message to you";
    Server 222 RegisterAccountResponse ["Status" Status] "answers 117";
    Server 223 OwnContactListResponse ["Status" Status] "answers 118";
    Server 224 ContactOwnListBegin ["Count" Int] "this many 225 follow";
    Server 225 ContactOwnListElem ["ContactName" Str, "ContactSince" Long] "a confirmed contact";
    Server 226 ContactOwnListEnd [] "the list is complete";
    Server 227 MediaResponse ["Status" Status, "Media" Media optional] "answers 119; media only with 400";
    Server 228 ContactListResponse ["Status" Status] "answers 120";
    Server 229 ContactListBegin ["Count" Int] "this many 230 follow";
    Server 230 ContactListElement ["ContactName" Str] "a user";
    Server 231 ContactListEnd [] "the list is complete";
    Server 232 ConfirmContactResponse ["Status" Status] "answers 121";
    Server 233 ConfirmContactAdd ["Username" Str] "the user wants you as a contact, or agreed";
    Server 240 HistoryResponse ["Status" Status] "answers 130";
    Server 241 HistoryBegin ["Count" Int] "this many 242 follow, oldest first";
    Server 242 HistoryElement ["ChatID" Long, "TimeStamp" Long, "Username" Str, "Message" Message, "MediaID" Long optional] "a message of the chat and who wrote it";
    Server 243 HistoryEnd [] "the list is complete";
    Server 244 ContactDeleteResponse ["Status" Status] "answers 131";
    Server 245 PasswordChangeResponse ["Status" Status] "answers 132";
    Server 246 AccountDeleteResponse ["Status" Status] "answers 133";
    Server 247 Pong ["Text" Str optional] "answers 134";
    Server 248 ReceivedResponse ["Status" Status] "answers 135";
};

/// The row of an opcode. [`LOGIN_ALIAS`] leads to Login's.
pub fn packet(number: u16) -> Option<&'static Packet> {
    let number = if number == LOGIN_ALIAS { 110 } else { number };
    let at = PACKETS
        .binary_search_by_key(&number, |row| row.number)
        .ok()?;
    PACKETS.get(at)
}

/// The packet's name, or an empty one for a number that the table does not have.
pub(super) fn name(number: u16) -> &'static str {
    packet(number).map_or("", |row| row.name)
}

/// Number, name and values as help shows them: `115 MessageSend ChatID:Long Message:Str [Media:Str]`.
impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.name)?;
        for value in self.values {
            if value.optional {
                write!(f, " [{}:{}]", value.name, value.kind)?;
            } else {
                write!(f, " {}:{}", value.name, value.kind)?;
            }
        }
        Ok(())
    }
}

/// What `help` answers under `--explain` (contract, section 5): a line for each packet that a
/// client may send, then `end`. The lines come without the `210 ` that goes before each.
pub fn help_lines() -> Vec<String> {
    let requests = PACKETS.iter().filter(|row| row.sender == Sender::Client);
    requests
        .map(|row| format!("{row} - {}", row.help))
        .chain(std::iter::once("end".to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_each_number_is_there_once() {
        assert!(
            PACKETS
                .windows(2)
                .all(|pair| pair[0].number < pair[1].number)
        );
        for row in PACKETS {
            assert_eq!(packet(row.number), Some(row));
            assert!(row.values.len() <= VALUES_MAX, "{row}");
        }
    }

    #[test]
    fn only_a_last_value_is_optional_and_nothing_but_it_follows_a_message() {
        for row in PACKETS {
            for (at, value) in row.values.iter().enumerate() {
                let rest = &row.values[at + 1..];
                assert!(!value.optional || rest.is_empty(), "{row}");
                let bare_possible = rest.iter().all(|later| later.optional);
                assert!(value.kind != Kind::Message || bare_possible, "{row}");
            }
        }
    }

    #[test]
    fn hundred_is_login_and_the_tables_gaps_are_gaps() {
        assert_eq!(packet(100).map(|row| row.name), Some("Login"));
        for number in [0, 99, 101, 109, 116, 122, 221, 234, 999] {
            assert_eq!(packet(number), None, "{number}");
        }
    }

    #[test]
    fn section_7_ends_the_own_contact_list_with_226() {
        assert_eq!(packet(224).map(|row| row.name), Some("ContactOwnListBegin"));
        assert_eq!(packet(226).map(|row| row.name), Some("ContactOwnListEnd"));
    }

    #[test]
    fn help_has_a_line_for_each_request_and_an_end() {
        let lines = help_lines();
        let requests = PACKETS.iter().filter(|row| row.sender == Sender::Client);
        assert_eq!(lines.len(), requests.count() + 1);
        assert_eq!(lines.last().map(String::as_str), Some("end"));
        let send = lines.iter().find(|line| line.starts_with("115 "));
        let start = "115 MessageSend ChatID:Long Message:Str [Media:Str] - ";
        assert!(send.is_some_and(|line| line.starts_with(start)), "{send:?}");
        assert!(
            lines
                .iter()
                .all(|line| line.len() < 200 && !line.contains(char::is_control))
        );
    }
}
