//! Validated names of pools, volumes and snapshots.
//!
//! A name is the identity of an object: a repeated call with the same name means the same object.
//! The three types can't be mixed up, and a value of one is proof that the text is safe as a file
//! name, a logical-volume name and a cgroup component.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// Longest name, in bytes.
///
/// Device-mapper names end at 127 bytes (`DM_NAME_LEN` is 128 with the closing NUL, Linux 6.18)
/// and carry a group name and doubled hyphens; 100 leaves room for a short group name and a
/// suffix, and holds `pvc-` and `snapshot-` names with a UUID.
pub const MAX_ID_LEN: usize = 100;

fn check(what: &str, text: &str) -> Result<()> {
    let complaint = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > MAX_ID_LEN {
        format!("has {} bytes, more than {MAX_ID_LEN}", text.len())
    } else if let Some(bad) =
        text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+')))
    {
        format!("contains {bad:?}")
    } else if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        "does not start with a letter or a digit".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::InvalidArgument,
        Op::Parse,
        Subject::value(text),
        format!("the {what} name {complaint}"),
    )
    .with_remedy(format!(
        "use 1 to {MAX_ID_LEN} letters, digits, '-', '_', '.' and '+', starting with a letter or a digit"
    )))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks and takes a name.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidArgument`] for a name that is empty, longer than
            /// [`MAX_ID_LEN`] bytes, holds anything but letters, digits, `-`, `_`, `.` and `+`,
            /// or does not start with a letter or a digit.
            pub fn new(text: impl AsRef<str>) -> Result<Self> {
                let text = text.as_ref();
                check($what, text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// Name of a pool, unique within a backend of a host.
    PoolId,
    "pool"
);
impl VolumeId {
    /// The name of something that is being erased: none that [`Self::new`] takes, so that no
    /// caller's volume can have it; as safe as any.
    #[cfg(feature = "raw")]
    #[must_use]
    pub fn erasing(uuid: crate::token::Uuid) -> Self {
        Self(format!(".erasing-{uuid}").into())
    }
}

id!(
    /// Name of a volume, unique within its pool.
    VolumeId,
    "volume"
);
id!(
    /// Name of a snapshot, unique within its pool; volumes have names of their own.
    SnapshotId,
    "snapshot"
);
id!(
    /// Name of a group snapshot, unique within its pool; volumes and snapshots have names of their
    /// own.
    GroupSnapshotId,
    "group snapshot"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_names_are_refused_with_the_name_and_a_remedy() {
        let long = "a".repeat(300);
        for bad in ["", "/", "a/b", "..", ".", ".hidden", "-rf", "a b", "a\0b", "ä", &long, "a\n"]
        {
            let error = VolumeId::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad:?}");
            assert!(error.remedy().is_some());
        }
        assert!(VolumeId::new("a".repeat(MAX_ID_LEN)).is_ok());
        assert!(VolumeId::new("a".repeat(MAX_ID_LEN + 1)).is_err());
        for start in ["-a", "_a", ".a", "+a"] {
            assert!(PoolId::new(start).is_err(), "{start}");
        }
    }

    #[test]
    fn names_convert_both_ways_and_keep_to_a_width() {
        let id = VolumeId::try_from("data").unwrap();
        assert_eq!(VolumeId::try_from(String::from(id.clone())).unwrap(), id);
        assert!(SnapshotId::try_from("a/b").is_err());
        assert_eq!(format!("{id:>6}|{id:6}|"), "  data|data  |");
    }

    #[test]
    fn ordinary_names_pass() {
        for good in ["pvc-0f5c1a2e-2a3b-4c5d-8e9f-001122334455", "data", "7", "a.b_c+d-e"] {
            assert_eq!(VolumeId::new(good).unwrap().as_str(), good);
        }
    }

    proptest! {
        #[test]
        fn a_valid_id_is_a_plain_file_name(text in ".{0,130}") {
            if let Ok(id) = SnapshotId::new(&text) {
                prop_assert_eq!(id.to_string(), text);
                let path = std::path::Path::new(id.as_str());
                prop_assert_eq!(path.components().count(), 1);
                prop_assert!(path.file_name().is_some());
            }
        }
    }
}
