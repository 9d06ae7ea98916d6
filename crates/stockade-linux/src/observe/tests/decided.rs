//! Files that are decided one by one.
