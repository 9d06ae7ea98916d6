//! stockade-linux
