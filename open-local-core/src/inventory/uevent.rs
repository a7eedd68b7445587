//! The kernel's messages about devices, as they come over netlink.
//!
//! `ACTION@DEVPATH`, then `KEY=VALUE` pairs, each ended by a NUL (`lib/kobject_uevent.c`, 6.18).
//! What udev sends on begins with `libudev` and is none of these.

use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};

use super::sysfs::is_name;

/// Longest message that is taken apart; the kernel's are shorter.
const LONGEST: usize = 16 << 10;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UeventAction {
    /// A device came.
    Add,
    /// One went.
    Remove,
    /// One changed: its size, its medium, its table.
    Change,
    /// Something else that a look at the device answers (`move`, `online`, `offline`, `bind`,
    /// `unbind`).
    Other,
}

/// One message about a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uevent {
    /// What happened.
    pub action: UeventAction,
    /// The device, by kernel name.
    pub name: String,
    /// Of a partition: its disk, by kernel name.
    pub disk: Option<String>,
    /// Its number.
    pub number: Option<DeviceNumber>,
    /// Its sequence number (Linux 5.15 and newer).
    pub sequence: Option<u64>,
    /// The number of the message; the kernel counts them.
    pub serial: Option<u64>,
}

/// Reads a message; `None` if it is about something else than a block device.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it is no message of the kernel.
pub fn parse_uevent(datagram: &[u8]) -> Result<Option<Uevent>> {
    let refuse = |why: &str| {
        let shown = datagram.get(..datagram.len().min(128)).unwrap_or_default();
        let subject = Subject::value(&String::from_utf8_lossy(shown));
        Error::new(ErrorKind::Corrupt, Op::Parse, subject, format!("this is no uevent: {why}"))
            .with_remedy("read the devices anew, and report it")
    };
    if datagram.len() > LONGEST {
        return Err(refuse("it is too long"));
    }
    let Some(body) = datagram.strip_suffix(b"\0") else {
        return Err(refuse("its end is missing"));
    };
    let mut parts = body.splitn(2, |byte| *byte == 0);
    let head = parts.next().and_then(|head| std::str::from_utf8(head).ok());
    let Some((action, path)) = head.and_then(|head| head.split_once('@')) else {
        return Err(refuse("it does not begin with an action and a device"));
    };
    let rest = parts.next().unwrap_or_default();
    let of = |wanted: &str| {
        let mut found = properties(rest, 0).filter(|(key, _)| *key == wanted);
        found.next().map(|(_, value)| value)
    };
    if of("ACTION").is_some_and(|told| told != action) {
        return Err(refuse("it names two actions"));
    }
    if of("SUBSYSTEM").as_deref() != Some("block") {
        return Ok(None);
    }
    let mut components = path.rsplit('/');
    let name = components.next().unwrap_or_default();
    let above = components.next().unwrap_or_default();
    let is_partition = of("DEVTYPE").as_deref() == Some("partition");
    if !is_name(name) || (is_partition && !is_name(above)) {
        return Err(refuse("its path names no device"));
    }
    let number = |key: &str| of(key).and_then(|text| text.parse::<u32>().ok());
    let count = |key: &str| of(key).and_then(|text| text.parse::<u64>().ok());
    Ok(Some(Uevent {
        action: match action {
            "add" => UeventAction::Add,
            "remove" => UeventAction::Remove,
            "change" => UeventAction::Change,
            _ => UeventAction::Other,
        },
        name: name.to_owned(),
        disk: is_partition.then(|| above.to_owned()),
        number: number("MAJOR").zip(number("MINOR")).map(|(a, b)| DeviceNumber::new(a, b)),
        sequence: count("DISKSEQ"),
        serial: count("SEQNUM"),
    }))
}

/// `KEY=VALUE` pairs between separators; what is none is left out.
pub(super) fn properties(text: &[u8], separator: u8) -> impl Iterator<Item = (&str, String)> {
    text.split(move |byte| *byte == separator).filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = pair.split_at_checked(at)?;
        let value = String::from_utf8_lossy(value.get(1..)?).into_owned();
        Some((std::str::from_utf8(key).ok()?, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As a kernel 6.18 sent it.
    const LOOP: &[u8] = b"change@/devices/virtual/block/loop0\0ACTION=change\0\
        DEVPATH=/devices/virtual/block/loop0\0SUBSYSTEM=block\0MAJOR=7\0MINOR=0\0\
        DEVNAME=loop0\0DEVTYPE=disk\0DISKSEQ=132491\0SEQNUM=209356\0";
    const PARTITION: &[u8] = b"add@/devices/pci0/nvme/nvme0/nvme0n1/nvme0n1p2\0ACTION=add\0\
        SUBSYSTEM=block\0MAJOR=259\0MINOR=2\0DEVNAME=nvme0n1p2\0DEVTYPE=partition\0PARTN=2\0";

    #[test]
    fn a_message_of_the_kernel_is_read() {
        let event = parse_uevent(LOOP).unwrap().unwrap();
        assert_eq!((event.action, event.name.as_str()), (UeventAction::Change, "loop0"));
        assert_eq!((event.disk, event.number), (None, Some(DeviceNumber::new(7, 0))));
        assert_eq!((event.sequence, event.serial), (Some(132_491), Some(209_356)));
        let event = parse_uevent(PARTITION).unwrap().unwrap();
        assert_eq!((event.action, event.name.as_str()), (UeventAction::Add, "nvme0n1p2"));
        assert_eq!(event.disk.as_deref(), Some("nvme0n1"));
    }

    #[test]
    fn other_subsystems_are_none_and_other_senders_errors() {
        let other = b"add@/devices/net/eth0\0ACTION=add\0SUBSYSTEM=net\0";
        assert_eq!(parse_uevent(other).unwrap(), None);
        for bad in [
            &b""[..],
            b"\0",
            b"libudev\0\xfe\xed\xca\xfe\0",
            b"add\0SUBSYSTEM=block\0",
            b"add@/block/sda\0SUBSYSTEM=block",
            b"add@/block/\0SUBSYSTEM=block\0",
            b"add@/block/..\0SUBSYSTEM=block\0",
            b"add@/block/sda\0ACTION=remove\0SUBSYSTEM=block\0",
            b"add@sda1\0SUBSYSTEM=block\0DEVTYPE=partition\0",
        ] {
            let error = parse_uevent(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{bad:?}");
        }
        assert!(parse_uevent(&vec![b'a'; LONGEST + 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_message_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = parse_uevent(&bytes);
        }

        #[test]
        fn any_damage_gives_a_message_or_an_error(
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            for message in [LOOP, PARTITION] {
                let mut bytes = message.to_vec();
                let at = at.index(bytes.len());
                bytes[at] = byte;
                if let Ok(Some(event)) = parse_uevent(&bytes) {
                    prop_assert!(is_name(&event.name));
                    prop_assert!(event.disk.is_none_or(|disk| is_name(&disk)));
                }
                bytes.truncate(cut.index(bytes.len()));
                let _ = parse_uevent(&bytes);
            }
        }
    }
}
