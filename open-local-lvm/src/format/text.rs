//! The text of a group as a tree that keeps everything it does not know.
//!
//! The grammar: `key = value` and `key { ... }`; a value is an integer, a decimal number, a
//! string in double quotes with `\"` and `\\` (or in single quotes without escapes), or a list of
//! them in `[ ]`; `#` begins a comment that ends with the line; white space is free. The text ends
//! at the first zero byte. Order is kept, comments are dropped: lvm2 writes its own each time.
//!
//! What differs from lvm2's own reader (2.03.16): numbers with leading zeros are refused, since
//! it would read them as octal; words without quotes as values are refused, since it never writes
//! them to a device.

mod keys;
mod lexer;
mod parser;
mod printer;
mod tree;

pub use keys::Key;
pub(crate) use parser::{Known, Member, Members, parse_apart};
pub use parser::{MAX_DEPTH, MAX_ENTRIES, MAX_TEXT, parse};
pub(crate) use printer::Printer;
pub use printer::{Style, print};
pub use tree::{Duplicate, Entry, Item, NotText, Number, Section, Value};

#[cfg(test)]
pub(crate) mod tests;
