//! Thin pools, thin volumes and snapshots.

use open_local_core::{Bytes, Error, ErrorKind, Op, Result};

use super::{Order, about, add_tags, bytes, new_name, path_of, size};
use crate::format::names::check_name;
use crate::plan::{NewVolume, Size};

/// A thin pool that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewPool {
    /// Its name.
    pub name: String,
    /// Room for data; all that is left beside its metadata unless given.
    pub size: Option<Size>,
    /// Room for metadata; what lvm2 thinks is right unless given.
    pub metadata_size: Option<Bytes>,
    /// Its chunks: a multiple of 64 KiB; what lvm2 thinks is right unless given.
    pub chunk_size: Option<Bytes>,
    /// Tags.
    pub tags: Vec<String>,
}

impl NewPool {
    /// A pool of this size, or of all there is; writes wait for room until
    /// [`Order::set_error_when_full`] says otherwise.
    #[must_use]
    pub fn new(name: impl Into<String>, size: Option<Size>) -> Self {
        Self { name: name.into(), size, metadata_size: None, chunk_size: None, tags: Vec::new() }
    }
}

/// Where a snapshot keeps what differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotRoom {
    /// In the thin pool of its origin.
    Shared,
    /// In a store of this size, which is lost when it is full.
    Store(Size),
}

impl Order {
    /// Makes a thin pool. Needs device-mapper: its metadata is made by the kernel.
    ///
    /// # Errors
    /// `InvalidArgument` for names and tags that the tools do not take.
    pub fn create_pool(group: &str, new: &NewPool) -> Result<Self> {
        check_name(group)?;
        let metadata = new.metadata_size.map(|size| ["--poolmetadatasize".into(), bytes(size)]);
        let chunk = new.chunk_size.map(|size| ["-c".into(), bytes(size)]);
        Ok(Self::changing_in("lvcreate", group, &new.name)
            .args(["--type", "thin-pool", "-y", "-Zy"])
            .args(new.size.map_or(["-l".to_owned(), "100%FREE".to_owned()], size))
            .args(metadata.into_iter().flatten().chain(chunk.into_iter().flatten()))
            .args(add_tags(&new.tags)?)
            .args(["-n", &new_name(&new.name)?, group]))
    }

    /// Gives a thin pool more room for metadata, up to this much.
    ///
    /// # Errors
    /// As [`Self::create_pool`].
    pub fn extend_pool_metadata(group: &str, pool: &str, to: Bytes) -> Result<Self> {
        let path = path_of(group, pool)?;
        let order = Self::changing_in("lvextend", group, pool);
        Ok(order.args(["--poolmetadatasize", &bytes(to), &path]))
    }

    /// Says what happens to writes when a thin pool is full.
    ///
    /// # Errors
    /// As [`Self::create_pool`].
    pub fn set_error_when_full(group: &str, pool: &str, error: bool) -> Result<Self> {
        let path = path_of(group, pool)?;
        let order = Self::changing_in("lvchange", group, pool);
        Ok(order.args(["--errorwhenfull", if error { "y" } else { "n" }, &path]))
    }

    /// Makes a thin volume in a pool; it is not active afterwards. Its size is a number of bytes.
    ///
    /// # Errors
    /// As [`Self::create_pool`].
    pub fn create_thin(group: &str, pool: &str, new: &NewVolume) -> Result<Self> {
        check_name(group)?;
        check_name(pool)?;
        let Size::AtLeast(virtual_size) = new.size else {
            // There "e" stands for exbibytes.
            let message = "a virtual size is not counted in extents";
            let subject = about(group, &new.name);
            return Err(Error::new(ErrorKind::InvalidArgument, Op::RunProgram, subject, message)
                .with_remedy("give it in bytes"));
        };
        Ok(Self::changing_in("lvcreate", group, &new.name)
            .args(["-an", "-y", "-V", &bytes(virtual_size), "--thinpool", pool])
            .args(new.read_only.then_some("-pr"))
            .args(add_tags(&new.tags)?)
            .args(["-n", &new_name(&new.name)?, group]))
    }

    /// Takes a snapshot. A shared one is not active afterwards, and is not left out when its
    /// group is activated.
    ///
    /// # Errors
    /// As [`Self::create_pool`].
    pub fn create_snapshot(
        group: &str,
        origin: &str,
        name: &str,
        room: SnapshotRoom,
        tags: &[String],
        read_only: bool,
    ) -> Result<Self> {
        let origin = path_of(group, origin)?;
        let order = Self::changing_in("lvcreate", group, name);
        let order = match room {
            SnapshotRoom::Shared => order.args(["-an", "-y", "-s", "-kn"]),
            SnapshotRoom::Store(room) => order.args(["-y", "-s"]).args(size(room)),
        };
        Ok(order.args(read_only.then_some("-pr")).args(add_tags(tags)?).args([
            "-n",
            &new_name(name)?,
            &origin,
        ]))
    }
}
