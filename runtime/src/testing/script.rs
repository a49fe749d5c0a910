use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

/// What a dependency does, call by call: fails twice and then works, for instance.
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
/// It can be shared between threads and tasks; each call takes the next step, whoever makes it.
pub struct Script<T> {
    steps: Vec<Step<T>>,
    calls: AtomicU32,
}

struct Step<T> {
    times: u32,
    answer: Box<dyn Fn() -> T + Send + Sync>,
}

impl<T> Script<T> {
    /// Answers so many calls in this way. Without a further step, all calls.
    #[must_use]
    pub fn times(times: u32, answer: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self { steps: vec![Step { times, answer: Box::new(answer) }], calls: AtomicU32::new(0) }
    }

    /// Answers every call in this way.
    #[must_use]
    pub fn always(answer: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::times(u32::MAX, answer)
    }

    /// After that, so many calls in this way.
    #[must_use]
    pub fn then_times(mut self, times: u32, answer: impl Fn() -> T + Send + Sync + 'static) -> Self {
        self.steps.push(Step { times, answer: Box::new(answer) });
        self
    }

    /// After that, all calls in this way.
    #[must_use]
    pub fn then(self, answer: impl Fn() -> T + Send + Sync + 'static) -> Self {
        self.then_times(u32::MAX, answer)
    }

    /// Makes a call. When all steps are done, the last goes on.
    pub fn call(&self) -> T {
        // ORDERING: Relaxed: each call has its number, and nothing else depends on it.
        let mut number = self.calls.fetch_add(1, Ordering::Relaxed);
        let last = self.steps.len() - 1; // there is always a step
        for step in &self.steps[..last] {
            match number.checked_sub(step.times) {
                Some(rest) => number = rest,
                None => return (step.answer)(),
            }
        }
        (self.steps[last].answer)()
    }

    /// How many calls were made.
    #[must_use]
    pub fn calls(&self) -> u32 {
        // ORDERING: Relaxed: a count. Who needs it exactly has joined the threads that call.
        self.calls.load(Ordering::Relaxed)
    }
}

impl<T> fmt::Debug for Script<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("calls", &self.calls()).finish_non_exhaustive()
    }
}
