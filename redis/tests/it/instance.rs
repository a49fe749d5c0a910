//! An instance of a service: this binary once more, told what to do by lines, and telling what happens by lines.

use std::{
    collections::HashMap,
    env,
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    path::PathBuf,
    process::{self, Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Pid, Signal, kill_process};
use steadfast::{
    BreakerConfig, BreakerState, CircuitBreaker,
    events::{self, Event},
};
use steadfast_redis::Fleet;

use crate::{load::Load, wait::until};

/// What the library runs.
pub(crate) const BREAKER_SCRIPT: &str = include_str!("../../src/breaker.lua");
pub(crate) const LIMIT: &str = include_str!("../../src/limit.lua");
/// What tells a line of ours from the test harness's.
const MARK: &str = "@ ";
const SETTINGS: &str = "STEADFAST_TEST_INSTANCE";
/// The breaker that all of them have.
pub(crate) const BREAKER: &str = "payments";

/// How an instance is set up.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) address: String,
    pub(crate) application: &'static str,
    pub(crate) quorum: u32,
    pub(crate) recovery: Duration,
    pub(crate) lease: Duration,
    pub(crate) timeout: Duration,
    pub(crate) heartbeat: Duration,
    /// Breakers besides the one that is called.
    pub(crate) more: u32,
    pub(crate) service: Option<SocketAddr>,
    /// Whose certificates are trusted.
    pub(crate) authority: Option<PathBuf>,
}

impl Setup {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            application: "shop",
            quorum: 1,
            recovery: Duration::from_mins(1),
            // Patient, so that a busy machine is not taken for a Redis that is away.
            lease: Duration::from_secs(3),
            timeout: Duration::from_secs(1),
            heartbeat: Duration::from_secs(1),
            more: 0,
            service: None,
            authority: None,
        }
    }

    fn line(&self) -> String {
        let Self { address, application, quorum, recovery, lease, timeout, heartbeat, more, service, .. } = self;
        let service = service.map(|service| service.to_string()).unwrap_or_default();
        let [recovery, lease, timeout, heartbeat] = [recovery, lease, timeout, heartbeat].map(Duration::as_millis);
        format!("{address}|{application}|{quorum}|{recovery}|{lease}|{timeout}|{heartbeat}|{more}|{service}")
    }
}

/// A process, seen from the test.
pub(crate) struct Instance {
    child: Child,
    stdin: ChildStdin,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    /// The last line of each kind.
    last: HashMap<String, String>,
    /// When the circuit came into which state, in microseconds since 1970.
    states: Vec<(u64, String)>,
    fleet: Vec<String>,
}

