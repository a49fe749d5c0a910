//! Errors of `reqwest`, and status codes of `http`.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::StatusCode;
use reqwest::{
    Client,
    dns::{Name, Resolve, Resolving},
};
use steadfast::{Transient, retry_after};

use crate::{
    http2,
    peers::{answering, closing, refusing, resetting, silent},
    table::{PERMANENT, TRANSIENT, Verdict, assert_rows, assert_verdict},
};

async fn fetch(client: &Client, url: &str) -> reqwest::Result<String> {
    client.get(url).send().await?.error_for_status()?.text().await
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// Returns a response with this status line and no body.
fn empty(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn each_row_of_reqwest_is_checked() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    let addresses = [
        ("connection refused", refusing()),
        ("HTTP/1: connection closed without a response", closing().await),
        ("HTTP/1: connection closed within the head", answering("HTTP/1.1 200 O").await),
        ("HTTP/1: connection closed within the body", answering(half).await),
        ("server speaks another protocol", answering("SSH-2.0-OpenSSH_9.9\r\n\r\n").await),
        ("status 408, 425, 429, 500, 502, 503, 504", answering(empty("503 Service Unavailable")).await),
        ("status 520 to 524, 529", answering(empty("529 Overloaded")).await),
        ("other status of 4xx or 5xx", answering(empty("404 Not Found")).await),
        ("redirect loop", answering(empty("302 Found\r\nconnection: close\r\nlocation: /")).await),
    ];
    let mut errors = http2::reqwest_errors().await;
    for (failure, address) in addresses {
        errors.push((failure, fetch(&client(), &format!("http://{address}/")).await.unwrap_err()));
    }
    errors.push((
        "name not resolved",
        fetch(&client(), &format!("http://{}.invalid/", "x".repeat(64))).await.unwrap_err(),
    ));
    errors.push(("invalid URL", fetch(&client(), "no address").await.unwrap_err()));
    errors.push(("timeout", timeout().await));
    assert_rows("reqwest", errors);
}

#[tokio::test]
async fn a_failed_request_is_transient_or_permanent_by_its_cause() {
    let checks = [
        ("reset", resetting().await, TRANSIENT),
        (
            "closed in a chunk",
            answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhal").await,
            TRANSIENT,
        ),
        ("408", answering(empty("408 Request Timeout")).await, TRANSIENT),
        ("429", answering(empty("429 Too Many Requests\r\nretry-after: 7")).await, TRANSIENT),
        ("500", answering(empty("500 Internal Server Error")).await, TRANSIENT),
        ("501", answering(empty("501 Not Implemented")).await, PERMANENT),
        ("525", answering(empty("525 SSL Handshake Failed")).await, PERMANENT),
    ];
    for (name, address, expected) in checks {
        let error = fetch(&client(), &format!("http://{address}/")).await.unwrap_err();
        assert_verdict(error, expected, name);
    }
}

#[tokio::test]
async fn invalid_json_is_permanent_and_truncated_json_is_transient() {
    let address = answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\noops").await;
    let response = client().get(format!("http://{address}/")).send().await.unwrap();
    assert_verdict(response.json::<u8>().await.unwrap_err(), PERMANENT, "not JSON");

    let address = answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n1").await;
    let response = client().get(format!("http://{address}/")).send().await.unwrap();
    assert_verdict(response.json::<u8>().await.unwrap_err(), TRANSIENT, "truncated JSON");
}

async fn timeout() -> reqwest::Error {
    let client = Client::builder().no_proxy().timeout(Duration::from_millis(1)).build().unwrap();
    let error = fetch(&client, &format!("http://{}/", silent().await)).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    error
}

struct FailingResolver;

impl Resolve for FailingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let error = format!("no address for {}", name.as_str());
        Box::pin(async { Err(Box::<dyn Error + Send + Sync>::from(error)) })
    }
}

#[tokio::test]
async fn an_unresolvable_name_is_transient() {
    let client = Client::builder().no_proxy().dns_resolver(Arc::new(FailingResolver)).build().unwrap();
    let error = fetch(&client, "http://payments.example/").await.unwrap_err();
    assert!(error.is_dns(), "{error:?}");
    assert_verdict(error, TRANSIENT, "unresolvable name");
}

#[test]
fn only_a_few_status_codes_are_transient() {
    let transient: Vec<u16> =
        (100..=999).filter(|&code| StatusCode::from_u16(code).is_ok_and(|status| status.is_transient())).collect();
    assert_eq!(transient, [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529]);
}

#[derive(Debug, thiserror::Error, Transient)]
enum FetchError {
    #[error("busy")]
    #[transient(retry_after = after)]
    Busy { after: Duration },
    #[error(transparent)]
    #[transient(inherit)]
    Http(#[from] reqwest::Error),
}

async fn fetch_politely(url: &str) -> Result<String, FetchError> {
    let response = client().get(url).send().await?;
    if response.status().is_transient()
        && let Some(after) = retry_after(response.headers())
    {
        return Err(FetchError::Busy { after });
    }
    Ok(response.error_for_status()?.text().await?)
}

#[tokio::test]
async fn a_retry_after_header_becomes_the_hint() {
    const SECONDS: Duration = Duration::from_secs(7);

    let past = httpdate::fmt_http_date(SystemTime::now() - SECONDS);
    let checks: [(&str, &str, Verdict); 9] = [
        ("429 Too Many Requests", "7", (true, Some(SECONDS))),
        ("503 Service Unavailable", " 7 ", (true, Some(SECONDS))),
        ("503 Service Unavailable", "0", (true, Some(Duration::ZERO))),
        ("503 Service Unavailable", &past, (true, Some(Duration::ZERO))),
        ("503 Service Unavailable", "soon", TRANSIENT),
        ("503 Service Unavailable", "-7", TRANSIENT),
        ("503 Service Unavailable", "+7", TRANSIENT),
        ("503 Service Unavailable", "", TRANSIENT),
        ("404 Not Found", "7", PERMANENT),
    ];
    for (status, wait, expected) in checks {
        let address = answering(empty(&format!("{status}\r\nretry-after: {wait}"))).await;
        let error = fetch_politely(&format!("http://{address}/")).await.unwrap_err();
        assert_verdict(error, expected, &format!("{status}, {wait:?}"));
    }

    let requested = SystemTime::now();
    let date = httpdate::fmt_http_date(requested + Duration::from_hours(1));
    let address = answering(empty(&format!("429 Too Many Requests\r\nretry-after: {date}"))).await;
    let wait = fetch_politely(&format!("http://{address}/")).await.unwrap_err().retry_after().unwrap();
    // The hint is shorter by the time since the request, and by the fraction of a second that an HTTP date omits.
    let least = Duration::from_secs(3_599).saturating_sub(requested.elapsed().unwrap());
    assert!((least..=Duration::from_hours(1)).contains(&wait), "{wait:?}");
}
