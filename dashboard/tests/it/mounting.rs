//! The paths at which a dashboard is mounted, with and without a slash at the end.

use axum::{Router, routing::get};
use reqwest::{StatusCode, Url};
use serde_json::Value;
use steadfast_dashboard::Dashboard;

use crate::{Served, client};

fn dashboard() -> Dashboard {
    Dashboard::new()
}

/// Returns the value of `data-base` of a page, as a browser reads it. Its links begin with the same value.
fn base(page: &str) -> String {
    let (_, rest) = page.split_once("data-base=\"").expect("the page has a base");
    let (base, _) = rest.split_once('"').expect("the value is quoted");
    assert!(page.contains(&format!("src=\"{base}js/app.js\"")), "{page}");
    let characters = [("&lt;", "<"), ("&#39;", "'"), ("&quot;", "\""), ("&amp;", "&")];
    characters.iter().fold(base.to_owned(), |text, (escaped, character)| text.replace(escaped, character))
}

/// Checks that the page is served at `path`, and that the browser finds its files and the data from there.
fn assert_page(served: &Served, path: &str) {
    let response = client().get(served.url(path)).send().unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    assert_eq!(response.url().as_str(), served.url(path), "no redirect");
    let url = response.url().clone();
    let page = response.text().unwrap();
    let base = url.join(&base(&page)).unwrap();
    for file in ["js/app.js", "style.css", "theme.css", "icon.svg", "api/breakers", "metrics"] {
        let link: Url = base.join(file).unwrap();
        assert_eq!(link.origin(), url.origin(), "{path}");
        assert_eq!(client().get(link.clone()).send().unwrap().status(), StatusCode::OK, "{path}: {link}");
    }
}

#[test]
fn the_page_is_served_with_and_without_a_slash() {
    let root = || Router::new().route("/health", get(async || "good"));
    for (case, app, paths) in [
        ("merged at the root", root().merge(dashboard().router()), &["/"][..]),
        ("at the root", root().merge(dashboard().router_at("/")), &["/"]),
        ("at a path", root().merge(dashboard().router_at("/ops")), &["/ops", "/ops/", "/ops?view=table", "/ops/?x=1"]),
        ("at a path with a slash", root().merge(dashboard().router_at("/ops/")), &["/ops", "/ops/"]),
        ("at a longer path", root().merge(dashboard().router_at("/a/b%20c/ops")), &["/a/b%20c/ops", "/a/b%20c/ops/"]),
        (
            "merged into a router that is nested",
            root().nest("/admin", Router::new().merge(dashboard().router_at("/ops"))),
            &["/admin/ops", "/admin/ops/"],
        ),
        ("as a nested service", root().nest_service("/ops", dashboard().router()), &["/ops", "/ops/"]),
        (
            "as a service nested twice",
            root().nest_service("/admin", Router::new().nest_service("/ops", dashboard().router())),
            &["/admin/ops", "/admin/ops/"],
        ),
        ("nested", root().nest("/ops", dashboard().router()), &["/ops"]),
        ("nested with a slash", root().nest("/ops/", dashboard().router()), &["/ops/"]),
        ("nested twice", root().nest("/admin", Router::new().nest("/ops", dashboard().router())), &["/admin/ops"]),
        (
            "at two paths",
            root().merge(dashboard().router_at("/a")).merge(dashboard().router_at("/b")),
            &["/a", "/a/", "/b", "/b/"],
        ),
    ] {
        println!("{case}");
        let served = Served::app(app);
        for path in paths {
            assert_page(&served, path);
        }
        assert_eq!(client().get(served.url("/health")).send().unwrap().text().unwrap(), "good", "{case}");
    }
}

#[test]
fn other_paths_belong_to_the_service() {
    let app = Router::new()
        .route("/js/{file}", get(async || "a script of the service"))
        .merge(dashboard().hosts(["ops.example.org"]).router())
        .fallback(async || "the fallback of the service");
    let served = Served::app(app);
    let text = |path: &str| client().get(served.url(path)).send().unwrap().text().unwrap();
    assert_eq!(text("/js/own.js"), "a script of the service");
    assert_eq!(text("/none"), "the fallback of the service");
    assert!(text("/js/app.js").contains("host name"), "the paths of the dashboard check the host name");
}

#[test]
fn a_base_path_replaces_relative_links() {
    let served = Served::new(&dashboard().base_path("/tools/ops"));
    let page = client().get(served.url("/")).send().unwrap().text().unwrap();
    assert_eq!(base(&page), "/tools/ops/");
    let served = Served::new(&dashboard().base_path("/\"><script>"));
    let page = client().get(served.url("/")).send().unwrap().text().unwrap();
    assert!(!page.contains("\"><script>/") && page.contains("/&quot;>&lt;script>/"), "{page}");
}

#[test]
fn a_path_in_the_url_of_the_page_is_escaped() {
    let served = Served::app(Router::new().nest_service("/{path}", dashboard().router()));
    for path in ["/a'b&c", "/%22%3E%3Cscript%3E", "/javascript:alert(1)"] {
        assert_page(&served, path);
    }
    let page = client().get(served.url("/a'b&c")).send().unwrap().text().unwrap();
    assert!(page.contains("data-base=\"./a&#39;b&amp;c/\""), "{page}");
}

#[test]
fn the_title_and_the_instance_name_the_program() {
    let identity = |dashboard: &Dashboard| {
        let served = Served::new(dashboard);
        let text = |path: &str| client().get(served.url(path)).send().unwrap().text().unwrap();
        let json: Value = serde_json::from_str(&text("/api/breakers?limit=1")).unwrap();
        assert!(text("/api/live?once=1").contains(&format!("\"title\":{}", json["title"])));
        ["title", "instance"].map(|field| json[field].as_str().unwrap().to_owned())
    };
    let named = dashboard().title("check\"out").instance("web-3");
    assert_eq!(identity(&named), ["check\"out", "web-3"]);
    let [title, instance] = identity(&dashboard());
    let program = std::env::current_exe().unwrap();
    assert_eq!(title, program.file_name().unwrap().to_str().unwrap());
    assert!(instance.ends_with(&format!("pid {})", std::process::id())), "{instance}");
}
