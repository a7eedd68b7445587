//! What the group must be after each operation, kept apart from both sides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use open_local_lvm::format::group::{LogicalVolume, VolumeGroup};
use open_local_tests::LvmTools;

use crate::GROUP;
use crate::act::{Act, Kind};
use crate::dice::Dice;
use crate::reports::scan;
use crate::sides::{Native, Outcome, physical_on};

/// Names of volumes that may be there at once.
const NAMES: u64 = 16;
/// Most extents an operation asks for; all devices together have some 330.
const MAX_EXTENTS: u64 = 24;
/// Draws of an operation among which one of a certain kind is looked for.
const DRAWS: u64 = 100;

/// A volume as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    extents: u64,
    /// Stripes of its last segment: what rounding goes by.
    stripes: u64,
    writable: bool,
    tags: BTreeSet<String>,
}

impl Expected {
    fn of(lv: &LogicalVolume) -> Self {
        Self {
            extents: lv.extents().unwrap().get(),
            stripes: lv.segments.last().unwrap().areas().len() as u64,
            writable: lv.is_writable(),
            tags: lv.tags.iter().cloned().collect(),
        }
    }
}

/// The group as it was last seen, and what it must be.
pub(crate) struct Judge {
    group: VolumeGroup,
    expected: BTreeMap<String, Expected>,
    group_tags: BTreeSet<String>,
    devices: Vec<PathBuf>,
    /// Of each device: whether extents may be taken from it, if it is in the group.
    allocatable: Vec<Option<bool>>,
    /// For tags that no volume had before.
    next_tag: u64,
}

/// Whether an operation must change the group; `None` if the place of free extents decides.
type Verdict = Option<bool>;

impl Judge {
    pub(crate) fn new(native: &Native) -> Self {
        let group = native.session.group(GROUP).unwrap().metadata.group.clone();
        assert_eq!((group.seqno, group.logical_volumes.len()), (1, 0));
        Self {
            group,
            expected: BTreeMap::new(),
            group_tags: BTreeSet::new(),
            devices: native.session.devices().map(Path::to_path_buf).collect(),
            allocatable: native.session.devices().map(|_| Some(true)).collect(),
            next_tag: 0,
        }
    }

    pub(crate) const fn group(&self) -> &VolumeGroup {
        &self.group
    }

    pub(crate) fn volumes(&self) -> usize {
        self.expected.len()
    }

    /// Mostly something that can be done, sometimes about a volume that is not there.
    pub(crate) fn next_act(&mut self, dice: &mut Dice) -> Act {
        let any_name = |dice: &mut Dice| format!("v-{}", dice.below(NAMES));
        let there: Vec<String> = self.expected.keys().cloned().collect();
        let name = match dice.once_in(25) {
            true => any_name(dice),
            false => dice.pick(&there).unwrap_or_else(|| any_name(dice)),
        };
        let volume = self.expected.get(&name);
        let extents = volume.map_or(1, |volume| volume.extents);
        match dice.below(26) {
            0..5 => Act::Create {
                name: any_name(dice),
                extents: 1 + dice.below(MAX_EXTENTS),
                stripes: if dice.once_in(2) { 1 } else { 2 + dice.below(3) },
                tag: dice.once_in(3).then(|| self.new_tag()),
                read_only: dice.once_in(5),
            },
            5..9 => Act::Extend { to: extents + 1 + dice.below(MAX_EXTENTS), name },
            9..11 => Act::Reduce { to: 1 + dice.below(extents), name },
            11..13 => Act::Remove { name },
            13 | 21 => Act::Rename { from: name, to: any_name(dice) },
            14..16 => Act::Tag { name, tag: self.new_tag(), add: true },
            16 | 22 => match volume.and_then(|volume| volume.tags.first().cloned()) {
                Some(tag) => Act::Tag { name, tag, add: false },
                None => Act::Tag { name, tag: self.new_tag(), add: true },
            },
            17 => {
                let writable = volume.is_none_or(|volume| !volume.writable);
                Act::SetWritable { name, writable }
            }
            18 => match self.group_tags.first().filter(|_| self.group_tags.len() > 3) {
                Some(tag) => Act::TagGroup { tag: tag.clone(), add: false },
                None => Act::TagGroup { tag: self.new_tag(), add: true },
            },
            19 => {
                let members = self.members();
                let any = dice.pick(&members).unwrap();
                // Mostly all are, so that there is room.
                let closed = members.into_iter().find(|device| self.is_closed(*device));
                let device = closed.filter(|_| !dice.once_in(8)).unwrap_or(any);
                Act::SetAllocatable { device, allocatable: self.is_closed(device) }
            }
            20 => Act::RenameGroup { to: format!("{GROUP}-{}", dice.below(3)) },
            number => {
                let out = (0..self.allocatable.len()).find(|at| self.allocatable[*at].is_none());
                if let Some(device) = out.filter(|_| number < 25) {
                    return Act::Join { device };
                }
                let members = self.members();
                let empty = members.iter().copied().find(|device| !self.is_used(*device));
                let any = dice.pick(&members).unwrap();
                Act::Leave { device: empty.filter(|_| !dice.once_in(4)).unwrap_or(any) }
            }
        }
    }

