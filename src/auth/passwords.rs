//! Password hashing: scrypt on a few threads of its own.
//!
//! One hash needs megabytes and a good part of a second. On the threads of the connections a
//! storm of logins would need both at once for each of them; here the work waits in one queue,
//! first come, first served, and a storm costs time but no memory.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender};
use scrypt::password_hash::{self, PasswordHasher, PasswordVerifier};
use scrypt::phc::{ALG_ID, Output, PasswordHash, Salt};
use scrypt::{Params, Scrypt};
use zeroize::{Zeroize, Zeroizing};

use crate::guard::log_limit::log_limited;
use crate::sys;

mod cost;

pub(crate) use cost::Cost;

/// scrypt keeps its big tables on the heap. What remains fits into 32 KiB in a release build and
/// into 64 in a debug build, the report of a panic with its backtrace included (tried).
const STACK: usize = 128 << 10;

/// How much of it is wiped after each hash, and given back.
const STACK_USED: usize = 64 << 10;

/// More threads would take the cores from the connections, and memory for each.
const WORKERS_MAX: usize = 2;

/// Tells whether anybody still waits for the result of a job.
pub(crate) type StillWanted = Arc<dyn Fn() -> bool + Send + Sync>;

/// What [`Hasher::verify`] found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PasswordVerdict {
    /// It is the password of the stored hash.
    pub(crate) matches: bool,
    /// It matches, but the hash was made with other parameters than ours: hash the password anew
    /// and store that. Never set for a password that does not match.
    pub(crate) stale: bool,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashError {
    /// Nobody wanted the result any more when its turn came.
    Gone,
    /// The hasher was shut down.
    Stopped,
    /// The job panicked or the system gave no random numbers; the log says more.
    Failed,
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HashError::Gone => "the result was no longer wanted",
            HashError::Stopped => "the password hasher has stopped",
            HashError::Failed => "the password could not be hashed",
        })
    }
}

impl std::error::Error for HashError {}

/// The threads that hash passwords, and the queue before them.
///
/// Dropping it shuts it down.
#[derive(Debug)]
pub(crate) struct Hasher {
    /// `None` after shutdown. Not bounded, because each connection has at most one job here: it
    /// waits for the result. The lock is held for a moment, and no other is taken under it.
    queue: Mutex<Option<Sender<HashJob>>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    stopping: Arc<AtomicBool>,
}

impl Hasher {
    /// Starts the threads: two, or one where there is only one core.
    pub(crate) fn start(cost: Cost) -> io::Result<Hasher> {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
        Hasher::start_with(cost, cores.min(WORKERS_MAX))
    }

    fn start_with(cost: Cost, workers: usize) -> io::Result<Hasher> {
        let scheme = Scheme::new(cost)?;
        let (sender, receiver) = crossbeam_channel::unbounded();
        // Made before the threads, so that those already started end if a later one cannot be.
        let hasher = Hasher {
            queue: Mutex::new(Some(sender)),
            workers: Mutex::new(Vec::new()),
            stopping: Arc::new(AtomicBool::new(false)),
        };
        for number in 1..=workers {
            let (scheme, receiver) = (scheme.clone(), receiver.clone());
            let stopping = Arc::clone(&hasher.stopping);
            let worker = thread::Builder::new()
                .name(format!("hasher-{number}"))
                .stack_size(sys::stack_size(STACK))
                .spawn(move || work(&scheme, &receiver, &stopping))?;
            locked(&hasher.workers).push(worker);
        }
        Ok(hasher)
    }

    /// Hashes a password with a new salt and waits for the PHC string, `$scrypt$ln=…`.
    pub(crate) fn hash(
        &self,
        password: &str,
        still_wanted: StillWanted,
    ) -> Result<String, HashError> {
        match self.ask(HashTask::Hash, password, still_wanted)? {
            HashAnswer::Hashed(phc) => Ok(phc),
            HashAnswer::Verified(_) => Err(HashError::Failed),
        }
    }

