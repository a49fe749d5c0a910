//! The parameters of `/api/breakers`, `/api/item`, `/api/keys`, `/api/history` and `/api/events`.

use super::{error, get, list, names, program::KEYS, served, text};

#[test]
fn entries_are_filtered_by_condition_and_state() {
    let served = served();
    // The other breakers belong to the rest of this binary.
    let by = |states: &str| {
        names(&get(&served, &format!("/api/breakers?state={states}&section=breakers&search=is+")), "breakers")
    };
    assert_eq!(by("half-open"), ["is half-open"]);
    assert_eq!(by("forced-open,disabled"), ["is disabled", "is forced open"]);
    assert_eq!(by("observing"), ["is observing"]);
    assert_eq!(by("hung"), ["is hung"]);
    assert_eq!(by("ramping"), ["is ramping"]);
    let open = by("open");
    assert!(["is open", "is observing"].iter().all(|name| open.iter().any(|open| open == name)), "{open:?}");
    let all = get(&served, "/api/breakers?state=open");
    assert_eq!(all["retries"], serde_json::json!([]), "only breakers and keys have a state");
}

#[test]
fn entries_are_filtered_by_name_and_text_and_section() {
    let served = served();
    let named = get(&served, "/api/breakers?name=api%20hosts");
    assert_eq!((names(&named, "groups"), list(&named["keys"]).len()), (vec!["api hosts".to_owned()], 20));
    assert_eq!(list(&named["breakers"]).len(), 0);
    let found = get(&served, "/api/breakers?search=API+RATE");
    assert_eq!(names(&found, "rate_limits"), ["api rate"]);
    assert_eq!(names(&found, "rate_limit_groups"), ["api rates"]);
    let sections = get(&served, "/api/breakers?section=keys,retries");
    assert!(sections.get("keys").is_some() && sections.get("retries").is_some() && sections.get("breakers").is_none());
    let limited = get(&served, "/api/breakers?section=keys&limit=3&name=api+hosts");
    let keys: Vec<_> = list(&limited["keys"]).iter().map(|key| text(&key["key"])).collect();
    assert_eq!(keys, ["host 00", "host 01", "host 02"], "the worst first");
}

#[test]
fn a_key_that_is_not_among_the_worst_is_found() {
    let served = served();
    let last = format!("host {}", KEYS - 1);
    let listed = get(&served, "/api/breakers?name=api+hosts");
    assert!(list(&listed["keys"]).iter().all(|key| key["key"] != last.as_str()), "it is not among the worst");
    let id = format!("key 9 api hosts {last}");
    for path in [
        format!("/api/breakers?key={last}"),
        format!("/api/breakers?key={last}&name=api+hosts&state=closed"),
        format!("/api/keys?kind=breaker&name=api+hosts&search={}", last.to_uppercase()),
    ] {
        let found = get(&served, &path);
        let keys: Vec<_> = list(&found["keys"]).iter().map(|key| text(&key["id"])).collect();
        assert_eq!(keys, [id.as_str()], "{path}");
    }
    let item = get(&served, &format!("/api/item?id={id}"));
    assert_eq!([&item["id"], &item["history"]["known_since"]], [&serde_json::json!(id), &serde_json::Value::Null]);
    for path in [
        format!("/api/breakers?key={last}&state=open"),
        format!("/api/breakers?key={last}&name=full+hosts"),
        "/api/breakers?key=host+99".to_owned(),
    ] {
        assert_eq!(list(&get(&served, &path)["keys"]).len(), 0, "{path}");
    }
}

#[test]
fn keys_are_searched_the_worst_first() {
    let served = served();
    let found = get(&served, "/api/keys?kind=breaker&name=api+hosts&search=&state=&limit=2");
    let keys: Vec<_> = list(&found["keys"]).iter().map(|key| text(&key["key"])).collect();
    assert_eq!((keys, &found["matches"]), (vec!["host 00".to_owned(), "host 01".to_owned()], &KEYS.into()));
    let open = get(&served, "/api/keys?kind=breaker&name=api+hosts&state=open");
    assert_eq!((&open["total"], &open["matches"]), (&KEYS.into(), &1.into()));
    assert_eq!(open["keys"][0]["outage"]["error"], "no route to host");
    let rates = get(&served, "/api/keys?kind=rate_limit&name=api+rates");
    let keys: Vec<_> = list(&rates["keys"]).iter().map(|key| (text(&key["key"]), &key["rejected"])).collect();
    assert_eq!(keys, [("tenant a".to_owned(), &1.into()), ("tenant b".to_owned(), &0.into())]);
}

#[test]
fn events_are_numbered_and_limited() {
    let served = served();
    let all = get(&served, "/api/events?limit=1000");
    let numbers: Vec<_> = list(&all["events"]).iter().map(|event| event["n"].as_u64().unwrap()).collect();
    assert!(numbers.len() >= 9 && numbers.iter().zip(1..).all(|(number, expected)| *number == expected), "{numbers:?}");
    let times: Vec<_> = list(&all["events"]).iter().map(|event| event["at"].as_f64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let some = get(&served, "/api/events?after=2&limit=3");
    let numbers: Vec<_> = list(&some["events"]).iter().map(|event| event["n"].as_u64().unwrap()).collect();
    assert_eq!((numbers, &some["last"]), (vec![3, 4, 5], &all["last"]));
    assert_eq!(get(&served, "/api/events?after=18446744073709551615")["events"], serde_json::json!([]));
}

#[test]
fn requests_that_are_wrong_get_400_and_those_for_nothing_404() {
    let served = served();
    for (path, status, part) in [
        ("/api/breakers?stat=open", 400, "the valid ones are `state`, `name`, `key`, `search`, `section`, `limit`"),
        ("/api/breakers?state=shut", 400, "unknown state `shut`: the valid ones are `open`, `hung`"),
        ("/api/breakers?state=open&state=closed", 400, "`state` is given more than once"),
        ("/api/breakers?name=", 400, "`name` is empty"),
        ("/api/breakers?name=%C3", 400, "`name` is not percent-encoded UTF-8"),
        ("/api/breakers?section=all", 400, "unknown section `all`: the valid ones are `breakers`"),
        ("/api/item", 400, "the parameter `id` is missing"),
        ("/api/item?id=nothing", 404, "not found"),
        ("/api/item?id=breaker+none", 404, "not found"),
        ("/api/item?id=key+9+api+hosts+none", 404, "not found"),
        ("/api/keys?kind=breaker&name=is+open", 404, "not found"),
        ("/api/keys?kind=breakers&name=is+open", 400, "unknown kind `breakers`"),
        ("/api/history?ids=a", 400, "unknown parameter `ids`: the valid ones are `id`"),
        ("/api/events?after=-1", 400, "`after` must be a whole number, not `-1`"),
        ("/api/events?limit=0", 400, "`limit` must be at least 1"),
        ("/api/live?once=yes", 400, "`once` must be 0 or 1, not `yes`"),
    ] {
        let (found, text) = error(&served, path);
        assert!(found == status && text.contains(part), "{path}: {found} {text}");
    }
    let many = "id=a&".repeat(101);
    assert_eq!(error(&served, &format!("/api/history?{many}")), (400, "at most 100 ids in one request".to_owned()));
}
