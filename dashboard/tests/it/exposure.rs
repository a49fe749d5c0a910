//! Access by other sites and other machines: security headers, frames, host names, remote addresses, open pages.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use reqwest::{Method, StatusCode};
use steadfast_dashboard::Dashboard;

use crate::{Served, TOKEN, client, wait_for, with_token};

#[test]
fn every_response_carries_the_security_headers() {
    let served = Served::new(&Dashboard::new());
    for path in [
        "/",
        "/style.css",
        "/theme.css",
        "/js/app.js",
        "/icon.svg",
        "/api/breakers",
        "/metrics",
        "/api/overrides",
        "/none",
    ] {
        let response = client().get(served.url(path)).send().unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        // A path outside the dashboard belongs to the service that it is mounted in.
        if path == "/none" {
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            assert_eq!(header("content-security-policy"), None);
            continue;
        }
        let policy = header("content-security-policy").unwrap_or_default();
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
        assert_eq!(header("x-frame-options").as_deref(), Some("DENY"), "{path}");
        assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"), "{path}");
        assert_eq!(header("cache-control").as_deref(), Some("no-store"), "{path}");
        assert_eq!(header("set-cookie"), None, "{path}");
        assert_eq!(header("access-control-allow-origin"), None, "{path}");
    }
}

#[test]
fn preflight_requests_of_other_sites_are_rejected() {
    let served = Served::new(&with_token());
    for path in ["/api/overrides", "/api/breakers", "/api/live", "/metrics"] {
        let preflight = client()
            .request(Method::OPTIONS, served.url(path))
            .header("Origin", "http://evil.example")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "x-steadfast-token, content-type");
        let response = preflight.send().unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allows = response.headers().keys().any(|name| name.as_str().starts_with("access-control-"));
        assert!(!allows, "{path}: {:?}", response.headers());
    }
}

#[test]
fn an_embeddable_dashboard_permits_frames_of_the_same_origin() {
    let served = Served::new(&Dashboard::new().embeddable());
    let response = client().get(served.url("/")).send().unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'self'") && policy.contains("default-src 'none'"), "{policy}");
    assert_eq!(response.headers()["x-frame-options"], "SAMEORIGIN");
}

/// Returns the whole response to a request with this `Host`.
fn response_for_host(served: &Served, host: &str) -> String {
    let mut stream = TcpStream::connect(served.address).unwrap();
    write!(stream, "GET /api/breakers HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn requests_for_a_foreign_host_name_are_rejected() {
    let served = Served::new(&with_token());
    let port = served.address.port();
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        assert!(response_for_host(&served, &format!("{host}:{port}")).starts_with("HTTP/1.1 200"), "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "0.0.0.0"] {
        let answer = response_for_host(&served, &format!("{host}:{port}"));
        assert!(answer.starts_with("HTTP/1.1 421"), "{host}: {answer}");
        assert!(!answer.contains("\"breakers\""), "{host}");
    }
    for (path, token) in [("/api/overrides", TOKEN), ("/metrics", TOKEN), ("/api/breakers", "")] {
        let mut stream = TcpStream::connect(served.address).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: evil.example\r\nX-Steadfast-Token: {token}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 421"), "a token permits no foreign host name: {answer}");
    }
    let chosen = Served::new(&Dashboard::new().hosts(["ops.example.org"]));
    assert!(response_for_host(&chosen, "ops.example.org").starts_with("HTTP/1.1 200"));
    assert!(response_for_host(&chosen, "127.0.0.1").starts_with("HTTP/1.1 421"));
}

#[tokio::test]
async fn addresses_beyond_loopback_require_allow_remote() {
    let error = Dashboard::new().bind("0.0.0.0:0").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("allow_remote"), "{error}");
    Dashboard::new()
        .bind("[::1]:0")
        .await
        .map(drop)
        .or_else(|error| match error.kind() {
            std::io::ErrorKind::AddrNotAvailable => Ok(()), // a machine without IPv6
            _ => Err(error),
        })
        .unwrap();
}

#[test]
fn a_dashboard_answers_at_any_loopback_address_at_which_it_listens() {
    let served = Served::at("127.0.0.2:0", &Dashboard::new());
    assert_eq!(client().get(served.url("/api/breakers")).send().unwrap().status(), StatusCode::OK);
    assert!(response_for_host(&served, "127.0.0.3").starts_with("HTTP/1.1 421"));
}

#[test]
fn errors_are_json() {
    let served = Served::new(&with_token());
    let post = || {
        let post = client().post(served.url("/api/overrides")).header("Content-Type", "application/json");
        post.header("X-Steadfast-Token", TOKEN)
    };
    for (request, status) in [
        (client().post(served.url("/api/breakers")), StatusCode::METHOD_NOT_ALLOWED),
        (client().post(served.url("/")), StatusCode::METHOD_NOT_ALLOWED),
        (post().body("x".repeat(20_000)), StatusCode::PAYLOAD_TOO_LARGE),
        (client().get(served.url("/api/breakers")).header("Host", "evil.example"), StatusCode::MISDIRECTED_REQUEST),
        (client().get(served.url("/api/breakers?state=x")), StatusCode::BAD_REQUEST),
    ] {
        let response = request.send().unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().contains_key("allow"), status == StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["content-type"], "application/json", "{status}");
        let body: serde_json::Value = response.json().unwrap();
        assert!(body["error"].is_string(), "{status}: {body}");
    }
}

#[tokio::test]
async fn the_shutdown_of_a_service_ends_the_streams_of_open_pages() {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let signal = |mut stopped: tokio::sync::watch::Receiver<bool>| async move {
        _ = stopped.wait_for(|is_stopped| *is_stopped).await;
    };
    let app = Dashboard::new().shutdown(signal(stopped.clone())).router();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/live", listener.local_addr().unwrap());
    let service = tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(signal(stopped)).await });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut page = client.get(&url).send().await.unwrap();
    assert!(page.chunk().await.unwrap().is_some());
    stop.send(true).unwrap();
    while page.chunk().await.unwrap().is_some() {}
    service.await.unwrap().unwrap();
}

#[test]
fn at_most_64_pages_can_be_open() {
    let served = Served::new(&Dashboard::new());
    let open = || client().get(served.url("/api/live")).send().unwrap();
    let mut pages: Vec<_> = (0..64).map(|_| open()).collect();
    assert!(pages.iter().all(|page| page.status().is_success()));
    assert_eq!(open().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        client().get(served.url("/api/breakers")).send().unwrap().status().is_success(),
        "other paths still answer"
    );
    // The server detects a closed page at its next write, which is at the latest the keep-alive comment after 5 s.
    pages.pop();
    wait_for(|| open().status().is_success().then_some(()));
}
