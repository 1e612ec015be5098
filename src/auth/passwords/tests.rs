use super::cost::BadCost;
use super::*;
use std::time::{Duration, Instant};

const CHEAP: Cost = Cost {
    log_n: 4,
    r: 8,
    p: 1,
};

const NO: PasswordVerdict = verdict(false, false);
const YES: PasswordVerdict = verdict(true, false);
const YES_BUT_STALE: PasswordVerdict = verdict(true, true);

const fn verdict(matches: bool, stale: bool) -> PasswordVerdict {
    PasswordVerdict { matches, stale }
}

fn always() -> StillWanted {
    Arc::new(|| true)
}

/// Made by Python 3.11, that is by OpenSSL:
/// `hashlib.scrypt(b"schl\xc3\xbcssel 123", salt=bytes(range(16)), n=16, r=8, p=1, dklen=32)`.
const FROM_PYTHON: &str =
    "$scrypt$ln=4,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$P5JQXjKqdT3R2DD3YqhM7Nd4aNgdPuLXgAf4isTJlBs";
/// The same with `n=32, r=4, p=2, dklen=64`.
const FROM_PYTHON_OTHER_COST: &str = "$scrypt$ln=5,r=4,p=2$AAECAwQFBgcICQoLDA0ODw$NAHNbTMbAbojyht5LJurUrmPYlWJ5BUGRMAdH4aTFy1NSxKwwxFyNJBjkcF9cFV6Nzu0iQAdi58vI4hucllaNQ";

#[test]
fn hashes_are_salted_phc_strings_and_verify() {
    let hasher = Hasher::start(CHEAP).unwrap();
    let first = hasher.hash("correct horse", always()).unwrap();
    let second = hasher.hash("correct horse", always()).unwrap();
    assert!(first.starts_with("$scrypt$ln=4,r=8,p=1$"), "{first}");
    assert_ne!(first, second);
    for stored in [&first, &second] {
        let verify = |password| hasher.verify(password, Some(stored), always());
        assert_eq!(verify("correct horse"), Ok(YES));
        assert_eq!(verify("Correct horse"), Ok(NO));
        assert_eq!(verify(""), Ok(NO));
    }
}

#[test]
fn a_hash_of_another_implementation_verifies() {
    let hasher = Hasher::start(CHEAP).unwrap();
    let verify = |password, stored| hasher.verify(password, Some(stored), always());
    assert_eq!(verify("schlüssel 123", FROM_PYTHON), Ok(YES));
    assert_eq!(verify("schlussel 123", FROM_PYTHON), Ok(NO));
    assert_eq!(
        verify("schlüssel 123", FROM_PYTHON_OTHER_COST),
        Ok(YES_BUT_STALE)
    );
    assert_eq!(verify("schlussel 123", FROM_PYTHON_OTHER_COST), Ok(NO));
}

#[test]
fn other_parameters_are_stale() {
    let old = Hasher::start(CHEAP).unwrap();
    let stored = old.hash("correct horse", always()).unwrap();
    for cost in [(5, 8, 1), (4, 9, 1), (4, 8, 2)] {
        let new = Hasher::start(Cost::new(cost.0, cost.1, cost.2).unwrap()).unwrap();
        let verify = |password| new.verify(password, Some(&stored), always());
        assert_eq!(verify("correct horse"), Ok(YES_BUT_STALE));
        assert_eq!(verify("wrong horse"), Ok(NO));
    }
}

#[test]
fn unknown_users_and_malformed_hashes_do_not_match() {
    let hasher = Hasher::start(CHEAP).unwrap();
    assert_eq!(hasher.verify("correct horse", None, always()), Ok(NO));
    for stored in [
        "",
        "$",
        "plain text",
        "$scrypt$ln=4,r=8,p=1",
        "$scrypt$ln=4,r=8,p=1$AAECAwQFBgcICQoLDA0ODw",
        "$scrypt$ln=4,r=8,p=1,x=1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw",
        "$scrypt$ln=4,r=8$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw",
        "$scrypt$v=1$ln=4,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw",
        "$argon2id$ln=4,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw",
        // These would take all memory, for ever, or overflow a product.
        "$scrypt$ln=40,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw",
        "$scrypt$ln=4,r=8,p=99999999$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw",
        "$scrypt$ln=4,r=65536,p=65536$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw",
        "$scrypt$ln=0,r=0,p=0$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw",
    ] {
        assert_eq!(
            hasher.verify("correct horse", Some(stored), always()),
            Ok(NO),
            "{stored}"
        );
    }
}

