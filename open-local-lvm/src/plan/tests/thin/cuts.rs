//! Transactions cut after every message and done again, on a model of the kernel's pool.

use std::collections::BTreeMap;

use super::*;

/// A thin pool in the kernel: its count, and for each device whose content it has. Content is
/// the moment at which it was last written, by device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) count: u64,
    pub(super) devices: BTreeMap<u32, String>,
}

impl Kernel {
    pub(super) fn new() -> Self {
        Self { count: 0, devices: BTreeMap::new() }
    }

    /// What the kernel answers; an error is one that says nothing about devices.
    fn send(&mut self, message: KernelMessage) -> Result<Answer, String> {
        match message {
            KernelMessage::CreateThin { device } | KernelMessage::CreateSnapshot { device, .. }
                if self.devices.contains_key(&device) =>
            {
                Ok(Answer::Exists)
            }
            KernelMessage::CreateThin { device } => {
                self.devices.insert(device, String::new());
                Ok(Answer::Done)
            }
            KernelMessage::CreateSnapshot { device, origin } => match self.devices.get(&origin) {
                Some(content) => {
                    self.devices.insert(device, content.clone());
                    Ok(Answer::Done)
                }
                None => Ok(Answer::Missing),
            },
            KernelMessage::Delete { device } => match self.devices.remove(&device) {
                Some(_) => Ok(Answer::Done),
                None => Ok(Answer::Missing),
            },
            KernelMessage::SetTransactionId { from, to } if from == self.count => {
                self.count = to;
                Ok(Answer::Done)
            }
            KernelMessage::SetTransactionId { .. } => Err("EINVAL".to_owned()),
            KernelMessage::Probe { device } => match self.devices.contains_key(&device) {
                true => Ok(Answer::Exists),
                false => Ok(Answer::Missing),
            },
        }
    }

    /// Sends what is pending, at most so many messages; whether that was all.
    pub(super) fn settle(&mut self, group: &VolumeGroup, most: usize) -> bool {
        let Settlement::Pending(transaction) = settle(group, "pool", self.count).unwrap() else {
            return true;
        };
        let bound = 3 * transaction.messages.len() + 1;
        let mut sending = Sending::new(&transaction).with_leftovers(transaction.makes());
        for _ in 0..most.min(bound) {
            let Some(message) = sending.message() else { return true };
            let answer = self.send(message).unwrap();
            sending.answered(answer).unwrap();
        }
        sending.message().is_none()
    }

    /// Every volume of the group has a device, and there is no other.
    pub(super) fn agrees(&self, group: &VolumeGroup) {
        let volumes = group.logical_volumes.iter().filter_map(|lv| match &lv.segments[0].kind {
            SegmentKind::Thin(thin) if thin.thin_pool == "pool" => Some(thin.device_id),
            _ => None,
        });
        let mut volumes: Vec<u32> = volumes.collect();
        volumes.sort_unstable();
        assert_eq!(volumes, self.devices.keys().copied().collect::<Vec<_>>());
        assert_eq!(self.count, segment(group, "pool").transaction_id);
    }

    fn content(&self, group: &VolumeGroup, name: &str) -> &str {
        &self.devices[&thin(group, name).device_id]
    }
}

/// A group with volumes v, s (a snapshot of it) and w, each with content of its own.
fn lived_in() -> (Metadata, Kernel) {
    let with_pool = planned(&group(), &[pool("pool", 100)]).metadata;
    let plan = planned(&with_pool, &[empty("v", 50), snapshot("s", "v"), empty("w", 9)]);
    let mut kernel = Kernel::new();
    assert!(kernel.settle(plan.group(), usize::MAX));
    let metadata = planned(&plan.metadata, &[clear()]).metadata;
    for (device, content) in &mut kernel.devices {
        *content = format!("content of {device}");
    }
    kernel.agrees(&metadata.group);
    (metadata, kernel)
}

