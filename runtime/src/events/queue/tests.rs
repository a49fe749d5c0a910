use std::{
    panic,
    sync::{Mutex, mpsc},
    thread,
};

use super::*;

/// Longer than any test takes.
const FOREVER: Duration = Duration::from_secs(30);

fn dispatcher(patience: Duration) -> &'static Dispatcher {
    Box::leak(Box::new(Dispatcher::new(patience)))
}

/// An event with a number.
fn numbered(attempts: u32) -> Event {
    Event::RetriesExhausted { retry: None, attempts }
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

/// Numbers that were heard, each with the thread that delivered it.
type Heard = Arc<Mutex<Vec<(u32, thread::ThreadId)>>>;

fn hear(heard: &Heard, event: &Event) -> usize {
    let mut heard = heard.lock().unwrap();
    heard.push((number(event), thread::current().id()));
    heard.len()
}

fn numbers(heard: &Heard) -> Vec<u32> {
    heard.lock().unwrap().iter().map(|(number, _)| *number).collect()
}

#[test]
fn a_subscriber_that_answers_each_event_with_another_does_not_hold_the_call() {
    let (dispatcher, heard) = (dispatcher(FOREVER), Heard::default());
    subscribe(dispatcher, {
        let heard = heard.clone();
        move |event| {
            hear(&heard, event);
            publish(dispatcher, number(event) + 1);
        }
    });
    publish(dispatcher, 0);
    let bound = SHARE + ROUNDS as usize;
    assert_eq!(numbers(&heard).len(), bound);
    publish(dispatcher, 1_000);
    let heard = numbers(&heard);
    assert!(heard.len() <= 3 * bound, "{}", heard.len());
    assert!(
        heard.starts_with(&(0..=36).collect::<Vec<_>>()),
        "the next call goes on where the first one stopped: {heard:?}"
    );
    assert!(heard.contains(&1_000));
}

#[test]
fn a_subscriber_that_answers_each_event_with_several_does_not_hold_the_call() {
    let (dispatcher, heard) = (dispatcher(FOREVER), Heard::default());
    subscribe(dispatcher, {
        let heard = heard.clone();
        move |event| {
            hear(&heard, event);
            for _ in 0..3 {
                publish(dispatcher, 1);
            }
        }
    });
    publish(dispatcher, 0);
    assert!(numbers(&heard).len() <= SHARE + ROUNDS as usize * MOST);
}

#[test]
fn all_that_a_finite_chain_causes_is_heard_within_the_call() {
    let (dispatcher, heard) = (dispatcher(FOREVER), Heard::default());
    subscribe(dispatcher, {
        let heard = heard.clone();
        move |event| {
            hear(&heard, event);
            if number(event) < 3 {
                publish(dispatcher, number(event) + 1);
            }
        }
    });
    for _ in 0..100 {
        push(dispatcher, 1);
    }
    publish(dispatcher, 0);
    assert_eq!(numbers(&heard).len(), 100 * 3 + 4);
}

/// Blocks in the callback of the event at that place, until it may go on.
fn gate(dispatcher: &'static Dispatcher, heard: &Heard, place: usize) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let ((entered, has_entered), (may_go_on, goes_on)) = (mpsc::channel(), mpsc::channel());
    let (heard, entered, goes_on) = (heard.clone(), Mutex::new(entered), Mutex::new(goes_on));
    subscribe(dispatcher, move |event| {
        if hear(&heard, event) == place {
            entered.lock().unwrap().send(()).unwrap();
            goes_on.lock().unwrap().recv().unwrap();
        }
    });
    (has_entered, may_go_on)
}

#[test]
fn a_call_that_has_delivered_its_share_hands_the_rest_to_the_next() {
    let (dispatcher, heard) = (dispatcher(FOREVER), Heard::default());
    let (has_entered, may_go_on) = gate(dispatcher, &heard, SHARE + 1);
    for number in 0..500 {
        push(dispatcher, number);
    }
    let first = thread::spawn(|| dispatcher.deliver());
    has_entered.recv().unwrap();
    let second = thread::spawn(|| publish(dispatcher, 500));
    while !dispatcher.queue().has_heir {
        thread::yield_now();
    }
    // A third leaves its event to those two.
    publish(dispatcher, 501);
    may_go_on.send(()).unwrap();
    let [first, second] = [first, second].map(|thread| (thread.thread().id(), thread.join().unwrap()).0);
    assert_eq!(numbers(&heard), (0..=501).collect::<Vec<_>>(), "all of them, in order");
    let by = |thread| heard.lock().unwrap().iter().filter(|(_, by)| *by == thread).count();
    assert_eq!((by(first), by(second)), (SHARE + 1, 501 - SHARE));
}

#[test]
fn a_callback_that_waits_for_a_thread_that_causes_an_event_ends() {
    let (dispatcher, heard) = (dispatcher(Duration::from_millis(1)), Heard::default());
    subscribe(dispatcher, {
        let heard = heard.clone();
        move |event| {
            if hear(&heard, event) == SHARE + 1 {
                thread::spawn(|| publish(dispatcher, 100)).join().unwrap();
            }
        }
    });
    for number in 0..99 {
        push(dispatcher, number);
    }
    publish(dispatcher, 99);
    assert_eq!(numbers(&heard), (0..=100).collect::<Vec<_>>());
}

#[test]
fn threads_share_a_flood_and_hear_all_that_is_not_told_as_lost() {
    let dispatcher = dispatcher(FOREVER);
    let (heard, lost) = (Heard::default(), Arc::new(Mutex::new(0)));
    subscribe(dispatcher, {
        let (heard, lost) = (heard.clone(), lost.clone());
        move |event| match event {
            Event::EventsLost { events } => *lost.lock().unwrap() += events,
            event => _ = hear(&heard, event),
        }
    });
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..5_000).for_each(|number| publish(dispatcher, number)));
        }
    });
    assert_eq!(numbers(&heard).len() as u64 + *lost.lock().unwrap(), 15_000);
    assert!(dispatcher.queue().turn == DispatchTurn::Free);
}

/// Panics when it is dropped, with another one of its kind as often as it says.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if let Some(left) = self.0.checked_sub(1) {
            panic::panic_any(Bomb(left));
        }
    }
}

#[test]
fn no_panic_of_a_callback_or_of_its_payload_ends_delivery() {
    let (dispatcher, heard) = (dispatcher(FOREVER), Heard::default());
    subscribe(dispatcher, |event| panic::panic_any(Bomb(number(event))));
    subscribe(dispatcher, {
        let heard = heard.clone();
        move |event| _ = hear(&heard, event)
    });
    for bombs in 0..4 {
        publish(dispatcher, bombs);
    }
    assert_eq!(numbers(&heard), [0, 1, 2, 3]);
}

#[test]
fn a_callback_whose_destructor_panics_does_not_end_delivery() {
    let (dispatcher, heard) = (dispatcher(FOREVER), Heard::default());
    // Gone from the list while it runs, so that its last reference is the deliverer's.
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
        let heard = heard.clone();
        move |event| _ = hear(&heard, event)
    });
    publish(dispatcher, 1);
    publish(dispatcher, 2);
    assert_eq!(numbers(&heard), [1, 2]);
}
