//! What a hash costs: the parameters of scrypt, and their bounds.

use std::fmt;
use std::str::FromStr;

use scrypt::Params;

/// The most memory that one hash may need.
const MEMORY_MAX: u64 = 256 << 20;

/// The most that one hash may read and write in all, in bytes: some seconds on a small machine.
/// What takes longer would not protect anybody, it would only make the queue stand still.
const WORK_MAX: u64 = 2 << 30;

/// The parameters of scrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    /// The base-2 logarithm of N, the number of blocks.
    pub(crate) log_n: u8,
    /// The size of a block, in units of 128 bytes.
    pub(crate) r: u32,
    /// How often it all is done.
    pub(crate) p: u32,
}

impl Cost {
    /// Checks parameters, so that no option and no stored hash can ask for absurd amounts.
    pub(crate) fn new(log_n: u8, r: u32, p: u32) -> Result<Cost, BadCost> {
        let cost = Cost { log_n, r, p };
        // `log_n < 16 r` is RFC 7914's; other implementations refuse to verify what breaks it.
        let sensible = (1..32).contains(&log_n)
            && (1..=1024).contains(&r)
            && (1..=1024).contains(&p)
            && u32::from(log_n) < 16 * r;
        // These cannot overflow: 2^31 · 2^10 · 2^10 · 2^7.
        if sensible && cost.memory() <= MEMORY_MAX && cost.memory() * u64::from(p) <= WORK_MAX {
            Ok(cost)
        } else {
            Err(BadCost)
        }
    }

    fn memory(&self) -> u64 {
        (128 * u64::from(self.r)) << self.log_n
    }

    pub(crate) fn params(&self) -> Result<Params, BadCost> {
        let Cost { log_n, r, p } = Cost::new(self.log_n, self.r, self.p)?;
        Params::new(log_n, r, p).map_err(|_| BadCost)
    }
}

impl Default for Cost {
    /// What OWASP holds equal to 17,8,1, with 16 MiB of memory instead of 128.
    fn default() -> Cost {
        Cost {
            log_n: 14,
            r: 8,
            p: 5,
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.log_n, self.r, self.p)
    }
}

impl FromStr for Cost {
    type Err = BadCost;

    /// Reads `LOG_N,R,P`.
    fn from_str(text: &str) -> Result<Cost, BadCost> {
        let mut numbers = text.split(',').map(|part| {
            // The standard parser would take a `+`.
            if part.bytes().all(|byte| byte.is_ascii_digit()) {
                part.parse::<u32>().map_err(|_| BadCost)
            } else {
                Err(BadCost)
            }
        });
        let mut next = || numbers.next().unwrap_or(Err(BadCost));
        let (log_n, r, p) = (next()?, next()?, next()?);
        if numbers.next().is_some() {
            return Err(BadCost);
        }
        Cost::new(u8::try_from(log_n).map_err(|_| BadCost)?, r, p)
    }
}

/// Parameters for scrypt that make no sense or need too much memory or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadCost;

impl fmt::Display for BadCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scrypt parameters are out of bounds (at most 256 MiB and some seconds)")
    }
}

impl std::error::Error for BadCost {}
