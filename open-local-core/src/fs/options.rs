//! Mount options as people write them, parted into what the kernel takes as flags and the rest.

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::MountFlags;

/// Options that say what is so anyway, or speak to mount(8) and not to the kernel.
const NO_EFFECT: &[&str] = &[
    "defaults", "rw", "dev", "suid", "exec", "atime", "relatime", "diratime", "async", "auto",
    "noauto", "nofail", "_netdev",
];

/// Options that would make another kind of mount of it, or name another device.
const REFUSED: &[&str] = &[
    "bind",
    "rbind",
    "move",
    "remount",
    "loop",
    "offset",
    "sizelimit",
    "device",
    "logdev",
    "rtdev",
    "journal_dev",
    "journal_path",
    "shared",
    "rshared",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "unbindable",
    "runbindable",
    "user",
    "users",
    "owner",
    "group",
];

/// Options of one mount.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct MountOptions {
    /// Those the kernel takes as flags.
    pub(super) flags: MountFlags,
    /// Those the file system is given.
    pub(super) data: Vec<String>,
}

impl MountOptions {
    /// Parts the options.
    pub(super) fn parse(options: &[String], read_only: bool) -> Result<Self> {
        let mut all = Self::default();
        all.flags.read_only = read_only;
        for option in options {
            all.add(option)?;
        }
        Ok(all)
    }

    /// Adds an option for the file system unless it is there.
    pub(super) fn with(mut self, option: &str) -> Self {
        if !self.data.iter().any(|o| o == option) {
            self.data.push(option.to_owned());
        }
        self
    }

    /// What the file system is given, as mount(2) takes it.
    pub(super) fn data(&self) -> String {
        self.data.join(",")
    }

    fn add(&mut self, option: &str) -> Result<()> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        match option {
            "ro" => self.flags.read_only = true,
            "nodev" => self.flags.nodev = true,
            "nosuid" => self.flags.nosuid = true,
            "noexec" => self.flags.noexec = true,
            "noatime" => self.flags.noatime = true,
            "nodiratime" => self.flags.nodiratime = true,
            "strictatime" => self.flags.strictatime = true,
            _ if NO_EFFECT.contains(&option) || name.starts_with("x-") => {}
            _ if REFUSED.contains(&name) || !is_well_formed(name, value) => {
                let subject = Subject::value(option);
                let message = "this is no option for mounting a file system on its device";
                return Err(Error::new(ErrorKind::InvalidArgument, Op::Mount, subject, message)
                    .with_remedy("give each option of mount -o on its own, or leave it out"));
            }
            _ => self.data.push(option.to_owned()),
        }
        Ok(())
    }
}

/// A name of letters, and a value that can't be read as a second option or a path.
fn is_well_formed(name: &str, value: Option<&str>) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let named = !name.is_empty() && !name.starts_with('-') && name.chars().all(letter);
    let path = name == "subvol";
    let plain = |c: char| letter(c) || matches!(c, ':' | '+' | '@' | '%') || (path && c == '/');
    named && value.is_none_or(|v| !v.is_empty() && v.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(options: &[&str]) -> Result<MountOptions> {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        MountOptions::parse(&options, false)
    }

    #[test]
    fn flags_and_data_are_parted() {
        let all =
            ["noatime", "discard", "ro", "defaults", "commit=30", "nodev", "relatime", "x-y=z"];
        let options = parse(&all).unwrap();
        assert!(options.flags.read_only && options.flags.noatime && options.flags.nodev);
        assert!(!options.flags.noexec);
        assert_eq!(options.data(), "discard,commit=30");
        assert_eq!(options.with("nouuid").with("nouuid").data(), "discard,commit=30,nouuid");
        assert_eq!(parse(&["subvol=/a/b"]).unwrap().data(), "subvol=/a/b");
    }

    #[test]
    fn options_that_mean_another_mount_or_device_are_refused() {
        for bad in [
            "",
            "remount",
            "bind",
            "loop=/dev/loop0",
            "device=/dev/sda",
            "logdev=/dev/sda",
            "a,remount",
            "a b",
            "a\0",
            "=x",
            "x=",
            "-o",
            "data=/x",
            "uuid=é",
        ] {
            let error = parse(&[bad]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_option_never_becomes_two(option in "(?s).{0,20}") {
            if let Ok(options) = parse(&[&option]) {
                prop_assert!(options.data.len() <= 1);
                let data = options.data();
                prop_assert!(!data.contains(',') && !data.contains('\0'), "{data}");
            }
        }
    }
}
