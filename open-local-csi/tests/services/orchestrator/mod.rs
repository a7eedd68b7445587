//! An orchestrator that asks for anything in any order, and knows what it must be answered.
//!
//! A history is a list of random calls, right and wrong ones, some of them twice at once, some
//! repeated long after, some cut in their midst with the plugin started again, some with their
//! answer lost. [`Model`] holds what every answered call has made true, and what may be true after
//! one whose answer is not known; such an object is only asked for again, or given up, until its
//! state is known. A history ends with everything settled, looked at, asked for again, removed, and
//! with a look for what is left.

mod call;
mod content;
mod dice;
mod history;
mod model;
mod others;

pub(crate) use call::{Call, Fault, NONSENSE, Origin, Outcome, Reply};
pub(crate) use dice::{Dice, setting};
pub(crate) use history::{History, Tally};
pub(crate) use model::Model;

/// What a volume shows where it is staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The UUID of its file system; none on a device that holds none.
    pub(crate) filesystem: Option<String>,
    /// What was written last; 0 is nothing.
    pub(crate) mark: u64,
}

/// A plugin, and the machine under it.
pub(crate) trait Node {
    /// Whether devices, groups, inline volumes and limits are asked for too.
    fn offers_all(&self) -> bool;
    /// Makes a call, with something going wrong.
    fn call(&mut self, call: &Call, fault: Fault) -> Outcome;
    /// The plugin ends and starts again.
    fn restart(&mut self);
    /// The machine starts again: nothing is mounted or attached. False if it can't.
    fn reboot(&mut self) -> bool;
    /// What a staged volume shows.
    fn look(&mut self, id: &str) -> Seen;
    /// Writes durably to a staged volume.
    fn write(&mut self, id: &str, mark: u64);
    /// What is left on the machine after everything was removed.
    fn leaks(&mut self) -> Vec<String>;
}
