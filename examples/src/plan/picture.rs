//! Pictures of a cluster before and after.

use open_local_core::plan::Policy;

use super::model::Cluster;
use super::simulate::{Comparison, Drained, Filled, Outcome};

/// The form of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A page.
    Html,
    /// A drawing.
    Svg,
}

/// stub
#[derive(Debug)]
pub struct Drawing<'d>(&'d str);

impl Drawing<'_> {
    /// stub
    pub fn draw(&self, _format: Format) -> String {
        self.0.to_owned()
    }
}
pub fn placed<'d>(_c: &'d Cluster, _o: &'d Outcome, _p: &Policy) -> Drawing<'d> {
    Drawing("")
}
pub fn filled<'d>(_c: &'d Cluster, _o: &'d Filled, _p: &Policy) -> Drawing<'d> {
    Drawing("")
}
pub fn drained<'d>(_c: &'d Cluster, _o: &'d Drained, _p: &Policy) -> Drawing<'d> {
    Drawing("")
}
pub fn compared<'d>(_c: &'d Cluster, _o: &'d Comparison) -> Drawing<'d> {
    Drawing("")
}
