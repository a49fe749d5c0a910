use std::{
    panic,
    sync::{Mutex, mpsc},
    thread,
};

use super::*;

/// Longer than any test runs.
const FOREVER: Duration = Duration::from_secs(30);

fn dispatcher(max_wait: Duration) -> &'static Dispatcher {
    Box::leak(Box::new(Dispatcher::new(max_wait)))
}

/// An event that contains a number.
fn numbered(attempts: u32) -> Event {
    Event::RetriesExhausted { retry: None, attempts, hint: None, error: None }
}

fn number(event: &Event) -> u32 {
    if let Event::RetriesExhausted { attempts, .. } = event { *attempts } else { u32::MAX }
}

fn push(dispatcher: &Dispatcher, attempts: u32) {
    dispatcher.queue().push(|| numbered(attempts));
}

fn publish(dispatcher: &Dispatcher, attempts: u32) {
    push(dispatcher, attempts);
    dispatcher.deliver();
}

fn subscribe(dispatcher: &Dispatcher, callback: impl Fn(&Event) + Send + Sync + 'static) -> Callback {
    let callback: Callback = Arc::new(callback);
    dispatcher.subscribe(&callback);
    callback
}

/// The numbers of the delivered events, each with the thread that delivered it.
type Log = Arc<Mutex<Vec<(u32, thread::ThreadId)>>>;

fn record(log: &Log, event: &Event) -> usize {
    let mut log = log.lock().unwrap();
    log.push((number(event), thread::current().id()));
    log.len()
}

fn numbers(log: &Log) -> Vec<u32> {
    log.lock().unwrap().iter().map(|(number, _)| *number).collect()
}

#[test]
fn a_call_returns_even_if_each_event_causes_another() {
    let (dispatcher, log) = (dispatcher(FOREVER), Log::default());
    subscribe(dispatcher, {
        let log = log.clone();
        move |event| {
            record(&log, event);
            publish(dispatcher, number(event) + 1);
        }
    });
    publish(dispatcher, 0);
    let bound = SHARE + ROUNDS as usize;
    assert_eq!(numbers(&log).len(), bound);
    publish(dispatcher, 1_000);
    let log = numbers(&log);
    assert!(log.len() <= 3 * bound, "{}", log.len());
    assert!(
        log.starts_with(&(0..=36).collect::<Vec<_>>()),
        "the next call continues where the first one stopped: {log:?}"
    );
    assert!(log.contains(&1_000));
}

#[test]
fn a_call_returns_even_if_each_event_causes_several() {
    let (dispatcher, log) = (dispatcher(FOREVER), Log::default());
    subscribe(dispatcher, {
        let log = log.clone();
        move |event| {
            record(&log, event);
            for _ in 0..3 {
                publish(dispatcher, 1);
            }
        }
    });
    publish(dispatcher, 0);
    assert!(numbers(&log).len() <= SHARE + ROUNDS as usize * MAX_EVENTS);
}

#[test]
fn a_call_delivers_a_finite_chain_of_events_completely() {
    let (dispatcher, log) = (dispatcher(FOREVER), Log::default());
    subscribe(dispatcher, {
        let log = log.clone();
        move |event| {
            record(&log, event);
            if number(event) < 3 {
                publish(dispatcher, number(event) + 1);
            }
        }
    });
    for _ in 0..100 {
        push(dispatcher, 1);
    }
    publish(dispatcher, 0);
    assert_eq!(numbers(&log).len(), 100 * 3 + 4);
}

/// Subscribes a callback that blocks at its `nth` event until the returned sender is used.
fn block_at(dispatcher: &'static Dispatcher, log: &Log, nth: usize) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let ((entered, has_entered), (resume, resumed)) = (mpsc::channel(), mpsc::channel());
    let (log, entered, resumed) = (log.clone(), Mutex::new(entered), Mutex::new(resumed));
    subscribe(dispatcher, move |event| {
        if record(&log, event) == nth {
            entered.lock().unwrap().send(()).unwrap();
            resumed.lock().unwrap().recv().unwrap();
        }
    });
    (has_entered, resume)
}

