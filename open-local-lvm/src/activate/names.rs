//! What the kernel's devices of volumes are called: names and UUIDs, both ways.
//!
//! As lvm2 2.03.16 makes them (`libdm/libdm-string.c`, `lib/activate/dev_manager.c`): a name is
//! group, volume and perhaps a layer with hyphens between, and hyphens inside doubled; a UUID is
//! `LVM-`, the UUIDs of group and volume without hyphens, and perhaps a hyphen and a word.

use std::fmt;
use std::str::FromStr;

use open_local_core::{Error, ErrorKind, Op, Subject};

use crate::format::id::{ID_LEN, LvmId};
use crate::format::names::check_name;

/// Most bytes of a device-mapper name (kernel 6.1, `DM_NAME_LEN` less its end).
pub const MAX_DEVICE_NAME: usize = 127;
/// What UUIDs of volumes begin with.
pub const UUID_PREFIX: &str = "LVM-";

/// What a device is of its volume: the word at the end of its UUID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Layer {
    /// The volume itself, as users see it: no word.
    Public,
    /// `real`: what lies below a volume that others are made from.
    Real,
    /// `cow`: the store of a copy-on-write snapshot.
    Cow,
    /// `tdata`: a thin pool's data.
    ThinData,
    /// `tmeta`: a thin pool's metadata.
    ThinMetadata,
    /// `tpool`: the thin pool that thin volumes use.
    ThinPool,
    /// `pool`: what stands for a thin pool in use under its own name.
    PoolCover,
    /// A word of a type of volume that is not activated here.
    Other(String),
}

impl Layer {
    /// The word, empty for the volume itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Public => "",
            Self::Real => "real",
            Self::Cow => "cow",
            Self::ThinData => "tdata",
            Self::ThinMetadata => "tmeta",
            Self::ThinPool => "tpool",
            Self::PoolCover => "pool",
            Self::Other(word) => word,
        }
    }

    /// The layer that a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "" => Self::Public,
            "real" => Self::Real,
            "cow" => Self::Cow,
            "tdata" => Self::ThinData,
            "tmeta" => Self::ThinMetadata,
            "tpool" => Self::ThinPool,
            "pool" => Self::PoolCover,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// The UUID of a device that stands for a volume or a layer of one.
///
/// Prints as the kernel has it, and parses from that.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VolumeUuid {
    /// The group.
    pub group: LvmId,
    /// The volume.
    pub volume: LvmId,
    /// What it is of the volume.
    pub layer: Layer,
}

impl VolumeUuid {
    /// A UUID from its parts.
    #[must_use]
    pub const fn new(group: LvmId, volume: LvmId, layer: Layer) -> Self {
        Self { group, volume, layer }
    }
}

impl fmt::Display for VolumeUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{UUID_PREFIX}{}{}", self.group.to_plain(), self.volume.to_plain())?;
        match self.layer.as_str() {
            "" => Ok(()),
            word => write!(f, "-{word}"),
        }
    }
}

impl FromStr for VolumeUuid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = || {
            let ids = text.strip_prefix(UUID_PREFIX)?.as_bytes();
            let (group, rest) = ids.split_first_chunk::<ID_LEN>()?;
            let (volume, rest) = rest.split_first_chunk::<ID_LEN>()?;
            let layer = match std::str::from_utf8(rest).ok()? {
                "" => Layer::Public,
                word => Layer::from_word(word.strip_prefix('-').filter(|word| !word.is_empty())?),
            };
            Some(Self::new(LvmId::from_raw(*group)?, LvmId::from_raw(*volume)?, layer))
        };
        parts().ok_or_else(|| {
            let message = "is no UUID of a volume's device: wanted LVM-, two UUIDs of 32 \
                           characters, and perhaps a hyphen and a word";
            Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::value(text), message)
        })
    }
}

/// The parts of a device's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceName {
    /// The group's name.
    pub group: String,
    /// The volume's name.
    pub volume: String,
    /// The layer, as `tpool` in `vg-pool-tpool`; hidden volumes have a name and no layer.
    pub layer: Option<String>,
}

impl DeviceName {
    /// The name of a volume's own device.
    #[must_use]
    pub fn of(group: &str, volume: &str) -> Self {
        Self { group: group.to_owned(), volume: volume.to_owned(), layer: None }
    }

    /// The name of a layer.
    #[must_use]
    pub fn layer(group: &str, volume: &str, layer: &str) -> Self {
        Self { layer: Some(layer.to_owned()), ..Self::of(group, volume) }
    }

    /// The name in one piece.
    ///
    /// # Errors
    /// `InvalidArgument` naming the volume if a part is no name, or the whole has more than
    /// [`MAX_DEVICE_NAME`] bytes: hyphens count twice.
    pub fn encode(&self) -> Result<String, Error> {
        check_name(&self.group)?;
        check_name(&self.volume)?;
        let mut name = doubled(&self.group);
        name.push('-');
        name.push_str(&doubled(&self.volume));
        if let Some(layer) = &self.layer {
            name.push('-');
            name.push_str(layer);
        }
        if name.len() <= MAX_DEVICE_NAME {
            return Ok(name);
        }
        let message = format!(
            "its device would be called {name}, which has {} characters; the kernel takes \
             {MAX_DEVICE_NAME}",
            name.len()
        );
        let subject = Subject::value(&format!("{}/{}", self.group, self.volume));
        Err(Error::new(ErrorKind::InvalidArgument, Op::Publish, subject, message)
            .with_remedy("give group or volume a shorter name; a hyphen counts twice"))
    }

