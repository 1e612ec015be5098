//! Section 1 of the contract, sentence by sentence.

use super::*;

/// An event that outlives its step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Seen {
    Line(Vec<u8>),
    TooLong,
    Answer(Vec<u8>),
    EndOfInput,
    Foreign(Foreign),
}

fn line(text: &str) -> Seen {
    Seen::Line(text.as_bytes().to_vec())
}

/// Feeds a chunk; returns the events, and checks what is held on the way.
pub(in crate::protocol) fn feed(
    decoder: &mut LineDecoder,
    mut chunk: &[u8],
    limit: usize,
) -> Vec<Seen> {
    let most = if limit > PLAIN_LIMIT {
        6 * limit
    } else {
        limit
    };
    let mut seen = Vec::new();
    while !chunk.is_empty() {
        let Step { used, event } = decoder.step(chunk, limit);
        match event {
            Some(Event::Line(line)) => {
                assert!(line.len() <= most);
                seen.push(Seen::Line(line.to_vec()));
            }
            Some(Event::TooLong) => seen.push(Seen::TooLong),
            Some(Event::NoMemory) => panic!("no memory"),
            Some(Event::Answer(answer)) => seen.push(Seen::Answer(answer.bytes().to_vec())),
            Some(Event::EndOfInput) => seen.push(Seen::EndOfInput),
            Some(Event::Foreign(protocol)) => seen.push(Seen::Foreign(protocol)),
            None => assert_eq!(used, chunk.len(), "a step without event takes all"),
        }
        // A CR that may end the line, an unfinished byte order mark, and the end of a first line
        // that is being dropped.
        assert!(decoder.buffered() <= (most + 3).max(16));
        chunk = &chunk[used..];
    }
    seen
}

fn answer(bytes: &[u8]) -> Seen {
    Seen::Answer(bytes.to_vec())
}

/// What the bytes amount to; the same whole, byte by byte, and cut in two anywhere.
fn decode(bytes: &[u8], limit: usize) -> Vec<Seen> {
    decode_by(LineDecoder::new, bytes, limit)
}

/// What the bytes amount to, up to what says that they are no client's.
fn decode_warily(bytes: &[u8], limit: usize) -> Vec<Seen> {
    let mut seen = decode_by(LineDecoder::wary, bytes, limit);
    if let Some(at) = seen.iter().position(|s| matches!(s, Seen::Foreign(_))) {
        seen.truncate(at + 1);
    }
    seen
}

fn decode_by(new: fn() -> LineDecoder, bytes: &[u8], limit: usize) -> Vec<Seen> {
    let whole = feed(&mut new(), bytes, limit);
    let mut decoder = new();
    let single: Vec<Seen> = bytes
        .chunks(1)
        .flat_map(|byte| feed(&mut decoder, byte, limit))
        .collect();
    assert_eq!(single, whole, "byte by byte");
    for cut in 0..bytes.len().min(64) {
        let mut decoder = new();
        let mut seen = feed(&mut decoder, &bytes[..cut], limit);
        seen.extend(feed(&mut decoder, &bytes[cut..], limit));
        assert_eq!(seen, whole, "cut at {cut}");
    }
    whole
}

#[test]
fn lf_and_cr_lf_end_a_line() {
    let seen = decode(b"110 a b\n111\r\n\n\r\na\rb\r\r\nrest", 100);
    let expected = ["110 a b", "111", "", "", "a\rb\r"].map(line);
    assert_eq!(seen, expected);
}

