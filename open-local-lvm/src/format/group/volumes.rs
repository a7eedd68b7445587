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
    /// Copied when it is changed while another version has it too.
    list: Arc<Vec<Shared>>,
    /// What the last check found, of these volumes or of those they were before a change.
    checked: Mutex<Option<Arc<Checked>>>,
}

/// What a check of a group found.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    /// The group without volumes and sequence number.
    pub(crate) rest: VolumeGroup,
    /// Its volumes. Held here they can't be changed in place: one that was changed is another.
    pub(crate) list: Arc<Vec<Shared>>,
    /// Whether all volumes lie on physical volumes and nowhere else.
    pub(crate) is_flat: bool,
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

    /// Whether both are one in memory.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Shares the names of physical volumes with other volumes, if they are the same.
    pub(crate) fn share_keys(&mut self, keys: &PvKeys) {
        let node = Arc::get_mut(&mut self.0);
        if let Some(own) =
            node.and_then(|node| node.source.as_mut()).filter(|own| own.keys == *keys)
        {
            own.keys = PvKeys::clone(keys);
        }
    }
}

/// Those of two lists that are not the same in both, each in its order.
fn apart<'a>(
    before: &'a [Shared],
    now: &'a [Shared],
) -> (Vec<&'a LogicalVolume>, Vec<&'a LogicalVolume>) {
    let same = |pair: &(&Shared, &Shared)| pair.0.is(pair.1);
    let front = before.iter().zip(now).take_while(same).count();
    let (_, before) = before.split_at_checked(front).unwrap_or_default();
    let (_, now) = now.split_at_checked(front).unwrap_or_default();
    let back = before.iter().rev().zip(now.iter().rev()).take_while(same).count();
    let middle = |list: &'a [Shared]| {
        let count = list.len().saturating_sub(back);
        list.iter().take(count).map(Shared::volume).collect()
    };
    (middle(before), middle(now))
}

impl From<LogicalVolume> for Shared {
    fn from(volume: LogicalVolume) -> Self {
        Self::read(volume, None)
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || self.0.volume == other.0.volume
    }
}

impl Eq for Shared {}

impl Volumes {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The list, to be changed.
    fn change(&mut self) -> &mut Vec<Shared> {
        Arc::make_mut(&mut self.list)
    }

    /// What the last check found, of these volumes or of those they were before a change.
    pub(crate) fn checked(&self) -> Option<Arc<Checked>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what was found of this list, or of the one it was made from.
    pub(crate) fn set_checked(&self, checked: Option<Arc<Checked>>) {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = checked;
    }

    /// Remembers of this list what was found of another that it was found equal to.
    pub(crate) fn set_checked_like(&self, equal: &Self) {
        let known = equal.checked().filter(|known| equal.is_list(&known.list));
        let own = known.map(|known| Checked { list: self.list(), ..Checked::clone(&known) });
        self.set_checked(own.map(Arc::new));
    }

    /// Whether a list holds these very volumes.
    pub(crate) fn is_list(&self, list: &[Shared]) -> bool {
        // One list in memory more often than not.
        std::ptr::eq(self.shared(), list)
            || (self.len() == list.len()
                && self.list.iter().zip(list).all(|(own, one)| own.is(one)))
    }

    /// Volumes of a list that were changed or are gone, and those that are new or changed.
    pub(crate) fn since<'a>(
        &'a self,
        before: &'a [Shared],
    ) -> (Vec<&'a LogicalVolume>, Vec<&'a LogicalVolume>) {
        apart(before, &self.list)
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
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

    /// The same, to be kept.
    pub(crate) fn list(&self) -> Arc<Vec<Shared>> {
        Arc::clone(&self.list)
    }

    pub(crate) fn into_shared(self) -> Vec<Shared> {
        Arc::unwrap_or_clone(self.list)
    }

    /// Those of two versions that are not the same in both, each in its order: of a thousand
    /// volumes of which one was changed, one of each.
    pub(crate) fn apart<'a>(
        &'a self,
        other: &'a Self,
    ) -> (Vec<&'a LogicalVolume>, Vec<&'a LogicalVolume>) {
        apart(&self.list, &other.list)
    }
}

impl Clone for Volumes {
    fn clone(&self) -> Self {
        Self { list: self.list(), checked: Mutex::new(self.checked()) }
    }
}

impl PartialEq for Volumes {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.list, &other.list) || self.list == other.list
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
        volumes.into_iter().map(Shared::from).collect::<Vec<Shared>>().into()
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

impl From<Arc<Vec<Shared>>> for Volumes {
    fn from(list: Arc<Vec<Shared>>) -> Self {
        Self { list, ..Self::default() }
    }
}

impl From<Vec<Shared>> for Volumes {
    fn from(list: Vec<Shared>) -> Self {
        Self { list: Arc::new(list), ..Self::default() }
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
