//! The table of packets: one row a packet. Everything else that holds for each packet is made of
//! the rows by the macro `packets` in `row.rs`: the enums [`Request`], [`Reply`] and [`PushPacket`],
//! parsing, formatting, `Debug`, `help` and the reasons of `--explain`.
//!
//! A row has the number, the name, the values (the name in Rust, the [`Kind`], `optional` if it may
//! be missing, the name in the table), then
//!
//! - of a request: whether it needs a login, what it costs the token bucket, its line of `help`;
//! - of a reply: which request it answers, its statuses in brackets if it has some, a comment;
//! - of a push: a comment.
//!
//! Numbers and names are the table's, with section 7 of the contract (226 is the End, 100 is
//! another number of Login). 130 to 135 and 240 to 248 are section 6's, requests of our own.

use std::borrow::Cow;
use std::fmt;

use crate::protocol::row::{Field, Kind, Role, Row, Sender, packets};
use crate::protocol::status::Status;
use crate::protocol::value;
use crate::protocol::value::{Value, Values};

/// The second number of Login: the table's example logs in with it.
pub const LOGIN_ALIAS: u16 = 100;

packets! {
    requests {
        110 Login { user: Str "Username", password: Secret "Password" } login false cost 0
            "log in; answers 212, then what was missed";
        111 Logout {} login true cost 0
            "log out, the connection stays open; answers 213";
        112 RequestChatList {} login true cost 0
            "your chats; answers 214, 215 for each, 216";
        113 ChatCreate { contact: Str "ContactName" } login true cost 0
            "open the chat with a contact; answers 217";
        114 ChatDelete { chat: Long "ChatID" } login true cost 0
            "remove a chat and its messages from your list; answers 218";
        115 MessageSend { chat: Long "ChatID", message: Message "Message", media: Media optional "Media" } login true cost 1
            "send: the rest of the line, or a \"quoted\" message and media; answers 219";
        117 RegisterAccount { user: Str "Username", password: Secret "Password", email: Email "Email", gender: Gender "Gender" } login false cost 0
            "make an account, does not log in; answers 222";
        118 RequestOwnContactList {} login true cost 0
            "your confirmed contacts; answers 223, 224, 225 for each, 226";
        119 RequestMedia { media: Long "MediaID" } login true cost 0
            "fetch media of a message; answers 227";
        120 RequestContactList {} login true cost 0
            "all other users; answers 228, 229, 230 for each, 231";
        121 RequestConfirmContact { user: Str "Username" } login true cost 0
            "ask a user to be your contact, or agree; answers 232";
        130 RequestHistory { chat: Long "ChatID", before: Long "Before", count: Count "Count" } login true cost 0
            "up to Count (1-1000) messages older than Before, 0 for the newest; answers 240, 241, 242 for each, 243";
        131 ContactDelete { user: Str "Username" } login true cost 0
            "end a contact, decline or withdraw a request; answers 244";
        132 PasswordChange { old: Secret "Old", new: Secret "New" } login true cost 0
            "change your password; answers 245";
        133 AccountDelete { password: Secret "Password" } login true cost 0
            "delete your account for good; answers 246";
        134 Ping { text: Str optional "Text" } login false cost 0
            "is anybody there; answers 247 with the same text";
        135 Received { chat: Long "ChatID", timestamp: Long "TimeStamp" } login true cost 0
            "everything up to this message has been read; answers 248";
    }
    replies {
        210 Unknown { reason: Text optional "Reason" } to any
            "no such request; the reason is there with --explain only, and repeats nothing of it";
        211 Invalid { reason: Text optional "Reason" } to any
            "malformed, or nothing could be kept; the reason as in 210";
        212 LoginResponse { status: Status "Status", user: Str "Username" } to 110 [400 404 405 406]
            "the name as registered with 400, else as sent";
        213 LogoutResponse { status: Status "Status" } to 111 [400 407]
            "after 400 comes no push of this login";
        214 ChatListBegin { count: Int "ChatCount" } to 112
            "this many 215 follow";
        215 ChatListElement { chat: Long "ChatID", creator: Str "Username", other: Str "Username" } to 112
            "a chat, its creator and the other member; `~name` if the account is gone";
        216 ChatListEnd {} to 112
            "the list is complete";
        217 ChatCreateResponse { status: Status "Status" } to 113 [400 407 410 411]
            "with 400 the chat is in the list";
        218 ChatDeleteResponse { status: Status "Status" } to 114 [400 407 408 409]
            "with 400 the chat is gone from the list";
        219 MessageSendResponse { status: Status "Status" } to 115 [400 407 408 409 410]
            "with 400 the message is on disk";
        222 RegisterAccountResponse { status: Status "Status" } to 117 [400 401 402 403 404]
            "with 400 the account is there";
        223 OwnContactListResponse { status: Status "Status" } to 118 [400 407]
            "with 400 the list follows";
        224 ContactOwnListBegin { count: Int "Count" } to 118
            "this many 225 follow";
        225 ContactOwnListElem { name: Str "ContactName", since: Long "ContactSince" } to 118
            "a confirmed contact, and since when in milliseconds";
        226 ContactOwnListEnd {} to 118
            "the list is complete";
        227 MediaResponse { status: Status "Status", media: Media optional "Media" } to 119 [400 407 409 412]
            "media as it was sent, byte for byte; only with 400";
        228 ContactListResponse { status: Status "Status" } to 120 [400 407]
            "with 400 the list follows";
        229 ContactListBegin { count: Int "Count" } to 120
            "this many 230 follow";
        230 ContactListElement { name: Str "ContactName" } to 120
            "a user";
        231 ContactListEnd {} to 120
            "the list is complete";
        232 ConfirmContactResponse { status: Status "Status" } to 121 [400 407 410]
            "with 400 the user is asked, or both are contacts";
        240 HistoryResponse { status: Status "Status" } to 130 [400 407 408 409]
            "with 400 the list follows";
        241 HistoryBegin { count: Int "Count" } to 130
            "this many 242 follow, oldest first";
        242 HistoryElement { chat: Long "ChatID", timestamp: Long "TimeStamp", user: Str "Username", message: Message "Message", media: Long optional "MediaID" } to 130
            "a message of the chat and who wrote it; `~name` if the account is gone";
        243 HistoryEnd {} to 130
            "the list is complete";
        244 ContactDeleteResponse { status: Status "Status" } to 131 [400 407 410]
            "with 400 the contact is ended";
        245 PasswordChangeResponse { status: Status "Status" } to 132 [400 402 406 407]
            "with 400 the new one holds";
        246 AccountDeleteResponse { status: Status "Status" } to 133 [400 406 407]
            "with 400 the account is gone, and the login with it";
        247 Pong { text: Str optional "Text" } to 134
            "the text as it came";
        248 ReceivedResponse { status: Status "Status" } to 135 [400 407 408 409]
            "with 400 it will not come again";
    }
    pushes {
        220 MessageSended { chat: Long "ChatID", timestamp: Long "TimeStamp", message: Message "Message", media: Long optional "MediaID" }
            "a message to you; the time, in milliseconds, is strictly increasing in a chat";
        233 ConfirmContactAdd { user: Str "Username" }
            "the user wants you as a contact, or agreed";
    }
}

