use std::{borrow::Cow, error::Error as _, fmt::Display, time::Duration};

use sqlx::{Error, error::DatabaseError};

use super::{
    chain::{first_recognized, is_rejection},
    sqlstate,
};
use crate::Transient;

/// Transient: a transient [`io::Error`](std::io::Error) of the connection, also during a TLS handshake, a timeout of the pool, and database
/// errors with one of these codes. The last column gives the value of [`may_have_taken_effect`](Transient::may_have_taken_effect).
///
/// | code | database | meaning | effect |
/// | --- | --- | --- | --- |
/// | `08001`, `08004` | Postgres, MySQL | connection rejected; too many connections in MySQL | none |
/// | other `08...` | Postgres, MySQL | connection lost | possible |
/// | `25006` | Postgres, MySQL | read-only transaction, after a failover | none |
/// | `25P03`, `57P05` | Postgres | idle for too long, in a transaction or outside | none |
/// | `40000`, `40001`, `40P01` | Postgres, MySQL | transaction rolled back: serialization failure, deadlock | none |
/// | `40003` | Postgres | completion of the statement unknown | possible |
/// | `53000`, `53100`, `53200`, `53300` | Postgres | out of resources: disk, memory, connections | none |
/// | `55P03` | Postgres | lock not available in time | none |
/// | `57P01`, `57P02` | Postgres | connection terminated by a shutdown, an operator or a crash | possible |
/// | `57P03` | Postgres | starting, or shutting down | none |
/// | 1205, 3572 | MySQL | lock not available in time | none |
/// | 1203, 1226 | MySQL | too many connections of the user | none |
/// | 1021, 1037, 1041, 1135 | MySQL | out of resources: disk, memory, threads | none |
/// | 1290, 1836 | MySQL | read-only server, after a failover | none |
/// | 4031 | MySQL | idle for too long | none |
/// | 1927 | MariaDB | connection terminated by a shutdown or an operator | possible |
/// | 5, 6 | SQLite | busy, locked; including their extended result codes | none |
///
/// A statement that exceeds its time limit is permanent (`57014`, 3024): it would probably exceed it again, and adds to the load of a database
/// that is already slow. An exhausted limit of the statement itself (`53400`, such as `temp_file_limit`) is permanent as well.
///
/// After a failure inside a transaction, the whole transaction must be repeated, so the retried function must contain all of it. A statement
/// that was committed before the one that failed is repeated with it.
#[diagnostic::do_not_recommend]
impl Transient for Error {
    fn is_transient(&self) -> bool {
        match self {
            Self::PoolTimedOut => true,
            Self::Database(error) => Code::of(&**error).is_some_and(|code| code.is_transient()),
            _ => recognized(self).is_some_and(Transient::is_transient),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        recognized(self)?.retry_after()
    }

    fn is_rejection(&self) -> bool {
        self.source().is_some_and(is_rejection)
    }

    fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::PoolTimedOut | Self::PoolClosed => false,
            Self::Database(error) => Code::of(&**error).is_none_or(|code| !code.is_rolled_back()),
            _ => recognized(self).is_none_or(Transient::may_have_taken_effect),
        }
    }

    fn as_dyn_display(&self) -> Option<&dyn Display> {
        Some(self)
    }

    fn as_dyn_std_error(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self)
    }
}

/// Returns the first error of a recognized type among the sources of a failure of the connection. The sources of other errors, such as a
/// value that cannot be decoded, do not count.
fn recognized(error: &Error) -> Option<&dyn Transient> {
    match error {
        Error::Io(_) | Error::Tls(_) => first_recognized(error.source()?),
        _ => None,
    }
}

/// The code of a database error.
enum Code<'a> {
    /// An error number of MySQL, which is more specific than its SQLSTATE.
    MySql(u16, Cow<'a, str>),
    SqlState(Cow<'a, str>),
    /// The primary result code of SQLite.
    Sqlite(u8),
}

impl<'a> Code<'a> {
    fn of(error: &'a dyn DatabaseError) -> Option<Self> {
        let code = error.code()?;
        if code.len() != SQLSTATE_LENGTH {
            // The lowest byte of an extended result code is the primary one.
            return Some(Self::Sqlite(code.parse::<u16>().ok()?.to_le_bytes()[0]));
        }
        match mysql_number(error, &code) {
            Some(number) => Some(Self::MySql(number, code)),
            None => Some(Self::SqlState(code)),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::MySql(MARIADB_CONNECTION_KILLED, _) => true,
            Self::MySql(_, state) => self.is_rolled_back() || sqlstate::is_transient(state),
            Self::SqlState(state) => sqlstate::is_transient(state),
            Self::Sqlite(_) => self.is_rolled_back(),
        }
    }

    /// Returns true if the error is transient and the statement certainly had no effect.
    fn is_rolled_back(&self) -> bool {
        match self {
            Self::MySql(number, state) => MYSQL_ROLLED_BACK.contains(number) || sqlstate::is_rolled_back(state),
            Self::SqlState(state) => sqlstate::is_rolled_back(state),
            Self::Sqlite(code) => matches!(*code, SQLITE_BUSY | SQLITE_LOCKED),
        }
    }
}

/// Returns the error number of MySQL. Without the driver, its type is unknown here, but its text begins with the number and the SQLSTATE:
/// `1205 (HY000): Lock wait timeout exceeded`.
fn mysql_number(error: &dyn DatabaseError, state: &str) -> Option<u16> {
    let text = error.to_string();
    let (number, rest) = text.split_once(" (")?;
    rest.strip_prefix(state)?.strip_prefix("): ")?;
    number.parse().ok()
}

const SQLSTATE_LENGTH: usize = 5;
const SQLITE_BUSY: u8 = 5;
const SQLITE_LOCKED: u8 = 6;
const MARIADB_CONNECTION_KILLED: u16 = 1927;
/// The transient errors of MySQL whose SQLSTATE is unspecific, and which have no effect.
const MYSQL_ROLLED_BACK: [u16; 11] = [
    1021, // disk full
    1037, // out of memory
    1041, // out of resources
    1135, // no thread for the connection
    1203, // too many connections of the user
    1205, // lock wait timeout
    1226, // the user has exceeded a limit, such as its number of connections
    1290, // read-only server
    1836, // read-only server
    3572, // lock not available (`NOWAIT`)
    4031, // idle for too long
];
