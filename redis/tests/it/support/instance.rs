//! An instance of a service as a process: this binary started again, controlled by lines on its standard input and output.

use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use steadfast::BreakerState;

use super::wait::until;

/// The scripts of the library.
pub(crate) const BREAKER_SCRIPT: &str = include_str!("../../../src/scripts/breaker.lua");
pub(crate) const RATE_LIMIT_SCRIPT: &str = include_str!("../../../src/scripts/rate_limit.lua");
/// The prefix that distinguishes the lines of an instance from those of the test harness.
pub(super) const LINE_MARK: &str = "@ ";
pub(super) const SETTINGS_VARIABLE: &str = "STEADFAST_TEST_INSTANCE";
/// The breaker that all instances share.
pub(crate) const BREAKER: &str = "payments";

/// The settings of an instance.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) address: String,
    pub(crate) application: &'static str,
    pub(crate) quorum: u32,
    pub(crate) recovery: Duration,
    pub(crate) lease: Duration,
    pub(crate) timeout: Duration,
    pub(crate) heartbeat: Duration,
    /// The number of shared breakers in addition to [`BREAKER`].
    pub(crate) more: u32,
    pub(crate) service: Option<SocketAddr>,
    /// The certificate authority that is trusted.
    pub(crate) authority: Option<PathBuf>,
}

impl Setup {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            application: "shop",
            quorum: 1,
            recovery: Duration::from_mins(1),
            // Longer than the defaults, so that a busy machine does not look like an outage of Redis.
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

/// The test side of an instance's process.
pub(crate) struct Instance {
    child: Child,
    stdin: ChildStdin,
    output: Arc<Mutex<Output>>,
}

#[derive(Default)]
struct Output {
    /// The last line of each kind.
    last: HashMap<String, String>,
    /// The state changes of the circuit, with their times in microseconds since 1970.
    states: Vec<(u64, String)>,
    /// The texts of the fleet's events.
    fleet_events: Vec<String>,
}

impl Instance {
    pub(crate) fn start(setup: &Setup) -> Self {
        let authority = setup.authority.iter().map(|file| ("SSL_CERT_FILE", file));
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["support::process::process", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(SETTINGS_VARIABLE, setup.line())
            .envs(authority)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let output = Arc::new(Mutex::new(Output::default()));
        thread::spawn({
            let output = output.clone();
            move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    // The line may begin with unfinished output of the test harness.
                    let Some((_, line)) = line.split_once(LINE_MARK) else { continue };
                    let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
                    let mut output = output.lock().unwrap();
                    match kind {
                        "state" => {
                            let (at, state) = text.split_once(' ').unwrap();
                            output.states.push((at.parse().unwrap(), state.to_owned()));
                        }
                        "fleet" => output.fleet_events.push(text.to_owned()),
                        _ => {}
                    }
                    output.last.insert(kind.to_owned(), text.to_owned());
                }
            }
        });
        Self { child, stdin, output }
    }

    /// Starts several instances and waits until each is connected.
    pub(crate) fn fleet(count: usize, setup: &Setup) -> Vec<Self> {
        let mut instances: Vec<_> = (0..count).map(|_| Self::start(setup)).collect();
        for instance in &mut instances {
            let output = instance.output.clone();
            until("an instance is ready", || output.lock().unwrap().last.contains_key("ready"));
        }
        instances
    }

    /// Sends a command.
    pub(crate) fn send(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// Sends a command and returns the reply.
    pub(crate) fn query(&mut self, line: &str) -> String {
        let kind = line.split(' ').next().unwrap().to_owned();
        self.output.lock().unwrap().last.remove(&kind);
        self.send(line);
        let output = self.output.clone();
        until(line, || output.lock().unwrap().last.contains_key(&kind));
        output.lock().unwrap().last[&kind].clone()
    }

    /// Returns the text of the last line of a kind, once there is one.
    pub(crate) fn last(&self, kind: &str) -> String {
        until(kind, || self.output.lock().unwrap().last.contains_key(kind));
        self.output.lock().unwrap().last[kind].clone()
    }

    pub(crate) fn is(&self, state: BreakerState) -> bool {
        self.output.lock().unwrap().states.last().map_or("closed", |(_, state)| state.as_str()) == state.to_string()
    }

    /// The time of the last transition into a state, in microseconds since 1970.
    #[allow(dead_code, reason = "used by the benchmark only")]
    pub(crate) fn entered_at(&self, state: BreakerState) -> Option<u64> {
        let output = self.output.lock().unwrap();
        output.states.iter().rev().find(|(_, other)| *other == state.to_string()).map(|(at, _)| *at)
    }

    /// The number of transitions into a state.
    pub(crate) fn entries(&self, state: BreakerState) -> usize {
        self.output.lock().unwrap().states.iter().filter(|(_, other)| *other == state.to_string()).count()
    }

    /// Sends a command and returns the number in the reply.
    pub(crate) fn query_number(&mut self, line: &str) -> u64 {
        self.query(line).parse().unwrap()
    }

    /// Waits until the instance has made a number of further calls.
    pub(crate) fn wait_for_calls(&mut self, calls: u64) {
        let before = self.query_number("calls");
        until("calls are made", || self.query_number("calls") >= before + calls);
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The number of fleet events that contain a text.
    pub(crate) fn event_count(&self, text: &str) -> usize {
        self.output.lock().unwrap().fleet_events.iter().filter(|event| event.contains(text)).count()
    }

    /// The texts of the fleet's events.
    pub(crate) fn events(&self) -> Vec<String> {
        self.output.lock().unwrap().fleet_events.clone()
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

/// Waits until all instances are in a state at the same time.
#[track_caller]
pub(crate) fn all_are(instances: &[Instance], state: BreakerState) -> Duration {
    until(&format!("all are {state}"), || instances.iter().all(|instance| instance.is(state)))
}

/// Waits until each instance has been in a state at least once.
#[track_caller]
pub(crate) fn all_were(instances: &[Instance], state: BreakerState) {
    until(&format!("all were {state}"), || instances.iter().all(|instance| instance.entries(state) > 0));
}

/// Trips another breaker in the first instance, and waits until it is open in all instances. By then they have also received all earlier
/// broadcasts on the same connections.
#[track_caller]
pub(crate) fn all_received_another_broadcast(instances: &mut [Instance], other: u32) {
    instances[0].send(&format!("trip-other {other}"));
    for instance in instances {
        until("the other breaker is open everywhere", || instance.query(&format!("state-of-other {other}")) == "open");
    }
}