    /// Compares a password with a stored hash and waits for the verdict.
    ///
    /// `None` (there is no such user) and a malformed hash do not match, but cost the same work
    /// with the current parameters, so that the time taken does not tell who exists. It does for
    /// a user whose hash was made with other parameters, until that user's next login replaces
    /// it: the dummy cannot resemble all generations at once.
    pub(crate) fn verify(
        &self,
        password: &str,
        stored: Option<&str>,
        still_wanted: StillWanted,
    ) -> Result<PasswordVerdict, HashError> {
        let task = HashTask::Verify(stored.map(str::to_owned));
        match self.ask(task, password, still_wanted)? {
            HashAnswer::Verified(verdict) => Ok(verdict),
            HashAnswer::Hashed(_) => Err(HashError::Failed),
        }
    }

    /// How many jobs wait for their turn, those being worked on not counted.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        locked(&self.queue).as_ref().map_or(0, Sender::len)
    }

    /// Closes the queue without waiting: a job that has begun is finished, all others get
    /// [`HashError::Stopped`], now and later.
    pub(crate) fn close(&self) {
        self.stopping.store(true, Ordering::Release);
        drop(locked(&self.queue).take());
    }

    /// Closes the queue and waits for the threads.
    pub(crate) fn shutdown(&self) {
        self.close();
        let workers = std::mem::take(&mut *locked(&self.workers));
        for worker in workers {
            // The last reference may be dropped together with a job, on the worker itself, which
            // cannot wait for itself.
            if worker.thread().id() != thread::current().id() && worker.join().is_err() {
                log::error!("a password hashing thread had panicked");
            }
        }
    }

    fn ask(
        &self,
        task: HashTask,
        password: &str,
        still_wanted: StillWanted,
    ) -> Result<HashAnswer, HashError> {
        let (answer, result) = crossbeam_channel::bounded(1);
        let job = HashJob {
            task,
            password: Zeroizing::new(password.to_owned()),
            still_wanted,
            answer,
        };
        match &*locked(&self.queue) {
            Some(queue) => queue.send(job).map_err(|_| HashError::Stopped)?,
            None => return Err(HashError::Stopped),
        }
        // The job, and its sender with it, is dropped unanswered only when its worker is no more.
        result.recv().unwrap_or(Err(HashError::Stopped))
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// A panic while one of these locks is held leaves nothing half done, so its mark is ignored.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct HashJob {
    task: HashTask,
    password: Zeroizing<String>,
    still_wanted: StillWanted,
    answer: Sender<Result<HashAnswer, HashError>>,
}

enum HashTask {
    Hash,
    Verify(Option<String>),
}

enum HashAnswer {
    Hashed(String),
    Verified(PasswordVerdict),
}

/// The life of a worker: until the queue is closed and empty.
fn work(scheme: &Scheme, queue: &Receiver<HashJob>, stopping: &AtomicBool) {
    crate::sys::give_way();
    for job in queue {
        let answer = job.answer.clone();
        let result = carry_out(job, scheme, stopping);
        wipe_stack();
        sys::release_stack();
        // Who asked may be gone.
        let _ = answer.send(result);
    }
}

/// Not inlined, so that whatever the hash has on the stack lies below its caller's frame.
#[inline(never)]
fn carry_out(
    job: HashJob,
    scheme: &Scheme,
    stopping: &AtomicBool,
) -> Result<HashAnswer, HashError> {
    // Nothing of the job outlives its panic but the channel for the answer. Even dropping the
    // caller's closure happens inside.
    catch_unwind(AssertUnwindSafe(move || {
        if stopping.load(Ordering::Acquire) {
            return Err(HashError::Stopped);
        }
        if !(job.still_wanted)() {
            return Err(HashError::Gone);
        }
        match &job.task {
            HashTask::Hash => scheme.hash(&job.password).map(HashAnswer::Hashed),
            HashTask::Verify(stored) => scheme
                .verify(&job.password, stored.as_deref())
                .map(HashAnswer::Verified),
        }
    }))
    .unwrap_or_else(|_| {
        log_limited!(Error, "a password hashing job panicked");
        Err(HashError::Failed)
    })
}

