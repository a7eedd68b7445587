//! Messages of the Container Storage Interface 1.12, made from `proto/csi.proto`.
//!
//! They need no runtime: validation, mapping and tests use them without the feature `server`.
//! Messages that may hold secrets print how many there are and nothing of them.

#![allow(
    missing_docs,
    clippy::doc_markdown,
    clippy::derive_partial_eq_without_eq,
    clippy::enum_variant_names,
    reason = "generated from the proto file, which says what each thing is"
)]

use std::fmt;

include!("generated/messages.rs");

mod redacted {
    include!("generated/redacted.rs");
}

/// What is shown in place of secrets: how many there are.
struct Hidden(usize);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} hidden>", self.0)
    }
}

#[cfg(test)]
mod wire_tests;
