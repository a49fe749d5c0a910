//! The outage without end, to watch on a dashboard: `--serve`.

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
use steadfast_dashboard::{Dashboard, Token};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{self, MissedTickBehavior};

use crate::checkout::Lane;
use crate::load::Settings;
use crate::payments::{Order, Payments};
use crate::script::{Mode, Phase, Script};
use crate::service::PaymentService;

/// Plays the script over and over, or what somebody asks for on the page, until the process ends.
pub(crate) async fn serve(address: SocketAddr, settings: Settings) -> anyhow::Result<()> {
    anyhow::ensure!(
        address.ip().is_loopback(),
        "{address}: the demo can be broken by anybody, so only this machine sees it"
    );
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address}"))?;
    let address = listener.local_addr()?;
    let service = PaymentService::start().context("cannot start the payment service")?;
    let payments = Arc::new(Payments::new(service.address(), Lane::Guarded.time_out(settings.naive_timeout))?);

    let token = random_token();
    let (orders, wanted) = mpsc::channel(8);
    let (tells, shown) = watch::channel(Shown { mode: Mode::Healthy, by_script: true });
    let dashboard = Dashboard::new().token(Token::new(token.clone())?).hosts(["127.0.0.1", "localhost", "[::1]"]);
    let app = Router::new()
        .route("/", get(page))
        .route("/page.js", get(script))
        .route("/page.css", get(style))
        .route("/mode", get(mode).post(set_mode))
        .with_state(Controls { orders, shown })
        .nest("/breakers", dashboard.embeddable().router());

    println!("The shop and its payment service:  http://{address}/");
    println!("The dashboard alone:               http://{address}/breakers");
    println!("For Prometheus:                    http://{address}/breakers/metrics");
    println!("To force a circuit open, the page asks for this token: {token}");
    println!("Ctrl-C ends it.");
    tokio::select! {
        ended = direct(service, &settings.script, wanted, &tells) => ended,
        () = send_callers(payments, settings.rps) => Ok(()),
        ended = axum::serve(listener, app) => Ok(ended?),
    }
}

/// What somebody wants of the payment service: to be in a mode until further notice, or to go on with the script.
type Wanted = Option<Mode>;

/// What the page says of the payment service.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
struct Shown {
    mode: Mode,
    by_script: bool,
}

#[derive(Clone)]
struct Controls {
    orders: mpsc::Sender<Wanted>,
    shown: watch::Receiver<Shown>,
}

/// Takes the service through the script without end, but for what somebody wants.
async fn direct(
    mut service: PaymentService,
    script: &Script,
    mut wanted: mpsc::Receiver<Wanted>,
    tells: &watch::Sender<Shown>,
) -> anyhow::Result<()> {
    let mut phases = script.phases().iter().cycle();
    let mut hold: Wanted = None;
    loop {
        let (mode, lasts) = match (hold, phases.next()) {
            (Some(mode), _) => (mode, Duration::MAX),
            (None, Some(Phase { mode, lasts })) => (*mode, *lasts),
            (None, None) => anyhow::bail!("the script is empty"),
        };
        service = service.switch_to(mode).await.with_context(|| format!("the service cannot be made {mode}"))?;
        service.log().forget();
        tells.send_replace(Shown { mode, by_script: hold.is_none() });
        tokio::select! {
            () = time::sleep(lasts) => {}
            next = wanted.recv() => hold = next.context("the page is gone")?,
        }
    }
}

/// Sends a caller every 1/rps s, for as long as this is polled.
async fn send_callers(payments: Arc<Payments>, rps: u32) {
    let mut due = time::interval(Duration::from_secs(1) / rps);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut callers = JoinSet::new();
    for number in (0..=u32::MAX).cycle() {
        due.tick().await;
        let payments = Arc::clone(&payments);
        callers.spawn(async move { Lane::Guarded.check_out(&payments, Order { number }).await });
        while callers.try_join_next().is_some() {}
    }
}

async fn mode(State(controls): State<Controls>) -> Json<Shown> {
    Json(*controls.shown.borrow())
}

/// `Json` takes bodies of that type only, which no form of a foreign page can send.
async fn set_mode(State(controls): State<Controls>, Json(wanted): Json<Wanted>) -> StatusCode {
    match controls.orders.send(wanted).await {
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

/// From what the standard library draws for its hash tables: good enough for a demo that ends with its terminal.
fn random_token() -> String {
    [(); 2].map(|()| format!("{:016x}", RandomState::new().hash_one("token"))).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_script_plays_over_and_over_until_somebody_breaks_the_service() -> anyhow::Result<()> {
        let script = Script::known("healthy 2s, 503 1s");
        let (orders, wanted) = mpsc::channel(8);
        let (tells, mut shown) = watch::channel(Shown { mode: Mode::Refusing, by_script: false });
        let watching = async {
            let mut seen = Vec::new();
            for _ in 0..4 {
                shown.changed().await?;
                seen.push(*shown.borrow_and_update());
            }
            orders.send(Some(Mode::Hanging)).await?;
            for _ in 0..1 {
                shown.changed().await?;
                seen.push(*shown.borrow_and_update());
            }
            let held = time::timeout(Duration::from_mins(10), shown.changed()).await;
            assert!(held.is_err(), "it stays as it is");
            orders.send(None).await?;
            shown.changed().await?;
            seen.push(*shown.borrow_and_update());
            anyhow::Ok(seen)
        };
        let service = PaymentService::start()?;
        let seen = tokio::select! {
            ended = direct(service, &script, wanted, &tells) => { ended?; Vec::new() }
            seen = watching => seen?,
        };
        let by_script = |mode| Shown { mode, by_script: true };
        let (healthy, unavailable) = (by_script(Mode::Healthy), by_script(Mode::Unavailable));
        let hanging = Shown { mode: Mode::Hanging, by_script: false };
        assert_eq!(seen[..5], [healthy, unavailable, healthy, unavailable, hanging]);
        assert!(seen[5].by_script);
        Ok(())
    }

    #[test]
    fn tokens_differ_and_are_long_enough() {
        assert_ne!(random_token(), random_token());
        assert!(Token::new(random_token()).is_ok());
    }
}
