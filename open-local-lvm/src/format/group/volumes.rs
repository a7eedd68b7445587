//! The volumes of a group, shared between its versions.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::slice;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::logical::LogicalVolume;
use super::volume_group::VolumeGroup;
use crate::format::check::Finding;

/// Volumes in the order of the text.
///
/// Used like a vector. A copy of a group shares all volumes with it until one of them is changed,
/// so that planning and comparing versions costs what changes and not what is there. A volume
/// that was read and not changed since also knows the bytes it was read from: they are written
/// again as they are.
#[derive(Default)]
pub struct Volumes {
    list: Vec<Shared>,
    /// What the last check of these volumes found, until one of them is changed.
    checked: Mutex<Option<Arc<Checked>>>,
}

/// What a check of a group found.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The group without volumes and sequence number.
    pub(crate) rest: VolumeGroup,
    pub(crate) findings: Vec<Finding>,
}

/// One volume. Equal if it is the same one in memory, or if the values are equal.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Node>);

#[derive(Debug)]
struct Node {
    volume: LogicalVolume,
    /// Gone as soon as the volume is changed.
    source: Option<Source>,
}

/// Names of physical volumes inside a text, in its order: what a name in a list of stripes means
/// depends on them.
pub(crate) type PvKeys = Arc<Vec<String>>;

/// What a volume was read from. Only the reader of texts makes one, so that reading these bytes
/// again where the same physical volumes are gives the same volume.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the name to the closing brace.
    pub(crate) text: Box<[u8]>,
    /// Entries and list items in it.
    pub(crate) entries: usize,
    pub(crate) keys: PvKeys,
    /// The same volume as backup files have it.
    pub(crate) indented: OnceLock<Box<[u8]>>,
}

impl Clone for Node {
    fn clone(&self) -> Self {
        Self { volume: self.volume.clone(), source: None }
    }
}

impl Shared {
    pub(crate) fn read(volume: LogicalVolume, source: Option<Source>) -> Self {
        Self(Arc::new(Node { volume, source }))
    }

    pub(crate) fn volume(&self) -> &LogicalVolume {
        &self.0.volume
    }

    pub(crate) fn source(&self) -> Option<&Source> {
        self.0.source.as_ref()
    }

    fn changed(&mut self) -> &mut LogicalVolume {
        let node = Arc::make_mut(&mut self.0);
        node.source = None;
        &mut node.volume
    }
}

impl From<LogicalVolume> for Shared {
    fn from(volume: LogicalVolume) -> Self {
        Self::read(volume, None)
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.volume == other.0.volume
    }
}

impl Eq for Shared {}

