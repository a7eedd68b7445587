//! Values of parameters, with the key in every complaint.

use std::fmt::Display;

use open_local_core::Subject;

use super::keys::canonical;
use super::{Map, parse_quantity};
use crate::errors::{Answer, Status};

/// A map that is being read.
pub(super) struct Values<'a> {
    pub(super) field: &'a str,
    pub(super) map: &'a Map,
}

impl<'a> Values<'a> {
    /// The value of a key of the table.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        canonical(key)?.of(self.map)
    }

    pub(super) fn complaint(&self, key: &str, value: &str, wanted: impl Display) -> Status {
        let shown = Subject::value(value);
        Status::invalid(self.field, format!("has {key} = {shown}; it must be {wanted}"))
    }

    /// A value that `parse` understands.
    pub(super) fn parsed<T>(
        &self,
        key: &str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Answer<Option<T>> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        parse(text).map(Some).ok_or_else(|| self.complaint(key, text, wanted))
    }

    /// A quantity above zero.
    pub(super) fn quantity(&self, key: &str) -> Answer<Option<u64>> {
        self.parsed(key, "a number above 0, such as 1048576 or 1Mi", |text| {
            parse_quantity(text).filter(|number| *number > 0)
        })
    }

    /// `true` or `false` in any of the ways Go's `strconv.ParseBool` reads them, as the original
    /// did.
    pub(super) fn flag(&self, key: &str) -> Answer<Option<bool>> {
        self.parsed(key, "true or false", parse_flag)
    }
}

/// `1 t T TRUE true True`, and their opposites.
pub(crate) fn parse_flag(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
