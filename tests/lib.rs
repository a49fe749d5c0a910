//! This library is empty. The tests are in `it` and in the other files of this folder.
