//! A call of a function whose declaration conflicts with another one panics at the attribute of that function. Runs in a process of its
//! own, since only the panic hook receives the location of a panic, and a process has one hook.

#![cfg(debug_assertions)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io,
    panic::{self, UnwindSafe},
    sync::Mutex,
};

use steadfast::{BreakerConfig, CircuitBreaker, bulkhead, circuit_breaker, rate_limit, retry, validate};

type Outcome = io::Result<()>;
/// The two calls of a pair of declarations, and the lines of their attributes.
type Pair = ([fn() -> Outcome; 2], [u32; 2]);

mod breakers {
    use super::*;

    pub(super) const LINES: [u32; 2] = [line!() + 2, line!() + 8];

    #[circuit_breaker(name = "contested", failure_threshold = 1)]
    pub(super) fn one() -> Outcome {
        Ok(())
    }

    #[retry(max_attempts = 2)]
    #[circuit_breaker(name = "contested", failure_threshold = 2)]
    pub(super) async fn other() -> Outcome {
        Ok(())
    }
}

mod keyed_breakers {
    use super::*;

    pub(super) const LINES: [u32; 2] = [line!() + 2, line!() + 7];

    #[circuit_breaker(name = "contested, keyed", key = 1, max_keys = 4)]
    pub(super) fn one() -> Outcome {
        Ok(())
    }

    #[circuit_breaker(name = "contested, keyed", key = 1, max_keys = 5)]
    pub(super) async fn other() -> Outcome {
        Ok(())
    }
}

mod bulkheads {
    use super::*;

    pub(super) const LINES: [u32; 2] = [line!() + 2, line!() + 8];

    #[bulkhead(name = "contested", max_concurrent = 1)]
    pub(super) fn one() -> Outcome {
        Ok(())
    }

    #[retry(max_attempts = 2)]
    #[bulkhead(name = "contested", max_concurrent = 2)]
    pub(super) async fn other() -> Outcome {
        Ok(())
    }
}

mod rate_limits {
    use super::*;

    pub(super) const LINES: [u32; 2] = [line!() + 2, line!() + 8];

    #[rate_limit(name = "contested", limit = 1, per = 1s)]
    pub(super) fn one() -> Outcome {
        Ok(())
    }

    #[retry(max_attempts = 2)]
    #[rate_limit(name = "contested", limit = 2, per = 1s)]
    pub(super) async fn other() -> Outcome {
        Ok(())
    }
}

mod with_and_without_key {
    use super::*;

    pub(super) const LINES: [u32; 2] = [line!() + 2, line!() + 7];

    #[rate_limit(name = "contested by kind", limit = 1, per = 1s)]
    pub(super) fn one() -> Outcome {
        Ok(())
    }

    #[rate_limit(name = "contested by kind", limit = 1, per = 1s, key = 1)]
    pub(super) async fn other() -> Outcome {
        Ok(())
    }
}

mod failure_conditions {
    use super::*;

    pub(super) const LINES: [u32; 2] = [line!() + 2, line!() + 7];

    #[circuit_breaker(name = "conditions", failure_threshold = 2, failure_if = |_| false)]
    pub(super) fn one() -> Outcome {
        Ok(())
    }

    #[circuit_breaker(name = "conditions")]
    pub(super) async fn other() -> Outcome {
        Ok(())
    }
}

mod failure_conditions_by_key {
    use super::*;

    pub(super) const LINES: [u32; 2] = [line!() + 2, line!() + 8];

    #[circuit_breaker(name = "conditions by key", key = 1)]
    pub(super) fn one() -> Outcome {
        Ok(())
    }

    #[retry(max_attempts = 2)]
    #[circuit_breaker(name = "conditions by key", key = 1, failure_if(io::Error))]
    pub(super) async fn other() -> Outcome {
        Ok(())
    }
}

mod failure_conditions_of_a_static {
    use super::*;

    static BREAKER: CircuitBreaker = CircuitBreaker::new("conditions of a static", BreakerConfig::new());
    steadfast::register!(BREAKER);

    pub(super) const LINES: [u32; 2] = [line!() + 2, line!() + 7];

    #[circuit_breaker(breaker = BREAKER, failure_if = |error| error.kind() == io::ErrorKind::TimedOut)]
    pub(super) fn one() -> Outcome {
        Ok(())
    }

    #[circuit_breaker(breaker = BREAKER, failure_if = |error| error.kind() == io::ErrorKind::NotFound)]
    pub(super) async fn other() -> Outcome {
        Ok(())
    }
}

static EARLY: CircuitBreaker = CircuitBreaker::new("early", BreakerConfig::new().failure_threshold(1));

#[circuit_breaker(breaker = EARLY)]
fn early() -> Outcome {
    Ok(())
}

#[circuit_breaker(name = "early", failure_threshold = 1)]
fn declared_like_early() -> Outcome {
    Ok(())
}

static LOCATION: Mutex<Option<(String, u32)>> = Mutex::new(None);

/// Returns the message, file and line of the panic of a call.
fn panicking(call: impl FnOnce() -> Outcome + UnwindSafe) -> (String, String, u32) {
    let panic = panic::catch_unwind(call).unwrap_err();
    let (file, line) = LOCATION.lock().unwrap().take().unwrap();
    (*panic.downcast::<String>().unwrap(), file, line)
}

#[test]
fn a_conflict_panics_at_the_attribute_of_the_called_function() {
    macro_rules! pairs {
        ($($pair:ident),*) => { [$(([$pair::one as fn() -> _, || run($pair::other())], $pair::LINES)),*] };
    }
    // The declared settings are compared, not those set before the first use of the registry.
    EARLY.reconfigure(BreakerConfig::new().failure_threshold(7));
    early().unwrap();
    declared_like_early().unwrap();
    let pairs: [Pair; 8] = pairs!(
        breakers,
        keyed_breakers,
        bulkheads,
        rate_limits,
        with_and_without_key,
        failure_conditions,
        failure_conditions_by_key,
        failure_conditions_of_a_static
    );
    panic::set_hook(Box::new(|panic| {
        *LOCATION.lock().unwrap() = panic.location().map(|place| (place.file().to_owned(), place.line()));
    }));
    let caught = pairs.map(|(calls, lines)| (calls.map(panicking), lines));
    drop(panic::take_hook());
    for (pair, lines) in caught {
        for ((message, file, line), expected) in pair.into_iter().zip(lines) {
            assert_eq!((file.as_str(), line), (file!(), expected), "{message}");
            assert!(
                lines.iter().all(|line| message.contains(&format!("{file}:{line}:"))),
                "names both declarations: {message}"
            );
        }
    }
    assert_eq!(validate().unwrap_err().len(), 8, "each conflict once");
}

/// Runs a future that is ready at its first poll.
fn run<R>(future: impl Future<Output = R>) -> R {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(outcome) => outcome,
        std::task::Poll::Pending => panic!("the future is pending"),
    }
}
