//! Pictures of the page: `PICTURES=FOLDER cargo nextest run -p steadfast-dashboard --run-ignored only pictures`.

use std::{env, fs, path::PathBuf};

use super::fake::FakePage;

/// Writes pictures of each scenario in both themes and three widths.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes files"]
async fn pictures() {
    let folder = PathBuf::from(env::var_os("PICTURES").expect("PICTURES names a folder"));
    fs::create_dir_all(&folder).unwrap();
    let page = FakePage::open().await;
    for scenario in ["empty", "healthy", "outage", "outage of 1000"] {
        page.run(&format!("fake.use('{scenario}'); return fake.sendAll().then(() => fake.idle(10))")).await;
        for (width, height) in [(390, 844), (1280, 860), (2560, 1300)] {
            page.browser.resize(width, height).await;
            for theme in ["light", "dark"] {
                page.browser.theme(theme).await;
                page.take(&folder, &format!("{scenario}-{width}-{theme}")).await;
            }
        }
    }
    page.show("outage").await;
    for (hash, name) in [("#breaker=payments", "breaker"), ("#breaker=suppliers", "group"), ("#retry=charge", "retry")]
    {
        page.run(&format!("location.hash = '{hash}'")).await;
        page.until("return document.querySelector('#details').open").await;
        for (width, height) in [(390, 844), (1280, 860)] {
            page.browser.resize(width, height).await;
            page.take(&folder, &format!("details-{name}-{width}")).await;
        }
    }
    page.close().await;
}

impl FakePage {
    async fn take(&self, folder: &std::path::Path, name: &str) {
        self.advance(2).await;
        self.run("return fake.frame()").await;
        let picture = self.browser.driver().screenshot_as_png().await.unwrap();
        fs::write(folder.join(format!("{}.png", name.replace(' ', "-"))), picture).unwrap();
    }
}
