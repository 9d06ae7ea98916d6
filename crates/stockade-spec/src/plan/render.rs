//! A plan in words, one line for each step.
