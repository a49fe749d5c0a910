//! Errors of `std::io`.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket},
    process::Command,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use steadfast::{RetryPolicy, Schedule, Transient};

use crate::{peers, table::assert_rows};

/// A label of a name has at most 63 bytes, so this look-up fails without a question to a server.
const UNRESOLVABLE: &str = "a-label-of-more-than-sixty-three-bytes-that-no-resolver-looks-up.invalid";

/// Returns a client and the server's end of a connection.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn end_of_file() -> io::Error {
    let (mut client, server) = connection();
    drop(server);
    client.read_exact(&mut [0]).unwrap_err()
}

fn reset() -> io::Error {
    let (mut client, server) = connection();
    client.write_all(b"unread").unwrap();
    server.peek(&mut [0]).unwrap();
    drop(server); // closing with unread bytes resets the connection
    client.read(&mut [0]).unwrap_err()
}

fn broken_pipe() -> io::Error {
    let (mut client, _server) = connection();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    client.write_all(b"late").unwrap_err()
}

fn timeout() -> io::Error {
    let (mut client, _server) = connection();
    client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    client.read(&mut [0]).unwrap_err()
}

fn address_in_use() -> io::Error {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    TcpListener::bind(listener.local_addr().unwrap()).unwrap_err()
}

/// Codes of Linux (`asm-generic/errno.h`).
#[cfg(target_os = "linux")]
mod code {
    pub(super) const ENOMEM: i32 = 12;
    pub(super) const ENFILE: i32 = 23;
    pub(super) const EMFILE: i32 = 24;
    pub(super) const ENETUNREACH: i32 = 101;
    pub(super) const ENETRESET: i32 = 102;
    pub(super) const ENOBUFS: i32 = 105;
    pub(super) const EHOSTDOWN: i32 = 112;
    pub(super) const ESTALE: i32 = 116;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn each_row_of_std_is_checked() {
    let refusing = peers::refusing();
    let missing = format!("{}/missing", env!("CARGO_TARGET_TMPDIR"));
    assert_rows(
        "std::io",
        [
            ("connection refused", TcpStream::connect(refusing).unwrap_err()),
            ("name not resolved", TcpStream::connect((UNRESOLVABLE, 80)).unwrap_err()),
            ("no local address or port (AddrNotAvailable)", UdpSocket::bind("192.0.2.1:0").unwrap_err()),
            ("connection reset", reset()),
            ("connection closed (UnexpectedEof)", end_of_file()),
            ("write to a closed connection (BrokenPipe)", broken_pipe()),
            ("timeout", timeout()),
            ("too many open files (EMFILE, ENFILE)", io::Error::from_raw_os_error(code::ENFILE)),
            ("no buffer space (ENOBUFS)", io::Error::from_raw_os_error(code::ENOBUFS)),
            ("host down or unreachable (EHOSTDOWN)", io::Error::from_raw_os_error(code::EHOSTDOWN)),
            ("network down or unreachable (ENETUNREACH)", io::Error::from_raw_os_error(code::ENETUNREACH)),
            ("connection dropped by the network (ENETRESET)", io::Error::from_raw_os_error(code::ENETRESET)),
            (
                "file being executed (ETXTBSY)",
                File::options().write(true).open(std::env::current_exe().unwrap()).unwrap_err(),
            ),
            ("stale file handle (ESTALE)", io::Error::from_raw_os_error(code::ESTALE)),
            ("out of memory (ENOMEM)", io::Error::from_raw_os_error(code::ENOMEM)),
            ("address in use", address_in_use()),
            ("not found, permission denied", fs::read(missing).unwrap_err()),
        ],
    );
}

#[tokio::test]
async fn a_policy_retries_anyhow_errors() {
    let address = peers::refusing();
    let policy = RetryPolicy::new().max_attempts(3).backoff(Schedule::none());
    let mut attempts = 0;
    let result = policy.run(|| {
        attempts += 1;
        TcpStream::connect(address).context("while connecting")
    });
    result.unwrap_err();
    assert_eq!(attempts, 3);
}

const CHILD: &str = "STEADFAST_TEST_OPENS_FILES";

/// Opens files until the process may open no more. Does nothing unless the next test starts it in a process of its own.
#[test]
fn opens_files_until_none_can_be_opened() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let mut files = Vec::new();
    let error = loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => break error,
        }
    };
    drop(files);
    assert!(error.is_transient(), "{error:?}");
    #[cfg(target_os = "linux")]
    assert_eq!(error.raw_os_error(), Some(code::EMFILE));
}

#[cfg(unix)]
#[test]
fn too_many_open_files_are_transient() {
    let arguments = "ulimit -n 32 && exec \"$0\" --exact io::opens_files_until_none_can_be_opened";
    let mut child = Command::new("sh");
    child.args(["-c", arguments]).arg(std::env::current_exe().unwrap()).env(CHILD, "1");
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}

