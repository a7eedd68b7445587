//! Nodes and links of devices where udev does not make them: what is right, what is in the way.
//!
//! As lvm2 2.03.16 does it without udev: a node of mode 0660, owner root and group disk in
//! `/dev/mapper`, and in a folder of the group's name a link to it. What stands there and is not
//! ours stays, and is reported.

use std::path::{Path, PathBuf};

use open_local_core::host::{Access, FileKind, Host};
use open_local_core::{DeviceNumber, Error, Op, Result, Subject};

/// What a path is now.
#[derive(Debug, Clone, PartialEq, Eq)]
enum There {
    Nothing,
    Node(DeviceNumber),
    Link(PathBuf),
    Folder,
    Other,
}

/// What is done to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// It is as it is to be.
    Leave,
    /// It is made.
    Make,
    /// What a device left that is gone is taken away first.
    Replace,
    /// It is somebody else's.
    Foreign,
}

/// Root and the group `disk`, as lvm2 is built to make nodes (2.03.16, Debian and Fedora).
const NODE: Access = Access { mode: 0o660, owner: 0, group: 6 };
const FOLDER: Access = Access { mode: 0o755, owner: 0, group: 0 };

/// The names under `/dev` of one device.
#[derive(Debug)]
pub(super) struct Names<'a> {
    host: &'a Host,
    group: &'a str,
    name: &'a str,
    link: Option<&'a str>,
}

/// What a node in `/dev/mapper` is to the device of its name.
fn judge_node(there: &There, wanted: DeviceNumber) -> Act {
    match there {
        There::Nothing => Act::Make,
        There::Node(number) if *number == wanted => Act::Leave,
        // Only one device can have the name: a node of another one is what is left of a former.
        There::Node(number) if number.major() == wanted.major() => Act::Replace,
        There::Link(target) => match minor_of(target) {
            Some(minor) if minor == wanted.minor() => Act::Leave,
            Some(_) => Act::Replace,
            None => Act::Foreign,
        },
        There::Node(_) | There::Folder | There::Other => Act::Foreign,
    }
}

/// What a link in the group's folder is to the device of this name and number.
fn judge_link(there: &There, name: &str, wanted: DeviceNumber) -> Act {
    match there {
        There::Nothing => Act::Make,
        There::Link(target) => match minor_of(target) {
            Some(minor) if minor == wanted.minor() => Act::Leave,
            Some(_) => Act::Replace,
            None => match in_mapper(target) {
                Some(own) if own == Path::new(name) => Act::Leave,
                Some(_) => Act::Replace,
                None => Act::Foreign,
            },
        },
        There::Node(_) | There::Folder | There::Other => Act::Foreign,
    }
}

/// The minor number in a link to `dm-N`, as udev makes it.
fn minor_of(target: &Path) -> Option<u32> {
    let name = target.file_name()?.to_str()?.strip_prefix("dm-")?;
    let folder = target.parent()?;
    let of_dev = [Path::new(".."), Path::new("/dev")].contains(&folder);
    let digits = of_dev && name.bytes().all(|byte| byte.is_ascii_digit());
    if digits { name.parse().ok() } else { None }
}

/// The name in a link into `/dev/mapper`.
fn in_mapper(target: &Path) -> Option<&Path> {
    let folder = target.parent()?;
    let of_mapper = [Path::new("../mapper"), Path::new("/dev/mapper")].contains(&folder);
    target.file_name().filter(|_| of_mapper).map(Path::new)
}

impl<'a> Names<'a> {
    pub(super) const fn new(
        host: &'a Host,
        group: &'a str,
        name: &'a str,
        link: Option<&'a str>,
    ) -> Self {
        Self { host, group, name, link }
    }

    fn node(&self) -> PathBuf {
        self.host.roots.dev.join("mapper").join(self.name)
    }

    fn folder(&self) -> PathBuf {
        self.host.roots.dev.join(self.group)
    }

    /// Makes what is missing and replaces what is stale; answers what is somebody else's.
    ///
    /// # Errors
    /// As the operating system gives them; what a checkpoint says.
    pub(super) fn make(&self, number: DeviceNumber) -> Result<Vec<String>> {
        let mut foreign = Vec::new();
        let mapper = self.host.roots.dev.join("mapper");
        self.make_folder(&mapper)?;
        let node = self.node();
        let files = self.host.files.as_ref();
        match judge_node(&self.look(&node)?, number) {
            Act::Leave => {}
            Act::Foreign => foreign.push(self.foreign(&node)),
            act => {
                self.clear_for(act, &node)?;
                self.before(&node, "make the node")?;
                let made = files.make_device_node(&node, number, NODE);
                made.map_err(|e| failed(&node, "can't make the node", e))?;
            }
        }
        let Some(link) = self.link else {
            return Ok(foreign);
        };
        let folder = self.folder();
        if !matches!(self.look(&folder)?, There::Nothing | There::Folder) {
            foreign.push(self.foreign(&folder));
            return Ok(foreign);
        }
        self.make_folder(&folder)?;
        let path = folder.join(link);
        match judge_link(&self.look(&path)?, self.name, number) {
            Act::Leave => {}
            Act::Foreign => foreign.push(self.foreign(&path)),
            act => {
                self.clear_for(act, &path)?;
                self.before(&path, "make the link")?;
                let made = files.make_link(&node, &path);
                made.map_err(|e| failed(&path, "can't make the link", e))?;
            }
        }
        Ok(foreign)
    }

