//! Where volumes of this node are reachable from: here.

use crate::errors::{Answer, Code, Status};
use crate::proto;
use crate::request::{Segments, TopologyWish};

/// The key of the original and of Kubernetes.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The place of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    key: String,
    value: String,
}

impl Topology {
    /// A place under this key.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// The usual place: the host name, which usually is the name of the node.
    pub fn of_node(node: impl Into<String>) -> Self {
        Self::new(HOSTNAME, node)
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The place as the interface carries it.
    #[must_use]
    pub fn message(&self) -> proto::Topology {
        proto::Topology { segments: [(self.key.clone(), self.value.clone())].into() }
    }

    /// Whether this node is that place.
    #[must_use]
    pub fn is(&self, place: &Segments) -> bool {
        place.iter().all(|(key, value)| *key == self.key && *value == self.value)
    }

    /// Refuses a wish for other nodes.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`, which lets the orchestrator choose again, naming this node and the
    /// first of those that were asked for.
    pub fn admit(&self, wish: &TopologyWish) -> Answer<()> {
        let places = if wish.requisite.is_empty() { &wish.preferred } else { &wish.requisite };
        match places.first() {
            Some(first) if !places.iter().any(|place| self.is(place)) => {
                let asked = first.get(&self.key).map_or("another place", String::as_str);
                let message = format!(
                    "the volume must be at {asked}, and volumes here are at {} = {}",
                    self.key, self.value
                );
                Err(Status::new(Code::ResourceExhausted, message))
            }
            _ => Ok(()),
        }
    }

    /// Holds the value against what the node says of itself, so that no volume is bound to a place
    /// where no pod can ever be.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` naming both.
    pub fn agree(&self, node: &str, reported: Option<&str>) -> Answer<()> {
        match reported {
            Some(reported) if reported != self.value => {
                let message = format!(
                    "node {node} says {} = {reported}, and this driver was told {}",
                    self.key, self.value
                );
                Err(Status::new(Code::FailedPrecondition, message))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check(&self) -> Answer<()> {
        let fine = |text: &str, most: usize| {
            !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control)
        };
        if fine(&self.key, 316) && fine(&self.value, 63) {
            return Ok(());
        }
        let what = format!("can't be {} = {}", self.key, self.value);
        Err(Status::invalid("the topology", what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str, value: &str) -> Segments {
        [(key.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn a_wish_for_another_node_is_refused_by_name() {
        let here = Topology::of_node("a");
        let wish = |places: &[Segments]| TopologyWish {
            requisite: places.to_vec(),
            preferred: Vec::new(),
        };
        here.admit(&wish(&[])).unwrap();
        here.admit(&wish(&[place(HOSTNAME, "b"), place(HOSTNAME, "a")])).unwrap();
        let status = here.admit(&wish(&[place(HOSTNAME, "b")])).unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("at b") && status.message().contains("= a"));
        assert!(here.admit(&wish(&[place("zone", "a")])).is_err());
    }

    #[test]
    fn another_name_than_the_node_reports_is_an_error_that_names_both() {
        let here = Topology::of_node("a");
        here.agree("n", Some("a")).unwrap();
        here.agree("n", None).unwrap();
        let status = here.agree("n", Some("b")).unwrap_err();
        assert!(status.message().contains("= b") && status.message().contains("told a"));
    }
}
