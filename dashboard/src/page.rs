//! The files of the page, embedded in the binary, and the links to them.

use axum::{Router, extract::OriginalUri, response::Response, routing::get};

use crate::responses::with_content_type;

const INDEX: &str = include_str!("../page/index.html");

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A row per file: its path below the folder `page`, which is also its path in URLs, and its content type.
macro_rules! files {
    ($($path:literal: $media_type:expr,)*) => {
        &[$(($path, $media_type, include_str!(concat!("../page", $path)))),*]
    };
}

/// The path, the content type and the content of each file except `index.html`.
const FILES: &[(&str, &str, &str)] = files! {
    "/icon.svg": SVG,
    "/details.css": CSS,
    "/style.css": CSS,
    "/theme.css": CSS,
    "/js/actions.js": SCRIPT,
    "/js/app.js": SCRIPT,
    "/js/breakers.js": SCRIPT,
    "/js/callers.js": SCRIPT,
    "/js/card.js": SCRIPT,
    "/js/chart.js": SCRIPT,
    "/js/details.js": SCRIPT,
    "/js/events.js": SCRIPT,
    "/js/feed.js": SCRIPT,
    "/js/figures.js": SCRIPT,
    "/js/format.js": SCRIPT,
    "/js/functions.js": SCRIPT,
    "/js/headline.js": SCRIPT,
    "/js/keys.js": SCRIPT,
    "/js/keysearch.js": SCRIPT,
    "/js/limits.js": SCRIPT,
    "/js/list.js": SCRIPT,
    "/js/log.js": SCRIPT,
    "/js/order.js": SCRIPT,
    "/js/override.js": SCRIPT,
    "/js/overview.js": SCRIPT,
    "/js/question.js": SCRIPT,
    "/js/reader.js": SCRIPT,
    "/js/related.js": SCRIPT,
    "/js/retry.js": SCRIPT,
    "/js/section.js": SCRIPT,
    "/js/settings.js": SCRIPT,
    "/js/shares.js": SCRIPT,
    "/js/status.js": SCRIPT,
    "/js/store.js": SCRIPT,
    "/js/strip.js": SCRIPT,
    "/js/summary.js": SCRIPT,
    "/js/table.js": SCRIPT,
    "/js/theme.js": SCRIPT,
    "/js/token.js": SCRIPT,
    "/js/toolbar.js": SCRIPT,
    "/js/totals.js": SCRIPT,
    "/js/troubles.js": SCRIPT,
    "/js/view.js": SCRIPT,
    "/js/virtual.js": SCRIPT,
};

/// Returns the routes of the files. Each has a route of its own, so that other paths are left to the service that the router is merged
/// into.
pub(crate) fn files<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, &(path, media_type, content)| {
        router.route(path, get(async move || with_content_type(media_type, content)))
    })
}

/// The configured path at which browsers reach the page; `None` if links are relative.
#[derive(Clone, Debug, Default)]
pub(crate) struct BasePath(Option<String>);

impl BasePath {
    /// Creates the path, with one slash at its begin and at its end. Two slashes at the begin would name another host; browsers read a
    /// backslash as a slash.
    pub(crate) fn new(path: &str) -> Self {
        let path = path.trim_matches(['/', '\\']);
        Self(Some(if path.is_empty() { "/".to_owned() } else { format!("/{path}/") }))
    }

    /// Returns the prefix of links on a page that was requested at `path`. A relative one is the last segment of `path`, so it suits every
    /// path at which the router is mounted.
    fn links(&self, path: &str) -> String {
        match (&self.0, path.rsplit_once('/')) {
            (Some(base), _) => base.clone(),
            (None, Some((_, "")) | None) => "./".to_owned(),
            (None, Some((_, last))) => format!("./{last}/"),
        }
    }
}

/// Returns the page.
pub(crate) fn index(base: &BasePath, OriginalUri(uri): &OriginalUri) -> Response {
    with_content_type(HTML, INDEX.replace("{base}", &escape(&base.links(uri.path()))))
}

/// Escapes a path for a quoted HTML attribute.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use std::{fs, io, path::Path};

    use super::*;

    #[test]
    fn links_are_relative_to_the_path_of_the_page() {
        for (path, links) in [
            ("/", "./"),
            ("", "./"),
            ("/ops", "./ops/"),
            ("/ops/", "./"),
            ("/admin/ops", "./ops/"),
            ("/admin/ops/", "./"),
            ("//evil.example/ops", "./ops/"),
            ("/a:b", "./a:b/"),
        ] {
            assert_eq!(BasePath::default().links(path), links, "{path:?}");
        }
    }

    #[test]
    fn a_configured_base_path_stays_on_the_host() {
        for (path, links) in [
            ("", "/"),
            ("/", "/"),
            ("ops", "/ops/"),
            ("/ops", "/ops/"),
            ("/ops/", "/ops/"),
            ("/tools/ops/", "/tools/ops/"),
            ("//evil.example", "/evil.example/"),
            ("/\\evil.example", "/evil.example/"),
        ] {
            assert_eq!(BasePath::new(path).links("/anything"), links, "{path:?}");
        }
    }

    #[test]
    fn every_file_of_the_page_is_served() -> io::Result<()> {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let mut on_disk = Vec::new();
        for folder in ["", "js"] {
            for entry in fs::read_dir(page.join(folder))? {
                let path = entry?.path();
                if let (true, Ok(path)) = (path.is_file(), path.strip_prefix(&page)) {
                    on_disk.push(format!("/{}", path.display()).replace('\\', "/"));
                }
            }
        }
        on_disk.retain(|path| path != "/index.html");
        on_disk.sort_unstable();
        let mut served: Vec<_> = FILES.iter().map(|(path, ..)| *path).collect();
        served.sort_unstable();
        assert_eq!(served, on_disk);
        Ok(())
    }
}
