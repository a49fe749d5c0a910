use sqlx::Error;

use super::Transient;

/// Transient: a connection that fails as an [`io::Error`](std::io::Error) that is transient, a time-out of the pool, and
/// what the database says by one of these codes.
///
/// | code | of | means |
/// | --- | --- | --- |
/// | `08...` | Postgres, MySQL | the connection failed, or there are too many |
/// | `40001` | Postgres, MySQL | serialization failure; MySQL's deadlock (1213) |
/// | `40P01` | Postgres | deadlock |
/// | `53...` | Postgres | out of connections, memory or disk space |
/// | `55P03` | Postgres | a lock was not available in time |
/// | `57P01`, `57P02`, `57P03`, `57P05` | Postgres | shutting down, crashed, starting, idle for too long |
/// | 5, 6 | SQLite | busy, locked; also with more in the upper bits |
///
/// MySQL gives the code `HY000` to a lock wait timeout (1205) as to much else, so it is permanent here. To retry it:
/// `retry_if = |error| ...` with a look at `MySqlDatabaseError::number`.
///
/// After a failure inside of a transaction the whole transaction has to be repeated, so that is what the retried function
/// should hold.
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
}

/// Judges a SQLSTATE, which has five characters, or a code of SQLite, a number of at most four digits.
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
