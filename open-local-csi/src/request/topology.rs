//! Where a volume must be reachable from.

use std::collections::BTreeMap;

use crate::errors::{Answer, Status};
use crate::parameters::{MAX_ENTRIES, MAX_MAP};
use crate::proto;

/// Keys and values of one place.
pub type Segments = BTreeMap<String, String>;

/// Most places of one request; a cluster may name every node.
const MAX_PLACES: usize = 16 << 10;

/// Where a volume must be reachable from: at least one of these places, if any are named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopologyWish {
    /// The places; none is anywhere.
    pub requisite: Vec<Segments>,
    /// The same or a part of them, the best first.
    pub preferred: Vec<Segments>,
}

impl TopologyWish {
    /// Reads a requirement.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for more places than a cluster has, and for segments without end.
    pub fn read(field: &str, message: Option<&proto::TopologyRequirement>) -> Answer<Self> {
        let Some(message) = message else {
            return Ok(Self::default());
        };
        Ok(Self {
            requisite: places(&format!("{field}.requisite"), &message.requisite)?,
            preferred: places(&format!("{field}.preferred"), &message.preferred)?,
        })
    }

    /// Reads one place.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_place(field: &str, message: Option<&proto::Topology>) -> Answer<Option<Segments>> {
        message.map(|one| segments(field, one)).transpose()
    }
}

fn places(field: &str, messages: &[proto::Topology]) -> Answer<Vec<Segments>> {
    if messages.len() > MAX_PLACES {
        let what = format!("has {} entries, more than {MAX_PLACES}", messages.len());
        return Err(Status::invalid(field, what));
    }
    messages.iter().map(|message| segments(field, message)).collect()
}

fn segments(field: &str, message: &proto::Topology) -> Answer<Segments> {
    let bytes: usize =
        message.segments.iter().map(|(key, value)| key.len().saturating_add(value.len())).sum();
    if message.segments.len() > MAX_ENTRIES || bytes > MAX_MAP {
        return Err(Status::invalid(field, "has too many segments"));
    }
    Ok(message.segments.clone())
}
