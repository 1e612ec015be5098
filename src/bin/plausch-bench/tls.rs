//! TLS beside plain TCP, and beside stunnel in front of the plain port: the same load in turns.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use plausch::tls::client::Trust;
use socket2::SockRef;

use crate::Bench;
use crate::database::{self, Plan};
use crate::failure::{Doing, Failure, Result};
use crate::link::Way;
use crate::load::{self, Pairs};
use crate::process::{self, Helper};
use crate::report::{Section, Unit};
use crate::server::Server;
use crate::talks::number;
use crate::wire::Wire;

const MAKE_CERT: &str = include_str!("../../../scripts/make-cert.sh");

const CASES: [(usize, usize); 3] = [(1, 1), (16, 32), (100, 32)];

const IDLE: usize = 1_000;

const SHAKERS: usize = 4;

const REST: Duration = Duration::from_secs(15);

const DOORS: [&str; 3] = ["plain", "tls", "stunnel"];

struct Door {
    name: &'static str,
    server: Server,
    stunnel: Option<Stunnel>,
}

struct Stunnel {
    helper: Helper,
    address: SocketAddr,
}

impl Stunnel {
    fn start(directory: &Path, to: SocketAddr) -> Result<Option<Stunnel>> {
        let Some(program) = process::find_program("stunnel") else {
            return Ok(None);
        };
        let address = process::free_address()?;
        let file = directory.join("stunnel.conf");
        let text = format!(
            "foreground = yes\npid =\ndebug = 3\n[chat]\naccept = {address}\nconnect = {to}\n\
             cert = {dir}/server.pem\nkey = {dir}/server.key\nsessionCacheSize = 1\n\
             socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n",
            dir = directory.display()
        );
        std::fs::write(&file, text)?;
        let answers = || TcpStream::connect(address).ok().map(drop);
        let helper = Helper::start(Command::new(program).arg(&file), answers)?;
        Ok(Some(Stunnel { helper, address }))
    }
}

impl Door {
    fn open(
        bench: &Bench,
        name: &'static str,
        directory: &Path,
        people: &Path,
    ) -> Result<Option<Door>> {
        let own = directory.join(name);
        std::fs::create_dir_all(&own)?;
        let database = database::copy(people, &own)?;
        let trust = Trust::file(&directory.join("ca.pem")).doing("the CA")?;
        let file = |name: &str| directory.join(name).display().to_string();
        let options: Vec<String> = match name {
            "tls" => [
                ("--tls-listen", "127.0.0.1:0".to_owned()),
                ("--tls-cert", file("server.pem")),
                ("--tls-key", file("server.key")),
            ]
            .into_iter()
            .flat_map(|(option, value)| [option.to_owned(), value])
            .collect(),
            _ => Vec::new(),
        };
        let mut server = Server::start_with(&bench.program, &database, &options)?;
        let mut stunnel = None;
        match name {
            "tls" => server.reach_by(Way::Tls(trust), None),
            "stunnel" => {
                let Some(started) = Stunnel::start(directory, server.address())? else {
                    return Ok(None);
                };
                server.reach_by(Way::Tls(trust), Some(started.address));
                stunnel = Some(started);
            }
            _ => {}
        }
        Ok(Some(Door {
            name,
            server,
            stunnel,
        }))
    }

    fn processes(&self) -> impl Iterator<Item = u32> {
        let stunnel = self.stunnel.as_ref().map(|stunnel| stunnel.helper.0.id());
        std::iter::once(self.server.pid()).chain(stunnel)
    }

    fn cpu(&self) -> Result<f64> {
        self.processes().map(process::cpu_seconds).sum()
    }

    fn resident(&self) -> Result<f64> {
        self.processes().map(process::resident).sum()
    }
}

pub fn measure(bench: &mut Bench) -> Result<()> {
    let directory = bench.dir.join("tls");
    std::fs::create_dir(&directory)?;
    if !certificates(&directory)? {
        let why = "openssl is not installed";
        bench.report.absent(Section::Tls, "everything", why);
        return Ok(());
    }
    let people = directory.join("people.db");
    let plan = Plan::quiet(
        IDLE,
        (0..100).map(|pair| (2 * pair, 2 * pair + 1)).collect(),
    );
    database::build(&people, &plan, &bench.hash)?;
    for (pairs, window) in CASES {
        bench.say(&format!("TLS: {pairs} pairs, window {window}"));
        talks(bench, &directory, &people, (pairs, window))?;
    }
    for run in 1..=bench.runs {
        bench.say(&format!(
            "TLS: handshakes and rest, {run} of {}",
            bench.runs
        ));
        for name in DOORS {
            if let Some(door) = Door::open(bench, name, &directory, &people)? {
                if name != "plain" {
                    handshakes(bench, &door)?;
                }
                idle(bench, &door)?;
                close(door)?;
            }
        }
    }
    rows(bench);
    Ok(())
}

