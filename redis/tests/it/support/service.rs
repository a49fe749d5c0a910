//! The service that the instances call, on a socket. It can be down, it can delay its replies to trial calls, and it counts those.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
};

/// Identifies the recovery that a trial call belongs to: the instance and its number of transitions, which is constant while half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TrialId {
    pub(crate) instance: u32,
    pub(crate) transitions: u64,
}

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    is_down: bool,
    /// True if replies to trial calls are delayed.
    holds_trials: bool,
    /// Trial calls without a reply yet.
    held: Vec<TrialId>,
    trials: BTreeMap<TrialId, usize>,
}

impl Service {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Self { address: listener.local_addr().unwrap(), shared: Arc::default() };
        let accepting = service.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), service) = (stream, accepting.clone()) else { continue };
                thread::spawn(move || {
                    let mut request = [0; 13];
                    if stream.read_exact(&mut request).is_ok() {
                        _ = stream.write_all(&[service.reply(parse(request)).into()]);
                    }
                });
            }
        });
        service
    }

    fn reply(&self, trial: Option<TrialId>) -> bool {
        let mut state = self.state();
        if let Some(trial) = trial {
            *state.trials.entry(trial).or_default() += 1;
            state.held.push(trial);
            state = self.shared.1.wait_while(state, |state| state.holds_trials).unwrap();
            state.held.retain(|other| *other != trial);
        }
        !state.is_down
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// Delays the replies to trial calls from now on, or releases them.
    pub(crate) fn hold_trials(&self, holds: bool) {
        self.state().holds_trials = holds;
        self.shared.1.notify_all();
    }

    /// Returns the trial calls without a reply yet.
    pub(crate) fn held(&self) -> Vec<TrialId> {
        self.state().held.clone()
    }

    /// The number of trial calls in each recovery.
    pub(crate) fn recoveries(&self) -> Vec<usize> {
        self.state().trials.values().copied().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }
}

/// Calls the service. Returns true if it is not down.
pub(crate) fn call(service: SocketAddr, trial: Option<TrialId>) -> io::Result<bool> {
    let mut stream = TcpStream::connect(service)?;
    let TrialId { instance, transitions } = trial.unwrap_or(TrialId { instance: 0, transitions: 0 });
    let mut request = vec![u8::from(trial.is_some())];
    request.extend(instance.to_le_bytes());
    request.extend(transitions.to_le_bytes());
    stream.write_all(&request)?;
    let mut reply = [0];
    stream.read_exact(&mut reply)?;
    Ok(reply[0] == 1)
}

fn parse(request: [u8; 13]) -> Option<TrialId> {
    let (instance, transitions) = (request[1..5].try_into().unwrap(), request[5..].try_into().unwrap());
    let trial = TrialId { instance: u32::from_le_bytes(instance), transitions: u64::from_le_bytes(transitions) };
    (request[0] == 1).then_some(trial)
}
