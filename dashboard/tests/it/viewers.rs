//! Reading that is restricted to a token or to the users of a service.

use axum::{
    Router,
    extract::Request,
    http::HeaderValue,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use reqwest::StatusCode;
use serde_json::Value;
use steadfast::{CircuitBreaker, KeyedBreakers};
use steadfast_dashboard::{Dashboard, Token};

use crate::{CONFIG, Served, TOKEN, browser::Browser, client, with_token};

const VIEW_TOKEN: &str = "a-token-of-viewers";
/// The paths that contain data.
const DATA: [&str; 8] = [
    "/api/breakers",
    "/api/item?id=breaker%20viewed%20by%20all",
    "/api/keys?kind=breaker&name=viewed%20keys",
    "/api/history",
    "/api/events",
    "/api/live",
    "/metrics",
    "/api/overrides",
];
static VIEWED: CircuitBreaker = CircuitBreaker::new("viewed by all", CONFIG);
steadfast::register!(VIEWED);
static VIEWED_KEYS: KeyedBreakers = KeyedBreakers::new("viewed keys", CONFIG);
steadfast::register!(VIEWED_KEYS);

/// The files of the page, which contain none.
const FILES: [&str; 5] = ["/", "/icon.svg", "/style.css", "/theme.css", "/js/app.js"];

type Headers<'h> = &'h [(&'h str, &'h str)];

fn get(served: &Served, path: &str, headers: Headers<'_>) -> reqwest::blocking::Response {
    let request = client().get(served.url(path));
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().unwrap()
}

fn view_token() -> Token {
    Token::new(VIEW_TOKEN).unwrap()
}

/// Checks that requests with these headers may read everything, or nothing except the files of the page.
fn assert_reads(served: &Served, headers: Headers<'_>, is_permitted: bool) {
    for path in DATA {
        let response = get(served, path, headers);
        let expected = match path {
            _ if !is_permitted => StatusCode::UNAUTHORIZED,
            "/api/overrides" => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::OK,
        };
        assert_eq!(response.status(), expected, "{path} with {headers:?}");
        if !is_permitted {
            assert_eq!(response.headers()["www-authenticate"], "Bearer", "{path}");
            let error = response.json::<Value>().unwrap()["error"].take();
            assert!(error == "token required" || error == "wrong token", "{path}: {error}");
        }
    }
    for path in FILES {
        assert_eq!(get(served, path, headers).status(), StatusCode::OK, "{path} with {headers:?}");
    }
}

#[test]
fn everyone_can_read_without_a_view_token() {
    for dashboard in [Dashboard::new(), with_token()] {
        let served = Served::new(&dashboard);
        assert_reads(&served, &[], true);
        assert_reads(&served, &[("X-Steadfast-Token", "wrong")], true);
    }
}

#[test]
fn a_view_token_restricts_reading() {
    let served = Served::new(&with_token().view_token(view_token()));
    for (headers, is_permitted) in [
        (&[][..], false),
        (&[("X-Steadfast-Token", "")], false),
        (&[("X-Steadfast-Token", "wrong")], false),
        (&[("Authorization", "Basic YS10b2tlbi1vZi12aWV3ZXJz")], false),
        (&[("Cookie", "token=a-token-of-viewers")], false),
        (&[("X-Steadfast-Token", VIEW_TOKEN)], true),
        (&[("Authorization", "Bearer a-token-of-viewers")], true),
        (&[("Authorization", "bearer a-token-of-viewers")], true),
        (&[("X-Steadfast-Token", TOKEN)], true),
        (&[("Authorization", "Bearer a-token-of-the-tests")], true),
    ] {
        assert_reads(&served, headers, is_permitted);
    }
    let in_query = get(&served, &format!("/api/breakers?token={VIEW_TOKEN}"), &[]);
    assert_eq!(in_query.status(), StatusCode::UNAUTHORIZED);
}

/// The user whom the login of a service has found.
#[derive(Clone)]
struct User(String);

/// The login of a service: middleware that stores the user in the extensions of the request.
async fn log_in(mut request: Request, next: Next) -> Response {
    let user = request.headers().get("cookie").and_then(|cookie| cookie.to_str().ok()?.strip_prefix("user="));
    if let Some(user) = user.map(|name| User(name.to_owned())) {
        request.extensions_mut().insert(user);
    }
    next.run(request).await
}

#[test]
fn the_login_of_a_service_decides_who_reads() {
    let dashboard = Dashboard::new()
        .authorize(|request| request.extensions.get::<User>().is_some_and(|User(name)| name.starts_with("ops-")));
    let app = Router::new().merge(dashboard.view_token(view_token()).router()).layer(middleware::from_fn(log_in));
    let served = Served::app(app);
    for (headers, is_permitted) in [
        (&[][..], false),
        (&[("Cookie", "user=customer")], false),
        (&[("Cookie", "user=ops-ann")], true),
        (&[("Cookie", "user=ops-ann"), ("Authorization", "Bearer token-of-a-proxy")], true),
        (&[("Cookie", "user=customer"), ("X-Steadfast-Token", VIEW_TOKEN)], true),
    ] {
        assert_reads(&served, headers, is_permitted);
    }
}

#[test]
fn a_panic_of_the_check_permits_nothing() {
    let served = Served::new(&Dashboard::new().authorize(|_| panic!("in the check")));
    for path in DATA {
        assert_eq!(get(&served, path, &[]).status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
    assert_eq!(get(&served, "/", &[]).status(), StatusCode::OK);
}

/// A login in front of everything except the page itself, which sets the cookie.
async fn require_login(request: Request, next: Next) -> Response {
    let is_page = request.uri().path() == "/";
    if !is_page && !request.headers().contains_key("cookie") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = next.run(request).await;
    if is_page {
        response
            .headers_mut()
            .insert("set-cookie", HeaderValue::from_static("user=ops-ann; HttpOnly; SameSite=Strict"));
    }
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_sends_the_cookie_of_a_login_with_every_request() {
    static BY_LOGIN: CircuitBreaker = CircuitBreaker::new("viewed by login", CONFIG);
    steadfast::register!(BY_LOGIN);
    let dashboard = with_token()
        .authorize(|request| request.extensions.get::<User>().is_some_and(|User(name)| name.starts_with("ops-")));
    let app = Router::new().merge(dashboard.router());
    let app = app.layer(middleware::from_fn(log_in)).layer(middleware::from_fn(require_login));
    let served = Served::app(app);
    let browser = Browser::open(&served.url("/")).await;
    browser.shows("viewed by login", "closed", "Closed").await;
    browser.open_details("viewed by login").await;
    browser.until("return document.querySelector('#details').textContent.includes('failure_threshold')").await;
    browser.write("#details input[name=reason]", "a test").await;
    browser.write("#details input[name=token]", TOKEN).await;
    browser.click("#details button[value=disable]").await;
    browser.shows("viewed by login", "disabled", "Disabled").await;
    browser.close().await;
}
