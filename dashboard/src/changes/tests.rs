//! Messages from readings that are made by hand.
