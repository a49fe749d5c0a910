//! Empty: the tests are in `it` and in the other files of this folder.
