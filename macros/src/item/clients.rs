//! The client libraries whose errors are `Transient` with a feature of the runtime.

use syn::{
    GenericArgument, Path, Type,
    visit::{self, Visit},
};

/// A client library whose errors need a feature of the runtime.
struct Client {
    /// The name of the crate in paths.
    name: &'static str,
    is_enabled: bool,
    /// The types of the crate that are or contain its error.
    types: &'static [&'static str],
    /// The trait of the runtime whose error names the feature.
    with_feature: &'static str,
}

static CLIENTS: [Client; 9] = [
    Client {
        name: "reqwest",
        is_enabled: cfg!(feature = "reqwest"),
        types: &["Error", "Result"],
        with_feature: "WithReqwest",
    },
    Client { name: "sqlx", is_enabled: cfg!(feature = "sqlx"), types: &["Error", "Result"], with_feature: "WithSqlx" },
    Client {
        name: "redis",
        is_enabled: cfg!(feature = "redis"),
        types: &["RedisError", "RedisResult"],
        with_feature: "WithRedis",
    },
    Client {
        name: "tonic",
        is_enabled: cfg!(feature = "tonic"),
        types: &["Status", "Result"],
        with_feature: "WithTonic",
    },
    Client {
        name: "tokio_postgres",
        is_enabled: cfg!(feature = "tokio-postgres"),
        types: &["Error"],
        with_feature: "WithTokioPostgres",
    },
    Client { name: "h2", is_enabled: cfg!(feature = "h2"), types: &["Error"], with_feature: "WithH2" },
    Client {
        name: "hyper",
        is_enabled: cfg!(feature = "hyper"),
        types: &["Error", "Result"],
        with_feature: "WithHyper",
    },
    Client {
        name: "hyper_util",
        is_enabled: cfg!(feature = "hyper-util"),
        types: &["Error"],
        with_feature: "WithHyperUtil",
    },
    Client { name: "http", is_enabled: cfg!(feature = "http"), types: &["StatusCode"], with_feature: "WithHttp" },
];

/// Returns the trait of the runtime for the error type, if that would be `Transient` with a feature that is off. The type is recognised if
/// it is written with the name of its crate: `reqwest::Error`. `error` is the `E` of a `Result<T, E>`.
pub(super) fn missing_feature(output: &Type, error: Option<&GenericArgument>) -> Option<&'static str> {
    struct FindClient(Option<&'static str>);
    impl<'ast> Visit<'ast> for FindClient {
        fn visit_path(&mut self, path: &'ast Path) {
            let mut names = path.segments.iter().map(|segment| segment.ident.to_string());
            if let (Some(first), Some(last)) = (names.next(), names.next_back()) {
                let is_missing = |client: &&Client| {
                    !client.is_enabled && client.name == first && client.types.contains(&last.as_str())
                };
                self.0 = self.0.or(CLIENTS.iter().find(is_missing).map(|client| client.with_feature));
            }
            visit::visit_path(self, path);
        }
    }

    let mut find = FindClient(None);
    match error {
        Some(error) => find.visit_generic_argument(error),
        None => find.visit_type(output),
    }
    find.0
}