fn certificates(directory: &Path) -> Result<bool> {
    if process::find_program("openssl").is_none() {
        return Ok(false);
    }
    let done = Command::new("sh")
        .args(["-c", MAKE_CERT, "make-cert.sh"])
        .arg(directory)
        .arg("127.0.0.1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .doing("making certificates")?;
    match done.success() {
        true => Ok(true),
        false => Err(Failure::new("certificates could not be made")),
    }
}

fn close(door: Door) -> Result<()> {
    drop(door.stunnel);
    door.server.stop()
}

fn talks(bench: &mut Bench, directory: &Path, people: &Path, case: (usize, usize)) -> Result<()> {
    let (pairs, window) = case;
    let mut doors: Vec<(Pairs, Door)> = Vec::new();
    for name in DOORS {
        if let Some(door) = Door::open(bench, name, directory, people)? {
            let mut talks = load::talks(&door.server, pairs, window, 64)?;
            load::drive(&mut talks, window, bench.warm_up()).doing(name)?;
            doors.push((talks, door));
        }
    }
    for _ in 0..bench.runs {
        for (talks, door) in &mut doors {
            process::settle()?;
            let cpu = door.cpu()?;
            let outcome = load::drive(talks, window, bench.seconds).doing(door.name)?;
            let cpu = door.cpu()? - cpu;
            let key = |what: &str| format!("tls {} {pairs}x{window} {what}", door.name);
            bench.report.add(key("rate"), outcome.rate());
            bench.report.add(key("p50"), outcome.quantile(0.5));
            bench.report.add(key("cpu"), cpu / outcome.messages * 1e5);
        }
    }
    for (talks, door) in doors {
        drop(talks);
        close(door)?;
    }
    Ok(())
}

/// Whole handshakes: no session is taken up again.
fn handshakes(bench: &mut Bench, door: &Door) -> Result<()> {
    let (cpu, begun) = (door.cpu()?, Instant::now());
    let shake = || -> Result<usize> {
        let mut made = 0;
        while begun.elapsed().as_secs_f64() < bench.seconds {
            let wire = door.server.connect()?;
            // Ended by a reset, so that no port waits for a minute.
            SockRef::from(wire.socket()).set_linger(Some(Duration::ZERO))?;
            made += 1;
        }
        Ok(made)
    };
    let made = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SHAKERS).map(|_| scope.spawn(shake)).collect();
        let mut sum = 0;
        for thread in threads {
            let failed = |_| Failure::new("a thread that made handshakes panicked");
            sum += thread.join().map_err(failed)??;
        }
        Ok::<_, Failure>(sum as f64)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = door.cpu()? - cpu;
    let key = |what: &str| format!("tls {} handshake {what}", door.name);
    bench.report.add(key("rate"), made / seconds);
    bench.report.add(key("cpu"), cpu / made * 1e3);
    Ok(())
}

fn idle(bench: &mut Bench, door: &Door) -> Result<()> {
    // What is needed once, has been needed after these.
    drop(log_in(&door.server, 100)?);
    rest(door)?;
    let base = door.resident()?;
    let connections = log_in(&door.server, IDLE)?;
    rest(door)?;
    let each = (door.resident()? - base) / IDLE as f64;
    bench.report.add(format!("tls {} idle", door.name), each);
    drop(connections);
    Ok(())
}

/// Logs in; a name is free as soon as the server has seen the end of its connection before.
fn log_in(server: &Server, users: usize) -> Result<Vec<Wire>> {
    let log_in = |user| server.login(&format!("u{user}"));
    (0..users).map(log_in).collect()
}

fn rest(door: &Door) -> Result<()> {
    process::come_to_rest(REST, 10, || door.resident(), || Ok(true))
}

fn rows(bench: &mut Bench) {
    let report = &mut bench.report;
    let stunnel = process::find_program("stunnel").is_some();
    for name in DOORS {
        let shown = match name {
            "plain" => "plain TCP",
            "tls" => "TLS",
            _ => "stunnel before the plain port",
        };
        if name == "stunnel" && !stunnel {
            report.absent(Section::Tls, shown, "it is not installed");
            continue;
        }
        let mut row = |label: String, what: &str, unit, remark: &str| {
            let key = format!("tls {name} {what}");
            report.row(Section::Tls, &label, &key, unit, remark);
        };
        for (pairs, window) in CASES {
            let case = format!("{pairs}x{window}");
            let label = format!("{shown}, {}, window {window}", number(pairs));
            let messages = format!("{label}, messages");
            row(messages, &format!("{case} rate"), Unit::Rate, "");
            let median = format!("{label}, p50");
            row(median, &format!("{case} p50"), Unit::Millis, "");
            let remark = "of all that serves, a 100,000 messages";
            let cpu = format!("{label}, CPU");
            row(cpu, &format!("{case} cpu"), Unit::Seconds, remark);
        }
        if name != "plain" {
            let label = format!("{shown}, whole handshakes");
            let remark = "the client's half on the same cores";
            row(label, "handshake rate", Unit::Rate, remark);
            let label = format!("{shown}, CPU a handshake");
            row(label, "handshake cpu", Unit::Millis, "the server's half");
        }
        let label = format!("{shown}, resident memory a logged-in connection");
        row(label, "idle", Unit::Kib, "of 1,000 at rest");
    }
}
