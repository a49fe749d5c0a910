//! A cascade of three model providers with scripted failures, and a client that falls back from one to the next:
//! `cargo run -p steadfast-demo --example cascade`
//!
//! While a provider limits the rate, the primary model gets up to 3 attempts, the secondary one 2 and the cheap one 5. Any other
//! failure falls back to the next model at once.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Context as _;
use axum::{Router, http::StatusCode, routing::get};
use steadfast::{
    Transient,
    events::{self, Event},
    fallback, retry,
};
use tokio::net::TcpListener;

#[derive(Debug, thiserror::Error, Transient)]
enum ModelError {
    #[error("rate limited")]
    #[transient]
    RateLimited,
    #[error("the provider answered {0}")]
    Provider(StatusCode),
    #[error(transparent)]
    Network(#[from] reqwest::Error),
}

struct Models {
    primary: SocketAddr,
    secondary: SocketAddr,
    cheap: SocketAddr,
}

impl Models {
    #[fallback(self.ask_secondary, self.ask_cheap)]
    #[retry(max_attempts = 3, backoff = exponential(base = 100ms, max = 2s))]
    async fn ask(&self, prompt: &str) -> Result<String, ModelError> {
        ask(self.primary, prompt).await
    }

    #[retry(max_attempts = 2, backoff = exponential(base = 100ms, max = 2s))]
    async fn ask_secondary(&self, prompt: &str) -> Result<String, ModelError> {
        ask(self.secondary, prompt).await
    }

    #[retry(max_attempts = 5, backoff = exponential(base = 100ms, max = 2s))]
    async fn ask_cheap(&self, prompt: &str) -> Result<String, ModelError> {
        ask(self.cheap, prompt).await
    }
}

async fn ask(model: SocketAddr, prompt: &str) -> Result<String, ModelError> {
    let response = reqwest::get(format!("http://{model}/{prompt}")).await?;
    match response.status() {
        StatusCode::OK => Ok(response.text().await?),
        StatusCode::TOO_MANY_REQUESTS => Err(ModelError::RateLimited),
        status => Err(ModelError::Provider(status)),
    }
}

/// Starts a server that answers with these status codes in turn and then repeats the last one.
async fn model(name: &'static str, script: &'static [u16]) -> anyhow::Result<SocketAddr> {
    let requests = Arc::new(AtomicUsize::new(0));
    let answer = move || {
        // ORDERING: Relaxed: a plain count; no other memory depends on it.
        let request = requests.fetch_add(1, Ordering::Relaxed);
        let status = script.get(request).or(script.last()).and_then(|status| StatusCode::from_u16(*status).ok());
        async move { (status.unwrap_or(StatusCode::OK), format!("{name} says hello")) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().route("/{prompt}", get(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    events::subscribe(|event: &Event| println!("    {event}")).forever();
    let models = Models {
        primary: model("the primary model", &[200, 429, 429, 200, 429, 429, 429, 500]).await?,
        secondary: model("the secondary model", &[200, 429, 503]).await?,
        cheap: model("the cheap model", &[429, 429, 200]).await?,
    };
    for (question, situation) in [
        (1, "no failures"),
        (2, "the primary model is rate limited twice"),
        (3, "the primary model stays rate limited"),
        (4, "the primary model answers 500; the secondary model is rate limited, then answers 503"),
    ] {
        println!("question {question}: {situation}");
        println!("  {}", models.ask("hello").await.context("no model answers")?);
    }
    Ok(())
}
