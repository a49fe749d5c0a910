//! Nothing is here: each bench is a file of its own.
