//! The brakes by a clock of the tests' own.

use super::*;

fn address(number: u32) -> IpAddr {
    IpAddr::V4(number.into())
}

const LONGEST: Duration = Duration::from_secs(30);

struct Guessing {
    brake: LoginThrottle,
    now: Instant,
}

impl Guessing {
    fn new() -> Guessing {
        Guessing {
            brake: LoginThrottle::new(LONGEST),
            now: Instant::now(),
        }
    }

    fn millis(&self, peer: IpAddr, name: &str, right: bool) -> u128 {
        let verdict = self.brake.note(peer, name, right, self.now);
        verdict.pause.as_millis()
    }

    fn wrong(&self, peer: IpAddr, name: &str) -> u128 {
        self.millis(peer, name, false)
    }

    fn right(&self, peer: IpAddr, name: &str) -> u128 {
        self.millis(peer, name, true)
    }
}

#[test]
fn pauses_double_up_to_the_longest() {
    let guessing = Guessing::new();
    let pauses: Vec<u128> = (0..9).map(|_| guessing.wrong(address(1), "hans")).collect();
    let expected = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000];
    assert_eq!(pauses, expected);
    // The count goes on for ever without overflowing.
    for _ in 0..100 {
        assert_eq!(guessing.wrong(address(1), "hans"), 30_000);
    }
}

#[test]
fn an_address_pays_for_all_names_and_a_name_for_all_addresses() {
    let guessing = Guessing::new();
    for (name, pause) in [("a", 500), ("b", 1000), ("c", 2000)] {
        assert_eq!(guessing.wrong(address(1), name), pause);
    }
    for (peer, pause) in [(2, 500), (3, 1000), (4, 2000)] {
        assert_eq!(guessing.wrong(address(peer), "hans"), pause);
    }
    assert_eq!(guessing.wrong(address(5), "nobody"), 500);
}

#[test]
fn the_owner_gets_in_at_once_from_an_address_that_has_not_failed() {
    let guessing = Guessing::new();
    for peer in 10..100 {
        guessing.wrong(address(peer), "hans");
    }
    assert_eq!(guessing.right(address(1), "hans"), 0);
    // Also after that, as nothing was counted.
    assert_eq!(guessing.right(address(1), "hans"), 0);
}

#[test]
fn right_and_wrong_take_the_same_time_where_there_were_failures() {
    for failures in 1..10 {
        let (one, other) = (Guessing::new(), Guessing::new());
        for guessing in [&one, &other] {
            guessing.wrong(address(2), "hans");
            for _ in 0..failures {
                guessing.wrong(address(1), "hans");
            }
        }
        assert_eq!(
            one.right(address(1), "hans"),
            other.wrong(address(1), "hans")
        );
    }
}

#[test]
fn an_owners_slips_are_forgiven_and_nobody_elses() {
    let guessing = Guessing::new();
    guessing.wrong(address(9), "hans");
    guessing.wrong(address(1), "hans");
    guessing.wrong(address(1), "hans");
    // A pause as if it had been wrong: the third failure of the name, the second of the address.
    assert_eq!(guessing.right(address(1), "hans"), 4000);
    guessing.brake.forgive(address(1), "hans");
    assert_eq!(guessing.right(address(1), "hans"), 0);
    // What another address has done to the name is still known.
    assert_eq!(guessing.wrong(address(1), "hans"), 1000);

    // Failing at one name cannot be wiped out by success with another.
    guessing.wrong(address(2), "maria");
    assert_eq!(guessing.right(address(2), "mallory"), 1000);
    guessing.brake.forgive(address(2), "mallory");
    assert_eq!(guessing.right(address(2), "mallory"), 1000);
    // Nor by failing at both.
    guessing.wrong(address(2), "mallory");
    guessing.brake.forgive(address(2), "mallory");
    assert_eq!(guessing.right(address(2), "mallory"), 2000);
}

#[test]
fn failures_age() {
    let mut guessing = Guessing::new();
    for _ in 0..8 {
        guessing.wrong(address(1), "hans");
    }
    guessing.now += FORGET - Duration::from_secs(1);
    assert_eq!(guessing.right(address(1), "hans"), 30_000);
    assert_eq!(guessing.wrong(address(1), "hans"), 30_000);
    guessing.now += FORGET;
    assert_eq!(guessing.right(address(1), "hans"), 0);
    assert_eq!(guessing.wrong(address(1), "hans"), 500);
}

#[test]
fn an_ipv6_network_is_one_address() {
    let guessing = Guessing::new();
    let parse = |text: &str| text.parse::<IpAddr>().unwrap();
    guessing.wrong(parse("2001:db8::1"), "hans");
    assert_eq!(guessing.right(parse("2001:db8::ffff:2"), "maria"), 1000);
    assert_eq!(guessing.right(parse("2001:db8:0:1::1"), "maria"), 0);
    guessing.wrong(parse("192.0.2.1"), "hans");
    assert!(guessing.right(parse("::ffff:192.0.2.1"), "maria") > 0);
}

#[test]
fn the_tables_are_bounded_and_keep_what_says_most() {
    let guessing = Guessing::new();
    for _ in 0..5 {
        guessing.wrong(address(1), "hans");
    }
    for number in 0..ROWS as u32 + 100 {
        guessing.wrong(address(1000 + number), &format!("made-up-{number}"));
    }
    let failures = lock(&guessing.brake.failures);
    assert_eq!(failures.addresses.rows.len(), ROWS);
    assert_eq!(failures.names.rows.len(), ROWS);
    drop(failures);
    assert_eq!(guessing.wrong(address(1), "hans"), 16_000);
    // What has aged goes first, and all of it.
    let mut guessing = guessing;
    guessing.now += FORGET;
    guessing.wrong(address(7), "new");
    assert_eq!(lock(&guessing.brake.failures).addresses.rows.len(), 1);
}

#[test]
fn no_brake_counts_nothing() {
    let brake = LoginThrottle::new(Duration::ZERO);
    for _ in 0..10 {
        let verdict = brake.note(address(1), "hans", false, Instant::now());
        assert_eq!(verdict.pause, Duration::ZERO);
    }
    assert!(lock(&brake.failures).addresses.rows.is_empty());
}

#[test]
fn so_many_registrations_an_hour() {
    let registrations = Registrations::new(2);
    let start = Instant::now();
    let later = |minutes: u64| start + Duration::from_secs(60 * minutes);
    let register = |peer, now| match registrations.take(address(peer), now) {
        Some(permit) => {
            permit.used();
            true
        }
        None => false,
    };
    // What came to nothing does not count.
    for _ in 0..10 {
        assert!(registrations.take(address(1), start).is_some());
    }
    assert!(register(1, start));
    assert!(register(1, later(30)));
    assert!(!register(1, later(30)));
    assert!(register(2, later(30)));
    assert!(!register(1, later(59)));
    // The hour began with the first.
    assert!(register(1, later(60)));

    // Those under way count, so that many at once are no way around.
    let first = registrations.take(address(3), start);
    let second = registrations.take(address(3), start);
    assert!(first.is_some() && second.is_some());
    assert!(!register(3, start));
    drop(first);
    assert!(register(3, start));
}

#[test]
fn any_number_of_registrations() {
    let registrations = Registrations::new(0);
    for _ in 0..1000 {
        assert!(registrations.take(address(1), Instant::now()).is_some());
    }
    assert!(lock(&registrations.made).rows.is_empty());
}
