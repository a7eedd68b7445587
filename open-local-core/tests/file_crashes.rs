//! Crash enumeration
