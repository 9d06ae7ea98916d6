//! The gate as a whole, on loopback.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod handed;
mod limits;
mod rules;
mod streams;
mod world;
