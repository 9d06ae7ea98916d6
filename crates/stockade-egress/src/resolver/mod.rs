//! The name server inside.
