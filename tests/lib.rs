//! Empty: the tests are in `it` and in the files beside it.
