//! `Transient`: derived, and implemented for library and boxed errors.

use std::{
    error::Error,
    io::{self, ErrorKind},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use steadfast::{
    BreakerConfig, Bulkhead, BulkheadConfig, CircuitBreaker, CircuitOpen, RateLimit, RateLimitConfig, Transient,
    had_no_effect, retry,
};

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

#[test]
fn io_errors_have_no_effect_if_the_connection_was_not_established() {
    for kind in [ErrorKind::ConnectionRefused, ErrorKind::AddrNotAvailable] {
        assert!(!io::Error::from(kind).may_have_taken_effect(), "{kind:?}");
    }
    for kind in [
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionAborted,
        ErrorKind::BrokenPipe,
        ErrorKind::TimedOut,
        ErrorKind::UnexpectedEof,
        // The operating system also reports these for an established connection.
        ErrorKind::HostUnreachable,
        ErrorKind::NetworkUnreachable,
        ErrorKind::NotConnected,
        ErrorKind::Other,
    ] {
        assert!(io::Error::from(kind).may_have_taken_effect(), "{kind:?}");
    }
    assert!(!io::Error::other(io::Error::from(ErrorKind::ConnectionRefused)).may_have_taken_effect(), "wrapped");
    assert!(!io::Error::from(rejection()).may_have_taken_effect(), "a rejection");
    let refused = Arc::new(io::Error::from(ErrorKind::ConnectionRefused));
    assert!(!refused.may_have_taken_effect(), "shared");
    assert!(!io::Error::other(refused).may_have_taken_effect(), "shared and wrapped");
}

#[derive(Debug, thiserror::Error, Transient)]
enum Effect {
    #[error("marked")]
    #[transient(no_effect)]
    Marked,
    #[error("with a hint")]
    #[transient(no_effect, retry_after = 0)]
    WithHint(Duration),
    #[error("inherited")]
    #[transient(inherit)]
    Inherited(#[from] io::Error),
    #[error("of the second request")]
    #[transient(inherit, maybe_effect)]
    Second { source: io::Error },
    #[error("transient with an inner error")]
    #[transient]
    Always(Box<Effect>),
    #[error("permanent with an inner error")]
    Open(#[from] CircuitOpen),
    #[error("transient")]
    #[transient]
    Unmarked,
    #[error("transient with another field")]
    #[transient]
    Status(u16),
    #[error("permanent")]
    Permanent,
}

#[derive(Debug, Transient)]
#[transient(no_effect)]
struct Rejected;

#[derive(Debug, Transient)]
#[transient(inherit)]
struct Boxed<E: Transient + ?Sized>(Box<E>);

#[test]
fn derived_types_have_the_effect_of_their_mark_or_of_the_inner_error() {
    let refused = || io::Error::from(ErrorKind::ConnectionRefused);
    let checks: [(&str, &dyn Transient, bool); 14] = [
        ("marked", &Effect::Marked, false),
        ("with a hint", &Effect::WithHint(WAIT), false),
        ("inherited", &Effect::Inherited(refused()), false),
        ("inherited, possible", &Effect::Inherited(ErrorKind::TimedOut.into()), true),
        ("of the second request", &Effect::Second { source: refused() }, true),
        ("always", &Effect::Always(Box::new(Effect::Marked)), false),
        ("always, possible", &Effect::Always(Box::new(Effect::Unmarked)), true),
        ("open", &Effect::Open(rejection()), false),
        ("unmarked", &Effect::Unmarked, true),
        ("another field", &Effect::Status(503), true),
        ("permanent", &Effect::Permanent, true),
        ("struct", &Rejected, false),
        ("generic", &Boxed(Box::new(Rejected)), false),
        ("generic, unsized", &Boxed::<dyn Transient>(Box::new(Never)), true),
    ];
    for (name, error, expected) in checks {
        assert_eq!(error.may_have_taken_effect(), expected, "{name}");
        assert_eq!(had_no_effect(error), error.is_transient() && !expected, "{name}");
    }
    assert!(Effect::WithHint(WAIT).is_transient());
    let boxed: Box<dyn Error + Send + Sync> = Effect::Second { source: refused() }.into();
    assert!(boxed.may_have_taken_effect(), "the first error in the chain decides");
}

#[test]
fn rejections_have_no_effect() {
    let limit = RateLimit::new("no effect", RateLimitConfig::new(1, WAIT));
    limit.try_acquire().unwrap();
    let limited = limit.try_acquire().expect_err("limited");
    let bulkhead = Bulkhead::new("no effect", BulkheadConfig::new().max_concurrent(1));
    let _permit = bulkhead.try_acquire().unwrap();
    let full = bulkhead.try_acquire().expect_err("full");
    assert!(had_no_effect(&limited) && had_no_effect(&full));
    assert!(!rejection().may_have_taken_effect());
    assert!(!had_no_effect(&rejection()), "permanent");
    assert!(had_no_effect(&anyhow::Error::new(limited).context("while calling")), "inside an anyhow::Error");
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