/// Overwrites the part of the stack below the caller's frame that hashing uses: HMAC leaves a
/// block there that begins with the password, and nothing else would come along until the next
/// hash.
#[inline(never)]
fn wipe_stack() {
    let mut used = [0_u8; STACK_USED];
    used.zeroize();
}

/// The hashing itself, for the threads and for nobody else.
#[derive(Clone)]
struct Scheme {
    cost: Cost,
    scrypt: Scrypt,
    dummy: PasswordHash,
}

impl Scheme {
    fn new(cost: Cost) -> io::Result<Scheme> {
        let params = cost
            .params()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let dummy = dummy(&params).map_err(io::Error::other)?;
        Ok(Scheme {
            cost,
            scrypt: Scrypt::new_with_params(params),
            dummy,
        })
    }

    fn hash(&self, password: &str) -> Result<String, HashError> {
        match self.scrypt.hash_password(password.as_bytes()) {
            Ok(hash) => Ok(hash.to_string()),
            Err(error) => Err(failed(error)),
        }
    }

    fn verify(&self, password: &str, stored: Option<&str>) -> Result<PasswordVerdict, HashError> {
        let known = stored.and_then(|text| {
            let parsed = parse(text);
            if parsed.is_none() {
                log_limited!(
                    Error,
                    "a stored password hash is malformed or asks for too much work"
                );
            }
            parsed
        });
        let (cost, hash) = match &known {
            Some((cost, hash)) => (*cost, hash),
            None => (self.cost, &self.dummy),
        };
        let equal = match self.scrypt.verify_password(password.as_bytes(), hash) {
            Ok(()) => true,
            Err(password_hash::Error::PasswordInvalid) => false,
            Err(error) => return Err(failed(error)),
        };
        // Nobody has the dummy's password, but its verdict does not depend on that.
        let matches = equal && known.is_some();
        let ours = cost == self.cost && output_len(hash) == output_len(&self.dummy);
        Ok(PasswordVerdict {
            matches,
            stale: matches && !ours,
        })
    }
}

fn output_len(hash: &PasswordHash) -> Option<usize> {
    hash.hash.as_ref().map(Output::len)
}

fn failed(error: password_hash::Error) -> HashError {
    log_limited!(Error, "password hashing failed: {error}");
    HashError::Failed
}

/// Reads a stored hash and its parameters; `None` when it is malformed.
///
/// The parameters are checked before the crate sees them: it takes the recommended ones for those
/// that are missing, and it multiplies them without care.
fn parse(text: &str) -> Option<(Cost, PasswordHash)> {
    let hash = PasswordHash::new(text).ok()?;
    if hash.algorithm != ALG_ID || hash.version.is_some() {
        return None;
    }
    let (Some(_), Some(_), 3) = (hash.salt, hash.hash, hash.params.iter().count()) else {
        return None;
    };
    let number = |name| hash.params.get_decimal(name);
    let log_n = u8::try_from(number("ln")?).ok()?;
    let cost = Cost::new(log_n, number("r")?, number("p")?).ok()?;
    Some((cost, hash))
}

/// A hash of the current parameters and of no password: random salt, random output.
fn dummy(params: &Params) -> Result<PasswordHash, password_hash::Error> {
    let salt = password_hash::try_generate_salt()?;
    let mut output = [0; Params::RECOMMENDED_LEN];
    for part in output.chunks_mut(salt.len()) {
        let random = password_hash::try_generate_salt()?;
        part.copy_from_slice(&random[..part.len()]);
    }
    Ok(PasswordHash {
        algorithm: ALG_ID,
        version: None,
        params: params.try_into()?,
        salt: Some(Salt::new(&salt)?),
        hash: Some(Output::new(&output)?),
    })
}

#[cfg(test)]
mod tests;
