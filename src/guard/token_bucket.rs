//! How fast one connection may send messages (`--rate`): a token bucket.
//!
//! Over its rate a connection is simply read more slowly: its messages wait in the sockets, and the
//! sender's own TCP holds it up. Lines that are refused count like messages, and before a login
//! everything counts, eight times over: floods of what is no message are slowed down as well.
//! Nothing is dropped and nothing answered later than it would be by a slower reader. Within the
//! rate it costs a count for each message and a look at the clock for each read.

use std::time::{Duration, Instant};

/// The burst, in seconds of the rate.
const BURST: u64 = 10;

/// Who is over the rate rests for at least so much of a second, so that messages still come in
/// batches.
const STEPS: u64 = 20;

/// What a stranger's line counts for, in messages.
const STRANGE: u64 = 8;

/// The messages that one connection may send at the moment.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    /// Messages a second; 0 for any number.
    rate: u64,
    left: u64,
    /// Up to when `left` has been filled up.
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket. `rate` is in messages a second, 0 for no limit.
    pub(crate) fn new(rate: u32) -> TokenBucket {
        let rate = u64::from(rate);
        TokenBucket {
            rate,
            left: rate * BURST,
            filled: Instant::now(),
        }
    }

    /// Counts so many messages.
    #[inline]
    pub(crate) fn spend(&mut self, count: u64) {
        self.left = self.left.saturating_sub(count);
    }

    /// Counts what a stranger has sent: a line, or as many bytes, is worth several messages, since
    /// strangers have little to say and a flood of theirs is to cost the others nothing.
    #[inline]
    pub(crate) fn spend_strangely(&mut self, bytes: usize) {
        let count = (bytes as u64 / 64).max(1) * STRANGE;
        self.left = self.left.saturating_sub(count);
    }

    /// Whether nothing more may be taken now: see [`TokenBucket::rest`].
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0 && self.rate > 0
    }

    /// Adds what the time since the last call is worth; to be called at each read.
    #[inline]
    pub(crate) fn fill(&mut self) {
        if self.rate > 0 {
            self.fill_until(Instant::now());
        }
    }

    /// How long to rest until there is something left; zero when there is.
    pub(crate) fn rest(&mut self) -> Duration {
        self.rest_from(Instant::now())
    }

    fn rest_from(&mut self, now: Instant) -> Duration {
        self.fill_until(now);
        if !self.is_spent() {
            return Duration::ZERO;
        }
        let wanted = (self.rate / STEPS).max(1);
        let end = self.filled + Duration::from_nanos(nanos(wanted, self.rate));
        end.saturating_duration_since(now)
    }

    fn fill_until(&mut self, now: Instant) {
        let full = self.rate * BURST;
        let passed = now.saturating_duration_since(self.filled);
        if passed >= Duration::from_secs(BURST) {
            self.left = full;
            self.filled = now;
            return;
        }
        // Ten seconds at the highest rate are 2^62 of these.
        let earned = passed.as_nanos() as u64 * self.rate / 1_000_000_000;
        // What is less than a message stays on the clock.
        self.filled += Duration::from_nanos(nanos(earned, self.rate));
        self.left = (self.left + earned).min(full);
    }
}

/// How long `count` messages take, rounded up.
fn nanos(count: u64, rate: u64) -> u64 {
    (count * 1_000_000_000).div_ceil(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages a sender that never stops gets through in a time, one by one.
    fn sent(rate: u32, seconds: u64) -> u64 {
        let mut bucket = TokenBucket::new(rate);
        let start = bucket.filled;
        let mut now = start;
        let mut count = 0;
        loop {
            while !bucket.is_spent() {
                bucket.spend(1);
                count += 1;
            }
            now += bucket.rest_from(now).max(Duration::from_micros(10));
            bucket.fill_until(now);
            if now - start > Duration::from_secs(seconds) {
                return count;
            }
        }
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        for rate in [1, 3, 10, 999, 1000] {
            let rate64 = u64::from(rate);
            let count = sent(rate, 20);
            let expected = rate64 * (BURST + 20);
            let step = rate64 / STEPS + 1;
            assert!(
                count <= expected + step && count + step >= expected,
                "{count} at {rate} a second instead of {expected}"
            );
        }
    }

    #[test]
    fn idle_time_fills_it_up_but_not_over() {
        let mut bucket = TokenBucket::new(100);
        let start = bucket.filled;
        for _ in 0..1000 {
            assert!(!bucket.is_spent());
            bucket.spend(1);
        }
        assert!(bucket.is_spent());
        assert_eq!(bucket.rest_from(start), Duration::from_millis(50));
        bucket.fill_until(start + Duration::from_secs(1));
        assert_eq!(bucket.left, 100);
        bucket.fill_until(start + Duration::from_secs(3600));
        assert_eq!(bucket.left, 1000);
    }

    #[test]
    fn many_short_looks_lose_nothing() {
        let mut bucket = TokenBucket::new(7);
        bucket.left = 0;
        let start = bucket.filled;
        for step in 1..=3_000_000_u32 {
            bucket.fill_until(start + Duration::from_micros(3) * step);
        }
        // Nine seconds at seven a second.
        assert!((62..=63).contains(&bucket.left), "{}", bucket.left);
    }

    #[test]
    fn no_limit() {
        let mut bucket = TokenBucket::new(0);
        for _ in 0..100_000 {
            bucket.spend(1);
            bucket.fill();
            assert!(!bucket.is_spent());
        }
    }

    #[test]
    fn the_highest_rate_overflows_nothing() {
        let mut bucket = TokenBucket::new(1_000_000_000);
        bucket.left = 0;
        let start = bucket.filled;
        bucket.fill_until(start + Duration::from_nanos(9_999_999_999));
        assert_eq!(bucket.left, 9_999_999_999);
    }
}
