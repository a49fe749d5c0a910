//! `http` and `reqwest`.

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

use super::{PERMANENT, TRANSIENT, Verdict, answering, assert_says, closing, refusing, resetting, silent};

async fn fetch(client: &Client, url: &str) -> reqwest::Result<String> {
    client.get(url).send().await?.error_for_status()?.text().await
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// An answer with this status line and no body.
fn empty(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn failed_requests() {
    let checks = [
        ("refused", refusing().await, TRANSIENT),
        ("reset", resetting().await, TRANSIENT),
        ("closed without an answer", closing().await, TRANSIENT),
        ("closed in the head", answering("HTTP/1.1 200 O").await, TRANSIENT),
        ("closed in the body", answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await, TRANSIENT),
        (
            "closed in a chunk",
            answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhal").await,
            TRANSIENT,
        ),
        ("408", answering(empty("408 Request Timeout")).await, TRANSIENT),
        ("429", answering(empty("429 Too Many Requests\r\nretry-after: 7")).await, TRANSIENT),
        ("500", answering(empty("500 Internal Server Error")).await, TRANSIENT),
        ("503", answering(empty("503 Service Unavailable")).await, TRANSIENT),
        ("404", answering(empty("404 Not Found")).await, PERMANENT),
        ("501", answering(empty("501 Not Implemented")).await, PERMANENT),
        ("redirects in a circle", answering(empty("302 Found\r\nconnection: close\r\nlocation: /")).await, PERMANENT),
        ("another protocol", answering("SSH-2.0-OpenSSH_9.9\r\n\r\n").await, PERMANENT),
    ];
    for (name, address, expected) in checks {
        let error = fetch(&client(), &format!("http://{address}/")).await.unwrap_err();
        assert_says(error, expected, name);
    }
    assert_says(fetch(&client(), "no address").await.unwrap_err(), PERMANENT, "no address");
}

#[tokio::test]
async fn rubbish_in_the_body() {
    let address = answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\noops").await;
    let response = client().get(format!("http://{address}/")).send().await.unwrap();
    assert_says(response.json::<u8>().await.unwrap_err(), PERMANENT, "no JSON");

    let address = answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n1").await;
    let response = client().get(format!("http://{address}/")).send().await.unwrap();
    assert_says(response.json::<u8>().await.unwrap_err(), TRANSIENT, "half of the JSON");
}

#[tokio::test(start_paused = true)]
async fn time_outs() {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    let error = fetch(&client, &format!("http://{}/", silent().await)).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_says(error, TRANSIENT, "time-out");
}

struct NoNames;

impl Resolve for NoNames {
    fn resolve(&self, name: Name) -> Resolving {
        let error = format!("nobody knows {}", name.as_str());
        Box::pin(async { Err(Box::<dyn Error + Send + Sync>::from(error)) })
    }
}

#[tokio::test]
async fn names_that_nobody_knows() {
    let client = Client::builder().no_proxy().dns_resolver(Arc::new(NoNames)).build().unwrap();
    let error = fetch(&client, "http://payments.example/").await.unwrap_err();
    assert!(error.is_dns(), "{error:?}");
    assert_says(error, TRANSIENT, "name");
}

#[test]
fn statuses() {
    let transient: Vec<u16> =
        (100..=999).filter(|&code| StatusCode::from_u16(code).is_ok_and(|status| status.is_transient())).collect();
    assert_eq!(transient, [408, 425, 429, 500, 502, 503, 504]);
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
async fn waits_that_the_server_asks_for() {
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
        assert_says(error, expected, &format!("{status}, {wait:?}"));
    }

    let asked = SystemTime::now();
    let date = httpdate::fmt_http_date(asked + Duration::from_hours(1));
    let address = answering(empty(&format!("429 Too Many Requests\r\nretry-after: {date}"))).await;
    let wait = fetch_politely(&format!("http://{address}/")).await.unwrap_err().retry_after().unwrap();
    // The wait is shorter by the time that has passed since, and by the part of a second that a date leaves out.
    let least = Duration::from_secs(3_599).saturating_sub(asked.elapsed().unwrap());
    assert!((least..=Duration::from_hours(1)).contains(&wait), "{wait:?}");
}
