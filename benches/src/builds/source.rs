//! Sources of the crates with 500 functions.

use std::{fmt::Write, path::Path};

/// The number of functions per crate.
pub const FUNCTIONS: usize = 500;

/// A variant of the functions.
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) package: &'static str,
    pub(super) dependencies: fn(&Path) -> String,
    /// The code before all functions.
    prelude: &'static str,
    /// The attributes of each function; `{}` is replaced by its number.
    attributes: &'static str,
    /// The body of each function; `{}` is replaced by its number.
    body: &'static str,
}

const BODY: &str = "    if order.is_empty() {\n        return Err(Error::Declined);\n    }\n    let sent = send({}, order).await?;\n    Ok(sent + {})\n";

const BY_HAND: &str = "    let mut delay = Duration::from_millis(100);
    let mut attempt = 1;
    loop {
        let result = async {
            if order.is_empty() {
                return Err(Error::Declined);
            }
            let sent = send({}, order).await?;
            Ok(sent + {})
        }
        .await;
        match result {
            Err(Error::Timeout) if attempt < 3 => {
                tokio::time::sleep(delay).await;
                attempt += 1;
                delay = (delay * 2).min(Duration::from_secs(30));
            }
            result => return result,
        }
    }
";

const STEADFAST: &str = "use steadfast::{CircuitOpen, Transient};

impl Transient for Error {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Timeout)
    }
}

impl From<CircuitOpen> for Error {
    fn from(_: CircuitOpen) -> Self {
        Self::Open
    }
}
";

const BACKON: &str = "use backon_macros::backon;

const fn exponential() -> backon::ExponentialBuilder {
    backon::ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(30))
        .with_max_times(2)
        .with_jitter()
}

fn is_transient(error: &Error) -> bool {
    matches!(error, Error::Timeout)
}
";

fn none(_: &Path) -> String {
    String::new()
}

fn tokio(_: &Path) -> String {
    "tokio = { version = \"1\", default-features = false, features = [\"time\"] }\n".to_owned()
}

fn steadfast(root: &Path) -> String {
    format!("steadfast = {{ path = '{}' }}\n", root.join("runtime").display())
}

fn backon(root: &Path) -> String {
    format!("{}backon = \"1\"\nbackon-macros = \"1\"\n", tokio(root))
}

fn tracing(_: &Path) -> String {
    "tracing = \"0.1\"\n".to_owned()
}

pub(super) const VARIANTS: &[Variant] = &[
    Variant { name: "plain functions", package: "plain", dependencies: none, prelude: "", attributes: "", body: BODY },
    Variant {
        name: "a retry by hand",
        package: "by-hand",
        dependencies: tokio,
        prelude: "",
        attributes: "",
        body: BY_HAND,
    },
    Variant {
        name: "steadfast, #[retry]",
        package: "retry",
        dependencies: steadfast,
        prelude: STEADFAST,
        attributes: "#[steadfast::retry]\n",
        body: BODY,
    },
    Variant {
        name: "backon-macros",
        package: "backon-attribute",
        dependencies: backon,
        prelude: BACKON,
        attributes: "#[backon(backoff = exponential, when = is_transient)]\n",
        body: BODY,
    },
    Variant {
        name: "steadfast, #[circuit_breaker]",
        package: "breaker",
        dependencies: steadfast,
        prelude: STEADFAST,
        attributes: "#[steadfast::circuit_breaker(name = \"service {}\")]\n",
        body: BODY,
    },
    Variant {
        name: "steadfast, both",
        package: "both",
        dependencies: steadfast,
        prelude: STEADFAST,
        attributes: "#[steadfast::retry]\n#[steadfast::circuit_breaker(name = \"service {}\")]\n",
        body: BODY,
    },
    Variant {
        name: "tracing's #[instrument]",
        package: "instrument",
        dependencies: tracing,
        prelude: "",
        attributes: "#[tracing::instrument]\n",
        body: BODY,
    },
];

/// The code that all crates share. It polls the futures through `dyn`, so that all of them are compiled.
const HEAD: &str = "#![allow(dead_code, unused_imports)]

use std::{future::Future, pin::Pin, task::{Context, Waker}, time::Duration};

#[derive(Debug)]
pub enum Error {
    Timeout,
    Declined,
    Open,
}

#[inline(never)]
async fn send(to: u64, order: &str) -> Result<u64, Error> {
    if order.len() as u64 > to { Err(Error::Timeout) } else { Ok(to) }
}

fn run(future: Pin<Box<dyn Future<Output = Result<u64, Error>> + '_>>) {
    let mut future = future;
    let _ = std::hint::black_box(future.as_mut().poll(&mut Context::from_waker(Waker::noop())));
}

";

impl Variant {
    pub(super) fn source(&self) -> String {
        let Self { prelude, attributes, body, .. } = self;
        let mut source = format!("{HEAD}{prelude}");
        let mut calls = String::new();
        for number in 0..FUNCTIONS {
            let number = number.to_string();
            let (attributes, body) = (attributes.replace("{}", &number), body.replace("{}", &number));
            // Writing to a string does not fail.
            _ = write!(
                source,
                "\n{attributes}pub async fn order_{number}(order: &str) -> Result<u64, Error> {{\n{body}}}\n"
            );
            _ = writeln!(calls, "    run(Box::pin(order_{number}(&order)));");
        }
        source + &format!("\nfn main() {{\n    let order = std::env::args().collect::<String>();\n{calls}}}\n")
    }
}

/// Returns the number of lines inside functions in LLVM's textual IR.
pub(super) fn lines_of_functions(text: &str) -> usize {
    let (mut inside, mut lines) = (false, 0);
    for line in text.lines() {
        match line {
            line if line.starts_with("define") => inside = true,
            "}" => inside = false,
            "" => {}
            _ => lines += usize::from(inside),
        }
    }
    lines
}