    /// Removes what is left of a device that is gone, and the group's folder if that was the last.
    /// `major` is device-mapper's; what is somebody else's stays and is answered.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub(super) fn remove(&self, major: Option<u32>) -> Result<Vec<String>> {
        let mut foreign = self.remove_link()?;
        let node = self.node();
        let ours = match self.look(&node)? {
            There::Nothing => None,
            There::Node(number) => Some(major.is_none_or(|major| number.major() == major)),
            There::Link(target) => Some(minor_of(&target).is_some()),
            _ => Some(false),
        };
        self.remove_ours(&node, ours, &mut foreign)?;
        Ok(foreign)
    }

    /// Removes the link in the group's folder, and the folder if that was the last.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub(super) fn remove_link(&self) -> Result<Vec<String>> {
        let mut foreign = Vec::new();
        let Some(link) = self.link else {
            return Ok(foreign);
        };
        let (folder, path) = (self.folder(), self.folder().join(link));
        let ours = match self.look(&path)? {
            There::Nothing => None,
            There::Link(target) => {
                let own = in_mapper(&target) == Some(Path::new(self.name));
                Some(own || minor_of(&target).is_some())
            }
            _ => Some(false),
        };
        self.remove_ours(&path, ours, &mut foreign)?;
        let is_folder = self.look(&folder)? == There::Folder;
        let files = self.host.files.as_ref();
        if is_folder && files.list(&folder).is_ok_and(|names| names.is_empty()) {
            self.before(&folder, "remove the empty folder")?;
            // Somebody else may put something into it at this moment.
            let _ = files.remove_dir(&folder);
        }
        Ok(foreign)
    }

    fn remove_ours(
        &self,
        path: &Path,
        ours: Option<bool>,
        foreign: &mut Vec<String>,
    ) -> Result<()> {
        match ours {
            None => Ok(()),
            Some(false) => {
                foreign.push(self.foreign(path));
                Ok(())
            }
            Some(true) => self.clear_for(Act::Replace, path),
        }
    }

    fn make_folder(&self, path: &Path) -> Result<()> {
        if self.look(path)? != There::Nothing {
            return Ok(());
        }
        self.before(path, "make the folder")?;
        match self.host.files.create_dir_for(path, FOLDER) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(failed(path, "can't make the folder", e))
            }
            _ => Ok(()),
        }
    }

    fn clear_for(&self, act: Act, path: &Path) -> Result<()> {
        if act != Act::Replace {
            return Ok(());
        }
        self.before(path, "remove what a former device left")?;
        match self.host.files.remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(failed(path, "can't remove it", e))
            }
            _ => Ok(()),
        }
    }

    fn look(&self, path: &Path) -> Result<There> {
        let files = self.host.files.as_ref();
        let stat = match files.stat(path) {
            Ok(stat) => stat,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(There::Nothing),
            Err(e) => return Err(failed(path, "can't look at it", e)),
        };
        Ok(match (stat.kind, stat.stands_for) {
            (FileKind::BlockDevice, Some(number)) => There::Node(number),
            (FileKind::Symlink, _) => {
                let target = files.read_link(path);
                There::Link(target.map_err(|e| failed(path, "can't read the link", e))?)
            }
            (FileKind::Directory, _) => There::Folder,
            _ => There::Other,
        })
    }

    fn foreign(&self, path: &Path) -> String {
        format!(
            "{} is somebody else's and was left as it is: it does not lead to the device {}",
            path.display(),
            self.name
        )
    }

    fn before(&self, path: &Path, step: &str) -> Result<()> {
        self.host.checkpoints.before(Op::Publish, &Subject::path(path), step)
    }
}

