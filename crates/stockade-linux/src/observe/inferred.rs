//! Denials that follow from a failed command's error text.
