//! The endless outage with a dashboard: `--serve`.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::try_join_all;
use steadfast_dashboard::{Dashboard, Token};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{self, MissedTickBehavior};

use crate::checkout::Lane;
use crate::load::{self, Settings};
use crate::payments::{Order, Payments};
use crate::script::{Mode, Phase, Script};
use crate::service::PaymentService;

/// Repeats the script, or keeps the mode that is selected on the page, until the process ends.
pub(crate) async fn serve(address: SocketAddr, lanes: &[Lane], settings: Settings) -> anyhow::Result<()> {
    anyhow::ensure!(
        address.ip().is_loopback(),
        "{address} is not a loopback address: the demo has no authentication, so it serves this machine only"
    );
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address}"))?;
    let address = listener.local_addr()?;
    let service = PaymentService::start().context("cannot start the payment service")?;
    let with_breaker = lanes.iter().filter(|lane| lane.breaker().is_some());
    let callers = with_breaker.map(|lane| send_callers(*lane, service.address(), &settings));
    let callers = try_join_all(callers.collect::<Vec<_>>());

    let token = random_token();
    let (request_mode, mode_requests) = mpsc::channel(8);
    let (status_sender, status) = watch::channel(Status { mode: Mode::Healthy, by_script: true });
    let dashboard = Dashboard::new().token(Token::new(token.clone())?).hosts(["127.0.0.1", "localhost", "[::1]"]);
    let app = Router::new()
        .route("/", get(page))
        .route("/page.js", get(script))
        .route("/page.css", get(style))
        .route("/mode", get(mode).post(set_mode))
        .with_state(Controls { request_mode, status })
        .merge(dashboard.embeddable().router_at("/breakers"));

    println!("Demo:                     http://{address}/");
    println!("Dashboard only:           http://{address}/breakers");
    println!("Prometheus metrics:       http://{address}/breakers/metrics");
    println!("Token for manual control: {token}");
    println!("Press Ctrl-C to stop.");
    tokio::select! {
        ended = control_service(service, &settings.script, mode_requests, &status_sender) => ended,
        ended = callers => ended.map(drop),
        ended = axum::serve(listener, app) => Ok(ended?),
    }
}

/// A request from the page: the mode to keep, or `None` to resume the script.
type ModeRequest = Option<Mode>;

/// The status of the payment service, as shown on the page.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
struct Status {
    mode: Mode,
    by_script: bool,
}

#[derive(Clone)]
struct Controls {
    request_mode: mpsc::Sender<ModeRequest>,
    status: watch::Receiver<Status>,
}

/// Repeats the script, except while a mode is requested.
async fn control_service(
    mut service: PaymentService,
    script: &Script,
    mut mode_requests: mpsc::Receiver<ModeRequest>,
    status: &watch::Sender<Status>,
) -> anyhow::Result<()> {
    let mut phases = script.phases().iter().cycle();
    let mut requested: ModeRequest = None;
    loop {
        let (mode, duration) = match (requested, phases.next()) {
            (Some(mode), _) => (mode, Duration::MAX),
            (None, Some(Phase { mode, duration })) => (*mode, *duration),
            (None, None) => anyhow::bail!("the script is empty"),
        };
        service = service.switch_to(mode).await.with_context(|| format!("cannot switch the service to `{mode}`"))?;
        service.log().clear();
        status.send_replace(Status { mode, by_script: requested.is_none() });
        tokio::select! {
            () = time::sleep(duration) => {}
            next = mode_requests.recv() => requested = next.context("the web server has stopped")?,
        }
    }
}

/// Starts a caller of this lane every 1/rps s until the future is dropped.
async fn send_callers(lane: Lane, service: SocketAddr, settings: &Settings) -> anyhow::Result<()> {
    let payments = Arc::new(Payments::new(service, lane.timeout(settings.naive_timeout))?);
    let mut arrivals = time::interval(Duration::from_secs(1) / settings.rps);
    arrivals.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut callers = JoinSet::new();
    for number in (0..=u32::MAX).cycle() {
        arrivals.tick().await;
        callers.spawn(load::call(lane, settings.patience, Arc::clone(&payments), Order { number }));
        while callers.try_join_next().is_some() {}
    }
    Ok(())
}

async fn mode(State(controls): State<Controls>) -> Json<Status> {
    Json(*controls.status.borrow())
}

/// Handles a [`ModeRequest`]. The `Json` extractor requires a JSON content type, which no form on another site can send.
async fn set_mode(State(controls): State<Controls>, Json(mode): Json<ModeRequest>) -> StatusCode {
    match controls.request_mode.send(mode).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn page() -> Response {
    file("text/html; charset=utf-8", include_str!("../page/index.html"))
}

async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("../page/page.js"))
}

async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("../page/page.css"))
}

fn file(media_type: &'static str, text: &'static str) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                          frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = [(CONTENT_TYPE, media_type), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-store")];
    (headers, text).into_response()
}

/// Returns 32 hexadecimal digits, derived from the random keys of the standard library's hash tables, which suffice for a local demo.
fn random_token() -> String {
    [(); 2].map(|()| format!("{:016x}", RandomState::new().hash_one("token"))).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_script_repeats_until_a_mode_is_requested() -> anyhow::Result<()> {
        let script = Script::built_in("healthy 2s, 503 1s");
        let (request_mode, mode_requests) = mpsc::channel(8);
        let (status_sender, mut status) = watch::channel(Status { mode: Mode::Refusing, by_script: false });
        let watch = async {
            let mut observed = Vec::new();
            for _ in 0..4 {
                status.changed().await?;
                observed.push(*status.borrow_and_update());
            }
            request_mode.send(Some(Mode::Hanging)).await?;
            status.changed().await?;
            observed.push(*status.borrow_and_update());
            let unchanged = time::timeout(Duration::from_mins(10), status.changed()).await;
            assert!(unchanged.is_err(), "a requested mode is kept");
            request_mode.send(None).await?;
            status.changed().await?;
            observed.push(*status.borrow_and_update());
            anyhow::Ok(observed)
        };
        let service = PaymentService::start()?;
        let observed = tokio::select! {
            ended = control_service(service, &script, mode_requests, &status_sender) => { ended?; Vec::new() }
            observed = watch => observed?,
        };
        let by_script = |mode| Status { mode, by_script: true };
        let (healthy, unavailable) = (by_script(Mode::Healthy), by_script(Mode::Unavailable));
        let hanging = Status { mode: Mode::Hanging, by_script: false };
        assert_eq!(observed[..5], [healthy, unavailable, healthy, unavailable, hanging]);
        assert!(observed[5].by_script);
        Ok(())
    }

    #[test]
    fn random_tokens_differ_and_are_valid() {
        assert_ne!(random_token(), random_token());
        assert!(Token::new(random_token()).is_ok());
    }
}