#[test]
fn cr_nul_ends_a_line() {
    let seen = decode(
        b"134 hi\r\x00111\r\0\r\0\0a\0\0b\0\r\x00112\n113\r\0rest\0",
        100,
    );
    let expected = ["134 hi", "111", "", "\0a\0\0b\0", "112", "113"].map(line);
    assert_eq!(seen, expected);
    // As with LF, commands may stand between, and what is taken back does not count.
    assert_eq!(
        decode(b"a\r\xff\xf1\0b\r\x08\0\n", 9),
        [line("a"), line("b\0")]
    );
    assert_eq!(decode(b"a\rb\0\n\xff\xff\0\n", 9).len(), 2);
    // The limit is that of the line without its end, and an over-long line ends there too.
    assert_eq!(
        decode(b"12345\r\x0012345\r\0", 5),
        ["12345", "12345"].map(line)
    );
    for long in [
        "123456",
        "12345\r",
        "1234567890",
        "12345\0",
        "123456\r\rx\0x",
    ] {
        let bytes = [long.as_bytes(), b"\r\0ab\r\0"].concat();
        assert_eq!(decode(&bytes, 5), [Seen::TooLong, line("ab")], "{long:?}");
    }
    assert_eq!(
        decode(b"1234567\r\xff\xf1\0ab\n", 5),
        [Seen::TooLong, line("ab")]
    );
    assert_eq!(
        decode(b"1234567\r\x7f\0ab\ncd\n", 5),
        [Seen::TooLong, line("cd")]
    );
}

#[test]
fn it_is_known_who_sends_cr_alone() {
    let mut decoder = LineDecoder::new();
    feed(&mut decoder, b"134 hi", 100);
    assert!(!decoder.lacks_line_ends());
    for bytes in [b"\r".as_slice(), b"134 ho\r", b"\xff\xf1"] {
        feed(&mut decoder, bytes, 100);
        assert!(decoder.lacks_line_ends());
    }
    for end in [b"\n".as_slice(), b"\r\n", b"\r\0", b"\r12345678901\n"] {
        let mut decoder = LineDecoder::new();
        feed(&mut decoder, b"a\r", 10);
        feed(&mut decoder, end, 10);
        assert!(!decoder.lacks_line_ends());
        feed(&mut decoder, b"a\rb\r", 10);
        assert!(!decoder.lacks_line_ends(), "it has shown what it can");
    }
    // Too long, and still no end.
    let mut decoder = LineDecoder::new();
    assert_eq!(feed(&mut decoder, b"a\rb\r1234567\r", 5), [Seen::TooLong]);
    assert!(decoder.lacks_line_ends());
}

#[test]
fn a_whole_line_is_not_copied() {
    let chunk = b"\xff\xfc\x1f115 7 hi\r\n115 8 ho\r\n";
    let mut decoder = LineDecoder::new();
    let Step { used, event } = decoder.step(chunk, 100);
    let Some(Event::Line(first)) = event else {
        panic!("{event:?}")
    };
    assert_eq!((used, first.as_ptr()), (13, chunk[3..].as_ptr()));
    let Step { event, .. } = decoder.step(&chunk[used..], 100);
    assert_eq!(event, Some(Event::Line(b"115 8 ho")));
    assert_eq!(decoder.buffer.capacity(), 0);
}

#[test]
fn an_idle_decoder_is_small_and_forgets_lines() {
    assert!(size_of::<LineDecoder>() <= 48);
    let mut decoder = LineDecoder::new();
    assert!(!decoder.pending());
    feed(&mut decoder, b"110 hans secret", 4096);
    assert!(decoder.pending());
    assert_eq!(decoder.buffered(), 15);
    decoder.release();
    assert_eq!(decoder.buffered(), 15, "a line being gathered is not lost");
    assert_eq!(feed(&mut decoder, b"\n", 4096), [line("110 hans secret")]);
    assert!(!decoder.pending());
    assert_eq!(decoder.buffered(), 0);
    assert_eq!(feed(&mut decoder, b"x", 4096), []);
    assert_eq!(decoder.buffer, b"x", "the line handed out is gone");
    assert_eq!(feed(&mut decoder, b"\x08", 4096), []);
    assert!(!decoder.pending());
    decoder.release();
    assert_eq!(decoder.buffer.capacity(), 0);
}

