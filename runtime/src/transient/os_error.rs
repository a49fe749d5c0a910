//! Transient errors of the operating system and of its resolver that [`io::ErrorKind`] does not distinguish.

use std::io;

/// The codes that the operating system reports before it sends anything: too many open files in the process or in the system.
const BEFORE_SENDING: &[i32] = codes::BEFORE_SENDING;

/// The other codes: no buffer space, host down, connection dropped by the network.
const OTHERS: &[i32] = codes::OTHERS;

/// `EMFILE` and `ENFILE`; `ENOBUFS`, `EHOSTDOWN` and `ENETRESET`. On Linux they depend on the processor.
#[cfg(target_os = "linux")]
mod codes {
    use rustix::io::Errno;

    pub(super) const BEFORE_SENDING: &[i32] = &[Errno::MFILE.raw_os_error(), Errno::NFILE.raw_os_error()];
    pub(super) const OTHERS: &[i32] =
        &[Errno::NOBUFS.raw_os_error(), Errno::HOSTDOWN.raw_os_error(), Errno::NETRESET.raw_os_error()];
}

/// Source: `asm-generic/errno.h`, which bionic uses.
#[cfg(target_os = "android")]
mod codes {
    pub(super) const BEFORE_SENDING: &[i32] = &[24, 23];
    pub(super) const OTHERS: &[i32] = &[105, 112, 102];
}

/// Source: `sys/errno.h`, which all these systems have inherited from BSD.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
mod codes {
    pub(super) const BEFORE_SENDING: &[i32] = &[24, 23];
    pub(super) const OTHERS: &[i32] = &[55, 64, 52];
}

/// Source: `sys/errno.h` of illumos.
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
mod codes {
    pub(super) const BEFORE_SENDING: &[i32] = &[24, 23];
    pub(super) const OTHERS: &[i32] = &[132, 147, 129];
}

/// Source: [Windows Sockets error codes](https://learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2).
#[cfg(windows)]
mod codes {
    /// `ERROR_TOO_MANY_OPEN_FILES`, `WSAEMFILE`; the failed look-ups `WSAHOST_NOT_FOUND`, `WSATRY_AGAIN`, `WSANO_RECOVERY`, `WSANO_DATA`.
    pub(super) const BEFORE_SENDING: &[i32] = &[4, 10024, 11001, 11002, 11003, 11004];
    /// `WSAENOBUFS`, `WSAEHOSTDOWN`, `WSAENETRESET`.
    pub(super) const OTHERS: &[i32] = &[10055, 10064, 10052];
}

/// Other systems, whose codes are not known here.
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
mod codes {
    pub(super) const BEFORE_SENDING: &[i32] = &[];
    pub(super) const OTHERS: &[i32] = &[];
}

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
    is_before_sending(error)
        || match error.raw_os_error() {
            Some(code) => OTHERS.contains(&code),
            None => wrapped_text(error).is_some_and(|text| text == TRUNCATED),
        }
}

/// Returns true if the error has one of the codes that are reported before anything is sent, or is a failed look-up of a name.
pub(super) fn is_before_sending(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(code) => BEFORE_SENDING.contains(&code),
        None => wrapped_text(error).is_some_and(|text| text.starts_with(LOOKUP)),
    }
}

fn wrapped_text(error: &io::Error) -> Option<String> {
    error.get_ref().map(ToString::to_string)
}
