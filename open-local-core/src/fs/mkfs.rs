//! Argument vectors of mkfs, and which options a caller may add to them.

use std::ffi::OsString;

use super::types::FormatSpec;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::token::{FsKind, Uuid};

/// The mkfs program of a kind and the Debian package that has it.
pub(super) const fn program(kind: FsKind) -> (&'static str, &'static str) {
    match kind {
        FsKind::Ext4 => ("mkfs.ext4", "e2fsprogs"),
        FsKind::Xfs => ("mkfs.xfs", "xfsprogs"),
        FsKind::Btrfs => ("mkfs.btrfs", "btrfs-progs"),
    }
}

/// What a caller may add.
struct Allowed {
    /// Options that take a value, written `-b4096` or `-b 4096`, long ones `--csum=x`.
    valued: &'static [&'static str],
    /// Options without one.
    plain: &'static [&'static str],
    /// Words that a value may not have: they would set the UUID, or name another device or place.
    forbidden: &'static [&'static str],
    /// Bytes of a label.
    label: usize,
}

const EXT4: Allowed = Allowed {
    valued: &["-b", "-C", "-E", "-g", "-G", "-i", "-I", "-J", "-m", "-N", "-O", "-T"],
    plain: &["-j", "-v"],
    forbidden: &["device", "journal_dev", "offset"],
    label: 16,
};

const XFS: Allowed = Allowed {
    valued: &["-b", "-d", "-i", "-l", "-m", "-n", "-s"],
    plain: &[],
    forbidden: &["uuid", "file", "name", "logdev", "rtdev"],
    label: 12,
};

const BTRFS: Allowed = Allowed {
    valued: &[
        "-b",
        "-d",
        "-m",
        "-n",
        "-s",
        "-O",
        "-R",
        "--byte-count",
        "--data",
        "--metadata",
        "--nodesize",
        "--sectorsize",
        "--features",
        "--runtime-features",
        "--csum",
        "--checksum",
    ],
    plain: &["-M", "--mixed", "-v", "--verbose"],
    forbidden: &[],
    label: 255,
};

const fn allowed(kind: FsKind) -> &'static Allowed {
    match kind {
        FsKind::Ext4 => &EXT4,
        FsKind::Xfs => &XFS,
        FsKind::Btrfs => &BTRFS,
    }
}

fn invalid(value: &str, message: String, remedy: &str) -> Error {
    let subject = Subject::value(value);
    Error::new(ErrorKind::InvalidArgument, Op::Format, subject, message).with_remedy(remedy)
}

/// The arguments but for the device.
///
/// Nothing is discarded: a new volume is empty, and discarding would give away the space that a
/// preallocated one has been promised.
pub(super) fn arguments(spec: &FormatSpec, uuid: Uuid) -> Result<Vec<OsString>> {
    let options = options(spec)?;
    let label = label(spec)?;
    let mut all: Vec<String> = match spec.kind {
        FsKind::Ext4 => vec!["-F".into(), "-q".into(), "-U".into(), uuid.to_string()],
        FsKind::Xfs => {
            let uuid = format!("uuid={uuid}");
            vec!["-f".into(), "-q".into(), "-K".into(), "-m".into(), uuid]
        }
        FsKind::Btrfs => {
            let uuid = uuid.to_string();
            vec!["-f".into(), "-q".into(), "-K".into(), "-U".into(), uuid]
        }
    };
    all.extend(label.into_iter().flat_map(|label| ["-L".to_owned(), label]));
    if spec.kind == FsKind::Ext4 {
        // mke2fs takes the last -E only, so those of the caller are put into one with ours.
        let extended = options.iter().filter(|(name, _)| name == "-E");
        let extended = extended.filter_map(|(_, value)| value.as_deref());
        let one: Vec<&str> = std::iter::once("nodiscard").chain(extended).collect();
        all.extend(["-E".to_owned(), one.join(",")]);
    }
    for (name, value) in options {
        match value {
            Some(_) if name == "-E" => {}
            Some(value) if name.starts_with("--") => all.push(format!("{name}={value}")),
            Some(value) => all.extend([name, value]),
            None => all.push(name),
        }
    }
    Ok(all.into_iter().map(OsString::from).collect())
}

fn label(spec: &FormatSpec) -> Result<Option<String>> {
    let Some(label) = &spec.label else {
        return Ok(None);
    };
    let most = allowed(spec.kind).label;
    if label.len() > most || label.is_empty() || label.chars().any(char::is_control) {
        let message = format!("a label of {} has 1 to {most} bytes, all printable", spec.kind);
        return Err(invalid(label, message, "choose a shorter or simpler label"));
    }
    Ok(Some(label.clone()))
}

/// The caller's options as name and value, all of them allowed.
fn options(spec: &FormatSpec) -> Result<Vec<(String, Option<String>)>> {
    let allowed = allowed(spec.kind);
    let mut found = Vec::new();
    let mut rest = spec.options.iter();
    while let Some(option) = rest.next() {
        let refused = || {
            let message = format!("mkfs of {} is not given this option", spec.kind);
            let known: Vec<&str> = [allowed.valued, allowed.plain].concat();
            invalid(option, message, &format!("options that can be given: {}", known.join(" ")))
        };
        let (name, attached) = split(option).ok_or_else(refused)?;
        if attached.is_none() && allowed.plain.contains(&name) {
            found.push((name.to_owned(), None));
            continue;
        }
        if !allowed.valued.contains(&name) {
            return Err(refused());
        }
        let value = match attached {
            Some(value) => value,
            None => rest.next().map(String::as_str).ok_or_else(|| {
                let message = "the option's value is missing".to_owned();
                invalid(option, message, "give it as the next option")
            })?,
        };
        check_value(value, allowed)?;
        found.push((name.to_owned(), Some(value.to_owned())));
    }
    Ok(found)
}