#[test]
fn the_memory_of_a_long_line_is_given_back() {
    let mut decoder = LineDecoder::new();
    let limit = 1 << 20;
    let text = "x".repeat(limit);
    assert_eq!(feed(&mut decoder, text.as_bytes(), limit), []);
    assert!(decoder.buffer.capacity() <= limit + 1);
    assert_eq!(feed(&mut decoder, b"\r\n", limit), [line(&text)]);
    feed(&mut decoder, b"y", limit);
    assert!(decoder.buffer.capacity() <= PLAIN_LIMIT);
}

#[test]
fn a_line_of_the_limit_passes_and_a_longer_one_is_said_once() {
    assert_eq!(decode(b"12345\r\n12345\n", 5), ["12345", "12345"].map(line));
    let seen = decode(b"1234567890\r\nab\n", 5);
    assert_eq!(seen, [Seen::TooLong, line("ab")]);
    assert_eq!(decode(b"12345\r6\nab\n", 5), [Seen::TooLong, line("ab")]);
    assert_eq!(decode(b"12345\r\r\nab\n", 5), [Seen::TooLong, line("ab")]);
    // Said as soon as it is certain, without waiting for the end.
    let mut decoder = LineDecoder::new();
    let step = decoder.step(b"1234567890", 5);
    let expected = Step {
        used: 6,
        event: Some(Event::TooLong),
    };
    assert_eq!(step, expected);
    assert!(decoder.pending());
    assert_eq!(decoder.buffer.capacity(), 0);
}

#[test]
fn backslashes_make_room_above_the_plain_limit_only() {
    let line_of = |plain: usize, escapes: usize| "x".repeat(plain) + &"\\u0001".repeat(escapes);
    let limit = 5000;
    for (text, fits) in [
        (line_of(5000, 0), true),
        (line_of(5001, 0), false),
        (line_of(4000, 1000), true),
        (line_of(4001, 1000), false),
        (line_of(0, 5000), true),
        (line_of(0, 5001), false),
        ("\\".repeat(30_000), true),
        ("\\".repeat(30_001), false),
    ] {
        let expected = if fits { line(&text) } else { Seen::TooLong };
        let seen = decode(format!("{text}\r\n").as_bytes(), limit);
        assert_eq!(seen, [expected], "{} bytes", text.len());
    }
    let seen = decode(format!("{}\n", line_of(4090, 2)).as_bytes(), 4096);
    assert_eq!(seen, [Seen::TooLong]);
}

#[test]
fn the_limit_may_change_between_steps() {
    let mut decoder = LineDecoder::new();
    assert_eq!(feed(&mut decoder, b"1234567", 10), []);
    assert_eq!(
        feed(&mut decoder, b"\nab\n", 5),
        [Seen::TooLong, line("ab")]
    );
    assert_eq!(feed(&mut decoder, b"1234567", 10), []);
    assert_eq!(
        feed(&mut decoder, b"8\nab\n", 5),
        [Seen::TooLong, line("ab")]
    );
    assert_eq!(feed(&mut decoder, b"12345", 5), []);
    assert_eq!(feed(&mut decoder, b"67\n", 10), [line("1234567")]);
}

#[test]
fn telnet_commands_are_taken_out() {
    // WONT NAWS, DONT 10 (an LF as option), NOP, GA, a subnegotiation with IAC IAC and an LF in it.
    let bytes =
        b"11\xff\xfc\x1f2\xff\xfe\x0a\xff\xf1\xff\xf9 \xff\xfa\x1f\x00\x0a\xff\xff\x00\xff\xf0x\n";
    assert_eq!(decode(bytes, 100), [line("112 x")]);
}

#[test]
fn doubled_and_stray_iac_are_data() {
    assert_eq!(decode(b"a\xff\xffb\n", 9), [Seen::Line(b"a\xffb".to_vec())]);
    // An IAC that begins no command does not swallow the line end.
    let seen = decode(b"a\xff\nb\n\xff\xff\n", 9);
    let expected = [b"a\xff".as_slice(), b"b", b"\xff"].map(|l| Seen::Line(l.to_vec()));
    assert_eq!(seen, expected);
    assert_eq!(decode(b"ab\xff\xff\nc\n", 2), [Seen::TooLong, line("c")]);
}

