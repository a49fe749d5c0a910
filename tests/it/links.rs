//! Relative links of the Markdown pages resolve.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Folders with pages that are read where they are stored, not through rustdoc.
const FOLDERS: [&str; 5] = ["", "benches", "dashboard", "docs", "redis"];

#[test]
fn relative_links_resolve() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let pages: BTreeMap<_, _> = FOLDERS.iter().flat_map(|folder| pages(&root.join(folder))).collect();
    assert!(pages.len() > FOLDERS.len(), "pages are missing: {:?}", pages.keys());
    let mut broken = Vec::new();
    for (page, text) in &pages {
        for link in links(text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name("").join(file) };
            let target = target.canonicalize().ok();
            let has_heading = |target: &PathBuf| {
                heading.is_empty()
                    || pages.get(target).is_some_and(|text| anchors(text).any(|anchor| anchor == heading))
            };
            if !target.as_ref().is_some_and(has_heading) {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// A page that no crate includes would be left out of the doc tests.
#[test]
fn every_page_is_doc_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let included =
        ["runtime/src/doc_pages.rs", "redis/src/lib.rs"].map(|file| fs::read_to_string(root.join(file)).unwrap());
    let included = included.concat();
    let missing: Vec<_> = pages(&root.join("docs"))
        .into_iter()
        .filter(|(page, text)| {
            text.contains("```rust") && !included.contains(&*format!("docs/{}", page.file_name().unwrap().display()))
        })
        .map(|(page, _)| page)
        .collect();
    assert!(missing.is_empty(), "no crate includes {missing:?}");
}

fn pages(folder: &Path) -> Vec<(PathBuf, String)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| (path.canonicalize().unwrap(), fs::read_to_string(path).unwrap())).collect()
}

/// Returns the lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Returns the targets of relative links: `](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = prose(text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://"))
}

/// Returns the anchors of the headings, as GitHub generates them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|line| line.starts_with('#')).map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        heading
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    })
}
