//! Transient errors of the operating system and of its resolver that [`io::ErrorKind`] does not distinguish.

use std::io;

/// The codes for: too many open files in the process or in the system, no buffer space, host down, connection dropped by the network.
///
/// On Linux they depend on the processor.
#[cfg(target_os = "linux")]
const TRANSIENT: &[i32] = {
    use rustix::io::Errno;

    &[
        Errno::MFILE.raw_os_error(),
        Errno::NFILE.raw_os_error(),
        Errno::NOBUFS.raw_os_error(),
        Errno::HOSTDOWN.raw_os_error(),
        Errno::NETRESET.raw_os_error(),
    ]
};

/// The same codes: `EMFILE`, `ENFILE`, `ENOBUFS`, `EHOSTDOWN`, `ENETRESET` of `asm-generic/errno.h`, which bionic uses.
#[cfg(target_os = "android")]
const TRANSIENT: &[i32] = &[24, 23, 105, 112, 102];

/// The same codes, of the `sys/errno.h` that all these systems have inherited from BSD.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
const TRANSIENT: &[i32] = &[24, 23, 55, 64, 52];

/// The same codes, of the `sys/errno.h` of illumos.
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
const TRANSIENT: &[i32] = &[24, 23, 132, 147, 129];

/// `ERROR_TOO_MANY_OPEN_FILES`, `WSAEMFILE`, `WSAENOBUFS`, `WSAEHOSTDOWN`, `WSAENETRESET`; and the failed look-ups `WSAHOST_NOT_FOUND`,
/// `WSATRY_AGAIN`, `WSANO_RECOVERY`, `WSANO_DATA`.
/// Source: [Windows Sockets error codes](https://learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2).
#[cfg(windows)]
const TRANSIENT: &[i32] = &[4, 10024, 10055, 10064, 10052, 11001, 11002, 11003, 11004];

/// No codes are known.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "illumos",
    target_os = "solaris",
    windows
)))]
const TRANSIENT: &[i32] = &[];

/// The start of the text of each error of `std::net::ToSocketAddrs` for a name that cannot be resolved. On Unix, the error has neither a
/// code nor a stable kind.
const LOOKUP: &str = "failed to lookup address information";

/// The text of the error of `tokio_util::codec` for a connection that ends within a frame, of kind `Other`. `h2` passes it on.
const TRUNCATED: &str = "bytes remaining on stream";

/// Returns true if the error has one of the codes above, is a failed look-up of a name, or reports a connection that ended within a frame.
///
/// The name of a service that is being replaced cannot be resolved for a moment, and resolvers do not distinguish this reliably from a name
/// that does not exist, so all failed look-ups are transient.
pub(super) fn is_transient(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(code) => TRANSIENT.contains(&code),
        None => error.get_ref().is_some_and(|inner| is_transient_text(&inner.to_string())),
    }
}

fn is_transient_text(text: &str) -> bool {
    text.starts_with(LOOKUP) || text == TRUNCATED
}
