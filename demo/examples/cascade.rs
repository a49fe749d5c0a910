//! A cascade of providers: three servers on this machine that misbehave by script, and a client that gets its answer all
//! the same. `cargo run -p steadfast-demo --example cascade`
//!
//! The primary model is asked 3 times while it limits the rate, then a second one twice, then a cheap one 5 times. A failure
//! other than a rate limit goes to the next at once.

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
    #[error("asked to slow down")]
    #[transient]
    RateLimited,
    #[error("answers {0}")]
    Provider(StatusCode),
    #[error(transparent)]
    Network(#[from] reqwest::Error),
}

struct Models {
    primary: SocketAddr,
    second: SocketAddr,
    cheap: SocketAddr,
}

impl Models {
    #[fallback(self.ask_second, self.ask_cheap)]
    #[retry(max_attempts = 3, backoff = exponential(base = 100ms, max = 2s))]
    async fn ask(&self, prompt: &str) -> Result<String, ModelError> {
        ask(self.primary, prompt).await
    }

    #[retry(max_attempts = 2, backoff = exponential(base = 100ms, max = 2s))]
    async fn ask_second(&self, prompt: &str) -> Result<String, ModelError> {
        ask(self.second, prompt).await
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

/// A server that gives these answers in turn, and then the last for ever.
async fn model(name: &'static str, script: &'static [u16]) -> anyhow::Result<SocketAddr> {
    let turn = Arc::new(AtomicUsize::new(0));
    let answer = move || {
        // ORDERING: Relaxed: a count that says nothing of any other memory.
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        let status = script.get(turn).or(script.last()).and_then(|status| StatusCode::from_u16(*status).ok());
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
        primary: model("the primary", &[200, 429, 429, 200, 429, 429, 429, 500]).await?,
        second: model("the second", &[200, 429, 503]).await?,
        cheap: model("the cheap one", &[429, 429, 200]).await?,
    };
    for (question, what_happens) in [
        (1, "all is well"),
        (2, "the primary limits the rate for a while"),
        (3, "it goes on doing so"),
        (4, "it is broken, and so is the second, after a rate limit"),
    ] {
        println!("question {question}: {what_happens}");
        println!("  {}", models.ask("hello").await.context("no model answers")?);
    }
    Ok(())
}