/// An option's name, and its value if that is attached.
fn split(option: &str) -> Option<(&str, Option<&str>)> {
    if option.starts_with("--") {
        return Some(match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        });
    }
    let (name, value) = option.split_at_checked(2)?;
    let is_short = name.starts_with('-') && name != "--";
    is_short.then_some((name, (!value.is_empty()).then_some(value)))
}

fn check_value(value: &str, allowed: &Allowed) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "=,.:^_+-".contains(c);
    let word = |part: &str| part.split('=').next().unwrap_or_default().to_owned();
    let forbidden = value
        .split(',')
        .map(word)
        .find(|word| allowed.forbidden.contains(&word.trim_start_matches('^')));
    if let Some(word) = forbidden {
        let message = format!("{word} is not the caller's to choose");
        return Err(invalid(value, message, "leave it out"));
    }
    if value.is_empty() || value.starts_with('-') || !value.chars().all(plain) {
        let message = "a value has letters, digits and = , . : ^ _ + - only".to_owned();
        return Err(invalid(value, message, "leave it out"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(spec: &FormatSpec) -> Result<String> {
        let uuid = Uuid::from_bytes([0x11; 16]);
        let all = arguments(spec, uuid)?;
        let all: Vec<String> = all.into_iter().map(|a| a.into_string().unwrap()).collect();
        Ok(all.join(" "))
    }

    #[test]
    fn our_arguments_and_the_callers_come_together() {
        let uuid = "11111111-1111-1111-1111-111111111111";
        let ext4 = FormatSpec::new(FsKind::Ext4)
            .with_label("data")
            .with_option("-m0")
            .with_option("-E")
            .with_option("stride=4");
        assert_eq!(
            all(&ext4).unwrap(),
            format!("-F -q -U {uuid} -L data -E nodiscard,stride=4 -m 0")
        );
        let xfs = FormatSpec::new(FsKind::Xfs).with_option("-mreflink=0");
        assert_eq!(all(&xfs).unwrap(), format!("-f -q -K -m uuid={uuid} -m reflink=0"));
        let btrfs = FormatSpec::new(FsKind::Btrfs).with_option("--csum=xxhash");
        assert_eq!(all(&btrfs).unwrap(), format!("-f -q -K -U {uuid} --csum=xxhash"));
    }

    #[test]
    fn options_that_are_not_the_callers_are_refused() {
        let cases = [
            (FsKind::Ext4, vec!["-U", "random"]),
            (FsKind::Ext4, vec!["-Urandom"]),
            (FsKind::Ext4, vec!["-F"]),
            (FsKind::Ext4, vec!["-n"]),
            (FsKind::Ext4, vec!["-t", "ext2"]),
            (FsKind::Ext4, vec!["/dev/sda"]),
            (FsKind::Ext4, vec!["-J", "device=/dev/sda"]),
            (FsKind::Ext4, vec!["-J", "size=4,device=LABEL"]),
            (FsKind::Ext4, vec!["-O", "journal_dev"]),
            (FsKind::Ext4, vec!["-E", "offset=4096"]),
            (FsKind::Ext4, vec!["-d", "/etc"]),
            (FsKind::Ext4, vec!["-b"]),
            (FsKind::Ext4, vec!["-b", "-F"]),
            (FsKind::Ext4, vec!["4096"]),
            (FsKind::Ext4, vec![""]),
            (FsKind::Ext4, vec!["-"]),
            (FsKind::Ext4, vec!["é"]),
            (FsKind::Xfs, vec!["-m", "crc=1,uuid=x"]),
            (FsKind::Xfs, vec!["-l", "logdev=x"]),
            (FsKind::Xfs, vec!["-d", "name=x"]),
            (FsKind::Xfs, vec!["-p", "proto"]),
            (FsKind::Xfs, vec!["-N"]),
            (FsKind::Btrfs, vec!["--rootdir", "/etc"]),
            (FsKind::Btrfs, vec!["--uuid=x"]),
            (FsKind::Btrfs, vec!["--", "/dev/sda"]),
        ];
        for (kind, options) in cases {
            let mut spec = FormatSpec::new(kind);
            spec.options = options.iter().map(ToString::to_string).collect();
            let error = all(&spec).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{options:?}");
            assert!(error.remedy().is_some());
        }
    }

    #[test]
    fn labels_have_a_length_and_no_control_characters() {
        for (kind, label) in
            [(FsKind::Xfs, "thirteen-long"), (FsKind::Ext4, "a\nb"), (FsKind::Ext4, "")]
        {
            assert!(all(&FormatSpec::new(kind).with_label(label)).is_err(), "{label:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_passes_names_no_path_and_no_second_uuid(
            options in prop::collection::vec("-{0,2}[a-zA-Z]{0,3}[=,/a-z0-9 ]{0,12}", 0..4),
            kind in prop::sample::select(&FsKind::ALL[..]),
        ) {
            let mut spec = FormatSpec::new(kind);
            spec.options = options;
            if let Ok(line) = all(&spec) {
                prop_assert!(!line.contains('/'), "{line}");
                prop_assert_eq!(line.matches("uuid=").count() + line.matches("-U ").count(), 1);
            }
        }
    }
}
