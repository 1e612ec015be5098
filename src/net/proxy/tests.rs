use proptest::prelude::*;

use super::*;

/// Feeds a header as it would come, and says what it names and how many bytes it took.
fn read(mut bytes: &[u8]) -> Result<Option<(ProxySource, usize)>, Malformed> {
    let whole = bytes.len();
    let mut header = Vec::new();
    loop {
        match parse(&header)? {
            ParsedHeader::Whole(source) => return Ok(Some((source, header.len()))),
            ParsedHeader::More(count) => {
                assert!(count > 0, "something to read");
                assert!(header.len() + count <= LONGEST, "bounded");
                if bytes.is_empty() {
                    return Ok(None);
                }
                let (now, rest) = bytes.split_at(count.min(bytes.len()));
                header.extend_from_slice(now);
                bytes = rest;
                assert_eq!(header.len() + bytes.len(), whole);
            }
        }
    }
}

fn source(text: &str) -> ProxySource {
    ProxySource::Address(text.parse().unwrap())
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&V2_SIGNATURE[..], &[command, family], &length, body].concat()
}

fn v2_v4(source: [u8; 4], port: u16, more: &[u8]) -> Vec<u8> {
    let ports = [port.to_be_bytes(), 4110_u16.to_be_bytes()].concat();
    v2(
        0x21,
        0x11,
        &[&source[..], &[10, 0, 0, 1], &ports, more].concat(),
    )
}

fn v2_v6(source: Ipv6Addr, port: u16, more: &[u8]) -> Vec<u8> {
    let ports = [port.to_be_bytes(), 4110_u16.to_be_bytes()].concat();
    v2(
        0x21,
        0x21,
        &[&source.octets()[..], &[0; 16], &ports, more].concat(),
    )
}

#[test]
fn right_headers_name_who_connects() {
    let v6 = "2001:db8::7".parse().unwrap();
    let mapped = "::ffff:192.0.2.7".parse().unwrap();
    let tlv = [&[0x03, 0, 4, 1, 2, 3, 4][..], &[0x04, 0, 2, 0, 0]].concat();
    let cases: Vec<(Vec<u8>, ProxySource)> = vec![
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 4110\r\n".to_vec(), source("192.0.2.7:40000")),
        (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".to_vec(), source("255.255.255.255:65535")),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 0 0\r\n".to_vec(), source("192.0.2.7:0")),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 4110\r\n".to_vec(), source("[2001:db8::7]:40000")),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 40000 4110\r\n".to_vec(), source("192.0.2.7:40000")),
        (
            b"PROXY TCP6 ffff:f000:f000:f000:f000:f000:f000:ffff ffff:f000:f000:f000:f000:f000:f000:ffff 65535 65535\r\n".to_vec(),
            source("[ffff:f000:f000:f000:f000:f000:f000:ffff]:65535"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), ProxySource::Unknown),
        (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), ProxySource::Unknown),
        (b"PROXY UNKNOWN whatever \x01\r\n".to_vec(), ProxySource::Unknown),
        (v2_v4([192, 0, 2, 7], 40000, &[]), source("192.0.2.7:40000")),
        (v2_v4([192, 0, 2, 7], 40000, &tlv), source("192.0.2.7:40000")),
        (v2_v4([192, 0, 2, 7], 40000, &[9; 508]), source("192.0.2.7:40000")),
        (v2_v6(v6, 40000, &tlv), source("[2001:db8::7]:40000")),
        (v2_v6(mapped, 1, &[]), source("192.0.2.7:1")),
        (v2(0x20, 0x00, &[]), ProxySource::Proxy),
        (v2(0x20, 0x11, &[0; 12]), ProxySource::Proxy),
        (v2(0x20, 0xff, &[1, 2, 3]), ProxySource::Proxy),
        (v2(0x21, 0x00, &[]), ProxySource::Unknown),
        (v2(0x21, 0x00, &tlv), ProxySource::Unknown),
        (v2(0x21, 0x31, &[7; 216]), ProxySource::Unknown),
    ];
    for (header, named) in cases {
        let shown = header.escape_ascii().to_string();
        assert_eq!(read(&header), Ok(Some((named, header.len()))), "{shown}");
        // What comes behind in the same segment stays there.
        let behind = [&header[..], b"110 anna secret\r\n\n"].concat();
        assert_eq!(read(&behind), Ok(Some((named, header.len()))), "{shown}");
        for cut in 0..header.len() {
            assert_eq!(read(&header[..cut]), Ok(None), "{cut} of {shown}");
        }
    }
}

