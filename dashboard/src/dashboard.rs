//! The builder of a dashboard, and the routes of the dashboard.

use std::{fmt, sync::Arc};

use axum::{
    Router,
    http::request::Parts,
    middleware,
    routing::{get, post},
};
use steadfast::prometheus::SteadfastCollector;
use tokio::sync::Semaphore;

use crate::{
    about::About,
    access::Access,
    compress, data,
    feed::Feed,
    guard, identity, metrics,
    override_request::OverrideRequest,
    overrides,
    page::{self, BasePath},
    request_ids::RequestIds,
    sampler::Sampler,
    shutdown::Shutdown,
    state::{AppState, Inner, OnOverride},
    stream,
    token::Token,
};

/// The configuration of a dashboard. The [crate documentation](crate) describes the page, manual control and security.
///
/// ```
/// use steadfast_dashboard::{Dashboard, Token};
///
/// # fn example(to_override: Token, to_look: Token) -> axum::Router {
/// let dashboard = Dashboard::new().title("checkout").token(to_override).view_token(to_look);
/// axum::Router::new().merge(dashboard.router_at("/ops"))
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "a dashboard serves nothing until `router` or `bind` is called"]
pub struct Dashboard {
    title: Option<String>,
    instance: Option<String>,
    access: Access,
    on_override: Option<OnOverride>,
    base_path: BasePath,
    pub(crate) hosts: Option<Vec<String>>,
    pub(crate) allow_remote: bool,
    embeddable: bool,
    collector: SteadfastCollector,
    shutdown: Shutdown,
}

impl Dashboard {
    /// Creates a read-only dashboard.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the title of the page, usually the name of the service. The default is the name of the program's file.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the name of this instance of the service, which the page shows next to the title. The default is the name of the host and the
    /// process id: `web-3 (pid 4121)`. The host is read from the environment variable `HOSTNAME`, or from the system.
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Enables manual control: requests with this token can force breakers open, disable and reset them. They may read as well.
    ///
    /// A request carries the token in the header `X-Steadfast-Token`, or as `Authorization: Bearer`.
    pub fn token(mut self, token: Token) -> Self {
        self.access.token = Some(token);
        self
    }

    /// Restricts reading: everything except the files of the page, which contain no data, requires this token, the one of
    /// [`token`](Self::token), or the permission of [`authorize`](Self::authorize). Other requests get 401.
    ///
    /// Prometheus sends the token with `authorization: { credentials: ... }` in its scrape configuration.
    pub fn view_token(mut self, token: Token) -> Self {
        self.access.view_token = Some(token);
        self
    }

    /// Restricts reading, as [`view_token`](Self::view_token) does, to the requests for which `is_permitted` returns true. It suits
    /// services with a login of their own, whose middleware stores the user in the extensions of the request.
    ///
    /// `is_permitted` is called for each request without a valid token, and must not block. If it panics, the response is 500. An override
    /// requires the token of [`token`](Self::token) as well.
    ///
    /// ```
    /// use steadfast_dashboard::Dashboard;
    ///
    /// #[derive(Clone)]
    /// struct User {
    ///     is_operator: bool,
    /// }
    ///
    /// let dashboard =
    ///     Dashboard::new().authorize(|request| request.extensions.get::<User>().is_some_and(|user| user.is_operator));
    /// ```
    pub fn authorize(mut self, is_permitted: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.access.authorize = Some(Arc::new(is_permitted));
        self
    }

    /// Calls `callback` after each override that was requested with a valid token, [applied](OverrideRequest::applied) or not. A request
    /// that is repeated with the same [id](OverrideRequest::request_id) is reported once. A panic of `callback` is caught and does not
    /// affect the response.
    ///
    /// ```
    /// use steadfast_dashboard::Dashboard;
    ///
    /// let dashboard = Dashboard::new().on_override(|request| {
    ///     let operator = request.operator.as_deref().unwrap_or("an unknown operator");
    ///     println!("{operator}: {} {}, {} breakers", request.action.as_str(), request.breaker, request.applied);
    /// });
    /// ```
    pub fn on_override(mut self, callback: impl Fn(&OverrideRequest) + Send + Sync + 'static) -> Self {
        self.on_override = Some(Arc::new(callback));
        self
    }

    /// Sets a function that returns the name of the operator of a request. It replaces the name that the request claims, which nothing
    /// verifies. Names are cut after 64 characters; `None` stands for an unknown operator.
    ///
    /// `operator` can read the user of the service's login from the extensions of the request, or a header that a trusted proxy sets. Such
    /// a header is trustworthy only if requests can reach the dashboard through the proxy alone.
    ///
    /// ```
    /// use steadfast_dashboard::Dashboard;
    ///
    /// let dashboard = Dashboard::new()
    ///     .operator(|request| request.headers.get("x-forwarded-user")?.to_str().ok().map(str::to_owned));
    /// ```
    pub fn operator(mut self, operator: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.access.operator = Some(Arc::new(operator));
        self
    }

    /// Answers only requests sent to one of these host names, given without a port; other requests get 421.
    ///
    /// By default, a [`router`](Self::router) accepts any host name, and [`bind`](Self::bind) accepts `localhost`, `127.0.0.1`, `[::1]` and
    /// the address at which it listens, or any host name if [`allow_remote`](Self::allow_remote) is set.
    pub fn hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Permits [`bind`](Self::bind) to listen at addresses that other machines can reach.
    ///
    /// **Warning:** without [`view_token`](Self::view_token) or [`authorize`](Self::authorize), everyone who can connect can read names,
    /// keys, error texts and settings. The traffic, tokens included, is not encrypted: put TLS in front of it.
    pub fn allow_remote(mut self) -> Self {
        self.allow_remote = true;
        self
    }

