//! Files, folders and links by name, with the errors Linux gives.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::content::Content;
use super::durable::{LOOK_AFTER, Pending};
use super::room::{Recounted, Room};
use crate::device::DeviceNumber;
use crate::host::{FileKind, FileStat};
use crate::units::Bytes;

/// Names a node for ever; unlike its inode number it is never reused.
pub(in crate::sim) type Key = u64;

pub(super) const ROOT: Key = 0;
/// Links followed on the way to a path before it counts as a circle (Linux 6.18: `MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
const MAX_NAME: usize = 255;
const MAX_PATH: usize = 4095;

/// The error of an error number.
pub(in crate::sim) fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

#[derive(Debug, Clone, Default)]
pub(super) struct Folder {
    pub(super) now: BTreeMap<OsString, Key>,
    pub(super) durable: BTreeMap<OsString, Key>,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    File(Content),
    Folder(Folder),
    Link(PathBuf),
    Device(DeviceNumber),
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) inode: u64,
    /// Names it has now.
    pub(super) links: u32,
    /// Open descriptors of the living process.
    pub(super) opens: u32,
    /// Uses by the kernel, which outlive the process.
    pub(super) pins: u32,
    /// Shared locks; -1 for an exclusive one.
    pub(super) locks: i32,
    pub(super) body: Body,
}

impl Node {
    const fn is_used(&self) -> bool {
        self.links > 0 || self.opens > 0 || self.pins > 0
    }
}

#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<Key, Node>,
    /// Changes of folders that are not durable, oldest first.
    pub(super) pending: Vec<Pending>,
    pub(super) room: Room,
    pub(super) device: DeviceNumber,
    next_key: Key,
    next_inode: u64,
    free_inodes: BTreeSet<u64>,
    /// With so many nodes those are looked for that nothing reaches.
    pub(super) look_at: usize,
}

/// A folder and a name in it.
pub(super) type Place = (Key, OsString);

enum Part {
    Root,
    Up,
    Name(OsString),
}