    /// The parts of a name; `None` if no group and volume can have it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name.len() > MAX_DEVICE_NAME {
            return None;
        }
        let mut parts = vec![String::new()];
        let mut rest = name.chars().peekable();
        while let Some(character) = rest.next() {
            if character == '-' && rest.next_if_eq(&'-').is_none() {
                parts.push(String::new());
            } else if let Some(part) = parts.last_mut() {
                part.push(character);
            }
        }
        let mut parts = parts.into_iter();
        let (group, volume) = (parts.next()?, parts.next()?);
        let layer = parts.next();
        let whole = parts.next().is_none() && layer.as_deref() != Some("");
        let named = check_name(&group).is_ok() && check_name(&volume).is_ok();
        (whole && named).then_some(Self { group, volume, layer })
    }
}

fn doubled(name: &str) -> String {
    name.replace('-', "--")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GROUP: &str = "rx5FwI-mL7O-FM0c-4PDY-6Mra-pRhB-6jaB0p";
    const VOLUME: &str = "LoOXH7-iSM0-yIzk-2SL7-7LyV-SsQz-iEqlOd";

    fn uuid(layer: Layer) -> VolumeUuid {
        VolumeUuid::new(GROUP.parse().unwrap(), VOLUME.parse().unwrap(), layer)
    }

    #[test]
    fn names_are_those_lvm_makes() {
        for (name, wanted) in [
            (DeviceName::of("vg0", "lin-a"), "vg0-lin--a"),
            (DeviceName::of("a-", "b-"), "a---b--"),
            (DeviceName::layer("vg", "pool", "tpool"), "vg-pool-tpool"),
            (DeviceName::of("vg", "pool_tmeta"), "vg-pool_tmeta"),
        ] {
            assert_eq!(name.encode().unwrap(), wanted);
            assert_eq!(DeviceName::parse(wanted), Some(name));
        }
    }

    #[test]
    fn a_hyphen_counts_twice_and_a_name_too_long_is_refused_with_its_length() {
        let fits = DeviceName::of("vg", &"-".repeat(62).replacen('-', "x", 1));
        assert_eq!(fits.encode().unwrap().len(), 3 + 1 + 61 * 2);
        let error = DeviceName::of("vg", &format!("x{}", "-".repeat(62))).encode().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("128 characters"), "{error}");
        assert!(error.remedy().is_some());
        let layer = DeviceName::layer("vg", &"x".repeat(120), "tpool").encode().unwrap_err();
        assert!(layer.message().contains("129"), "{layer}");
    }

    #[test]
    fn what_no_volume_is_called_is_no_name() {
        for other in ["", "vg", "-", "vg-", "-lv", "vg-lv-", "vg-lv-a-b", "a b-c", "cryptswap"] {
            assert_eq!(DeviceName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_uuid_is_the_ids_and_the_layer() {
        let plain = format!("{GROUP}{VOLUME}").replace('-', "");
        assert_eq!(uuid(Layer::Public).to_string(), format!("LVM-{plain}"));
        assert_eq!(uuid(Layer::ThinPool).to_string(), format!("LVM-{plain}-tpool"));
        for other in ["", "LVM-", &format!("CRYPT-{plain}"), &format!("LVM-{plain}x")] {
            assert!(other.parse::<VolumeUuid>().is_err(), "{other}");
        }
        assert!(format!("LVM-{plain}-").parse::<VolumeUuid>().is_err());
    }

    proptest! {
        #[test]
        fn names_come_back(
            group in "[a-z0-9+_.][a-z-]{0,20}",
            volume in "[a-z0-9+_][a-z-]{0,20}",
            layer in proptest::option::of("[a-z]{1,6}"),
        ) {
            prop_assume!(group != "." && group != "..");
            let name = DeviceName { group, volume, layer };
            prop_assert_eq!(DeviceName::parse(&name.encode().unwrap()), Some(name));
        }

        #[test]
        fn uuids_come_back(group: [u8; 32], volume: [u8; 32], word in "[a-z_0-9]{0,12}") {
            let uuid = VolumeUuid::new(
                LvmId::from_random(group), LvmId::from_random(volume), Layer::from_word(&word),
            );
            prop_assert_eq!(uuid.to_string().parse::<VolumeUuid>().unwrap(), uuid);
        }

        #[test]
        fn any_text_gives_an_answer(text: String) {
            let _ = text.parse::<VolumeUuid>();
            if let Some(name) = DeviceName::parse(&text) {
                prop_assert_eq!(name.encode().unwrap(), text);
            }
        }
    }
}
