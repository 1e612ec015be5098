//! What the store counts for its operator: a few relaxed atomics of fixed size, no lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of one power of two; a percentile is exact to an eighth of its value.
const STEPS: u64 = 8;

/// Up to 2^30 microseconds, some 18 minutes; what takes longer counts as that.
const POWERS: u64 = 28;

const BUCKETS: usize = (STEPS * POWERS) as usize;

#[derive(Default)]
pub(crate) struct StoreMetrics {
    messages: AtomicU64,
    /// Begins and ends of transactions together: odd while one is being carried out.
    steps: AtomicU64,
    failed: AtomicBool,
    commits: Histogram,
}

impl StoreMetrics {
    pub(crate) fn note_messages(&self, count: usize) {
        // A relaxed addition: nothing is ordered by these numbers.
        self.messages.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn note_begin(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that it has ended, whether it was kept, and how long it took from its BEGIN on.
    pub(crate) fn note_end(&self, kept: bool, took: Duration) {
        self.failed.store(!kept, Ordering::Relaxed);
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.commits.note(took);
    }

    /// Number of the open transaction.
    pub(crate) fn running(&self) -> Option<u64> {
        let steps = self.steps.load(Ordering::Relaxed);
        (steps % 2 == 1).then_some(steps)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    pub(crate) fn commits(&self) -> Times {
        self.commits.read()
    }
}

/// How often something took how long: buckets that grow with the time, 1.8 KiB altogether.
struct Histogram {
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

impl Histogram {
    fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> Times {
        let counts = self
            .buckets
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        Times { counts }
    }
}

pub(crate) struct Times {
    counts: Vec<u64>,
}

impl Times {
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time that `percent` of them did not exceed, to an eighth; zero when there were none.
    pub(crate) fn percentile(&self, percent: u64) -> Duration {
        let wanted = (self.count() * percent).div_ceil(100);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return Duration::from_micros(upper(index as u64));
            }
        }
        Duration::ZERO
    }
}

/// The bucket of a number: below 8 one each, then eight to a power of two.
fn bucket(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let power = u64::from(micros.ilog2()) - u64::from(STEPS.ilog2());
    let index = power * STEPS + (micros >> power);
    (index as usize).min(BUCKETS - 1)
}

fn upper(index: u64) -> u64 {
    if index < STEPS {
        return index;
    }
    let power = index / STEPS - 1;
    let first = (STEPS + index % STEPS) << power;
    first + (1 << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_in_its_bucket_and_buckets_are_narrow() {
        for micros in (0..5_000).chain([1 << 20, (1 << 25) + 12_345, (1 << 30) - 1]) {
            let index = bucket(micros) as u64;
            let top = upper(index);
            assert!(top >= micros, "{micros} is above its bucket's {top}");
            assert!(top - micros <= micros / STEPS, "{micros} counts as {top}");
            assert!(index == 0 || upper(index - 1) < micros, "{micros}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_of_known_times() {
        let figures = StoreMetrics::default();
        assert_eq!(figures.commits().percentile(50), Duration::ZERO);
        for _ in 0..98 {
            figures.commits.note(Duration::from_micros(4));
        }
        figures.commits.note(Duration::from_millis(1));
        figures.commits.note(Duration::from_secs(1));
        let times = figures.commits();
        assert_eq!(times.count(), 100);
        assert_eq!(times.percentile(50), Duration::from_micros(4));
        assert_eq!(times.percentile(98), Duration::from_micros(4));
        let p99 = times.percentile(99).as_micros();
        assert!((1_000..=1_125).contains(&p99), "{p99}");
        let most = times.percentile(100).as_micros();
        assert!((1_000_000..=1_125_000).contains(&most), "{most}");
    }
}
