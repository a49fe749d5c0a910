use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

/// A scripted dependency, whose steps determine the result of each call: for example, two failures and then successes.
///
/// ```
/// use std::io::{self, ErrorKind};
/// use steadfast::{retry, testing::Script};
///
/// #[retry(backoff = none)]
/// fn read(disk: &Script<io::Result<u8>>) -> io::Result<u8> {
///     disk.call()
/// }
///
/// let disk = Script::times(2, || Err(ErrorKind::TimedOut.into())).then(|| Ok(7));
/// assert_eq!(read(&disk)?, 7);
/// assert_eq!(disk.calls(), 3);
/// # Ok::<(), io::Error>(())
/// ```
///
/// A script can be shared between threads and tasks; the steps apply to their calls in the order of the calls.
pub struct Script<T> {
    steps: Vec<Step<T>>,
    calls: AtomicU32,
}

struct Step<T> {
    times: u32,
    answer: Box<dyn Fn() -> T + Send + Sync>,
}

impl<T> Script<T> {
    /// Creates a script whose first `times` calls return `answer()`, or all calls if no further step is added.
    #[must_use]
    pub fn times(times: u32, answer: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self { steps: vec![Step { times, answer: Box::new(answer) }], calls: AtomicU32::new(0) }
    }

    /// Creates a script whose calls all return `answer()`.
    #[must_use]
    pub fn always(answer: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::times(u32::MAX, answer)
    }

    /// Adds a step: the next `times` calls return `answer()`.
    #[must_use]
    pub fn then_times(mut self, times: u32, answer: impl Fn() -> T + Send + Sync + 'static) -> Self {
        self.steps.push(Step { times, answer: Box::new(answer) });
        self
    }

    /// Adds the last step: all further calls return `answer()`.
    #[must_use]
    pub fn then(self, answer: impl Fn() -> T + Send + Sync + 'static) -> Self {
        self.then_times(u32::MAX, answer)
    }

    /// Makes a call and returns its result. After the calls of the last step, that step applies to all further calls as well.
    pub fn call(&self) -> T {
        // ORDERING: Relaxed: each call gets a number of its own, and nothing else depends on it.
        let mut number = self.calls.fetch_add(1, Ordering::Relaxed);
        let last = self.steps.len() - 1; // there is at least one step
        for step in &self.steps[..last] {
            match number.checked_sub(step.times) {
                Some(rest) => number = rest,
                None => return (step.answer)(),
            }
        }
        (self.steps[last].answer)()
    }

    /// Returns the number of calls made.
    #[must_use]
    pub fn calls(&self) -> u32 {
        // ORDERING: Relaxed: a count. For an exact value the caller joins the calling threads first.
        self.calls.load(Ordering::Relaxed)
    }
}

impl<T> fmt::Debug for Script<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("calls", &self.calls()).finish_non_exhaustive()
    }
}
