//! Failures of HTTP/2.
