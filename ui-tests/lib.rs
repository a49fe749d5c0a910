//! This crate is empty. Each folder holds the cases of one kind of mistake; `pass` holds code that compiles without a warning.