/// A generous bound on the ratio; without the dummy it would be in the thousands.
#[test]
fn an_unknown_user_takes_as_long_as_a_known_one() {
    let hasher = Hasher::start(Cost::new(13, 8, 1).unwrap()).unwrap();
    let stored = hasher.hash("correct horse", always()).unwrap();
    let kinds = [Some(stored.as_str()), None, Some("malformed")];
    let mut fastest = [Duration::MAX; 3];
    // In turns, so that a machine that is busy for a while is so for all of them.
    for _ in 0..5 {
        for (stored, fastest) in kinds.iter().zip(&mut fastest) {
            let start = Instant::now();
            let verdict = hasher.verify("wrong horse", *stored, always());
            assert_eq!(verdict, Ok(NO));
            *fastest = start.elapsed().min(*fastest);
        }
    }
    let [known, others @ ..] = fastest;
    for unknown in others {
        assert!(
            unknown < known * 10 && known < unknown * 10,
            "{known:?}, {unknown:?}"
        );
    }
}

/// Waits until `count` jobs wait, so that a test knows their order.
fn wait_for_queue(hasher: &Hasher, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while hasher.waiting() != count {
        assert!(Instant::now() < deadline, "{} wait", hasher.waiting());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Keeps the only worker busy until the sender is dropped.
fn occupy(hasher: &Arc<Hasher>) -> (Sender<()>, JoinHandle<Result<String, HashError>>) {
    let (release, released) = crossbeam_channel::bounded::<()>(0);
    let (begin, begun) = crossbeam_channel::bounded(1);
    let hasher = Arc::clone(hasher);
    let caller = thread::spawn(move || {
        let hold = Arc::new(move || {
            begin.send(()).unwrap();
            released.recv().is_err()
        });
        hasher.hash("first in line", hold)
    });
    begun.recv_timeout(Duration::from_secs(10)).unwrap();
    (release, caller)
}

#[test]
fn first_come_first_served() {
    let hasher = Arc::new(Hasher::start_with(CHEAP, 1).unwrap());
    let (release, first) = occupy(&hasher);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut callers = Vec::new();
    for number in 0..20 {
        let (hasher_too, order) = (Arc::clone(&hasher), Arc::clone(&order));
        callers.push(thread::spawn(move || {
            let turn = Arc::new(move || {
                order.lock().unwrap().push(number);
                true
            });
            if number % 2 == 0 {
                hasher_too.hash("somebody", turn).map(|_| NO)
            } else {
                hasher_too.verify("somebody", None, turn)
            }
        }));
        wait_for_queue(&hasher, number + 1);
    }
    drop(release);
    assert!(first.join().unwrap().is_ok());
    for caller in callers {
        assert_eq!(caller.join().unwrap(), Ok(NO));
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    assert_eq!(hasher.waiting(), 0);
}

#[test]
fn what_nobody_wants_any_more_is_not_done() {
    let hasher = Arc::new(Hasher::start_with(CHEAP, 1).unwrap());
    let (release, first) = occupy(&hasher);
    let wanted = Arc::new(AtomicBool::new(true));
    let caller = {
        let (hasher, wanted) = (Arc::clone(&hasher), Arc::clone(&wanted));
        thread::spawn(move || {
            let still_wanted = Arc::new(move || wanted.load(Ordering::SeqCst));
            hasher.verify("impatient", None, still_wanted)
        })
    };
    wait_for_queue(&hasher, 1);
    wanted.store(false, Ordering::SeqCst);
    drop(release);
    assert!(first.join().unwrap().is_ok());
    assert_eq!(caller.join().unwrap(), Err(HashError::Gone));
}

#[test]
fn a_panic_fails_its_job_only() {
    let hasher = Hasher::start_with(CHEAP, 1).unwrap();
    let panics: StillWanted = Arc::new(|| panic!("on purpose"));
    for _ in 0..3 {
        let result = hasher.hash("somebody", Arc::clone(&panics));
        assert_eq!(result, Err(HashError::Failed));
    }
    assert!(hasher.hash("somebody", always()).is_ok());
}

#[test]
fn shutdown_answers_everybody() {
    let hasher = Arc::new(Hasher::start_with(CHEAP, 1).unwrap());
    let (release, first) = occupy(&hasher);
    let waiting = {
        let hasher = Arc::clone(&hasher);
        thread::spawn(move || hasher.hash("too late", always()))
    };
    wait_for_queue(&hasher, 1);
    let closer = {
        let hasher = Arc::clone(&hasher);
        thread::spawn(move || hasher.shutdown())
    };
    while !hasher.stopping.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    drop(release);
    closer.join().unwrap();
    assert!(first.join().unwrap().is_ok());
    assert_eq!(waiting.join().unwrap(), Err(HashError::Stopped));
    assert_eq!(hasher.hash("later", always()), Err(HashError::Stopped));
    assert_eq!(
        hasher.verify("later", None, always()),
        Err(HashError::Stopped)
    );
    assert_eq!(hasher.waiting(), 0);
    hasher.shutdown();
}

#[test]
fn the_last_reference_may_go_on_the_worker() {
    let hasher = Arc::new(Hasher::start_with(CHEAP, 1).unwrap());
    let (answer, _) = crossbeam_channel::bounded(1);
    let queue = locked(&hasher.queue).clone().unwrap();
    let held = Mutex::new(Some(Arc::clone(&hasher)));
    let (dropped, done) = crossbeam_channel::bounded(1);
    let (go, wait) = crossbeam_channel::bounded::<()>(0);
    let job = HashJob {
        task: HashTask::Hash,
        password: Zeroizing::new(String::new()),
        still_wanted: Arc::new(move || {
            let _ = wait.recv();
            drop(held.lock().unwrap().take());
            dropped.send(()).unwrap();
            false
        }),
        answer,
    };
    queue.send(job).unwrap();
    drop((queue, hasher));
    drop(go);
    done.recv_timeout(Duration::from_secs(10)).unwrap();
}

#[test]
fn the_default_cost_works_on_the_small_stack() {
    let hasher = Hasher::start(Cost::default()).unwrap();
    let stored = hasher.hash("correct horse", always()).unwrap();
    assert!(stored.starts_with("$scrypt$ln=14,r=8,p=5$"), "{stored}");
    assert_eq!(
        hasher.verify("correct horse", Some(&stored), always()),
        Ok(YES)
    );
}

#[test]
fn costs_are_read_and_bounded() {
    assert_eq!("14,8,5".parse(), Ok(Cost::default()));
    assert_eq!(Cost::default().to_string(), "14,8,5");
    assert_eq!("4,8,1".parse(), Ok(CHEAP));
    // 256 MiB, just allowed.
    assert!("18,8,1".parse::<Cost>().is_ok());
    for text in [
        "",
        ",",
        "14",
        "14,8",
        "14,8,5,1",
        "14,8,",
        " 14,8,5",
        "14, 8,5",
        "+14,8,5",
        "-1,8,5",
        "14;8;5",
        "x,8,5",
        "0,8,5",
        "14,0,5",
        "14,8,0",
        "19,8,1",
        "18,9,1",
        "17,8,100",
        "63,1,1",
        "256,8,1",
        "16,1,1",
        "1,1,4294967295",
        "1,4294967295,1",
        "1,4294967296,1",
    ] {
        assert_eq!(text.parse::<Cost>(), Err(BadCost), "{text}");
    }
    let absurd = Cost {
        log_n: 63,
        r: u32::MAX,
        p: u32::MAX,
    };
    assert!(Hasher::start(absurd).is_err());
}
