//! Groups and physical volumes.

use std::path::{Path, PathBuf};

use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Subject};

use super::{Order, Touched, add_tags, bytes, device, tag_change};
use crate::format::names::check_name;
use crate::plan::TagChange;

/// How a group and its physical volumes are made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupOptions {
    /// The size of its extents.
    pub extent_size: Bytes,
    /// Room for metadata on each device that becomes a physical volume. It can't grow later.
    pub metadata_size: Bytes,
    /// Tags of the group.
    pub tags: Vec<String>,
    /// Whether what the devices hold may be destroyed; else the tools refuse it where they see it.
    pub replace: bool,
}

impl Default for GroupOptions {
    /// Extents of 4 MiB, and 16 MiB for metadata: about 20,000 volumes.
    fn default() -> Self {
        Self {
            extent_size: Bytes::new(4 << 20),
            metadata_size: Bytes::new(16 << 20),
            tags: Vec::new(),
            replace: false,
        }
    }
}

impl GroupOptions {
    /// Sets the size of extents.
    #[must_use]
    pub const fn with_extent_size(mut self, size: Bytes) -> Self {
        self.extent_size = size;
        self
    }

    /// Sets the room for metadata.
    #[must_use]
    pub const fn with_metadata_size(mut self, size: Bytes) -> Self {
        self.metadata_size = size;
        self
    }

    /// Adds tags.
    #[must_use]
    pub fn with_tags(mut self, tags: &[String]) -> Self {
        self.tags.extend_from_slice(tags);
        self
    }

    /// Allows to destroy what the devices hold.
    #[must_use]
    pub const fn replacing(mut self) -> Self {
        self.replace = true;
        self
    }
}

fn devices(paths: &[PathBuf]) -> Result<Vec<String>> {
    if paths.is_empty() {
        let message = "no device is named";
        return Err(Error::new(ErrorKind::InvalidArgument, Op::RunProgram, Subject::Host, message)
            .with_remedy("name at least one"));
    }
    paths.iter().map(|path| device(path)).collect()
}

impl Order {
    fn on_group(command: &'static str, name: &str) -> Result<Self> {
        check_name(name)?;
        let order = Self::changing(command, Subject::value(name));
        Ok(order.touching(Touched::Group(name.to_owned())))
    }

    /// The same with devices that join a group.
    fn joined_by(mut self, paths: &[PathBuf]) -> Result<Self> {
        let names = devices(paths)?;
        for path in paths {
            self = self.touching(Touched::Device(path.clone()));
        }
        Ok(self.args(names))
    }

    fn on_device(command: &'static str, path: &Path) -> Result<(Self, String)> {
        let order = Self::changing(command, Subject::device(path));
        Ok((order.touching(Touched::Device(path.to_path_buf())), device(path)?))
    }

    /// Makes a group of devices, and physical volumes of those that are none.
    ///
    /// # Errors
    /// `InvalidArgument` for names, tags and paths that the tools do not take.
    pub fn create_group(name: &str, on: &[PathBuf], options: &GroupOptions) -> Result<Self> {
        check_name(name)?;
        let order = Self::changing("vgcreate", Subject::value(name))
            .args(options.replace.then_some("-y"))
            .args(["-s", &bytes(options.extent_size)])
            .args(["--metadatasize", &bytes(options.metadata_size)])
            .args(add_tags(&options.tags)?);
        order.arg(name).joined_by(on)
    }

    /// Adds devices to a group.
    ///
    /// # Errors
    /// As [`Self::create_group`].
    pub fn extend_group(name: &str, with: &[PathBuf]) -> Result<Self> {
        Self::on_group("vgextend", name)?.arg(name).joined_by(with)
    }

    /// Takes devices out of a group; they stay physical volumes.
    ///
    /// # Errors
    /// As [`Self::create_group`].
    pub fn reduce_group(name: &str, by: &[PathBuf]) -> Result<Self> {
        Ok(Self::on_group("vgreduce", name)?.arg(name).args(devices(by)?))
    }

    /// Removes a group without volumes; its devices stay physical volumes.
    ///
    /// # Errors
    /// As [`Self::create_group`].
    pub fn remove_group(name: &str) -> Result<Self> {
        Ok(Self::on_group("vgremove", name)?.arg(name))
    }

    /// Gives a group another name.
    ///
    /// # Errors
    /// As [`Self::create_group`].
    pub fn rename_group(from: &str, to: &str) -> Result<Self> {
        check_name(to)?;
        Ok(Self::on_group("vgrename", from)?.args([from, to]))
    }

    /// Adds and removes tags of a group.
    ///
    /// # Errors
    /// As [`Self::create_group`], also where there is nothing to change.
    pub fn tag_group(name: &str, tags: &TagChange) -> Result<Self> {
        Ok(Self::on_group("vgchange", name)?.args(tag_change(tags)?).arg(name))
    }

    /// Looks for what is wrong with a group.
    ///
    /// # Errors
    /// As [`Self::create_group`].
    pub fn check_group(name: &str) -> Result<Self> {
        check_name(name)?;
        Ok(Self::reading("vgck", Subject::value(name)).arg(name))
    }

    /// Writes the metadata of a group again, to areas too whose copy is damaged or stale.
    ///
    /// # Errors
    /// As [`Self::create_group`].
    pub fn mend_group(name: &str) -> Result<Self> {
        Ok(Self::on_group("vgck", name)?.args(["--updatemetadata", name]))
    }

    /// Gives a group the metadata that a backup file holds. `force` does so where it has thin
    /// pools, whose own metadata may have gone on.
    ///
    /// # Errors
    /// As [`Self::create_group`].
    pub fn restore_group(name: &str, file: &Path, force: bool) -> Result<Self> {
        let order = Self::on_group("vgcfgrestore", name)?.args(force.then_some("--force"));
        Ok(order.args(["-f", &device(file)?, name]))
    }

    /// Makes a device a physical volume.
    ///
    /// # Errors
    /// As [`Self::create_group`].
    pub fn create_physical(path: &Path, options: &GroupOptions) -> Result<Self> {
        let (order, path) = Self::on_device("pvcreate", path)?;
        let order = order.args(options.replace.then_some("-y"));
        Ok(order.args(["--metadatasize", &bytes(options.metadata_size), &path]))
    }

    /// Makes a physical volume of no group an ordinary device.
    ///
    /// # Errors
    /// As [`Self::create_group`].
    pub fn remove_physical(path: &Path) -> Result<Self> {
        let (order, path) = Self::on_device("pvremove", path)?;
        Ok(order.arg(path))
    }

    /// Follows the size of a device.
    ///
    /// # Errors
    /// As [`Self::create_group`].
    pub fn resize_physical(path: &Path) -> Result<Self> {
        let (order, path) = Self::on_device("pvresize", path)?;
        Ok(order.arg(path))
    }

    /// Allows or forbids to take new extents from a physical volume.
    ///
    /// # Errors
    /// As [`Self::create_group`].
    pub fn set_allocatable(path: &Path, allocatable: bool) -> Result<Self> {
        let (order, path) = Self::on_device("pvchange", path)?;
        Ok(order.args([if allocatable { "-xy" } else { "-xn" }, &path]))
    }
}
