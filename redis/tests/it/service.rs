//! What the instances call: a service on a socket that can be down, that can keep trial calls waiting, and that notes what it sees.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
};

/// The recovery that a trial call belongs to: an instance is half-open once between two transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Trial {
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
    /// Trial calls are answered only when they are let go.
    holds: bool,
    /// Trial calls that wait for their answer.
    held: Vec<Trial>,
    trials: BTreeMap<Trial, usize>,
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
                    let mut question = [0; 13];
                    if stream.read_exact(&mut question).is_ok() {
                        _ = stream.write_all(&[service.answer(read(question)).into()]);
                    }
                });
            }
        });
        service
    }

    fn answer(&self, trial: Option<Trial>) -> bool {
        let mut state = self.state();
        if let Some(trial) = trial {
            *state.trials.entry(trial).or_default() += 1;
            state.held.push(trial);
            state = self.shared.1.wait_while(state, |state| state.holds).unwrap();
            state.held.retain(|other| *other != trial);
        }
        !state.is_down
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// Keeps trial calls waiting from now on, or lets them go.
    pub(crate) fn hold_trials(&self, holds: bool) {
        self.state().holds = holds;
        self.shared.1.notify_all();
    }

    /// Trial calls that wait for their answer.
    pub(crate) fn held(&self) -> Vec<Trial> {
        self.state().held.clone()
    }

    /// How many trial calls there were in each recovery.
    pub(crate) fn recoveries(&self) -> Vec<usize> {
        self.state().trials.values().copied().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }
}

/// Calls the service; gives whether it is well.
pub(crate) fn call(service: SocketAddr, trial: Option<Trial>) -> io::Result<bool> {
    let mut stream = TcpStream::connect(service)?;
    let Trial { instance, transitions } = trial.unwrap_or(Trial { instance: 0, transitions: 0 });
    let mut question = vec![u8::from(trial.is_some())];
    question.extend(instance.to_le_bytes());
    question.extend(transitions.to_le_bytes());
    stream.write_all(&question)?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    Ok(answer[0] == 1)
}

fn read(question: [u8; 13]) -> Option<Trial> {
    let (instance, transitions) = (question[1..5].try_into().unwrap(), question[5..].try_into().unwrap());
    let trial = Trial { instance: u32::from_le_bytes(instance), transitions: u64::from_le_bytes(transitions) };
    (question[0] == 1).then_some(trial)
}
