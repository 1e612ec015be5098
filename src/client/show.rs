//! What the engine tells, as lines of text, for `screen` and `script`. Whatever comes from elsewhere
//! is sanitized here. Called in the engine's thread; holds nothing.

use std::time::SystemTime;

use super::media;
use crate::client::answers::HistoryLine;
use crate::client::engine::Output;
use crate::client::outbox::OutgoingMessage;
use crate::sanitize;
use crate::sys::{self, LocalTime};

const RAW_MAX: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) colours: bool,
}

// The colours, by their numbers in "Select Graphic Rendition" (ECMA-48).

const NAME: &str = "1;36";
const OTHER: &str = "33";
const FAINT: &str = "2";
const BAD: &str = "31";

impl Style {
    fn paint(self, colour: &str, text: &str) -> String {
        match self.colours {
            true => format!("\x1b[{colour}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

pub(crate) fn lines(output: &Output, style: Style) -> String {
    let note = |text: &str| style.paint(FAINT, &format!("-- {}", sanitize::word(text)));
    match output {
        Output::Message { message, unread } => said(message, *unread, style),
        Output::Past(message) => said(message, None, style),
        Output::Media { media, kind, size } => {
            let kind = kind
                .as_deref()
                .map_or("unknown type".to_owned(), sanitize::word);
            let size = media::size(*size as u64);
            let text = format!("      media {media}: {kind}, {size}; /save {media} FILE");
            style.paint(FAINT, &text)
        }
        Output::Contact { name, agreed } => {
            let name = sanitize::word(name);
            let text = match agreed {
                true => format!("-- {name} agreed: you are contacts; /chat {name}"),
                false => {
                    format!("-- {name} asks to be your contact; /accept {name} or /remove {name}")
                }
            };
            style.paint(OTHER, &text)
        }
        Output::List { heading, lines } => {
            let mut text = note(heading);
            for line in lines {
                text.push('\n');
                text.push_str(&sanitize::word(line));
            }
            text
        }
        Output::Note(text) => note(text),
        Output::Problem(text) => style.paint(BAD, &format!("!! {}", sanitize::word(text))),
        Output::Unsent { message, why } => {
            let (to, text, why) = (to(message), shown(message), sanitize::word(why));
            style.paint(BAD, &format!("!! not sent{to}: {text} -- {why}"))
        }
        Output::Stored(message) => {
            let (to, text) = (to(message), shown(message));
            style.paint(FAINT, &format!("-- was sent all the same{to}: {text}"))
        }
        Output::Raw { sent, line } => {
            let mark = if *sent { '>' } else { '<' };
            let text = String::from_utf8_lossy(&line[..line.len().min(RAW_MAX)]);
            let rest = match line.len().saturating_sub(RAW_MAX) {
                0 => String::new(),
                rest => format!(" ... and {rest} bytes"),
            };
            style.paint(FAINT, &format!("{mark} {}{rest}", sanitize::word(&text)))
        }
    }
}

fn said(message: &HistoryLine, unread: Option<u32>, style: Style) -> String {
    let from = sanitize::word(&message.user);
    let time = style.paint(FAINT, &time(message.timestamp));
    let mark = |media| style.paint(OTHER, &format!("[media {media}]"));
    let text = content(&message.message, message.media.map(mark));
    let (chat, name) = match unread {
        None => (String::new(), style.paint(NAME, &from)),
        Some(count) => {
            let mark = format!("[chat {from}, {count} unread] ");
            let mark = style.paint(OTHER, &mark);
            (mark, style.paint(OTHER, &from))
        }
    };
    format!("{time} {chat}{name}: {text}")
}

fn to(message: &OutgoingMessage) -> String {
    match message.to.as_str() {
        "" => String::new(),
        name => format!(" to {}", sanitize::word(name)),
    }
}

fn shown(message: &OutgoingMessage) -> String {
    let media = message.media.as_ref();
    let mark = media.map(|media| format!("[{}]", sanitize::word(&media.name)));
    content(&message.text, mark)
}

fn content(text: &str, media: Option<String>) -> String {
    let text = sanitize::message(text);
    match media {
        None => text,
        Some(media) if text.is_empty() => media,
        Some(media) => format!("{text} {media}"),
    }
}

/// A TimeStamp as the clock on the wall had it; with the date if that is not today's.
pub(crate) fn time(timestamp: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now
        .ok()
        .and_then(|time| i64::try_from(time.as_millis()).ok());
    let today = now.and_then(sys::local_time).map(|time| time.date);
    let Some(LocalTime { date, hour, minute }) = sys::local_time(timestamp) else {
        return "--:--".to_owned();
    };
    if Some(date) == today {
        return format!("{hour:02}:{minute:02}");
    }
    let (year, month, day) = date;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::outbox::Attachment;

    const PLAIN: Style = Style { colours: false };

    fn message(text: &str, media: Option<i64>, unread: Option<u32>) -> Output {
        let message = HistoryLine {
            chat: 1,
            timestamp: 0,
            user: "bernd".to_owned(),
            message: text.to_owned(),
            media,
        };
        Output::Message { message, unread }
    }

    /// Without its time.
    fn shown(output: &Output) -> String {
        let text = lines(output, PLAIN);
        text.split_once(':')
            .and_then(|(_, rest)| rest.get(3..))
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn arrivals_have_a_name_and_a_mark() {
        assert_eq!(shown(&message("hi\x1b[2J", None, None)), "bernd: hi␛[2J");
        assert_eq!(
            shown(&message("hi", None, Some(2))),
            "[chat bernd, 2 unread] bernd: hi"
        );
        assert_eq!(
            shown(&message("look", Some(7), None)),
            "bernd: look [media 7]"
        );
        assert_eq!(shown(&message("", Some(7), None)), "bernd: [media 7]");
        let media = Output::Media {
            media: 7,
            kind: Some("image/\x1bpng".to_owned()),
            size: 8,
        };
        assert_eq!(
            lines(&media, PLAIN),
            "      media 7: image/␛png, 8 bytes; /save 7 FILE"
        );
    }

    #[test]
    fn unsent_messages_can_be_recognised() {
        let message = super::OutgoingMessage {
            chat: 1,
            to: "bernd".to_owned(),
            text: "look\x07".to_owned(),
            media: Some(Attachment {
                uri: "data:,x".into(),
                name: "a\nb.png".to_owned(),
            }),
        };
        let unsent = Output::Unsent {
            message: message.clone(),
            why: "gone (408)".to_owned(),
        };
        assert_eq!(
            lines(&unsent, PLAIN),
            "!! not sent to bernd: look␇ [a␊b.png] -- gone (408)"
        );
        let kept = lines(&Output::Stored(message), PLAIN);
        assert_eq!(kept, "-- was sent all the same to bernd: look␇ [a␊b.png]");
    }

    #[test]
    fn colours_are_an_addition() {
        let coloured = lines(&message("hi", Some(1), Some(2)), Style { colours: true });
        assert!(coloured.contains('\x1b'));
        let mut plain = coloured;
        for code in ["1;36", "33", "2", "31", "0"] {
            plain = plain.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(plain, lines(&message("hi", Some(1), Some(2)), PLAIN));
    }

    #[test]
    fn raw_packets_are_cut() {
        let line = vec![b'x'; RAW_MAX + 5];
        let text = lines(&Output::Raw { sent: false, line }, PLAIN);
        assert!(text.starts_with("< xxx") && text.ends_with("x ... and 5 bytes"));
        let line = b"220 1 2 \x9b\xffa".to_vec();
        assert_eq!(
            lines(&Output::Raw { sent: true, line }, PLAIN),
            "> 220 1 2 \u{FFFD}\u{FFFD}a"
        );
    }

    #[test]
    fn old_messages_have_a_date() {
        // 1970-01-01 or the evening before, by the zone.
        assert!(time(0).starts_with("19"));
        assert_eq!(time(0).len(), "1970-01-01 00:00".len());
        // Far away, but no reason to stumble.
        assert!(time(i64::MAX).starts_with("292278994-"));
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970");
        let short = time(now.as_millis() as i64).len();
        // Unless midnight has just passed.
        assert!(short == 5 || short == 16);
    }
}