impl Volumes {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: Vec::new(), checked: Mutex::new(None) }
    }

    /// The list, to be changed.
    fn change(&mut self) -> &mut Vec<Shared> {
        *self.checked.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        &mut self.list
    }

    pub(crate) fn checked(&self) -> Option<Arc<Checked>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what was found of this list, or of one that is equal to it.
    pub(crate) fn set_checked(&self, checked: Option<Arc<Checked>>) {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = checked;
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.list.iter())
    }

    /// All of them, to be changed: each that is asked for counts as changed.
    pub fn iter_mut(&mut self) -> IterMut<'_> {
        IterMut(self.change().iter_mut())
    }

    /// The first one.
    #[must_use]
    pub fn first(&self) -> Option<&LogicalVolume> {
        self.list.first().map(Shared::volume)
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<&LogicalVolume> {
        self.list.last().map(Shared::volume)
    }

    /// One by its index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&LogicalVolume> {
        self.list.get(index).map(Shared::volume)
    }

    /// One by its index, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut LogicalVolume> {
        self.change().get_mut(index).map(Shared::changed)
    }

    /// Adds one at the end.
    pub fn push(&mut self, volume: LogicalVolume) {
        self.change().push(volume.into());
    }

    /// Adds one before that with this index; at the end if there are fewer.
    pub fn insert(&mut self, index: usize, volume: LogicalVolume) {
        let end = self.list.len();
        self.change().insert(index.min(end), volume.into());
    }

    /// Takes one out; `None` if there are fewer.
    pub fn remove(&mut self, index: usize) -> Option<LogicalVolume> {
        let Shared(node) = (index < self.list.len()).then(|| self.change().remove(index))?;
        Some(Arc::try_unwrap(node).map_or_else(|node| node.volume.clone(), |node| node.volume))
    }

    /// Keeps those that satisfy a condition.
    pub fn retain(&mut self, mut keep: impl FnMut(&LogicalVolume) -> bool) {
        self.change().retain(|shared| keep(shared.volume()));
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        self.change().clear();
    }

    pub(crate) fn shared(&self) -> &[Shared] {
        &self.list
    }

    /// Those of two versions that are not the same in both, each in its order: of a thousand
    /// volumes of which one was changed, one of each.
    pub(crate) fn apart<'a>(
        &'a self,
        other: &'a Self,
    ) -> (Vec<&'a LogicalVolume>, Vec<&'a LogicalVolume>) {
        let same = |pair: &(&Shared, &Shared)| Arc::ptr_eq(&pair.0.0, &pair.1.0);
        let front = self.list.iter().zip(&other.list).take_while(same).count();
        let (_, own) = self.list.split_at_checked(front).unwrap_or_default();
        let (_, others) = other.list.split_at_checked(front).unwrap_or_default();
        let back = own.iter().rev().zip(others.iter().rev()).take_while(same).count();
        let middle = |list: &'a [Shared]| {
            let count = list.len().saturating_sub(back);
            list.iter().take(count).map(Shared::volume).collect()
        };
        (middle(own), middle(others))
    }
}

impl Clone for Volumes {
    fn clone(&self) -> Self {
        Self { list: self.list.clone(), checked: Mutex::new(self.checked()) }
    }
}

impl PartialEq for Volumes {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Volumes {}

impl fmt::Debug for Volumes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Volumes in order.
#[derive(Debug, Clone)]
pub struct Iter<'a>(slice::Iter<'a, Shared>);

/// Volumes in order, to be changed.
#[derive(Debug)]
pub struct IterMut<'a>(slice::IterMut<'a, Shared>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.volume.fmt(f)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a LogicalVolume;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Shared::volume)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(Shared::volume)
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> Iterator for IterMut<'a> {
    type Item = &'a mut LogicalVolume;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Shared::changed)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for IterMut<'_> {}

impl<'a> IntoIterator for &'a Volumes {
    type Item = &'a LogicalVolume;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Volumes {
    type Item = &'a mut LogicalVolume;
    type IntoIter = IterMut<'a>;

    fn into_iter(self) -> IterMut<'a> {
        self.iter_mut()
    }
}

impl FromIterator<LogicalVolume> for Volumes {
    fn from_iter<I: IntoIterator<Item = LogicalVolume>>(volumes: I) -> Self {
        Self { list: volumes.into_iter().map(Shared::from).collect(), ..Self::default() }
    }
}

impl Extend<LogicalVolume> for Volumes {
    fn extend<I: IntoIterator<Item = LogicalVolume>>(&mut self, volumes: I) {
        self.change().extend(volumes.into_iter().map(Shared::from));
    }
}

impl From<Vec<LogicalVolume>> for Volumes {
    fn from(volumes: Vec<LogicalVolume>) -> Self {
        volumes.into_iter().collect()
    }
}

impl From<Vec<Shared>> for Volumes {
    fn from(list: Vec<Shared>) -> Self {
        Self { list, ..Self::default() }
    }
}

impl Index<usize> for Volumes {
    type Output = LogicalVolume;

    #[expect(clippy::indexing_slicing, reason = "as a vector does it")]
    fn index(&self, index: usize) -> &LogicalVolume {
        self.list[index].volume()
    }
}

impl IndexMut<usize> for Volumes {
    #[expect(clippy::indexing_slicing, reason = "as a vector does it")]
    fn index_mut(&mut self, index: usize) -> &mut LogicalVolume {
        self.change()[index].changed()
    }
}
