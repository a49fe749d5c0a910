//! The client libraries whose errors are `Transient` with a feature of the runtime.

use syn::{
    GenericArgument, Path, Type,
    visit::{self, Visit},
};

/// A client library: its name, which is also that of the feature, whether the feature is on, and the types whose error is the library's.
type Client = (&'static str, bool, &'static [&'static str]);

const CLIENTS: [Client; 5] = [
    ("reqwest", cfg!(feature = "reqwest"), &["Error", "Result"]),
    ("sqlx", cfg!(feature = "sqlx"), &["Error", "Result"]),
    ("redis", cfg!(feature = "redis"), &["RedisError", "RedisResult"]),
    ("tonic", cfg!(feature = "tonic"), &["Status", "Result"]),
    ("http", cfg!(feature = "http"), &["StatusCode"]),
];

/// Returns the feature that is off and with which the error type would be `Transient`, if the type is written with the name of its crate:
/// `reqwest::Error`. `error` is the `E` of a `Result<T, E>`.
pub(super) fn missing_feature(output: &Type, error: Option<&GenericArgument>) -> Option<&'static str> {
    struct FindClient(Option<&'static str>);
    impl<'ast> Visit<'ast> for FindClient {
        fn visit_path(&mut self, path: &'ast Path) {
            let mut names = path.segments.iter().map(|segment| segment.ident.to_string());
            if let (Some(first), Some(last)) = (names.next(), names.next_back()) {
                let is_written = |(name, _, types): &Client| first == *name && types.contains(&last.as_str());
                let found = CLIENTS.into_iter().find(|client @ (_, is_enabled, _)| !is_enabled && is_written(client));
                self.0 = self.0.or(found.map(|(name, ..)| name));
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
