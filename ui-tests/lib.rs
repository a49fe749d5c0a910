//! Nothing is here: each folder holds the cases of one kind of mistake, and `pass` what compiles without a warning.
