//! What a program says first.
