use std::{
    any::Any,
    cell::RefCell,
    collections::HashMap,
    fmt,
    marker::PhantomData,
    pin::Pin,
    ptr,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

/// Gives the current thread named policies of its own, until the returned guard is dropped.
///
/// Within the isolation, each attribute with a `name` uses a fresh circuit breaker, rate limit or bulkhead with the declared settings:
/// closed, empty, and not shared with other threads. Named retries, fallbacks and timeouts are counted apart. Functions such as [`breaker`](crate::breaker()), [`breakers`](crate::breakers) and
/// [`validate`](crate::validate) return the policies of the isolation, settings from a file or the environment apply to them alone, and
/// subscribers of [events](crate::events) receive only the events of the isolation in which they have subscribed.
///
/// ```
/// use std::io;
/// use steadfast::{BreakerState, breaker, circuit_breaker, testing::isolate};
///
/// #[circuit_breaker(name = "stock", failure_threshold = 1)]
/// fn count(works: bool) -> io::Result<u32> {
///     if works { Ok(3) } else { Err(io::ErrorKind::TimedOut.into()) }
/// }
///
/// fn test() {
///     let _isolated = isolate();
///     count(false).unwrap_err();
///     assert_eq!(breaker("stock").unwrap().state(), BreakerState::Open);
/// }
///
/// std::thread::spawn(test).join().unwrap(); // the tests of a program run in parallel, on threads of their own
/// test();
/// assert_eq!(breaker("stock").unwrap().state(), BreakerState::Closed); // outside
/// ```
///
/// # Other threads and tasks
///
/// The isolation applies to the thread that has called `isolate`, and so to all tasks of `#[tokio::test]`, which run on the thread of the
/// test. Other threads, and tasks on the workers of a multi-threaded runtime, are isolated by a [handle](Isolated::handle).
///
/// # Limits
///
/// A policy in a `static` of yours, and a retry budget, is one object for the whole program. It is not isolated, also if an attribute
/// refers to it. The policies of an isolation are never freed.
#[must_use = "the isolation ends when the guard is dropped"]
pub fn isolate() -> Isolated {
    Isolation(Arc::default()).enter()
}

/// A handle to the named policies and subscribers of one test, for other threads and tasks. Returned by [`Isolated::handle`].
///
/// ```
/// use std::io;
/// use steadfast::{breaker, circuit_breaker, testing::isolate};
///
/// #[circuit_breaker(name = "crates")]
/// fn download() -> io::Result<()> {
///     Ok(())
/// }
///
/// let isolated = isolate();
/// let handle = isolated.handle();
/// let worker = std::thread::spawn(move || {
///     let _isolated = handle.enter();
///     download()
/// });
/// worker.join().unwrap()?;
/// assert_eq!(breaker("crates").unwrap().snapshot().successes, 1);
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone)]
pub struct Isolation(Arc<Mutex<Counterparts>>);

/// The counterparts of statics, by the address of the static.
type Counterparts = HashMap<usize, &'static (dyn Any + Send + Sync)>;

thread_local! {
    /// The isolations that this thread has entered, by the number of the guard. The last one applies.
    static ENTERED: RefCell<Vec<(u64, Isolation)>> = const { RefCell::new(Vec::new()) };
}

impl Isolation {
    /// Isolates the current thread as well, until the guard is dropped. Among several guards of a thread, the one that was made last applies.
    pub fn enter(&self) -> Isolated {
        ENTERED.with_borrow_mut(|entered| {
            let number = entered.last().map_or(0, |(last, _)| last + 1);
            entered.push((number, self.clone()));
            Isolated { isolation: self.clone(), number, _thread: PhantomData }
        })
    }

    /// Returns a future that is polled within this isolation, on any thread.
    ///
    /// ```
    /// # use std::io;
    /// # use steadfast::{breaker, circuit_breaker, testing::isolate};
    /// # #[circuit_breaker(name = "mirror")]
    /// # async fn download() -> io::Result<()> {
    /// #     Ok(())
    /// # }
    /// #
    /// # #[tokio::main]
    /// # async fn main() -> io::Result<()> {
    /// // #[tokio::test(flavor = "multi_thread")]
    /// let isolated = isolate();
    /// tokio::spawn(isolated.handle().scope(download())).await??;
    /// assert_eq!(breaker("mirror").unwrap().snapshot().successes, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F> {
        Scoped { isolation: self.clone(), future: Some(Box::pin(future)) }
    }

    pub(super) fn counterpart<T: Send + Sync + 'static>(
        &self,
        shared: &'static T,
        create: impl FnOnce() -> T,
    ) -> &'static T {
        let mut counterparts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let address = ptr::from_ref(shared).addr();
        let counterpart = *counterparts.entry(address).or_insert_with(|| Box::leak(Box::new(create())));
        (counterpart as &dyn Any).downcast_ref().unwrap_or(shared)
    }
}

impl fmt::Debug for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isolation").finish_non_exhaustive()
    }
}

/// A guard that isolates its thread. Returned by [`isolate`] and [`Isolation::enter`].
#[must_use = "the isolation ends when the guard is dropped"]
pub struct Isolated {
    isolation: Isolation,
    number: u64,
    /// Makes the guard `!Send`, since it must be dropped on its own thread.
    _thread: PhantomData<*const ()>,
}

impl Isolated {
    /// Returns a handle to the isolation, for other threads and tasks.
    #[must_use]
    pub fn handle(&self) -> Isolation {
        self.isolation.clone()
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        ENTERED.with_borrow_mut(|entered| entered.retain(|(number, _)| *number != self.number));
    }
}

impl fmt::Debug for Isolated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isolated").finish_non_exhaustive()
    }
}

/// A future within an isolation. Returned by [`Isolation::scope`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Scoped<F> {
    isolation: Isolation,
    /// `None` while the value is dropped.
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _isolated = self.isolation.enter();
        match &mut self.future {
            Some(future) => future.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for Scoped<F> {
    /// Drops the future within the isolation, to which the events of its cancelled calls belong.
    fn drop(&mut self) {
        let _isolated = self.isolation.enter();
        self.future = None;
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").finish_non_exhaustive()
    }
}

/// Returns the isolation that this thread has entered.
pub(super) fn current() -> Option<Isolation> {
    ENTERED.try_with(|entered| entered.borrow().last().map(|(_, isolation)| isolation.clone())).ok().flatten()
}

/// Returns true if this thread has entered an isolation.
pub(crate) fn is_entered() -> bool {
    ENTERED.try_with(|entered| !entered.borrow().is_empty()).unwrap_or(false)
}