#[tokio::test]
async fn a_failed_look_up_is_transient_wherever_it_is_made() {
    let host = (UNRESOLVABLE, 80);
    let url = format!("http://{UNRESOLVABLE}/");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let blocking = host.to_socket_addrs().unwrap_err();
    let status = crate::tonic::call(tonic::transport::Endpoint::from_shared(url.clone()).unwrap()).await;
    let errors: [(&str, Box<dyn Transient>); 6] = [
        ("std", Box::new(blocking)),
        ("tokio::net::lookup_host", Box::new(tokio::net::lookup_host(host).await.err().unwrap())),
        ("tokio::net::TcpStream", Box::new(tokio::net::TcpStream::connect(host).await.unwrap_err())),
        ("wrapped", Box::new(io::Error::other(TcpStream::connect(host).unwrap_err()))),
        ("reqwest", Box::new(client.get(url).send().await.unwrap_err())),
        ("tonic", Box::new(status)),
    ];
    for (name, error) in errors {
        assert!(error.is_transient(), "{name}: {:?}", error.as_dyn_display().map(ToString::to_string));
    }
    // The address is invalid before any look-up.
    assert!(!TcpStream::connect("no port").unwrap_err().is_transient());
}

#[derive(Debug, thiserror::Error)]
#[error("reading")]
struct Reading<E: std::error::Error + 'static>(#[source] E);

#[derive(Clone, Copy, Debug, thiserror::Error, Transient)]
#[error("hint")]
#[transient(retry_after = 0)]
struct Hint(Duration);

type Boxed = Box<dyn std::error::Error + Send + Sync>;

#[test]
fn an_error_behind_a_pointer_is_found() {
    static SHARED: Hint = Hint(WAIT);
    const WAIT: Duration = Duration::from_secs(7);

    let failed = || reset();
    let hint = || Hint(WAIT);
    let checks: [(&str, Boxed, Option<Duration>); 15] = [
        ("Box", Boxed::from(Box::new(failed())), None),
        ("Box in Box", Box::new(Box::new(failed())), None),
        ("Arc", Box::new(Arc::new(failed())), None),
        ("io::Error of io::Error", io::Error::other(failed()).into(), None),
        ("io::Error of Box", io::Error::other(Box::new(failed())).into(), None),
        ("io::Error of Arc", io::Error::other(Arc::new(failed())).into(), None),
        (
            "io::Error of Arc of io::Error of Box",
            { io::Error::other(Arc::new(io::Error::other(Box::new(failed())))).into() },
            None,
        ),
        ("source in Box", Reading(Box::new(failed())).into(), None),
        ("source in Arc", Reading(Arc::new(failed())).into(), None),
        ("source in Arc of io::Error of Arc", Reading(Arc::new(io::Error::other(Arc::new(failed())))).into(), None),
        (
            "source in Arc<dyn Error>",
            Reading(Arc::<dyn std::error::Error + Send + Sync>::from(Boxed::from(failed()))).into(),
            None,
        ),
        ("derived in Box", Reading(Box::new(hint())).into(), Some(WAIT)),
        ("derived in Arc", Reading(Arc::new(hint())).into(), Some(WAIT)),
        ("derived in a static", Reading(&SHARED).into(), Some(WAIT)),
        ("derived in Arc in io::Error", io::Error::other(Arc::new(hint())).into(), Some(WAIT)),
    ];
    for (name, error, hint) in checks {
        assert_eq!((error.is_transient(), error.retry_after()), (true, hint), "{name}");
    }

    let permanent = || io::Error::from(io::ErrorKind::NotFound);
    let permanents: [(&str, Boxed); 3] = [
        ("Arc", Box::new(Arc::new(permanent()))),
        ("source in Box", Reading(Box::new(permanent())).into()),
        ("io::Error of Arc", io::Error::other(Arc::new(permanent())).into()),
    ];
    for (name, error) in permanents {
        assert!(!error.is_transient(), "{name}");
    }
}

#[test]
fn a_pointer_to_an_error_is_as_transient_as_the_error() {
    let error = Hint(Duration::from_secs(7));
    let pointers: [&dyn Transient; 4] = [&Box::new(error), &Arc::new(error), &Rc::new(error), &&error];
    for pointer in pointers {
        assert!(pointer.is_transient());
        assert_eq!(pointer.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(pointer.as_dyn_display().map(ToString::to_string).as_deref(), Some("hint"));
    }
}

#[steadfast::retry(max_attempts = 3, backoff = none)]
fn shared_error(attempts: &std::cell::Cell<u32>) -> Result<(), Arc<io::Error>> {
    attempts.set(attempts.get() + 1);
    Err(Arc::new(io::ErrorKind::ConnectionReset.into()))
}

#[steadfast::retry(max_attempts = 3, backoff = none, retry_if(io::Error))]
fn error_by_type(attempts: &std::cell::Cell<u32>) -> Result<(), Reading<Arc<io::Error>>> {
    attempts.set(attempts.get() + 1);
    Err(Reading(Arc::new(io::ErrorKind::NotFound.into())))
}

#[test]
fn an_error_behind_a_pointer_is_retried() {
    let attempts = std::cell::Cell::new(0);
    shared_error(&attempts).unwrap_err();
    assert_eq!(attempts.replace(0), 3);
    error_by_type(&attempts).unwrap_err();
    assert_eq!(attempts.get(), 3);
}