#[test]
fn options_are_answered_once_in_each_direction() {
    for option in 0..=255 {
        let (will, yes_or_no) = match option {
            0 => (0xfd, 0xfb),
            _ => (0xfe, 0xfc),
        };
        let ask = [
            0xff, 0xfb, option, 0xff, 0xfd, option, 0xff, 0xfc, option, 0xff, 0xfe, option,
        ];
        let answers = decode(&[ask, ask, ask].concat(), 100);
        if option == 6 {
            let first = [0xff, 0xfc, 6, 0xff, 0xfd, 0];
            let again = answer(&first[..3]);
            let expected = [
                answer(&[0xff, will, 6]),
                answer(&first),
                again.clone(),
                again,
            ];
            assert_eq!(answers, expected);
        } else {
            let expected = [[0xff, will, option], [0xff, yes_or_no, option]];
            assert_eq!(answers, expected.map(|bytes| answer(&bytes)));
        }
    }
    // Nobody asked.
    assert_eq!(
        decode(b"\xff\xfc\x00\xff\xfe\x01\xff\xfc\x06\n", 100),
        [line("")]
    );
}

#[test]
fn answers_come_in_their_place() {
    let seen = decode(b"a\nb\xff\xfd\x06c\n\xff\xfd\x01\xff\xfb\x06d\n", 100);
    let expected = [
        line("a"),
        answer(b"\xff\xfc\x06\xff\xfd\x00"),
        line("bc"),
        answer(b"\xff\xfc\x01"),
        answer(b"\xff\xfe\x06"),
        line("d"),
    ];
    assert_eq!(seen, expected);
    // Also in a line that is being dropped.
    let seen = decode(b"123456\xff\xfb\x187\na\n", 5);
    assert_eq!(seen, [Seen::TooLong, answer(b"\xff\xfe\x18"), line("a")]);
}

#[test]
fn binary_is_asked_for_once() {
    // At the first TIMING-MARK only, and not of somebody who has offered it.
    let mark = b"\xff\xfd\x06";
    let seen = decode(&[mark, b"\xff\xfb\x00".as_slice(), mark].concat(), 100);
    assert_eq!(
        seen,
        [answer(b"\xff\xfc\x06\xff\xfd\x00"), answer(b"\xff\xfc\x06")]
    );
    let seen = decode(b"\xff\xfb\x00\xff\xfd\x06\xff\xfd\x00", 100);
    let expected = [b"\xff\xfd\x00", b"\xff\xfc\x06", b"\xff\xfb\x00"];
    assert_eq!(seen, expected.map(|bytes| answer(bytes)));
}

#[test]
fn a_flood_of_options_costs_nothing() {
    let mut decoder = LineDecoder::new();
    assert!(decoder.negotiation.is_none());
    let mut flood = Vec::new();
    for round in 0..40 {
        for option in 0..=255 {
            flood.extend([0xff, 0xfb + (option ^ round) % 4, option]);
        }
    }
    let seen = feed(&mut decoder, &flood.repeat(10), 4096);
    let marks = seen
        .iter()
        .filter(|s| matches!(s, Seen::Answer(a) if a[2] == 6 && a[1] == 0xfc));
    assert_eq!(seen.len() - marks.count(), 2 * 256 - 1);
    assert_eq!(decoder.buffer.capacity(), 0);
}

#[test]
fn eof_ends_the_input() {
    let seen = decode(b"111\nhalf\xff\xec", 100);
    assert_eq!(seen, [line("111"), Seen::EndOfInput]);
    // Not as an option or within a subnegotiation.
    let seen = decode(b"\xff\xfc\xec\xff\xfa\xec\xff\xec\xff\xf0a\n", 100);
    assert_eq!(seen, [line("a")]);
    assert_eq!(
        decode(b"123456\xff\xec", 5),
        [Seen::TooLong, Seen::EndOfInput]
    );
}