/// What `help` answers under `--explain` (contract, section 5): a line for each packet that a
/// client may send, then `end`. The lines come without the `210 ` that goes before each.
pub fn help_lines() -> Vec<String> {
    let requests = PACKETS.iter().filter(|row| row.sender() == Sender::Client);
    requests
        .map(|row| format!("{row} - {}", row.help))
        .chain(std::iter::once("end".to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::value::VALUES_MAX;

    #[test]
    fn each_number_is_there_once_and_leads_to_its_row() {
        for row in PACKETS {
            assert_eq!(super::row(row.number), Some(row));
            assert!(row.values.len() <= VALUES_MAX, "{row}");
        }
    }

    #[test]
    fn requests_are_in_the_order_of_their_numbers() {
        let requests = PACKETS.iter().filter(|row| row.sender() == Sender::Client);
        assert!(requests.is_sorted_by_key(|row| row.number));
    }

    #[test]
    fn replies_lead_to_requests_and_have_statuses_where_they_have_a_status() {
        for row in PACKETS {
            let Role::Reply { to, statuses } = row.role else {
                continue;
            };
            assert!(to.is_none_or(|to| super::row(to).is_some()), "{row}");
            let has_status = row.values.iter().any(|field| field.kind == Kind::Status);
            assert_eq!(has_status, statuses.contains(&400), "{row}");
            let known = |code: &u16| Status::from_code(*code).is_some();
            assert!(statuses.iter().all(known) && statuses.is_sorted(), "{row}");
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
        assert_eq!(row(100).map(|row| row.name), Some("Login"));
        for number in [0, 99, 101, 109, 116, 122, 221, 234, 999] {
            assert_eq!(row(number), None, "{number}");
        }
    }

    #[test]
    fn section_7_ends_the_own_contact_list_with_226() {
        assert_eq!(row(224).map(|row| row.name), Some("ContactOwnListBegin"));
        assert_eq!(row(226).map(|row| row.name), Some("ContactOwnListEnd"));
    }

    #[test]
    fn help_has_a_line_for_each_request_and_an_end() {
        let lines = help_lines();
        let requests = PACKETS.iter().filter(|row| row.sender() == Sender::Client);
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
