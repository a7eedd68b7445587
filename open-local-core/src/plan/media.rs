//! What a disk is made of, and what a claim accepts.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// A medium: of a pool or a device what it is, of a claim what it asks for.
///
/// A claim for [`Media::Ssd`] also accepts NVMe, which is flash too, and which clusters made
/// before there was a word for it call `ssd`. A claim for [`Media::Unspecified`] accepts all; a
/// device of which nothing is known is given only to such a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Media {
    /// Not said.
    #[default]
    Unspecified,
    /// Rotating disk.
    Hdd,
    /// Flash.
    Ssd,
    /// Flash behind NVMe.
    Nvme,
}

impl Media {
    /// Whether a claim for this may be given `other`.
    #[must_use]
    pub const fn accepts(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Unspecified, _)
                | (Self::Hdd, Self::Hdd)
                | (Self::Ssd, Self::Ssd | Self::Nvme)
                | (Self::Nvme, Self::Nvme)
        )
    }

    /// The lower-case word used in JSON, arguments and classes; `any` where nothing is said.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "any",
            Self::Hdd => "hdd",
            Self::Ssd => "ssd",
            Self::Nvme => "nvme",
        }
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Media {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" | "any" => Ok(Self::Unspecified),
            "hdd" => Ok(Self::Hdd),
            "ssd" => Ok(Self::Ssd),
            "nvme" => Ok(Self::Nvme),
            _ => Err(Error::new(
                ErrorKind::InvalidArgument,
                Op::Parse,
                Subject::value(text),
                "the medium is unknown",
            )
            .with_remedy("use ssd, hdd, nvme or any")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_both_ways_and_others_are_refused() {
        for media in [Media::Unspecified, Media::Hdd, Media::Ssd, Media::Nvme] {
            assert_eq!(media.as_str().parse::<Media>().unwrap(), media);
            assert!(Media::Unspecified.accepts(media) && media.accepts(media));
        }
        assert!("SSD".parse::<Media>().is_err());
        assert!(Media::Ssd.accepts(Media::Nvme) && !Media::Nvme.accepts(Media::Ssd));
        assert!(!Media::Hdd.accepts(Media::Unspecified));
    }
}
