//! Programs, apart from the Rust toolchain, that tests and measurements need. Missing ones are installed from Debian packages, and axe-core
//! by npm.

use std::{env, fs, process::Command};

/// A program and the Debian package that contains it.
type Program = (&'static str, &'static str);

/// The npm package of axe-core, at the version with which the page was checked.
const AXE_CORE: &str = "axe-core@4.14.1";

/// For the tests: a browser, a proxy, npm, Postgres, Prometheus and Redis.
pub(crate) const FOR_TESTS: &[Program] = &[
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("initdb", "postgresql"),
    ("nginx", "nginx-light"),
    ("npm", "npm"),
    ("postgres", "postgresql"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("redis-server", "redis-server"),
];

/// For measuring the page.
pub(crate) const FOR_PAGE: &[Program] = &[("chromium", "chromium"), ("chromedriver", "chromium-driver")];

/// For measuring fleets.
pub(crate) const FOR_FLEETS: &[Program] = &[("redis-server", "redis-server")];

/// For counting instructions.
pub(crate) const FOR_COUNTS: &[Program] = &[("valgrind", "valgrind")];

/// Installs the missing programs; returns true if all are installed. The output of apt-get is shown only if it fails.
pub(crate) fn install(needed: &[Program]) -> bool {
    let mut packages: Vec<_> =
        needed.iter().filter(|(program, _)| !is_installed(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return true;
    }
    eprintln!("==> installing with apt-get: {}", packages.join(", "));
    let install = [&["install", "--yes", "--quiet", "--no-install-recommends"], &packages[..]].concat();
    // The first attempt uses the present package lists, and fails if there are none.
    let installed = apt_get(&install).or_else(|_| apt_get(&["update"]).and_then(|()| apt_get(&install)));
    if packages.contains(&"nginx-light") {
        stop_nginx();
    }
    let Err(output) = installed else { return true };
    eprintln!("{output}");
    eprintln!("==> not installed. Install these packages with your system's package manager: {}", packages.join(", "));
    false
}

/// Stops the service that the Debian package starts, and keeps it from starting with the system: the tests start a server of their own.
fn stop_nginx() {
    // Both fail harmlessly where systemd does not run, as in a container. There the package starts nothing.
    for action in ["stop", "disable"] {
        _ = as_root("systemctl").args([action, "nginx"]).output();
    }
}

/// Installs axe-core, which checks the accessibility of the page, into the target folder; returns true if it is there.
pub(crate) fn install_axe_core() -> bool {
    // The executable is `<target>/debug/xtask`.
    let executable = env::current_exe().unwrap_or_default();
    let Some(folder) = executable.ancestors().nth(2).map(|target| target.join("npm")) else { return false };
    let package = folder.join("node_modules/axe-core/package.json");
    let version = AXE_CORE.rsplit('@').next().unwrap_or_default();
    if fs::read_to_string(&package).is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\""))) {
        return true;
    }
    eprintln!("==> installing with npm: {AXE_CORE}");
    let mut npm = Command::new("npm");
    npm.args(["install", "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--prefix"])
        .arg(&folder)
        .arg(AXE_CORE);
    let created = fs::create_dir_all(&folder);
    match created.and_then(|()| npm.output()) {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            false
        }
        Err(error) => {
            eprintln!("==> npm could not be run: {error}");
            false
        }
    }
}

/// A command that runs as root. root does not need sudo, which may not be installed.
fn as_root(program: &str) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}

/// Runs apt-get; the error is its output.
fn apt_get(arguments: &[&str]) -> Result<(), String> {
    let output = as_root("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").output();
    let output = output.map_err(|error| format!("apt-get could not be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err([output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Returns true if the program is on the `PATH`, or in a folder that Debian does not put on the `PATH` of ordinary users: that of system
/// programs, and those of Postgres.
fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let postgres = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let postgres = postgres.map(|version| version.path().join("bin"));
    let mut folders = env::split_paths(&path).chain(["/usr/sbin".into()]).chain(postgres);
    folders.any(|folder| folder.join(program).is_file())
}
