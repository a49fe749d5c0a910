//! Wakers of waiting calls.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use steadfast::{Algorithm, RateLimitConfig};

use super::{Call, SECOND, limit, poll, waiting};
use crate::wakers::{CountsWakes, Panics};

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_does_not_stop_the_queue() {
    let limit = limit(1, SECOND, 100 * SECOND, Algorithm::SlidingWindow);
    limit.try_acquire().unwrap();
    let waker = Waker::from(Arc::new(Panics));
    let mut panics: Call<'_> = Box::pin(limit.acquire_async());
    let first = waiting(&limit);
    let context = &mut Context::from_waker(&waker);
    assert!(panics.as_mut().poll(context).is_pending());
    let mut last = pin!(limit.acquire_async());
    assert!(last.as_mut().poll(context).is_pending());
    drop(first);
    limit.reconfigure(RateLimitConfig::new(2, SECOND));
    assert_eq!(panics.as_mut().poll(context), Poll::Ready(Ok(())));
    limit.reset();
    assert_eq!(last.as_mut().poll(context), Poll::Ready(Ok(())));
}

#[tokio::test(start_paused = true)]
async fn only_the_waker_of_the_last_poll_is_woken() {
    let limit = limit(1, SECOND, 100 * SECOND, Algorithm::SlidingWindow);
    limit.try_acquire().unwrap();
    let wakers = [Arc::new(CountsWakes::default()), Arc::new(CountsWakes::default())];
    let mut call: Call<'_> = Box::pin(limit.acquire_async());
    for counted in &wakers {
        let waker = Waker::from(counted.clone());
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    limit.reset();
    assert_eq!(wakers.map(|counted| counted.0.load(Ordering::Relaxed)), [0, 1]);
    assert_eq!(poll(&mut call), Poll::Ready(Ok(())));
}