const HTTP: Seen = Seen::Foreign(Foreign::Http);

#[test]
fn a_connection_that_begins_like_http_is_told() {
    for first in [
        "GET / HTTP/1.1",
        "POST /a?b HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "PRI * HTTP/2.0",
        "GET /",
        "GET ",
        "PUT x",
        "DELETE /1 HTTP/1.0",
        "CONNECT chat:4110 HTTP/1.1",
        "  HEAD / HTTP/1.1",
        // What a page may choose: any word as a method.
        "patch /x HTTP/1.1",
        "PROPFIND /x HTTP/1.1",
        "X!#$%&'*+-.^_`|~9 / HTTP/1.1",
        "110 /hans HTTP/1.1",
        "134 / HTTP/1.1 ",
        "134 http://x HTTP/1.1",
    ] {
        for start in ["", "\n", "\r\n  \n\r\n", "\u{feff}"] {
            let bytes = format!("{start}{first}\r\nHost: x\r\n\r\n134 x\r\n");
            let seen = decode_warily(bytes.as_bytes(), 100);
            assert_eq!(seen.last(), Some(&HTTP), "{bytes:?}");
            assert!(
                seen[..seen.len() - 1]
                    .iter()
                    .all(|s| *s == line("") || *s == line("  "))
            );
            // A client's decoder does not look.
            assert!(!decode(bytes.as_bytes(), 100).contains(&HTTP));
        }
        let seen = decode_warily(format!("134\n{first}\n").as_bytes(), 100);
        assert_eq!(
            seen,
            [line("134"), line(first)],
            "later it is nothing but a line"
        );
    }
    for first in [
        "134 GET x",
        "134 /x",
        "help",
        "GET",
        "get x",
        "GETS x",
        "110 hans HTTP/1.1",
        "115 7 GET / HTTP/1.1",
        "134 HTTP/1.1",
        "hello / HTTP",
    ] {
        assert_eq!(
            decode_warily(format!("{first}\n").as_bytes(), 100),
            [line(first)]
        );
    }
}

#[test]
fn so_is_one_whose_first_line_is_too_long() {
    let long = "x".repeat(60);
    for first in [
        format!("GET /{long} HTTP/1.1"),
        format!("GET {long}"),
        format!("134 /{long} HTTP/1.1"),
        format!("134{long} / HTTP/1.1"),
        format!("{} GET / HTTP/1.1", " ".repeat(60)),
    ] {
        let seen = decode_warily(format!("{first}\r\n134 a\n").as_bytes(), 20);
        assert_eq!(seen.last(), Some(&HTTP), "{first}");
        assert!(seen.iter().all(|s| *s == HTTP || *s == Seen::TooLong));
        let seen = decode_warily(format!("1\n{first}\r\n134 a\n").as_bytes(), 20);
        assert_eq!(seen, [line("1"), Seen::TooLong, line("134 a")]);
    }
    for first in [
        long.clone(),
        format!("134 {long} /"),
        format!("134 {long}HTTP/1.1"),
    ] {
        let seen = decode_warily(format!("{first}\n134 a\n").as_bytes(), 20);
        assert_eq!(seen, [Seen::TooLong, line("134 a")], "{first}");
    }
    // Nothing of it is kept afterwards.
    let mut decoder = LineDecoder::wary();
    feed(&mut decoder, long.as_bytes(), 20);
    decoder.release();
    assert_eq!(decoder.buffer.len(), first::TAIL);
    feed(&mut decoder, b"\n", 20);
    assert!(!decoder.pending());
}

#[test]
fn so_is_a_handshake_of_tls() {
    let tls = Seen::Foreign(Foreign::Tls);
    // BACKSPACE in what it carries could take its start back.
    let seen = decode_warily(b"\x16\x03\x01\x08\x08\x08134 a\n", 100);
    assert_eq!(seen, [tls]);
    let seen = decode_warily(b"\n\x16\x03\x01\n", 100);
    assert_eq!(seen, [line(""), line("\x16\x03\x01")]);
}