impl Instance {
    pub(crate) fn start(setup: &Setup) -> Self {
        let authority = setup.authority.iter().map(|file| ("SSL_CERT_FILE", file));
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["instance::process", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(SETTINGS, setup.line())
            .envs(authority)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let heard = Arc::new(Mutex::new(Heard::default()));
        thread::spawn({
            let heard = heard.clone();
            move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    // The harness's own line has no end yet when ours begins.
                    let Some((_, line)) = line.split_once(MARK) else { continue };
                    let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
                    let mut heard = heard.lock().unwrap();
                    match kind {
                        "state" => {
                            let (at, state) = text.split_once(' ').unwrap();
                            heard.states.push((at.parse().unwrap(), state.to_owned()));
                        }
                        "fleet" => heard.fleet.push(text.to_owned()),
                        _ => {}
                    }
                    heard.last.insert(kind.to_owned(), text.to_owned());
                }
            }
        });
        Self { child, stdin, heard }
    }

    /// Some of them, which have found Redis and each other.
    pub(crate) fn fleet(count: usize, setup: &Setup) -> Vec<Self> {
        let mut instances: Vec<_> = (0..count).map(|_| Self::start(setup)).collect();
        for instance in &mut instances {
            let heard = instance.heard.clone();
            until("an instance is ready", || heard.lock().unwrap().last.contains_key("ready"));
        }
        instances
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// Asks for something, and waits for the answer.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        let kind = line.split(' ').next().unwrap().to_owned();
        self.heard.lock().unwrap().last.remove(&kind);
        self.tell(line);
        let heard = self.heard.clone();
        until(line, || heard.lock().unwrap().last.contains_key(&kind));
        heard.lock().unwrap().last[&kind].clone()
    }

    /// The last line of a kind, once there is one.
    pub(crate) fn last(&self, kind: &str) -> String {
        until(kind, || self.heard.lock().unwrap().last.contains_key(kind));
        self.heard.lock().unwrap().last[kind].clone()
    }

    pub(crate) fn is(&self, state: BreakerState) -> bool {
        self.heard.lock().unwrap().states.last().map_or("closed", |(_, state)| state.as_str()) == state.to_string()
    }

    /// When it came into this state for the last time, in microseconds.
    #[allow(dead_code, reason = "for measurements")]
    pub(crate) fn since(&self, state: BreakerState) -> Option<u64> {
        let heard = self.heard.lock().unwrap();
        heard.states.iter().rev().find(|(_, other)| *other == state.to_string()).map(|(at, _)| *at)
    }

    /// How often it came into this state.
    pub(crate) fn times(&self, state: BreakerState) -> usize {
        self.heard.lock().unwrap().states.iter().filter(|(_, other)| *other == state.to_string()).count()
    }

    /// Asks for a number.
    pub(crate) fn number(&mut self, line: &str) -> u64 {
        self.ask(line).parse().unwrap()
    }

    /// Waits until it has made so many more calls under load.
    pub(crate) fn makes_calls(&mut self, calls: u64) {
        let before = self.number("calls");
        until("calls are made", || self.number("calls") >= before + calls);
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// How often its fleet has said so.
    pub(crate) fn told(&self, text: &str) -> usize {
        self.heard.lock().unwrap().fleet.iter().filter(|event| event.contains(text)).count()
    }

    /// What has happened to the fleet.
    pub(crate) fn events(&self) -> Vec<String> {
        self.heard.lock().unwrap().fleet.clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Waits until all of them are in a state.
#[track_caller]
pub(crate) fn all_are(instances: &[Instance], state: BreakerState) -> Duration {
    until(&format!("all are {state}"), || instances.iter().all(|instance| instance.is(state)))
}

/// Waits until all of them have been in a state, however long.
#[track_caller]
pub(crate) fn all_were(instances: &[Instance], state: BreakerState) {
    until(&format!("all were {state}"), || instances.iter().all(|instance| instance.times(state) > 0));
}

/// Trips another breaker in the first instance, and waits until all have heard of it. Whatever was said before on the same connections
/// has been heard then, too.
#[track_caller]
pub(crate) fn all_hear_of_another(instances: &mut [Instance], other: u32) {
    instances[0].tell(&format!("trip-other {other}"));
    for instance in instances {
        until("all have heard of another breaker", || instance.ask(&format!("is-other {other}")) == "open");
    }
}

/// Not a test by itself: what the other tests start as a process.
#[test]
#[ignore = "started by other tests"]
fn process() {
    is_one();
}

/// Runs as an instance if this process was started as one; false at once if it was not.
pub(crate) fn is_one() -> bool {
    let settings = env::var(SETTINGS);
    if let Ok(settings) = &settings {
        run(settings);
    }
    settings.is_ok()
}

/// Runs as an instance, if this process was started as one.
#[allow(clippy::too_many_lines, reason = "a list of commands")]
fn run(settings: &str) {
    let fields: Vec<_> = settings.split('|').collect();
    let [address, application, quorum, recovery, lease, timeout, heartbeat, more, service] = fields[..] else {
        panic!("{settings}")
    };
    let millis = |text: &str| Duration::from_millis(text.parse().unwrap());
    let config = BreakerConfig::new().failure_threshold(3).recovery_timeout(millis(recovery)).half_open_max_calls(3);
    let leak = |name: &str| -> &'static CircuitBreaker {
        Box::leak(Box::new(CircuitBreaker::new(name.to_owned().leak(), config)))
    };
    let breaker = leak(BREAKER);
    let more: Vec<_> = (0..more.parse().unwrap()).map(|number| leak(&format!("other {number}"))).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _entered = runtime.enter();
    events::subscribe(|event| {
        if let Event::StateChanged { breaker: BREAKER, to, .. } = event {
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
            say(&format!("state {at} {to}"));
        }
    })
    .forever();
    let nodes: Vec<_> = address.split(',').collect();
    let builder = if nodes.len() > 1 { Fleet::connect_cluster(nodes) } else { Fleet::connect(address) };
    let mut builder = builder
        .application(application)
        .quorum(quorum.parse().unwrap())
        .lease(millis(lease))
        .timeout(millis(timeout))
        .heartbeat(millis(heartbeat))
        .share(breaker)
        .on_event(|event| say(&format!("fleet {event}")));
    for breaker in &more {
        builder = builder.share(*breaker);
    }
    let fleet = builder.start().unwrap();
    runtime.block_on(fleet.available());
    say("ready");
    let load = Load::new(breaker, service.parse().ok());
    let own = |breaker: &CircuitBreaker| {
        for _ in 0..3 {
            _ = breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
        }
    };
    for line in io::stdin().lines().map_while(Result::ok) {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["trip"] => own(breaker),
            ["trip-more"] => more.iter().for_each(|breaker| own(breaker)),
            ["open-more"] => {
                say(&format!(
                    "open-more {}",
                    more.iter().filter(|breaker| breaker.state() == BreakerState::Open).count()
                ));
            }
            ["trip-other", number] => own(more[number.parse::<usize>().unwrap()]),
            ["is-other", number] => say(&format!("is-other {}", more[number.parse::<usize>().unwrap()].state())),
            ["call"] => _ = breaker.call(|| Ok::<_, io::Error>(())),
            ["name"] => say(&format!("name {}", fleet.instance())),
            // Whether the next call is a trial call.
            ["tries"] => {
                let snapshot = breaker.snapshot();
                let tries = snapshot.state == BreakerState::HalfOpen || snapshot.open_for == Some(Duration::ZERO);
                say(&format!("tries {tries}"));
            }
            ["rejected"] => say(&format!("rejected {}", breaker.snapshot().rejections)),
            ["calls"] => say(&format!("calls {}", load.calls.load(Ordering::Relaxed))),
            ["is"] => say(&format!("is {}", breaker.state())),
            ["trips"] => say(&format!("trips {}", fleet.round_trips())),
            ["alive"] => say(&format!("alive {}", fleet.instances())),
            // So many threads call the service, with so many milliseconds between two calls of one.
            ["load", threads, pause] => load.start(threads.parse().unwrap(), pause.parse().unwrap()),
            ["unload"] => say(&format!("unload {}", load.stop())),
            ["hammer", limit, micros, lasts] => {
                say(&format!("hammer {}", hammer(address, limit, micros, millis(lasts))));
            }
            ["stop"] => break,
            _ => panic!("{line}"),
        }
    }
    runtime.block_on(fleet.stop());
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    _ = writeln!(out, "{MARK}{line}");
    _ = out.flush();
}

/// Asks for places as fast as it can; when it was given one, by the clock of Redis.
fn hammer(address: &str, limit: &str, micros: &str, lasts: Duration) -> String {
    let script = redis::Script::new(LIMIT);
    let mut connection = redis::Client::open(address).unwrap().get_connection().unwrap();
    let (begun, mut admitted, mut calls) = (Instant::now(), Vec::new(), 0_u32);
    while begun.elapsed() < lasts {
        calls += 1;
        let mut call = script.key("hammered");
        call.arg("window").arg(limit).arg(micros).arg(format!("{}-{calls}", process::id()));
        let (is_admitted, _, now): (bool, u64, u64) = call.invoke(&mut connection).unwrap();
        if is_admitted {
            admitted.push(now.to_string());
        }
    }
    format!("{calls} {}", admitted.join(","))
}
