//! What the instances call: a service on a socket that can be down, and that notes what it sees.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A call says what it is, in a byte.
pub(crate) const CALL: u8 = b'c';
pub(crate) const TRIAL: u8 = b't';

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_down: AtomicBool,
    /// How long an answer takes, in milliseconds.
    takes: AtomicU64,
    trials: Mutex<Vec<Instant>>,
}

impl Service {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::new(State::default()));
        let service = Self { address, state };
        let accepting = service.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), service) = (stream, accepting.clone()) else { continue };
                thread::spawn(move || {
                    let mut kind = [0];
                    if stream.read_exact(&mut kind).is_ok() {
                        _ = stream.write_all(&[service.answer(kind[0])]);
                    }
                });
            }
        });
        service
    }

    fn answer(&self, kind: u8) -> u8 {
        let state = &self.state;
        if kind == TRIAL {
            state.trials.lock().unwrap().push(Instant::now());
        }
        let is_down = state.is_down.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(state.takes.load(Ordering::Relaxed)));
        if is_down { b'n' } else { b'y' }
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::Relaxed);
    }

    pub(crate) fn takes(&self, duration: Duration) {
        self.state.takes.store(duration.as_millis().try_into().unwrap(), Ordering::Relaxed);
    }

    /// The trial calls so far, in recoveries: those of one are closer together than `rest`.
    pub(crate) fn recoveries(&self, rest: Duration) -> Vec<usize> {
        let mut trials = self.state.trials.lock().unwrap().clone();
        trials.sort_unstable();
        trials.chunk_by(|one, next| next.duration_since(*one) < rest / 2).map(<[_]>::len).collect()
    }
}