fn parts(path: &Path) -> Vec<Part> {
    let part = |component| match component {
        Component::RootDir => Some(Part::Root),
        Component::ParentDir => Some(Part::Up),
        Component::Normal(name) => Some(Part::Name(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}

/// Refuses what no system call can be given.
pub(super) fn no_nul(path: &Path) -> io::Result<()> {
    if path.as_os_str().as_bytes().contains(&0) {
        let what = "the path contains a NUL byte";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(())
}

fn check(path: &Path) -> io::Result<()> {
    no_nul(path)?;
    match path.as_os_str().len() {
        0 => Err(errno(libc::ENOENT)),
        len if len > MAX_PATH => Err(errno(libc::ENAMETOOLONG)),
        _ => Ok(()),
    }
}

impl Tree {
    pub(super) fn new(device: DeviceNumber, room: Room) -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            pending: Vec::new(),
            room,
            device,
            next_key: ROOT,
            next_inode: 2,
            free_inodes: BTreeSet::new(),
            look_at: LOOK_AFTER,
        };
        let root = tree.add(Body::Folder(Folder::default()));
        if let Some(node) = tree.nodes.get_mut(&root) {
            node.links = 1;
        }
        tree
    }

    /// The same tree with room of its own.
    pub(super) fn copied(&self) -> Self {
        let room = self.room.empty();
        let mut known = Recounted::new();
        let mut nodes = self.nodes.clone();
        for node in nodes.values_mut() {
            if let Body::File(content) = &mut node.body {
                content.recount(&room, &mut known);
            }
        }
        Self {
            nodes,
            pending: self.pending.clone(),
            room,
            free_inodes: self.free_inodes.clone(),
            look_at: self.look_at,
            ..*self
        }
    }

    pub(super) fn node(&self, key: Key) -> io::Result<&Node> {
        self.nodes.get(&key).ok_or_else(|| errno(libc::ESTALE))
    }

    pub(super) fn node_mut(&mut self, key: Key) -> io::Result<&mut Node> {
        self.nodes.get_mut(&key).ok_or_else(|| errno(libc::ESTALE))
    }

    pub(super) fn folder(&self, key: Key) -> io::Result<&Folder> {
        match &self.node(key)?.body {
            Body::Folder(folder) => Ok(folder),
            _ => Err(errno(libc::ENOTDIR)),
        }
    }

    pub(super) fn content(&self, key: Key) -> io::Result<&Content> {
        match &self.node(key)?.body {
            Body::File(content) => Ok(content),
            Body::Folder(_) => Err(errno(libc::EISDIR)),
            _ => Err(errno(libc::EINVAL)),
        }
    }

    /// The content and the room it grows into.
    pub(super) fn content_mut(&mut self, key: Key) -> io::Result<(&mut Content, &mut Room)> {
        let node = self.nodes.get_mut(&key);
        match &mut node.ok_or_else(|| errno(libc::ESTALE))?.body {
            Body::File(content) => Ok((content, &mut self.room)),
            Body::Folder(_) => Err(errno(libc::EISDIR)),
            _ => Err(errno(libc::EINVAL)),
        }
    }

    /// The nodes on the way to a path, itself the last.
    fn walk(&self, path: &Path, follow_last: bool) -> io::Result<Vec<Key>> {
        check(path)?;
        let mut todo: VecDeque<Part> = parts(path).into();
        let mut way = vec![ROOT];
        let mut links = 0;
        while let Some(part) = todo.pop_front() {
            let here = way.last().copied().unwrap_or(ROOT);
            let folder = self.folder(here)?;
            match part {
                Part::Root => way.truncate(1),
                Part::Up if way.len() > 1 => drop(way.pop()),
                Part::Up => {}
                Part::Name(name) => {
                    let key = lookup(folder, &name)?.ok_or_else(|| errno(libc::ENOENT))?;
                    let Body::Link(target) = &self.node(key)?.body else {
                        way.push(key);
                        continue;
                    };
                    if todo.is_empty() && !follow_last {
                        way.push(key);
                        continue;
                    }
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(errno(libc::ELOOP));
                    }
                    for part in parts(target).into_iter().rev() {
                        todo.push_front(part);
                    }
                }
            }
        }
        Ok(way)
    }

    /// What a path names.
    pub(super) fn find(&self, path: &Path, follow_last: bool) -> io::Result<Key> {
        Ok(self.walk(path, follow_last)?.last().copied().unwrap_or(ROOT))
    }

    /// The folder a path lies in.
    pub(super) fn parent(&self, path: &Path) -> io::Result<Key> {
        check(path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let key = self.find(parent.unwrap_or(Path::new("/")), true)?;
        self.folder(key).map(|_| key)
    }

    /// The place a path names, whether there is something or not; `dots` for `/` and `..`.
    pub(super) fn place(&self, path: &Path, dots: i32) -> io::Result<Place> {
        let folder = self.parent(path)?;
        let name = path.file_name().ok_or_else(|| errno(dots))?;
        Ok((folder, name.to_owned()))
    }

    /// What is at a place.
    pub(super) fn at(&self, (folder, name): &Place) -> io::Result<Option<Key>> {
        lookup(self.folder(*folder)?, name)
    }

    pub(super) fn describe(&self, key: Key) -> io::Result<FileStat> {
        let node = self.node(key)?;
        let (kind, size, allocated, stands_for) = match &node.body {
            Body::File(file) => (FileKind::File, file.len(), file.allocated(), None),
            Body::Folder(_) => (FileKind::Directory, 4096, 4096, None),
            Body::Link(target) => {
                let len = u64::try_from(target.as_os_str().len()).unwrap_or(u64::MAX);
                (FileKind::Symlink, len, 0, None)
            }
            Body::Device(number) => (FileKind::BlockDevice, 0, 0, Some(*number)),
        };
        Ok(FileStat {
            kind,
            size: Bytes::new(size),
            allocated: Bytes::new(allocated),
            device: self.device,
            inode: node.inode,
            stands_for,
        })
    }

    /// Makes a node without a name.
    fn add(&mut self, body: Body) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        let inode = self.free_inodes.pop_first().unwrap_or_else(|| {
            self.next_inode += 1;
            self.next_inode - 1
        });
        let node = Node { inode, links: 0, opens: 0, pins: 0, locks: 0, body };
        self.nodes.insert(key, node);
        key
    }

    /// Makes something at a free place.
    pub(super) fn make(&mut self, place: Place, body: Body) -> io::Result<Key> {
        let key = self.add(body);
        self.change(vec![(place, Some(key))])?;
        Ok(key)
    }

    /// Removes a file, link or device.
    pub(super) fn unlink(&mut self, place: Place) -> io::Result<()> {
        let key = self.at(&place)?.ok_or_else(|| errno(libc::ENOENT))?;
        if matches!(self.node(key)?.body, Body::Folder(_)) {
            return Err(errno(libc::EISDIR));
        }
        self.change(vec![(place, None)])
    }

    /// Removes an empty folder.
    pub(super) fn unlink_folder(&mut self, place: Place) -> io::Result<()> {
        let key = self.at(&place)?.ok_or_else(|| errno(libc::ENOENT))?;
        if !self.folder(key)?.now.is_empty() {
            return Err(errno(libc::ENOTEMPTY));
        }
        self.change(vec![(place, None)])
    }

    pub(super) fn rename(&mut self, from: Place, to: Place) -> io::Result<()> {
        let key = self.at(&from)?.ok_or_else(|| errno(libc::ENOENT))?;
        let old = self.at(&to)?;
        if self.is_in(key, to.0) {
            return Err(errno(libc::EINVAL));
        }
        let Some(old) = old else {
            return self.change(vec![(from, None), (to, Some(key))]);
        };
        if self.is_in(old, from.0) {
            return Err(errno(libc::ENOTEMPTY));
        }
        if old == key {
            return Ok(());
        }
        let is_folder = |key| Ok::<_, io::Error>(matches!(self.node(key)?.body, Body::Folder(_)));
        match (is_folder(key)?, is_folder(old)?) {
            (true, false) => return Err(errno(libc::ENOTDIR)),
            (false, true) => return Err(errno(libc::EISDIR)),
            (true, true) if !self.folder(old)?.now.is_empty() => {
                return Err(errno(libc::ENOTEMPTY));
            }
            _ => {}
        }
        self.change(vec![(from, None), (to, Some(key))])
    }

    /// Whether `folder` is `ancestor` or lies in it.
    fn is_in(&self, ancestor: Key, folder: Key) -> bool {
        let mut todo = vec![ancestor];
        while let Some(key) = todo.pop() {
            if key == folder {
                return true;
            }
            if let Ok(folder) = self.folder(key) {
                todo.extend(folder.now.values());
            }
        }
        false
    }

    /// Changes what is at some places in one step, which is not durable yet.
    fn change(&mut self, entries: Vec<(Place, Option<Key>)>) -> io::Result<()> {
        let mut gone = Vec::new();
        let mut change = Pending::default();
        for ((folder, name), target) in entries {
            let node = self.node_mut(folder)?;
            let Body::Folder(body) = &mut node.body else {
                return Err(errno(libc::ENOTDIR));
            };
            let before = match target {
                Some(key) => body.now.insert(name.clone(), key),
                None => body.now.remove(&name),
            };
            for (key, is_new) in [(before, false), (target, true)] {
                let Some((key, node)) = key.and_then(|k| Some((k, self.nodes.get_mut(&k)?))) else {
                    continue;
                };
                change.touches(node);
                if is_new {
                    node.links += 1;
                } else {
                    node.links = node.links.saturating_sub(1);
                    gone.push(key);
                }
            }
            change.entries.push(((folder, name), target));
        }
        self.pending.push(change);
        gone.into_iter().for_each(|key| self.settle(key));
        Ok(())
    }

    /// Frees number and room of a node that nothing names or uses any more.
    pub(super) fn settle(&mut self, key: Key) {
        let Some(node) = self.nodes.get_mut(&key).filter(|node| !node.is_used()) else {
            return;
        };
        self.free_inodes.insert(node.inode);
        if let Body::File(content) = &mut node.body {
            content.give_back_room();
        }
    }

    /// Frees the numbers no node has.
    pub(super) fn recount_inodes(&mut self) {
        let used: BTreeSet<u64> = self.nodes.values().map(|node| node.inode).collect();
        self.free_inodes = (2..self.next_inode).filter(|n| !used.contains(n)).collect();
    }
}

fn lookup(folder: &Folder, name: &OsStr) -> io::Result<Option<Key>> {
    if name.len() > MAX_NAME {
        return Err(errno(libc::ENAMETOOLONG));
    }
    Ok(folder.now.get(name).copied())
}