    /// Something of one of these kinds that can be done now, or what leads there.
    pub(crate) fn act_towards(&mut self, kinds: &[Kind], dice: &mut Dice) -> Act {
        let mut drawn: Vec<Act> = (0..DRAWS).map(|_| self.next_act(dice)).collect();
        drawn.retain(|act| self.verdict(act) != Some(false));
        let of = |kinds: &[Kind]| drawn.iter().find(|act| kinds.contains(&act.kind())).cloned();
        // A device joins when one is out, and leaves when nothing is on it.
        let moves = kinds.contains(&Kind::Join) || kinds.contains(&Kind::Leave);
        let leave = || of(&[Kind::Leave]).or_else(|| of(&[Kind::Remove])).filter(|_| moves);
        of(kinds).or_else(leave).unwrap_or_else(|| self.next_act(dice))
    }

    /// Devices that are in the group.
    fn members(&self) -> Vec<usize> {
        (0..self.allocatable.len()).filter(|at| self.allocatable[*at].is_some()).collect()
    }

    fn is_closed(&self, device: usize) -> bool {
        self.allocatable[device] == Some(false)
    }

    fn is_used(&self, device: usize) -> bool {
        let pv = physical_on(&self.group, &self.devices[device]).unwrap();
        self.group.physical_areas().iter().any(|area| area.pv == pv.key)
    }

    fn new_tag(&mut self) -> String {
        self.next_tag += 1;
        format!("t={}", self.next_tag)
    }

    /// Extents that may be given to volumes.
    fn free(&self) -> u64 {
        let group = &self.group;
        let open = self.members().into_iter().filter(|device| !self.is_closed(*device));
        let open: BTreeMap<&str, u64> = open
            .map(|device| physical_on(group, &self.devices[device]).unwrap())
            .map(|pv| (pv.key.as_str(), pv.pe_count.get()))
            .collect();
        let used = group.physical_areas().into_iter();
        let used = used.filter(|area| open.contains_key(area.pv)).map(|area| area.count.get());
        open.values().sum::<u64>() - used.sum::<u64>()
    }

    /// What an allocation of so many extents comes to: a linear one fits if there are as many.
    fn fits(&self, extents: u64, stripes: u64) -> Verdict {
        match (extents <= self.free(), stripes) {
            (false, _) => Some(false),
            (true, 1) => Some(true),
            (true, _) => None,
        }
    }

    fn verdict(&self, act: &Act) -> Verdict {
        let volume = |name: &str| self.expected.get(name);
        match act {
            Act::Create { name, extents, stripes, .. } => match volume(name) {
                Some(_) => Some(false),
                None => self.fits(extents.next_multiple_of(*stripes), *stripes),
            },
            Act::Extend { name, to } => match volume(name) {
                None => Some(false),
                Some(volume) => self.fits(to - volume.extents, volume.stripes),
            },
            // Rounding may leave nothing to do.
            Act::Reduce { name, to } => match volume(name) {
                None => Some(false),
                Some(volume) if *to == volume.extents => Some(false),
                Some(volume) if volume.extents - to < volume.stripes => None,
                Some(_) => Some(true),
            },
            Act::Rename { from, to } => {
                Some(volume(from).is_some() && volume(to).is_none() && from != to)
            }
            Act::Remove { name } | Act::Tag { name, .. } | Act::SetWritable { name, .. } => {
                Some(volume(name).is_some())
            }
            Act::TagGroup { .. } | Act::SetAllocatable { .. } | Act::Join { .. } => Some(true),
            Act::RenameGroup { to } => Some(*to != self.group.name),
            Act::Leave { device } => Some(!self.is_used(*device) && self.members().len() > 1),
        }
    }