#[test]
fn wrong_headers_are_refused() {
    let long = format!("PROXY TCP4 {}\r\n", "1".repeat(200));
    let spaces = format!("PROXY UNKNOWN {}\r\n", " ".repeat(V1_LONGEST));
    let texts: [&[u8]; 30] = [
        b"110 anna secret\r\n",
        b"\r\n110 anna secret\r\n",
        b"\n",
        b"proxy TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY\r\n",
        b"PROXYTCP4 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY tcp4 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n",
        b"PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2 \r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n",
        b"PROXY TCP4 192.0.2 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.07 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP6 2001:db8::7%eth0 2001:db8::1 1 2\r\n",
        b"PROXY TCP6 [2001:db8::7] 2001:db8::1 1 2\r\n",
        b"PROXY TCP6 2001:db8::7 x 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 65536\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 01 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 +1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 -1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 \xff\r\n",
        long.as_bytes(),
        spaces.as_bytes(),
    ];
    for text in texts {
        let shown = text.escape_ascii().to_string();
        assert!(read(text).is_err(), "{shown}: {:?}", read(text));
    }
    for header in [
        v2(0x11, 0x11, &[0; 12]),
        v2(0x31, 0x11, &[0; 12]),
        v2(0x22, 0x11, &[0; 12]),
        v2(0x2f, 0x11, &[0; 12]),
        v2(0x21, 0x12, &[0; 12]),
        v2(0x21, 0x22, &[0; 36]),
        v2(0x21, 0x10, &[0; 12]),
        v2(0x21, 0x41, &[0; 12]),
        v2(0x21, 0xff, &[0; 216]),
        v2(0x21, 0x11, &[0; 11]),
        v2(0x21, 0x11, &[]),
        v2(0x21, 0x21, &[0; 35]),
        v2(0x21, 0x31, &[0; 215]),
        v2(0x21, 0x11, &[0; 521]),
        v2(0x20, 0x00, &[0; 521]),
        v2(0x21, 0x11, &[0; 65_535]),
    ] {
        let shown = header[..20.min(header.len())].escape_ascii().to_string();
        assert!(read(&header).is_err(), "{shown}: {:?}", read(&header));
    }
}

#[test]
fn networks_are_read_and_hold_addresses() {
    for (text, within, without) in [
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("192.0.2.7/32", "::ffff:192.0.2.7", "192.0.2.6"),
        ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
        ("10.1.2.3/8", "10.255.1.2", "9.255.255.255"),
        ("172.16.0.0/12", "172.31.255.255", "172.32.0.0"),
        ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
        ("::1", "::1", "127.0.0.1"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
        ("::/0", "2001:db8::1", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7", "::c000:207"),
        ("::ffff:192.0.2.0/120", "192.0.2.200", "192.0.3.1"),
    ] {
        let network: Network = text.parse().unwrap();
        assert!(
            network.contains(within.parse().unwrap()),
            "{within} in {text}"
        );
        assert!(
            !network.contains(without.parse().unwrap()),
            "{without} in {text}"
        );
    }
    for text in [
        "",
        "/8",
        "x",
        "localhost",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0.0/+8",
        "10.0.0/8",
        "::/129",
        "[::1]",
        "::1%1",
        "10.0.0.0/8/8",
        " ::1",
        "::ffff:10.0.0.0/95",
        "10.0.0.1:80",
        "010.0.0.1",
    ] {
        assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever comes, it ends, within the bound, and what is behind a header is not read.
    #[test]
    fn anything_is_a_header_or_refused_or_unfinished(
        start in prop_oneof![
            Just(Vec::new()),
            Just(b"PROXY ".to_vec()),
            Just(b"PROXY TCP4 ".to_vec()),
            Just(V2_SIGNATURE.to_vec()),
            (0x1f_u8..0x23, any::<u8>(), 0_u16..600).prop_map(|(command, family, length)| {
                [&V2_SIGNATURE[..], &[command, family], &length.to_be_bytes()].concat()
            }),
        ],
        rest in proptest::collection::vec(any::<u8>(), 0..700),
    ) {
        let bytes = [start, rest].concat();
        if let Ok(Some((_, used))) = read(&bytes) {
            prop_assert!(used <= LONGEST && used <= bytes.len());
        }
    }

    #[test]
    fn every_address_is_read_as_it_was_written(v4: u32, v6: u128, port: u16, more in 0_usize..480) {
        let (v4, v6) = (Ipv4Addr::from(v4), Ipv6Addr::from(v6));
        let named = |address: IpAddr| ProxySource::Address(SocketAddr::new(address.to_canonical(), port));
        let more = vec![0x0d; more];
        for (header, address) in [
            (format!("PROXY TCP4 {v4} 10.0.0.1 {port} 1\r\n").into_bytes(), IpAddr::V4(v4)),
            (format!("PROXY TCP6 {v6} ::1 {port} 1\r\n").into_bytes(), IpAddr::V6(v6)),
            (v2_v4(v4.octets(), port, &more), IpAddr::V4(v4)),
            (v2_v6(v6, port, &more), IpAddr::V6(v6)),
        ] {
            prop_assert_eq!(read(&header), Ok(Some((named(address), header.len()))));
        }
    }

    /// One byte changed makes another header, none, or half a one; never a panic.
    #[test]
    fn a_spoilt_header_is_no_harm(at in 0_usize..60, byte: u8) {
        for mut header in [
            b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 4110\r\n".to_vec(),
            v2_v4([192, 0, 2, 7], 40000, &[1; 20]),
            v2_v6(Ipv6Addr::LOCALHOST, 40000, &[]),
        ] {
            let at = at % header.len();
            header[at] = byte;
            let _ = read(&header);
        }
    }
}
