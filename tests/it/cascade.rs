//! A cascade of fallbacks over three providers, each a real server with scripted responses.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{Transient, fallback, retry, retry_after};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

#[derive(Debug, thiserror::Error, Transient)]
enum ModelError {
    #[error("{provider} is rate limited")]
    #[transient(retry_after = after)]
    RateLimited { provider: &'static str, after: Option<Duration> },
    #[error("{provider} answers {status}")]
    Provider { provider: &'static str, status: reqwest::StatusCode },
    #[error("{provider}: {source}")]
    Network { provider: &'static str, source: reqwest::Error },
}

/// A client of three providers.
struct Models {
    client: reqwest::Client,
    primary: Provider,
    second: Provider,
    cheap: Provider,
    /// The sum of the delays before retries.
    slept: Mutex<Duration>,
}

/// A server and the number of its requests.
struct Provider {
    name: &'static str,
    address: SocketAddr,
    requests: Arc<Mutex<u32>>,
}

impl Models {
    #[fallback(self.call_second, self.call_cheap)]
    #[retry(max_attempts = 3, backoff = exponential(base = 100ms, factor = 2), jitter = none, on_retry = |_, delay, _| self.add_sleep(delay))]
    async fn call(&self, prompt: &str) -> Result<String, ModelError> {
        self.primary.call(&self.client, prompt).await
    }

    #[retry(max_attempts = 2, backoff = exponential(base = 100ms, factor = 2), jitter = none, on_retry = |_, delay, _| self.add_sleep(delay))]
    async fn call_second(&self, prompt: &str) -> Result<String, ModelError> {
        self.second.call(&self.client, prompt).await
    }

    #[retry(max_attempts = 5, backoff = exponential(base = 100ms, factor = 2), jitter = none, on_retry = |_, delay, _| self.add_sleep(delay))]
    async fn call_cheap(&self, prompt: &str) -> Result<String, ModelError> {
        self.cheap.call(&self.client, prompt).await
    }

    fn add_sleep(&self, delay: Duration) {
        *self.slept.lock().unwrap() += delay;
    }
}

impl Provider {
    /// Starts a server that answers each request with the next entry of the script; the last entry repeats.
    async fn new(name: &'static str, script: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(0));
        let served = requests.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let turn = {
                    let mut requests = served.lock().unwrap();
                    *requests += 1;
                    *requests - 1
                };
                let status = script.get(turn as usize).or(script.last()).unwrap();
                serve(connection, name, status).await;
            }
        });
        Self { name, address, requests }
    }

    async fn call(&self, client: &reqwest::Client, prompt: &str) -> Result<String, ModelError> {
        let provider = self.name;
        let network = |source| ModelError::Network { provider, source };
        let url = format!("http://{}/{prompt}", self.address);
        let response = client.get(url).send().await.map_err(network)?;
        match response.status() {
            reqwest::StatusCode::TOO_MANY_REQUESTS => {
                Err(ModelError::RateLimited { provider, after: retry_after(response.headers()) })
            }
            status if status.is_success() => response.text().await.map_err(network),
            status => Err(ModelError::Provider { provider, status }),
        }
    }
}

/// Answers one request; `-` closes the connection without an answer.
async fn serve(mut connection: TcpStream, name: &str, status: &str) {
    _ = connection.read(&mut [0; 4096]).await;
    if status != "-" {
        let length = name.len();
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{name}");
        _ = connection.write_all(answer.as_bytes()).await;
    }
    _ = connection.shutdown().await;
}

const OK: &str = "200 OK";
const LIMITED: &str = "429 Too Many Requests";
const LIMITED_7: &str = "429 Too Many Requests\r\nretry-after: 7";
const BROKEN: &str = "500 Internal Server Error";
const CLOSED: &str = "-";

/// The answers of the three providers, the caller's result, the requests to each, and the total sleep in milliseconds.
type Situation = ([&'static [&'static str]; 3], Result<&'static str, &'static str>, [u32; 3], u64);

const SITUATIONS: [Situation; 9] = [
    ([&[OK], &[OK], &[OK]], Ok("primary"), [1, 0, 0], 0),
    ([&[LIMITED, LIMITED, OK], &[OK], &[OK]], Ok("primary"), [3, 0, 0], 300),
    ([&[LIMITED_7, OK], &[OK], &[OK]], Ok("primary"), [2, 0, 0], 7_000),
    ([&[LIMITED], &[OK], &[OK]], Ok("second"), [3, 1, 0], 300),
    ([&[BROKEN], &[OK], &[OK]], Ok("second"), [1, 1, 0], 0),
    ([&[LIMITED, BROKEN], &[LIMITED, OK], &[OK]], Ok("second"), [2, 2, 0], 200),
    ([&[CLOSED], &[LIMITED], &[LIMITED, LIMITED, LIMITED, LIMITED, OK]], Ok("cheap"), [1, 2, 5], 1_600),
    ([&[BROKEN], &[BROKEN], &[BROKEN]], Err("cheap answers 500 Internal Server Error"), [1, 1, 1], 0),
    ([&[LIMITED], &[LIMITED], &[LIMITED]], Err("cheap is rate limited"), [3, 2, 5], 1_900),
];

#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_retried_and_a_failure_falls_back_to_the_next_provider() {
    for (index, (scripts, expected, requests, slept_millis)) in SITUATIONS.into_iter().enumerate() {
        let [primary, second, cheap] = scripts;
        let models = Models {
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            primary: Provider::new("primary", primary).await,
            second: Provider::new("second", second).await,
            cheap: Provider::new("cheap", cheap).await,
            slept: Mutex::default(),
        };
        let result = models.call("hello").await.map_err(|error| error.to_string());
        assert_eq!(result.as_deref().map_err(String::as_str), expected, "situation {index}");
        let counts =
            [&models.primary, &models.second, &models.cheap].map(|provider| *provider.requests.lock().unwrap());
        assert_eq!(counts, requests, "situation {index}");
        // A paused clock advances while a real socket is awaited, so the delays are summed instead of measured.
        assert_eq!(*models.slept.lock().unwrap(), Duration::from_millis(slept_millis), "situation {index}");
    }
}
