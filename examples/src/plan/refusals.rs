//! Why no node takes a pod: the nodes grouped by reason, with the figures of the one that came
//! closest.

use std::collections::BTreeMap;

use open_local_core::Bytes;
use open_local_core::plan::{Media, Name, Reason, Unfit};

use crate::view::size::human;

/// Nodes that refuse a pod for the same reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The stable words of the reasons.
    pub codes: Vec<&'static str>,
    /// The reasons in words; the figures are those of the node that came closest.
    pub text: String,
    /// How many nodes.
    pub count: usize,
    /// The first [`NAMED`] of them.
    pub nodes: Vec<Name>,
}

/// Most nodes of a group that are named; the others are counted.
pub const NAMED: usize = 20;

/// All refusals of a pod, the largest group first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusals {
    /// The groups; each node is in one.
    pub groups: Vec<Group>,
}

#[derive(Debug, Default)]
struct Pile<'r> {
    count: usize,
    nodes: Vec<Name>,
    closest: Vec<&'r Reason>,
}

impl Refusals {
    /// Groups what was found about nodes; `apart` are those that hold an equal pod which is to be
    /// kept apart.
    #[must_use]
    pub fn of<'r>(
        unfit: impl IntoIterator<Item = (&'r Name, &'r Unfit)>,
        apart: impl IntoIterator<Item = &'r Name>,
    ) -> Self {
        let mut piles: BTreeMap<Vec<(&'static str, String)>, Pile<'r>> = BTreeMap::new();
        for (node, unfit) in unfit {
            let key = unfit.reasons().iter().map(|reason| (reason.code(), about(reason))).collect();
            let pile = piles.entry(key).or_default();
            pile.count = pile.count.saturating_add(1);
            if pile.nodes.len() < NAMED {
                pile.nodes.push(node.clone());
            }
            if pile.closest.is_empty() {
                pile.closest.extend(unfit.reasons());
            }
            for (closest, reason) in pile.closest.iter_mut().zip(unfit.reasons()) {
                if measure(reason) > measure(closest) {
                    *closest = reason;
                }
            }
        }
        let mut groups: Vec<Group> = piles.into_values().map(group).collect();
        let mut apart = apart.into_iter();
        let nodes: Vec<Name> = apart.by_ref().take(NAMED).cloned().collect();
        if !nodes.is_empty() {
            let text = "another pod of this kind is there, and they are to be apart".to_owned();
            let count = nodes.len().saturating_add(apart.count());
            groups.push(Group { codes: vec!["apart"], text, count, nodes });
        }
        groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
        Self { groups }
    }
}

fn group(pile: Pile<'_>) -> Group {
    let words: Vec<String> = pile.closest.iter().map(|reason| words(reason)).collect();
    Group {
        codes: pile.closest.iter().map(|reason| reason.code()).collect(),
        text: words.join("; "),
        count: pile.count,
        nodes: pile.nodes,
    }
}

/// Which pool, device or node a reason is about.
fn about(reason: &Reason) -> String {
    match reason {
        Reason::PinnedElsewhere { node } => node.to_string(),
        Reason::NoSuchPool { pool }
        | Reason::WrongProvisioning { pool, .. }
        | Reason::WrongMedia { pool, .. }
        | Reason::StopMark { pool, .. }
        | Reason::PoolTooSmall { pool, .. } => pool.to_string(),
        Reason::NoPool { wanted, media } => format!("{wanted} {media}"),
        Reason::NoDeviceOfMedia { whole, media, total: 0, .. } => format!("no {whole} {media}"),
        Reason::NoDeviceOfMedia { whole, media, .. }
        | Reason::DevicesTooSmall { whole, media, .. } => format!("{whole} {media}"),
        Reason::NotEnoughDevices { whole, .. } => whole.to_string(),
        Reason::NoSuchDevice { name, .. } | Reason::Taken { name, .. } => name.to_string(),
        _ => String::new(),
    }
}

/// How close the node came.
fn measure(reason: &Reason) -> u64 {
    match reason {
        Reason::PoolTooSmall { available, .. } | Reason::NotEnoughTogether { available, .. } => {
            available.get()
        }
        Reason::NoPoolLargeEnough { largest, .. } | Reason::DevicesTooSmall { largest, .. } => {
            largest.get()
        }
        Reason::NoDeviceOfMedia { free, .. } => u64::try_from(*free).unwrap_or(u64::MAX),
        Reason::NotEnoughDevices { matched, .. } => u64::try_from(*matched).unwrap_or(u64::MAX),
        _ => 0,
    }
}

/// `8 GiB < 10 GiB`, exact where that would not show the difference.
fn less(has: Bytes, wanted: Bytes) -> String {
    match (human(has), human(wanted)) {
        (a, b) if a == b => format!("{has} < {wanted}"),
        (a, b) => format!("{a} < {b}"),
    }
}

fn medium(media: Media) -> String {
    match media {
        Media::Unspecified => String::new(),
        named => format!("{named} "),
    }
}

/// A reason as short as a line of a list allows.
#[must_use]
pub fn words(reason: &Reason) -> String {
    match reason {
        Reason::PoolTooSmall { pool, wanted, available, .. } => {
            format!("pool {pool}: largest grantable {} asked", less(*available, *wanted))
        }
        Reason::NoPoolLargeEnough { wanted, largest } => {
            format!("largest grantable volume {} asked", less(*largest, *wanted))
        }
        Reason::NotEnoughTogether { claims, wanted, available, largest } => format!(
            "{claims} volumes of {} together do not fit: grantable {}, at most {} in one pool",
            human(*wanted),
            human(*available),
            human(*largest)
        ),
        Reason::NoPool { wanted, media } => {
            format!("no pool for {wanted} volumes{}", on(*media))
        }
        Reason::StopMark { pool, used, total, mark } => format!(
            "pool {pool} is filled to its stop mark of {}%: {} of {} written, or its metadata",
            mark.ppm() / 10_000,
            human(*used),
            human(*total)
        ),
        Reason::NoDeviceOfMedia { whole, media, total: 0, .. } => {
            format!("there is no {}{whole}", medium(*media))
        }
        Reason::NoDeviceOfMedia { whole, media, wanted, free, total } => {
            let whole = if *wanted == 1 { whole.to_string() } else { format!("{whole}s") };
            format!("{wanted} {}{whole} asked, {free} of {total} free", medium(*media))
        }
        Reason::DevicesTooSmall { whole, media, wanted, largest } if largest < wanted => {
            format!("largest free {}{whole} {} asked", medium(*media), less(*largest, *wanted))
        }
        Reason::DevicesTooSmall { whole, media, .. } => {
            format!("no free {}{whole} of an acceptable size", medium(*media))
        }
        Reason::NotEnoughDevices { whole, wanted, matched } => {
            format!("{wanted} {whole}s asked, those free serve {matched}")
        }
        other => other.to_string(),
    }
}

fn on(media: Media) -> String {
    match media {
        Media::Unspecified => String::new(),
        named => format!(" on {named}"),
    }
}