#[test]
fn a_call_hands_over_the_queue_after_its_share() {
    let (dispatcher, log) = (dispatcher(FOREVER), Log::default());
    let (has_entered, resume) = block_at(dispatcher, &log, SHARE + 1);
    for number in 0..500 {
        push(dispatcher, number);
    }
    let first = thread::spawn(|| dispatcher.deliver());
    has_entered.recv().unwrap();
    let second = thread::spawn(|| publish(dispatcher, 500));
    while !dispatcher.queue().has_successor {
        thread::yield_now();
    }
    // This thread, the third, only queues its event.
    publish(dispatcher, 501);
    resume.send(()).unwrap();
    let [first, second] = [first, second].map(|thread| (thread.thread().id(), thread.join().unwrap()).0);
    assert_eq!(numbers(&log), (0..=501).collect::<Vec<_>>(), "all events, in order");
    let by = |thread| log.lock().unwrap().iter().filter(|(_, by)| *by == thread).count();
    assert_eq!((by(first), by(second)), (SHARE + 1, 501 - SHARE));
}

#[test]
fn a_callback_can_wait_for_a_thread_that_publishes() {
    let (dispatcher, log) = (dispatcher(Duration::from_millis(1)), Log::default());
    subscribe(dispatcher, {
        let log = log.clone();
        move |event| {
            if record(&log, event) == SHARE + 1 {
                thread::spawn(|| publish(dispatcher, 100)).join().unwrap();
            }
        }
    });
    for number in 0..99 {
        push(dispatcher, number);
    }
    publish(dispatcher, 99);
    assert_eq!(numbers(&log), (0..=100).collect::<Vec<_>>());
}

#[test]
fn threads_share_the_delivery_of_a_flood_and_lose_no_event_silently() {
    let dispatcher = dispatcher(FOREVER);
    let (log, lost) = (Log::default(), Arc::new(Mutex::new(0)));
    subscribe(dispatcher, {
        let (log, lost) = (log.clone(), lost.clone());
        move |event| match event {
            Event::EventsLost { events } => *lost.lock().unwrap() += events,
            event => _ = record(&log, event),
        }
    });
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..5_000).for_each(|number| publish(dispatcher, number)));
        }
    });
    assert_eq!(numbers(&log).len() as u64 + *lost.lock().unwrap(), 15_000);
    assert!(dispatcher.queue().turn == DispatchTurn::Free);
}

/// Panics when dropped, if its number is above 0. The payload is a `Bomb` with the next lower number.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if let Some(left) = self.0.checked_sub(1) {
            panic::panic_any(Bomb(left));
        }
    }
}

#[test]
fn delivery_survives_panics_of_callbacks_and_of_panic_payloads() {
    let (dispatcher, log) = (dispatcher(FOREVER), Log::default());
    subscribe(dispatcher, |event| panic::panic_any(Bomb(number(event))));
    subscribe(dispatcher, {
        let log = log.clone();
        move |event| _ = record(&log, event)
    });
    for bombs in 0..4 {
        publish(dispatcher, bombs);
    }
    assert_eq!(numbers(&log), [0, 1, 2, 3]);
}

#[test]
fn delivery_survives_a_panic_in_the_destructor_of_a_callback() {
    let (dispatcher, log) = (dispatcher(FOREVER), Log::default());
    // Unsubscribed while it runs, so that the delivering thread has its last reference.
    let own: Arc<Mutex<Option<Callback>>> = Arc::default();
    let bomb = Bomb(2);
    let callback = subscribe(dispatcher, {
        let own = own.clone();
        move |_| {
            let _held = &bomb;
            if let Some(own) = own.lock().unwrap().take() {
                dispatcher.unsubscribe(&own);
            }
        }
    });
    *own.lock().unwrap() = Some(callback);
    subscribe(dispatcher, {
        let log = log.clone();
        move |event| _ = record(&log, event)
    });
    publish(dispatcher, 1);
    publish(dispatcher, 2);
    assert_eq!(numbers(&log), [1, 2]);
}
