//! `Transient`: derived, and implemented for library and boxed errors.

use std::{
    error::Error,
    io::{self, ErrorKind},
    time::Duration,
};

use anyhow::Context as _;
use steadfast::{BreakerConfig, CircuitBreaker, CircuitOpen, Transient, retry};

use crate::Script;

const WAIT: Duration = Duration::from_secs(7);

#[derive(Debug, thiserror::Error, Transient)]
enum Derived {
    #[error("unit")]
    #[transient]
    Unit,
    #[error("permanent")]
    Permanent,
    #[error("named")]
    #[transient(retry_after = after)]
    Named { after: Duration },
    #[error("optional")]
    #[transient(retry_after = 1)]
    Optional(u8, Option<Duration>),
    #[error("inherited")]
    #[transient(inherit)]
    Inherited(#[from] io::Error),
    #[error("inherited from the source")]
    #[transient(inherit)]
    FromSource { code: u8, source: Hint },
    #[error(transparent)]
    Open(#[from] CircuitOpen),
}

#[derive(Debug, thiserror::Error, Transient)]
#[error("hint")]
#[transient(retry_after = wait)]
struct Hint {
    wait: Duration,
}

#[derive(Debug, Transient)]
#[transient]
struct Always;

#[derive(Debug, Transient)]
struct Never;

#[derive(Debug, Transient)]
#[transient(inherit)]
struct Wrapper<E: Transient>(E);

#[derive(Debug, Transient)]
enum Either<A, B>
where
    A: Transient,
    B: Transient,
{
    #[transient(inherit)]
    One(A),
    #[transient(inherit)]
    Other { error: B },
}

fn rejection() -> CircuitOpen {
    let breaker = CircuitBreaker::new("forced", BreakerConfig::new());
    breaker.force_open();
    breaker.try_acquire().expect_err("forced open")
}

#[test]
fn derived_types_follow_their_attributes() {
    type Check<'a> = (&'static str, &'a dyn Transient, (bool, Option<Duration>));

    let transience = |error: &dyn Transient| (error.is_transient(), error.retry_after());
    let source = || Hint { wait: WAIT };
    let checks: [Check<'_>; 15] = [
        ("unit", &Derived::Unit, (true, None)),
        ("permanent", &Derived::Permanent, (false, None)),
        ("named", &Derived::Named { after: WAIT }, (true, Some(WAIT))),
        ("optional", &Derived::Optional(0, Some(WAIT)), (true, Some(WAIT))),
        ("optional, none", &Derived::Optional(0, None), (true, None)),
        ("inherited", &Derived::Inherited(ErrorKind::TimedOut.into()), (true, None)),
        ("inherited, permanent", &Derived::Inherited(ErrorKind::NotFound.into()), (false, None)),
        ("source", &Derived::FromSource { code: 1, source: source() }, (true, Some(WAIT))),
        ("open", &Derived::Open(rejection()), (false, None)),
        ("struct", &source(), (true, Some(WAIT))),
        ("always", &Always, (true, None)),
        ("never", &Never, (false, None)),
        ("generic", &Wrapper(source()), (true, Some(WAIT))),
        ("one", &Either::<Always, Never>::One(Always), (true, None)),
        ("other", &Either::<Always, Never>::Other { error: Never }, (false, None)),
    ];
    for (name, error, expected) in checks {
        assert_eq!(transience(error), expected, "{name}");
    }
    let Derived::FromSource { code, .. } = (Derived::FromSource { code: 1, source: source() }) else { unreachable!() };
    assert_eq!(code, 1);
}

#[test]
fn io_errors_are_transient_by_kind() {
    for kind in [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionAborted,
        ErrorKind::NotConnected,
        ErrorKind::BrokenPipe,
        ErrorKind::TimedOut,
        ErrorKind::Interrupted,
        ErrorKind::WouldBlock,
        ErrorKind::UnexpectedEof,
        ErrorKind::HostUnreachable,
        ErrorKind::NetworkUnreachable,
        ErrorKind::NetworkDown,
        ErrorKind::ResourceBusy,
    ] {
        assert!(io::Error::from(kind).is_transient(), "{kind:?}");
    }
    for kind in [
        ErrorKind::NotFound,
        ErrorKind::PermissionDenied,
        ErrorKind::AddrInUse,
        ErrorKind::AlreadyExists,
        ErrorKind::InvalidInput,
        ErrorKind::InvalidData,
        ErrorKind::OutOfMemory,
        ErrorKind::Unsupported,
        ErrorKind::Other,
    ] {
        assert!(!io::Error::from(kind).is_transient(), "{kind:?}");
    }
    assert!(!io::Error::from(rejection()).is_transient(), "an open circuit is not transient");
}

#[derive(Debug, thiserror::Error)]
#[error("reading")]
struct Reading(#[source] io::Error);

#[tokio::test(start_paused = true)]
async fn boxed_errors_are_transient_by_their_chain() {
    let elapsed = tokio::time::timeout(WAIT, std::future::pending::<()>()).await.unwrap_err();
    let checks: [(&str, Box<dyn Error + Send + Sync>, bool); 6] = [
        ("itself", io::Error::from(ErrorKind::TimedOut).into(), true),
        ("inside", Reading(ErrorKind::TimedOut.into()).into(), true),
        ("inside, permanent", Reading(ErrorKind::NotFound.into()).into(), false),
        ("elapsed", elapsed.into(), true),
        ("rejected", rejection().into(), false),
        ("text", "timed out".into(), false),
    ];
    for (name, error, expected) in checks {
        assert_eq!(error.is_transient(), expected, "{name}");
    }
    let local: Box<dyn Error> = Reading(ErrorKind::TimedOut.into()).into();
    assert!(local.is_transient());
}

#[derive(Debug, thiserror::Error)]
#[error("wrapped")]
struct Wrapped(#[source] Derived);

#[test]
fn derived_types_are_found_inside_boxed_errors() {
    type Boxed = Box<dyn Error + Send + Sync>;
    type Answer = (bool, Option<Duration>);

    let checks: [(&str, Boxed, Answer); 5] = [
        ("itself", Derived::Named { after: WAIT }.into(), (true, Some(WAIT))),
        ("inside", Wrapped(Derived::Named { after: WAIT }).into(), (true, Some(WAIT))),
        ("inside an io::Error", io::Error::other(Wrapped(Derived::Unit)).into(), (true, None)),
        ("permanent", Wrapped(Derived::Permanent).into(), (false, None)),
        ("the first in the chain decides", Derived::Inherited(ErrorKind::NotFound.into()).into(), (false, None)),
    ];
    for (name, error, expected) in checks {
        assert_eq!((error.is_transient(), error.retry_after()), expected, "{name}");
    }
}

#[retry(max_attempts = 2, backoff = none)]
fn with_anyhow(script: &Script) -> anyhow::Result<u32> {
    script.call().context("while calling")
}

#[test]
fn anyhow_errors_are_transient_by_their_chain() {
    for (outcomes, calls) in [("T", 2), ("P", 1)] {
        let script = Script::new(outcomes);
        with_anyhow(&script).unwrap_err();
        assert_eq!(script.calls(), calls, "{outcomes}");
    }
}
