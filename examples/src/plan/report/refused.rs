//! Pods that fit nowhere.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};

use super::{few, many};
use crate::plan::refusals::{NAMED, Refusals};

/// Most different refusals that text tells; JSON has all.
const TOLD: usize = 20;

/// Pods with the same refusals.
#[derive(Debug)]
struct Same<'r> {
    pods: Vec<&'r str>,
    refusals: &'r Rc<Refusals>,
}

/// Refusals, each with its pods.
#[derive(Debug, Default)]
pub(super) struct Refused<'r> {
    all: Vec<Same<'r>>,
    /// Where the refusals of an address stand.
    found: BTreeMap<*const Refusals, usize>,
}

impl<'r> Refused<'r> {
    pub(super) fn of(pods: impl IntoIterator<Item = (&'r str, &'r Rc<Refusals>)>) -> Self {
        let mut refused = Self::default();
        for (pod, refusals) in pods {
            // Equal pods share what was found; two addresses may still hold equal refusals.
            let next = refused.all.len();
            let index = *refused.found.entry(Rc::as_ptr(refusals)).or_insert(next);
            match refused.all.get_mut(index) {
                Some(same) => same.pods.push(pod),
                None => refused.all.push(Same { pods: vec![pod], refusals }),
            }
        }
        refused
    }

    pub(super) fn index(&self, refusals: &Rc<Refusals>) -> Option<usize> {
        self.found.get(&Rc::as_ptr(refusals)).copied()
    }

    pub(super) fn json(&self) -> Value {
        let one = |same: &Same<'_>| {
            let groups: Vec<Value> = groups_json(same.refusals);
            json!({ "pods": same.pods.len(), "first": same.pods.first(), "groups": groups })
        };
        self.all.iter().map(one).collect()
    }

    /// What is refused and why, or nothing.
    pub(super) fn text(&self, heading: &str) -> String {
        if self.all.is_empty() {
            return String::new();
        }
        let mut text = format!("{heading}\n");
        for same in self.all.iter().take(TOLD) {
            let names = few(same.pods.iter(), same.pods.len());
            text.push_str(&format!("  {names}\n{}", groups_text(same.refusals, "    ")));
        }
        let more = self.all.len().saturating_sub(TOLD);
        if more > 0 {
            text.push_str(&format!("  and {} for other reasons\n", many(more, "kind")));
        }
        text
    }
}

pub(super) fn groups_json(refusals: &Refusals) -> Vec<Value> {
    let one = |group: &crate::plan::refusals::Group| {
        let nodes: Vec<&str> = group.nodes.iter().map(|name| name.as_str()).collect();
        json!({ "codes": group.codes, "text": group.text, "node_count": group.count, "nodes": nodes })
    };
    refusals.groups.iter().map(one).collect()
}

/// One line a group.
pub(super) fn groups_text(refusals: &Refusals, indent: &str) -> String {
    if refusals.groups.is_empty() {
        return format!("{indent}there is no node left\n");
    }
    let line = |group: &crate::plan::refusals::Group| {
        let names = few(group.nodes.iter(), group.count);
        format!("{indent}{} ({names}): {}\n", many(group.count, "node"), group.text)
    };
    let told = refusals.groups.iter().take(NAMED).map(line).collect::<String>();
    let more = refusals.groups.len().saturating_sub(NAMED);
    if more == 0 { told } else { format!("{told}{indent}and {more} more reasons\n") }
}