fn failed(path: &Path, message: &str, error: std::io::Error) -> Error {
    Error::from_io(Op::Publish, Subject::path(path), message, error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use open_local_core::sim::{SimFiles, sim_host};
    use proptest::prelude::*;

    use super::*;

    const OURS: DeviceNumber = DeviceNumber::new(254, 300);

    fn machine() -> (Arc<SimFiles>, Host) {
        let files = Arc::new(SimFiles::new(1));
        files.add_folder("/dev").unwrap();
        (Arc::clone(&files), sim_host(files, 1))
    }

    fn names(host: &Host) -> Names<'_> {
        Names::new(host, "vg", "vg-lin", Some("lin"))
    }

    fn link(host: &Host) -> PathBuf {
        host.files.read_link(Path::new("/dev/vg/lin")).unwrap()
    }

    #[test]
    fn node_and_link_are_those_of_lvm_and_go_without_a_trace() {
        let (files, host) = machine();
        assert_eq!(names(&host).make(OURS).unwrap(), Vec::<String>::new());
        let node = host.files.stat(Path::new("/dev/mapper/vg-lin")).unwrap();
        assert_eq!(node.stands_for, Some(OURS), "a minor number above 255");
        assert_eq!(link(&host), Path::new("/dev/mapper/vg-lin"));
        let before = files.operations();
        assert!(names(&host).make(OURS).unwrap().is_empty());
        assert_eq!(files.operations(), before, "made again");
        assert!(names(&host).remove(Some(254)).unwrap().is_empty());
        assert_eq!(files.paths(), [Path::new("/dev"), Path::new("/dev/mapper")]);
        assert!(host.files.list(Path::new("/dev/mapper")).unwrap().is_empty());
        assert!(names(&host).remove(Some(254)).unwrap().is_empty());
    }

    #[test]
    fn what_a_former_device_left_is_replaced() {
        let (files, host) = machine();
        files.add_folder("/dev/mapper").unwrap();
        files.add_folder("/dev/vg").unwrap();
        files.add_device("/dev/mapper/vg-lin", DeviceNumber::new(254, 2)).unwrap();
        files.add_symlink("/dev/vg/lin", "../dm-7").unwrap();
        assert!(names(&host).make(OURS).unwrap().is_empty());
        let node = host.files.stat(Path::new("/dev/mapper/vg-lin")).unwrap();
        assert_eq!(node.stands_for, Some(OURS));
        assert_eq!(link(&host), Path::new("/dev/mapper/vg-lin"));
    }

    #[test]
    fn what_is_somebody_elses_stays_and_is_named() {
        let (files, host) = machine();
        files.add_folder("/dev/mapper").unwrap();
        files.add_folder("/dev/vg").unwrap();
        files.add_device("/dev/mapper/vg-lin", DeviceNumber::new(8, 0)).unwrap();
        files.add_symlink("/dev/vg/lin", "/etc/passwd").unwrap();
        let foreign = names(&host).make(OURS).unwrap();
        assert_eq!(foreign.len(), 2, "{foreign:?}");
        assert!(foreign[0].contains("/dev/mapper/vg-lin") && foreign[1].contains("/dev/vg/lin"));
        assert_eq!(names(&host).remove(Some(254)).unwrap().len(), 2);
        assert_eq!(link(&host), Path::new("/etc/passwd"));
        let node = host.files.stat(Path::new("/dev/mapper/vg-lin")).unwrap();
        assert_eq!(node.stands_for, Some(DeviceNumber::new(8, 0)));
    }

    #[test]
    fn a_file_in_the_place_of_the_groups_folder_is_named() {
        let (files, host) = machine();
        files.add_file("/dev/vg", b"").unwrap();
        let foreign = names(&host).make(OURS).unwrap();
        assert!(foreign[0].contains("/dev/vg is somebody else's"), "{foreign:?}");
    }

    #[test]
    fn other_volumes_keep_the_folder() {
        let (files, host) = machine();
        names(&host).make(OURS).unwrap();
        files.add_symlink("/dev/vg/other", "/dev/mapper/vg-other").unwrap();
        names(&host).remove(Some(254)).unwrap();
        assert_eq!(host.files.list(Path::new("/dev/vg")).unwrap(), ["other"]);
    }

    #[test]
    fn links_of_udev_are_as_good() {
        assert_eq!(judge_node(&There::Link("../dm-300".into()), OURS), Act::Leave);
        assert_eq!(judge_link(&There::Link("../dm-300".into()), "vg-lin", OURS), Act::Leave);
        assert_eq!(judge_node(&There::Link("../dm-30".into()), OURS), Act::Replace);
        assert_eq!(judge_link(&There::Link("../dm-x".into()), "vg-lin", OURS), Act::Foreign);
        assert_eq!(judge_link(&There::Link("../sda".into()), "vg-lin", OURS), Act::Foreign);
    }

    proptest! {
        #[test]
        fn any_target_of_a_link_is_judged(target: String) {
            let there = There::Link(target.into());
            let _ = (judge_node(&there, OURS), judge_link(&there, "vg-lin", OURS));
        }
    }
}
