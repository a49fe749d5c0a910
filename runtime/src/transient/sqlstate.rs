//! The SQLSTATE codes of Postgres and MySQL, as transient or permanent.

/// Returns true for the code of a transient failure.
pub(super) fn is_transient(code: &str) -> bool {
    is_rolled_back(code)
        || code.starts_with("08")
        || matches!(
            code,
            "40003" // statement completion unknown
                | "57P01" // admin shutdown
                | "57P02" // crash shutdown
        )
}

/// Returns true for the code of a transient failure after which the statement certainly had no effect: the server rejected the connection or
/// the statement, or rolled back the transaction.
///
/// A transaction whose connection is terminated (`57P01`, `57P02`) may have been committed before that.
pub(super) fn is_rolled_back(code: &str) -> bool {
    matches!(
        code,
        "08001" // unable to establish the connection
            | "08004" // connection rejected; too many connections in MySQL
            | "25006" // read-only transaction: the server was a primary before a failover
            | "25P03" // idle in the transaction for too long
            | "40000" // transaction rolled back, as by a conflict in a group of MySQL servers
            | "40001" // serialization failure; deadlock in MySQL
            | "40P01" // deadlock
            | "53000" // insufficient resources
            | "53100" // disk full
            | "53200" // out of memory
            | "53300" // too many connections
            | "55P03" // lock not available
            | "57P03" // cannot connect now
            | "57P05" // idle for too long
    )
}