#[test]
fn a_long_subnegotiation_is_an_over_long_line() {
    // Dropped up to IAC SE, then up to LF.
    let seen = decode(b"ab\xff\xfa123456\xff\xff7\xff\xf0cd\nef\n", 5);
    assert_eq!(seen, [Seen::TooLong, line("ef")]);
    // An LF resynchronises, also the very byte that is too much, also behind an IAC.
    for sub in ["123456\n", "12345\n", "123456\u{1}\n"] {
        let bytes = [b"\xff\xfa", sub.as_bytes(), b"ef\n"].concat();
        let bytes: Vec<u8> = bytes
            .iter()
            .map(|&b| if b == 1 { IAC } else { b })
            .collect();
        assert_eq!(decode(&bytes, 5), [Seen::TooLong, line("ef")], "{sub:?}");
    }
    assert_eq!(decode(b"\xff\xfa12345\xff\xf0cd\n", 5), [line("cd")]);
    // IAC IAC counts, and what is no command too.
    let seen = decode(
        b"\xff\xfa\xff\xff\xff\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf0a\nb\n",
        5,
    );
    assert_eq!(seen, [Seen::TooLong, line("b")]);
    // In a line that is dropped already there is nothing more to say.
    let seen = decode(b"123456\xff\xfa1234567\nef\n", 5);
    assert_eq!(seen, [Seen::TooLong, line("ef")]);
}

#[test]
fn backspace_and_del_take_back_a_character() {
    assert_eq!(decode(b"111\x081\x7f2\n", 100), [line("112")]);
    assert_eq!(
        decode("aü\u{8}€\u{7f}😀\u{8}b\n".as_bytes(), 100),
        [line("ab")]
    );
    assert_eq!(
        decode(b"\x08\x7fa\x08\x08\x08b\n\x08c\n", 100),
        ["b", "c"].map(line)
    );
    // Of what is no UTF-8, a byte.
    assert_eq!(decode(b"a\x80\x08b\xff\xff\x08\n", 100), [line("ab")]);
    // What was taken back does not count for the limit.
    assert_eq!(decode(b"12345\x08\x086\n", 5), [line("1236")]);
}

#[test]
fn a_byte_order_mark_is_dropped_at_the_very_start_only() {
    assert_eq!(decode("\u{feff}112\n".as_bytes(), 100), [line("112")]);
    let seen = decode("112\n\u{feff}112\n".as_bytes(), 100);
    assert_eq!(seen, ["112", "\u{feff}112"].map(line));
    assert_eq!(
        decode("\u{feff}\u{feff}1\n".as_bytes(), 9),
        [line("\u{feff}1")]
    );
    for start in [b"\xef".as_slice(), b"\xef\xbb", b"\xef\xbb\xbb"] {
        let seen = decode(&[start, b"\n"].concat(), 100);
        assert_eq!(seen, [Seen::Line(start.to_vec())]);
    }
    // Telnet's options may come before it.
    let seen = decode(b"\xff\xfc\x1f\xef\xbb\xbf112\r\n", 100);
    assert_eq!(seen, [line("112")]);
    let mut decoder = LineDecoder::new();
    feed(&mut decoder, b"\xef", 100);
    assert!(decoder.pending());
}

#[test]
fn nothing_is_quadratic() {
    let started = std::time::Instant::now();
    for pattern in [
        b"\x08".as_slice(),
        b"\x7f",
        b"a\x08",
        b"\xff\xfd\x06",
        b"\xff\xff\x08",
        b"\\",
        b"\xff\xfa\xff\xf0",
    ] {
        let chunk = pattern.repeat(300_000 / pattern.len());
        feed(&mut LineDecoder::new(), &chunk, 100_000);
    }
    assert!(started.elapsed().as_secs() < 60);
}