/// Each kind of transaction, cut after every message of the first and of the second try: the end
/// is the same, and no content but what was to go is lost on the way.
#[test]
fn a_transaction_cut_anywhere_twice_ends_as_if_uncut() {
    let transactions: [(&str, Vec<Operation>); 6] = [
        ("create", vec![empty("n", 5)]),
        ("snapshot", vec![snapshot("n", "v")]),
        ("group of snapshots", vec![snapshot("n", "v"), snapshot("m", "w"), snapshot("o", "n")]),
        ("remove", vec![remove("v")]),
        ("roll back", vec![roll_back("v", "s")]),
        ("all", vec![empty("n", 5), roll_back("v", "s"), remove("w"), snapshot("m", "s")]),
    ];
    let (metadata, kernel) = lived_in();
    let mut cuts = 0;
    for (what, operations) in transactions {
        let plan = planned(&metadata, &operations);
        let mut uncut = kernel.clone();
        assert!(uncut.settle(plan.group(), usize::MAX), "{what}");
        uncut.agrees(plan.group());
        let messages = told(&plan).len() + 1;
        for first in 0..=messages {
            for second in 0..=3 * messages {
                let mut cut = kernel.clone();
                cut.settle(plan.group(), first);
                // The snapshot a roll back is made from is never touched.
                assert_eq!(cut.content(&metadata.group, "s"), "content of 2", "{what}");
                cut.settle(plan.group(), second);
                assert!(cut.settle(plan.group(), usize::MAX), "{what} cut at {first}, {second}");
                assert_eq!(cut, uncut, "{what} cut at {first}, {second}");
                cuts += 1;
                let cleared = planned(&plan.metadata, &[clear()]).metadata;
                assert_eq!(settle(&cleared.group, "pool", cut.count).unwrap(), Settlement::Settled);
            }
        }
    }
    println!("{cuts} cuts of transactions");
}

#[test]
fn a_copy_left_by_a_cut_is_made_anew() {
    let (metadata, mut kernel) = lived_in();
    let plan = planned(&metadata, &[snapshot("n", "v")]);
    kernel.settle(plan.group(), 1);
    assert_eq!(kernel.content(plan.group(), "n"), "content of 1");
    kernel.devices.insert(1, "written after the cut".to_owned());
    assert!(kernel.settle(plan.group(), usize::MAX));
    assert_eq!(kernel.content(plan.group(), "n"), "written after the cut");
}

#[test]
fn an_empty_volume_never_shows_what_a_forgotten_device_holds() {
    let (metadata, mut kernel) = lived_in();
    let plan = planned(&metadata, &[empty("n", 5)]);
    let device = thin(plan.group(), "n").device_id;
    kernel.devices.insert(device, "of a former tenant".to_owned());
    assert!(kernel.settle(plan.group(), usize::MAX));
    assert_eq!(kernel.content(plan.group(), "n"), "");
}

#[test]
fn before_the_old_device_of_a_roll_back_goes_the_new_one_is_there() {
    let (metadata, kernel) = lived_in();
    let plan = planned(&metadata, &[roll_back("v", "s"), roll_back("w", "s")]);
    for most in 0..=5 {
        let mut cut = kernel.clone();
        cut.settle(plan.group(), most);
        for name in ["v", "w"] {
            let old = cut.devices.contains_key(&thin(&metadata.group, name).device_id);
            let new = cut.devices.contains_key(&thin(plan.group(), name).device_id);
            assert!(old || new, "{name} after {most} messages");
        }
    }
}

#[test]
fn what_is_given_up_leaves_no_device_wherever_it_was_cut() {
    let (metadata, kernel) = lived_in();
    let plan = planned(&metadata, &[snapshot("n", "v"), roll_back("w", "s")]);
    let old = thin(&metadata.group, "w").device_id;
    let abandon = [
        Operation::AbandonThin { volume: "n".to_owned(), back_to: None },
        Operation::AbandonThin { volume: "w".to_owned(), back_to: Some(old) },
    ];
    let back = planned(&plan.metadata, &abandon);
    // Up to the deletion of the old device, which can't be taken back.
    for most in 0..=2 {
        let mut cut = kernel.clone();
        cut.settle(plan.group(), most);
        assert!(cut.settle(back.group(), usize::MAX));
        cut.agrees(back.group());
        assert_eq!(cut.devices, kernel.devices, "after {most} messages");
    }
}
