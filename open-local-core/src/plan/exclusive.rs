//! What is given away whole: devices and directories that are mount points.

use super::media::Media;
use super::name::Name;
use crate::units::Bytes;

/// A device or mount point that belongs to one claim at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusive {
    pub(super) name: Name,
    pub(super) size: Bytes,
    pub(super) media: Media,
    pub(super) free: bool,
    pub(super) holders: u32,
}

impl Exclusive {
    /// A free one of no known medium.
    #[must_use]
    pub const fn new(name: Name, size: Bytes) -> Self {
        Self { name, size, media: Media::Unspecified, free: true, holders: 0 }
    }

    /// Sets its medium.
    #[must_use]
    pub const fn with_media(mut self, media: Media) -> Self {
        self.media = media;
        self
    }

    /// Says that somebody has it.
    #[must_use]
    pub const fn taken(mut self) -> Self {
        self.free = false;
        self
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Its size.
    #[must_use]
    pub const fn size(&self) -> Bytes {
        self.size
    }

    /// Its medium.
    #[must_use]
    pub const fn media(&self) -> Media {
        self.media
    }

    /// Whether nobody has it and nobody is promised it.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.free && self.holders == 0
    }
}
