//! Which names and tags lvm2 accepts (2.03.16 and 2.03.31, tried).

use open_local_core::{Error, ErrorKind, Op, Subject};

/// Most characters of a name; the kernel's device name of group and volume is bounded too.
pub const MAX_NAME: usize = 127;
/// Most characters of a tag.
pub const MAX_TAG: usize = 1023;

/// Beginnings lvm2 keeps for its own volumes.
const RESERVED_STARTS: [&str; 2] = ["snapshot", "pvmove"];
/// What lvm2 puts into the names of hidden volumes.
const RESERVED_PARTS: [&str; 17] = [
    "_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_iorig", "_imeta", "_mimage", "_mlog",
    "_pmspare", "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin", "_wcorig",
];

fn refused(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::value(name), why)
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'_' | b'.' | b'-')
}

/// Whether a group or a volume may have this name in a text: hidden volumes have reserved ones.
///
/// # Errors
/// `InvalidArgument` with the reason.
pub fn check_name(name: &str) -> Result<(), Error> {
    let why = match name {
        "" => "a name must not be empty",
        "." | ".." => "is no name but a folder",
        _ if name.len() > MAX_NAME => "is longer than 127 characters",
        _ if name.starts_with('-') => "a name must not begin with a hyphen",
        _ if !name.bytes().all(is_name_byte) => "a name is made of a-z A-Z 0-9 + _ . -",
        _ => return Ok(()),
    };
    Err(refused(name, why))
}

/// Whether a new volume may be called this.
///
/// # Errors
/// `InvalidArgument` with the reason.
pub fn check_new_volume_name(name: &str) -> Result<(), Error> {
    check_name(name)?;
    match reserved_part(name) {
        Some(part) => Err(refused(name, &format!("LVM keeps names with \"{part}\" for itself"))),
        None => Ok(()),
    }
}

/// The part of a name that LVM keeps for its own volumes, if it has one.
#[must_use]
pub fn reserved_part(name: &str) -> Option<&'static str> {
    let start = RESERVED_STARTS.into_iter().find(|start| name.starts_with(start));
    // Every part begins with this character, and most names have none.
    let rest = name.find('_').and_then(|at| name.get(at..));
    start.or_else(|| RESERVED_PARTS.into_iter().find(|part| rest.is_some_and(|r| r.contains(part))))
}

/// Whether lvm2 accepts a tag.
///
/// # Errors
/// `InvalidArgument` with the reason.
pub fn check_tag(tag: &str) -> Result<(), Error> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._+/=!:&#-".contains(&byte);
    let why = match tag {
        "" => "a tag must not be empty",
        _ if tag.len() > MAX_TAG => "is longer than 1023 characters",
        _ if tag.starts_with('-') => "a tag must not begin with a hyphen",
        _ if !tag.bytes().all(good) => "a tag is made of a-z A-Z 0-9 . _ + / = ! : & # -",
        _ => return Ok(()),
    };
    Err(refused(tag, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_the_tools_judge_them() {
        for good in ["a", "A.b_c+d-e", "0", "lvol0_pmspare", &"x".repeat(127)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a b", "a/b", "\u{e9}", "a\n", &"x".repeat(128)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_hidden_volumes_are_kept() {
        for bad in ["snapshot", "snapshots", "pvmove0", "a_tdata", "lvol0_pmspare", "a_rimage_0"] {
            assert!(check_new_volume_name(bad).is_err(), "{bad}");
        }
        for good in ["asnapshot", "tdata", "Snapshot1"] {
            assert!(check_new_volume_name(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn tags_have_their_own_characters() {
        for good in ["a", "a=b/c!d:e&f#g", "+x", &"t".repeat(1023)] {
            assert!(check_tag(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a b", "a@b", "\"", &"t".repeat(1024)] {
            assert!(check_tag(bad).is_err(), "{bad}");
        }
    }
}
