use std::{
    collections::VecDeque,
    future::Future,
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
};

use proptest::prelude::*;

use super::semaphore::{Load, Semaphore, Waiting};

/// What can happen to a gate, and to those who wait: the number chooses among them.
#[derive(Clone, Copy, Debug)]
enum Step {
    TryEnter,
    Enter,
    Leave,
    GiveUp(usize),
    Poll(usize),
    Places(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::TryEnter),
        Just(Step::Enter),
        Just(Step::Leave),
        (0_usize..8).prop_map(Step::GiveUp),
        (0_usize..8).prop_map(Step::Poll),
        (1_u32..4).prop_map(Step::Places),
    ]
}

fn semaphore(places: u32) -> Semaphore {
    Semaphore::of(AtomicU32::new(places), AtomicU64::new(0), Mutex::new(VecDeque::new()))
}

fn is_inside(waiting: &mut Waiting<'_>) -> bool {
    pin!(waiting).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

proptest! {
    /// Beside a model that is a number and a list: nobody is overtaken, no place is lost, and none is given out twice.
    #[test]
    fn a_gate_is_a_number_and_a_list(steps in prop::collection::vec(step(), 0..60)) {
        let semaphore = semaphore(2);
        let (mut places, mut inside) = (2_u32, 0_u32);
        // Those in the queue in their order, true once they have a place; a place that nobody has asked for is taken, too.
        let mut queue: Vec<(Waiting<'_>, bool)> = Vec::new();
        for step in steps {
            let nobody_waits = queue.iter().all(|(_, admitted)| *admitted);
            match step {
                Step::TryEnter => {
                    let expected = nobody_waits && inside < places;
                    prop_assert_eq!(semaphore.try_enter(), expected);
                    inside += u32::from(expected);
                }
                Step::Enter => match semaphore.enter() {
                    None => {
                        prop_assert!(nobody_waits && inside < places);
                        inside += 1;
                    }
                    Some(waiting) => {
                        prop_assert!(!nobody_waits || inside >= places);
                        queue.push((waiting, false));
                    }
                },
                // Those who have a place by the queue and don't know yet leave by giving up.
                Step::Leave if inside > u32::try_from(queue.iter().filter(|(_, admitted)| *admitted).count()).unwrap_or(0) => {
                    semaphore.leave();
                    inside -= 1;
                }
                Step::GiveUp(index) if index < queue.len() => {
                    let (waiting, admitted) = queue.remove(index);
                    drop(waiting);
                    inside -= u32::from(admitted);
                }
                Step::Poll(index) if index < queue.len() => {
                    let (mut waiting, admitted) = queue.remove(index);
                    prop_assert_eq!(is_inside(&mut waiting), admitted);
                    if admitted {
                        // It is inside like any other.
                        drop(waiting);
                    } else {
                        queue.insert(index, (waiting, false));
                    }
                }
                Step::Leave | Step::GiveUp(_) | Step::Poll(_) => {}
                Step::Places(number) => {
                    semaphore.set_places(number);
                    places = number;
                }
            }
            for (_, admitted) in &mut queue {
                if !*admitted && inside < places {
                    *admitted = true;
                    inside += 1;
                }
            }
            let waiting = u32::try_from(queue.iter().filter(|(_, admitted)| !admitted).count()).unwrap_or(0);
            prop_assert_eq!(semaphore.load(), Load { taken: inside, waiting });
        }
    }
}

#[test]
fn never_more_inside_than_places_and_none_lost() {
    let (semaphore, inside, most) = (semaphore(3), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for number in 0..8_u32 {
            let (semaphore, inside, most) = (&semaphore, &inside, &most);
            scope.spawn(move || {
                for round in 0..2_000_u32 {
                    let entered = match (number + round) % 3 {
                        0 => semaphore.try_enter(),
                        1 => {
                            // Gives up at once, or has a place by then.
                            semaphore.enter().is_none_or(|mut waiting| waiting.end())
                        }
                        _ => semaphore.enter().is_none_or(|waiting| {
                            crate::wait::on_thread(std::pin::pin!(waiting), std::time::Duration::MAX).is_ok()
                        }),
                    };
                    if entered {
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        semaphore.leave();
                    }
                }
            });
        }
    });
    assert_eq!(semaphore.load(), Load { taken: 0, waiting: 0 });
    assert_eq!(most.into_inner(), 3);
}
