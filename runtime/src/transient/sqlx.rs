use std::{fmt::Display, time::Duration};

use sqlx::Error;

use crate::Transient;

/// Transient: a transient [`io::Error`](std::io::Error) of the connection, a timeout of the pool, and database errors with one of these
/// codes:
///
/// | code | database | meaning |
/// | --- | --- | --- |
/// | `08...` | Postgres, MySQL | connection failed, or too many connections |
/// | `40001` | Postgres, MySQL | serialization failure; MySQL's deadlock (1213) |
/// | `40P01` | Postgres | deadlock |
/// | `53...` | Postgres | out of connections, memory or disk space |
/// | `55P03` | Postgres | lock not available in time |
/// | `57P01`, `57P02`, `57P03`, `57P05` | Postgres | shutting down, crashed, starting, idle for too long |
/// | 5, 6 | SQLite | busy, locked; including their extended result codes |
///
/// A lock wait timeout in MySQL (1205) is permanent, because MySQL gives it the unspecific code `HY000`. To retry it, use
/// `retry_if = |error| ...` and compare `MySqlDatabaseError::number`.
///
/// After a failure inside a transaction, the whole transaction must be repeated, so the retried function must contain all of it.
#[diagnostic::do_not_recommend]
impl Transient for Error {
    fn is_transient(&self) -> bool {
        match self {
            Self::Io(error) => error.is_transient(),
            Self::PoolTimedOut => true,
            Self::Database(error) => error.code().is_some_and(|code| is_transient_code(&code)),
            _ => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Io(error) => error.retry_after(),
            _ => None,
        }
    }

    fn is_rejection(&self) -> bool {
        matches!(self, Self::Io(error) if error.is_rejection())
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self)
    }
}

/// Returns true for a transient code: a SQLSTATE of five characters, or a result code of SQLite of at most four digits, whose lowest byte
/// is the primary code.
fn is_transient_code(code: &str) -> bool {
    match code.len() {
        5 => {
            matches!(code, "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03" | "57P05")
                || code.starts_with("08")
                || code.starts_with("53")
        }
        _ => code.parse().is_ok_and(|code: u16| matches!(code & 0xff, SQLITE_BUSY | SQLITE_LOCKED)),
    }
}

const SQLITE_BUSY: u16 = 5;
const SQLITE_LOCKED: u16 = 6;
