//! One test for each conversation in `tests/transcripts`. Their README says how they are written;
//! `PLAUSCH_SERVER=host:port` runs them against a server that is already there.

use super::support::transcript;

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            transcript::run(stringify!($name));
        })*

        const LISTED: &[&str] = &[$(stringify!($name)),*];
    };
}

transcripts! {
    account_delete
    chat_delete
    chat_delete_undelivered
    chats
    contact_delete
    contacts
    contacts_again
    contacts_offline
    editing
    everybody
    everybody_shared
    explain
    first_steps
    half_close
    history
    invalid_text
    line_ends
    login
    long_lines
    media
    messages
    names
    not_logged_in
    offline
    other_protocols
    password_change
    passwords
    ping
    quoted
    received
    register
    registration_closed
    restart
    send
    slips
    telnet
    telnet_programs
    unknown
    wrong_form
}

#[test]
fn every_file_is_listed() {
    assert_eq!(LISTED, transcript::names(), "the list above, sorted");
}