    /// What was asked for, but for extents, which are rounded.
    fn expect(&mut self, act: &Act) {
        match act.clone() {
            Act::Create { name, extents, stripes, tag, read_only } => {
                let tags = tag.into_iter().collect();
                let new = Expected { extents, stripes, writable: !read_only, tags };
                self.expected.insert(name, new);
            }
            Act::Extend { name, to } | Act::Reduce { name, to } => {
                self.expected.get_mut(&name).unwrap().extents = to;
            }
            Act::Remove { name } => drop(self.expected.remove(&name)),
            Act::Rename { from, to } => {
                let volume = self.expected.remove(&from).unwrap();
                self.expected.insert(to, volume);
            }
            Act::Tag { name, tag, add } => {
                let tags = &mut self.expected.get_mut(&name).unwrap().tags;
                assert!(if add { tags.insert(tag) } else { tags.remove(&tag) });
            }
            Act::SetWritable { name, writable } => {
                self.expected.get_mut(&name).unwrap().writable = writable;
            }
            Act::TagGroup { tag, add } => {
                let tags = &mut self.group_tags;
                assert!(if add { tags.insert(tag) } else { tags.remove(&tag) });
            }
            Act::SetAllocatable { device, allocatable } => {
                self.allocatable[device] = Some(allocatable);
            }
            Act::RenameGroup { .. } => {}
            Act::Join { device } => self.allocatable[device] = Some(true),
            Act::Leave { device } => self.allocatable[device] = None,
        }
    }

    /// Compares the group after an operation with what it must be; answers whether it changed.
    pub(crate) fn check(
        &mut self,
        what: &str,
        act: &Act,
        outcome: &Outcome,
        native: &Native,
        tools: &LvmTools,
    ) -> bool {
        let verdict = self.verdict(act);
        let name = match act {
            Act::RenameGroup { to } if outcome.is_ok() => to.clone(),
            _ => self.group.name.clone(),
        };
        let view = native.session.group(&name).unwrap();
        assert!(view.findings.is_empty(), "{what}: {:?}", view.findings);
        let now = view.metadata.group.clone();
        let fresh = scan(tools);
        assert_eq!(fresh.findings().count(), 0, "{what}");
        assert_eq!(fresh.group(&name).unwrap().group(), &now, "{what}: the session sees another");
        let changed = now.seqno != self.group.seqno;
        if let Some(verdict) = verdict {
            assert_eq!(changed, verdict, "{what}: {outcome:?}, {} extents free", self.free());
        }
        if changed {
            assert_eq!(outcome, &Ok(()), "{what}: changed all the same");
            assert_eq!(now.seqno, self.group.seqno + 1, "{what}");
            self.expect(act);
        } else {
            assert_eq!(now, self.group, "{what}: changed with the number it had");
        }
        self.group = now;
        self.compare(what, act);
        changed
    }

    fn compare(&mut self, what: &str, act: &Act) {
        let group = &self.group;
        let found: BTreeMap<String, Expected> =
            group.logical_volumes.iter().map(|lv| (lv.name.clone(), Expected::of(lv))).collect();
        if let Act::Create { name, .. } | Act::Extend { name, .. } | Act::Reduce { name, .. } = act
            && let (Some(expected), Some(found)) = (self.expected.get_mut(name), found.get(name))
        {
            // Up to whole stripes, or down to them.
            let stripes = found.stripes.max(expected.stripes);
            assert!(found.extents.abs_diff(expected.extents) < stripes, "{what}: {found:?}");
            expected.extents = found.extents;
            if matches!(act, Act::Reduce { .. }) {
                expected.stripes = found.stripes;
            }
        }
        assert_eq!(found, self.expected, "{what}");
        let tags: BTreeSet<String> = group.tags.iter().cloned().collect();
        assert_eq!(tags, self.group_tags, "{what}");
        let on = |device: &PathBuf| Some(physical_on(group, device)?.is_allocatable());
        let allocatable: Vec<Option<bool>> = self.devices.iter().map(on).collect();
        assert_eq!(allocatable, self.allocatable, "{what}");
    }
}
