//! The open-local program.
