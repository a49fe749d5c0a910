//! Model-based test of the queue: random sequences of calls, cancellations, new settings and resets. The test polls the futures itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use proptest::{collection::vec, prelude::*};
use steadfast::{Algorithm, RateLimit, RateLimitConfig};
use tokio::{
    runtime::Builder,
    time::{Instant, advance},
};

use super::Call;

const PER: u64 = 20;

/// A step of a random sequence. Times are in milliseconds.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Advances the clock.
    Pass(u64),
    /// Makes a call that waits if the limit is reached.
    Wait,
    /// Makes a call that does not wait.
    Try,
    /// Cancels a waiting call, which may just have been woken.
    GiveUp(prop::sample::Index),
    /// Sets the number of calls of the limit.
    Limit(u32),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..30).prop_map(Step::Pass),
        6 => Just(Step::Wait),
        1 => Just(Step::Try),
        4 => any::<prop::sample::Index>().prop_map(Step::GiveUp),
        1 => (1_u32..6).prop_map(Step::Limit),
        1 => Just(Step::Reset),
    ]
}

/// The limit, and the calls that have started.
#[derive(Clone)]
struct Model {
    algorithm: Algorithm,
    calls: u32,
    starts: Vec<u64>,
    /// The theoretical arrival time of GCRA. `calls` units are one millisecond.
    arrival: u64,
}

impl Model {
    fn has_capacity(&self, now: u64) -> bool {
        let calls = u64::from(self.calls);
        match self.algorithm {
            Algorithm::Gcra => self.arrival <= now * calls + PER * (calls - 1),
            _ => (self.starts.iter().filter(|start| **start + PER > now).count() as u64) < calls,
        }
    }

    /// Records that a call starts now, and checks that the limit admits it.
    fn record_start(&mut self, now: u64) {
        assert!(self.has_capacity(now), "above the limit at {now}: {:?}", self.starts);
        self.starts.push(now);
        self.arrival = self.arrival.max(now * u64::from(self.calls)) + PER;
    }
}

#[derive(Default)]
struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Caller<'l> {
    number: u32,
    call: Call<'l>,
    is_woken: Arc<WakeFlag>,
    deadline: u64,
}

impl Caller<'_> {
    fn poll(&mut self) -> Poll<bool> {
        self.is_woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(self.is_woken.clone());
        self.call.as_mut().poll(&mut Context::from_waker(&waker)).map(|result| result.is_ok())
    }
}

async fn run_steps(algorithm: Algorithm, max_wait: u64, steps: Vec<Step>, order: Vec<prop::sample::Index>) {
    let config = |calls| {
        RateLimitConfig::new(calls, Duration::from_millis(PER))
            .max_wait(Duration::from_millis(max_wait))
            .algorithm(algorithm)
    };
    let limit = RateLimit::new("modelled", config(2));
    let mut model = Model { algorithm, calls: 2, starts: Vec::new(), arrival: 0 };
    let start = Instant::now();
    let now = || u64::try_from(start.elapsed().as_millis()).unwrap();
    let (mut waiting, mut order, mut number): (Vec<Caller<'_>>, _, _) = (Vec::new(), order.iter().cycle(), 0);
    for step in steps {
        match step {
            Step::Pass(time) => advance(Duration::from_millis(time)).await,
            Step::Wait => {
                number += 1;
                let call = Box::pin(limit.acquire_async());
                let mut caller = Caller { number, call, is_woken: Arc::default(), deadline: now() + max_wait };
                match caller.poll() {
                    Poll::Ready(true) => {
                        assert!(waiting.is_empty(), "{number} has overtaken a waiter");
                        model.record_start(now());
                    }
                    Poll::Ready(false) => assert!(!waiting.is_empty() || !model.has_capacity(now() + max_wait)),
                    Poll::Pending => waiting.push(caller),
                }
            }
            Step::Try => {
                if limit.try_acquire().is_ok() {
                    model.record_start(now());
                } else {
                    assert!(!waiting.is_empty() || !model.has_capacity(now()));
                }
            }
            Step::GiveUp(index) if !waiting.is_empty() => drop(waiting.remove(index.index(waiting.len()))),
            Step::GiveUp(_) => {}
            // The model of GCRA supports only a fixed limit.
            Step::Limit(_) if algorithm == Algorithm::Gcra => {}
            Step::Limit(calls) => {
                limit.reconfigure(config(calls));
                model.calls = calls;
            }
            Step::Reset => {
                limit.reset();
                (model.starts, model.arrival) = (Vec::new(), 0);
            }
        }
        // Woken callers are polled, in any order.
        loop {
            let woken: Vec<_> =
                (0..waiting.len()).filter(|index| waiting[*index].is_woken.0.load(Ordering::Relaxed)).collect();
            let Some(index) = order.next().filter(|_| !woken.is_empty()).map(|index| *index.get(&woken)) else { break };
            let Poll::Ready(is_admitted) = waiting[index].poll() else { continue };
            let caller = waiting.remove(index);
            if is_admitted {
                model.record_start(now());
                // At its deadline, a caller may overtake others, if they can start at the same moment.
                let ahead = waiting.iter().filter(|other| other.number < caller.number).count();
                assert!(ahead == 0 || now() >= caller.deadline, "{} has overtaken a waiter", caller.number);
                let mut others = model.clone();
                (0..ahead).for_each(|_| others.record_start(now()));
            } else {
                assert!(now() >= caller.deadline, "rejected before its deadline");
            }
        }
        assert!(waiting.is_empty() || !model.has_capacity(now()), "capacity at {} although a call waits", now());
        assert!(waiting.iter().all(|caller| now() < caller.deadline), "a call waits past its deadline");
        assert_eq!(limit.snapshot().waiting, waiting.len());
    }
    drop(waiting);
    assert_eq!(limit.snapshot().waiting, 0);
}

proptest! {
    #[test]
    fn the_queue_behaves_like_its_model(
        is_window in any::<bool>(),
        max_wait in prop_oneof![5_u64..100, Just(100_000)],
        steps in vec(step(), 1..200),
        order in vec(any::<prop::sample::Index>(), 1..20),
    ) {
        let algorithm = if is_window { Algorithm::SlidingWindow } else { Algorithm::Gcra };
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run_steps(algorithm, max_wait, steps, order));
    }
}