    /// Permits pages of the same origin to show the dashboard in a frame.
    pub fn embeddable(mut self) -> Self {
        self.embeddable = true;
        self
    }

    /// Sets the collector of `/metrics`, with its names, labels and number of keys with series.
    ///
    /// ```
    /// use steadfast::prometheus::SteadfastCollector;
    /// use steadfast_dashboard::Dashboard;
    ///
    /// let dashboard = Dashboard::new().collector(SteadfastCollector::new().label("breaker").top_keys(50));
    /// ```
    pub fn collector(mut self, collector: SteadfastCollector) -> Self {
        self.collector = collector;
        self
    }

    /// Ends the streams of open pages when `signal` completes. Without it, one open page keeps a graceful shutdown of the service from
    /// ending, because its stream has no end. The pages reconnect as after any loss of the connection; until the service has ended,
    /// they get 503.
    ///
    /// `signal` is polled by the streams, and never if no page is open. It does not end [`Server::run`](crate::Server::run), which ends
    /// when it is dropped.
    ///
    /// ```no_run
    /// use axum::Router;
    /// use steadfast_dashboard::Dashboard;
    /// use tokio::sync::watch;
    ///
    /// # async fn example(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    /// let (stop, stopped) = watch::channel(false); // `stop.send(true)` begins the shutdown
    /// let signal = |mut stopped: watch::Receiver<bool>| async move {
    ///     _ = stopped.wait_for(|is_stopped| *is_stopped).await;
    /// };
    /// let dashboard = Dashboard::new().shutdown(signal(stopped.clone()));
    /// let app: Router = Router::new().merge(dashboard.router_at("/breakers"));
    /// axum::serve(listener, app).with_graceful_shutdown(signal(stopped)).await
    /// # }
    /// ```
    pub fn shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Shutdown::new(signal);
        self
    }

    /// Sets the path at which browsers reach the page, for example `/tools/ops/` behind a proxy that removes this prefix.
    ///
    /// Without it, the page uses relative links, which suit every path of the service and every proxy that keeps the last segment of the
    /// path. It is necessary only if the proxy forwards `/tools/ops`, without a slash at its end, as `/`.
    pub fn base_path(mut self, path: &str) -> Self {
        self.base_path = BasePath::new(path);
        self
    }

    /// Returns the dashboard as an axum router, to be merged at `/`, or nested below any path with
    /// [`Router::nest_service`]: `app.nest_service("/ops", dashboard.router())`.
    ///
    /// [`Router::nest`] works as well, but does not route `/ops/`, with a slash at its end. [`router_at`](Self::router_at) does.
    pub fn router(self) -> Router {
        self.routes("")
    }

    /// Returns the dashboard as an axum router that serves it at `path`, with and without a slash at its end. It is to be merged, and the
    /// router that it is merged into may be nested itself.
    ///
    /// ```
    /// use axum::Router;
    /// use steadfast_dashboard::Dashboard;
    ///
    /// let app: Router = Router::new().merge(Dashboard::new().router_at("/ops/breakers"));
    /// ```
    ///
    /// # Panics
    ///
    /// If `path` is not valid for [`Router::nest`]: for example if it does not begin with a slash.
    pub fn router_at(self, path: &str) -> Router {
        self.routes(path.trim_end_matches('/'))
    }

    /// Returns the routes of the dashboard at `path`, which has no slash at its end; empty for the root.
    fn routes(self, path: &str) -> Router {
        let Self { title, instance, access, on_override, base_path, hosts, embeddable, collector, shutdown, .. } = self;
        let access = Arc::new(access);
        let about = About {
            started: Feed::now(),
            title: title.unwrap_or_else(identity::default_title),
            instance: instance.unwrap_or_else(identity::default_instance),
            can_override: access.can_override(),
        };
        let (feed, sampler) = (Feed::new(about), Sampler::default());
        sampler.ensure(&feed);
        let state = AppState(Arc::new(Inner {
            access: access.clone(),
            request_ids: RequestIds::default(),
            on_override,
            feed,
            sampler,
            collector,
            streams: Semaphore::new(stream::MAX_STREAMS).into(),
            shutdown,
        }));
        let index = get(async move |uri| page::index(&base_path, &uri));
        let routes = Router::new()
            .route("/api/breakers", get(data::breakers))
            .route("/api/item", get(data::item))
            .route("/api/keys", get(data::keys))
            .route("/api/history", get(data::history))
            .route("/api/events", get(data::events))
            .route("/api/live", get(stream::live))
            .route("/api/overrides", post(overrides::override_breaker).layer(overrides::body_limit()))
            .route("/metrics", get(metrics::metrics))
            .method_not_allowed_fallback(guard::method_not_allowed)
            .route_layer(middleware::from_fn_with_state(access, guard::check_viewer))
            .merge(page::files())
            .route("/", index.clone())
            .method_not_allowed_fallback(guard::method_not_allowed);
        let routes = match path {
            "" => routes,
            // `nest` routes the index at the path without a slash only.
            path => Router::new().nest(path, routes).route(&format!("{path}/"), index),
        };
        // Layers of the routes only: other paths belong to the service that the router is merged into.
        routes
            .route_layer(middleware::from_fn(compress::compress_response))
            .route_layer(middleware::from_fn(guard::limit_time_and_catch_panics))
            .route_layer(middleware::map_response_with_state(embeddable, guard::add_security_headers))
            .route_layer(middleware::from_fn_with_state(hosts.map(Arc::from), guard::check_host))
            .with_state(state)
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard")
            .field("title", &self.title)
            .field("instance", &self.instance)
            .field("access", &self.access)
            .field("base_path", &self.base_path)
            .field("hosts", &self.hosts)
            .field("allow_remote", &self.allow_remote)
            .finish_non_exhaustive()
    }
}
