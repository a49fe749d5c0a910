use super::*;

fn event(at: f64) -> LogEvent {
    LogEvent {
        at,
        kind: EventKind::State,
        id: "breaker a".into(),
        name: "a".into(),
        key: None,
        from: Some("closed"),
        to: Some("open"),
        reason: None,
        operator: None,
        action: None,
        expires_at: None,
    }
}

#[test]
fn the_newest_events_are_kept_with_their_numbers() {
    let log = Log::default();
    assert_eq!((log.last(), log.after(0, None, 10)), (0, EventPage::default()));
    for (number, at) in (1..=MAX_EVENTS as u64 + 2).zip(0_u32..) {
        log.record_change(event(at.into()));
        assert_eq!(log.last(), number);
    }
    let page = log.after(0, None, 2);
    assert_eq!(page.last, MAX_EVENTS as u64 + 2);
    assert_eq!(page.events.iter().map(|event| event.n).collect::<Vec<_>>(), [3, 4]);
    let page = log.after(MAX_EVENTS as u64 + 1, None, 10);
    assert_eq!(page.events.iter().map(|event| event.n).collect::<Vec<_>>(), [MAX_EVENTS as u64 + 2]);
    assert_eq!(log.after(page.last, None, 10).events, []);
    assert_eq!(log.after(u64::MAX, None, 10).events, []);
}

#[test]
fn an_event_is_one_flat_object() {
    let log = Log::default();
    log.record_change(event(1.5));
    let json = serde_json::to_string(&log.after(0, None, 1)).unwrap_or_default();
    assert_eq!(
        json,
        r#"{"last":1,"events":[{"n":1,"at":1.5,"kind":"state","id":"breaker a","name":"a","key":null,"from":"closed","to":"open","reason":null,"operator":null,"action":null,"expires_at":null}]}"#
    );
}

fn of_key(key: &str, to: &'static str, at: f64) -> LogEvent {
    let id = format!("key 4 keys {key}").into();
    LogEvent { id, name: "keys".into(), key: Some(key.into()), to: Some(to), ..event(at) }
}

#[test]
fn an_override_of_all_keys_is_one_event() {
    let log = Log::default();
    let now = unix_seconds(SystemTime::now());
    let all = LogEvent { kind: EventKind::Override, id: "group keys".into(), ..of_key("", "forced-open", now) };
    // Changes that are read while the override is applied are left out like those that are read later.
    let n = log.record_override(all, true, || log.record_change(of_key("a", "forced-open", now)));
    log.record_change(of_key("b", "forced-open", now + 0.01));
    assert_eq!((n, log.last()), (1, 1));
    // Changes to other states, of other breakers, and at other times are no part of it.
    log.record_change(of_key("a", "open", now));
    log.record_change(LogEvent { to: Some("forced-open"), ..event(now) });
    log.record_change(of_key("a", "forced-open", now + 60.0));
    log.record_change(of_key("a", "forced-open", now - 60.0));
    assert_eq!(log.last(), 5);
}

#[test]
fn an_override_of_one_key_hides_no_change_of_others() {
    let log = Log::default();
    let now = unix_seconds(SystemTime::now());
    let one = LogEvent { kind: EventKind::Override, ..of_key("a", "closed", now) };
    log.record_override(one, false, || ());
    log.record_change(of_key("a", "closed", now));
    assert_eq!(log.last(), 1);
    log.record_change(of_key("b", "closed", now));
    assert_eq!(log.last(), 2);
}

#[test]
fn state_changes_displace_no_override() {
    let log = Log::default();
    let by_operator = LogEvent { kind: EventKind::Override, ..event(1.0) };
    log.record_override(by_operator, false, || ());
    let changes = std::iter::successors(Some(10.0), |at| Some(at + 1.0)).take(MAX_EVENTS + 5);
    changes.for_each(|at| log.record_change(of_key("a", "open", at)));
    log.record_override(LogEvent { kind: EventKind::Override, ..event(2.0) }, false, || ());
    let numbers =
        |kind, after, limit| log.after(after, kind, limit).events.iter().map(|event| event.n).collect::<Vec<_>>();
    let last = MAX_EVENTS as u64 + 7;
    assert_eq!(numbers(None, 0, 3), [1, 7, 8]);
    assert_eq!(numbers(None, last - 2, 10), [last - 1, last]);
    assert_eq!(numbers(Some(EventKind::Override), 0, 10), [1, last]);
    assert_eq!(numbers(Some(EventKind::State), 0, 2), [7, 8]);
    assert_eq!(numbers(Some(EventKind::State), 0, usize::MAX).len(), MAX_EVENTS);
}
