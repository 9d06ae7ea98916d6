//! stockade-workspace
