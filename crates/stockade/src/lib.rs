//! stockade
