//! Section 1 of the contract, sentence by sentence.

use super::*;

/// An event that outlives its step.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    Line(Vec<u8>),
    TooLong,
    TimingMark,
}

fn line(text: &str) -> Seen {
    Seen::Line(text.as_bytes().to_vec())
}

fn feed(decoder: &mut LineDecoder, mut chunk: &[u8], limit: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !chunk.is_empty() {
        let Step { used, event } = decoder.step(chunk, limit);
        match event {
            Some(Event::Line(line)) => seen.push(Seen::Line(line.to_vec())),
            Some(Event::TooLong) => seen.push(Seen::TooLong),
            Some(Event::NoMemory) => panic!("no memory"),
            Some(Event::TimingMark) => seen.push(Seen::TimingMark),
            None => assert_eq!(used, chunk.len(), "a step without event takes all"),
        }
        chunk = &chunk[used..];
    }
    seen
}

/// What the bytes amount to; the same whole, byte by byte, and cut in two anywhere.
fn decode(bytes: &[u8], limit: usize) -> Vec<Seen> {
    let whole = feed(&mut LineDecoder::new(), bytes, limit);
    let mut decoder = LineDecoder::new();
    let single: Vec<Seen> = bytes
        .chunks(1)
        .flat_map(|byte| feed(&mut decoder, byte, limit))
        .collect();
    assert_eq!(single, whole, "byte by byte");
    for cut in 0..bytes.len().min(64) {
        let mut decoder = LineDecoder::new();
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
fn a_whole_line_is_not_copied() {
    let chunk = b"\xff\xfb\x1f115 7 hi\r\n115 8 ho\r\n";
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
    // WILL NAWS, DONT 10 (an LF as option), NOP, GA, a subnegotiation with IAC IAC and an LF in it.
    let bytes =
        b"11\xff\xfb\x1f2\xff\xfe\x0a\xff\xf1\xff\xf9 \xff\xfa\x1f\x00\x0a\xff\xff\x00\xff\xf0x\n";
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
fn timing_mark_is_reported_in_its_place() {
    let seen = decode(b"a\nb\xff\xfd\x06c\n\xff\xfd\x01\xff\xfb\x06d\n", 100);
    assert_eq!(seen, [line("a"), Seen::TimingMark, line("bc"), line("d")]);
    // Also in a line that is being dropped.
    let seen = decode(b"123456\xff\xfd\x067\na\n", 5);
    assert_eq!(seen, [Seen::TooLong, Seen::TimingMark, line("a")]);
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
    let seen = decode(b"\xff\xfb\x1f\xef\xbb\xbf112\r\n", 100);
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
