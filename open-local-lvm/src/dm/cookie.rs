//! Cookies: how udev tells us that it has dealt with a change.
//!
//! A cookie is a SysV semaphore that a batch of calls shares. Each call that makes the kernel send
//! an event to udev raises it, udev's rules lower it, and one wait at the end sees it reach zero
//! (libdevmapper 1.02.185, `libdm-common.c`). Nobody waits while a device is suspended: udev looks
//! at devices and would hang on it.

use std::fmt;
use std::ops::BitOr;

/// What udev's rules do with one change; the bits libdevmapper has given them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct UdevFlags(u16);

impl UdevFlags {
    /// All rules run.
    pub const NONE: Self = Self(0);
    /// No names and links in `/dev/mapper`.
    pub const NO_DM_RULES: Self = Self(0x01);
    /// No links of the subsystem, such as `/dev/VG/LV`.
    pub const NO_SUBSYSTEM_RULES: Self = Self(0x02);
    /// The device isn't looked at, and has no links in `/dev/disk`.
    pub const NO_DISK_RULES: Self = Self(0x04);
    /// No other rules.
    pub const NO_OTHER_RULES: Self = Self(0x08);
    /// Another device's links win over this one's.
    pub const LOW_PRIORITY: Self = Self(0x10);
    /// libdevmapper does not make nodes itself if udev doesn't.
    pub const NO_LIBRARY_FALLBACK: Self = Self(0x20);
    /// The event comes from whoever made the change, not from a repeated one.
    pub const PRIMARY_SOURCE: Self = Self(0x40);
    /// lvm2's own rule does not scan the device.
    pub const LVM_NO_SCAN: Self = Self(0x100);

    /// A volume that is used (lvm2 2.03.16: 0x60).
    pub const VOLUME: Self = Self(0x60);
    /// A new volume whose first bytes are about to be zeroed: nobody looks at what is left on it
    /// (lvm2 2.03.16: 0x16c).
    pub const NEW_VOLUME: Self = Self(0x16c);
    /// A hidden layer (lvm2 2.03.16: 0x6e).
    pub const HIDDEN: Self = Self(0x6e);
    /// The store of a copy-on-write snapshot (lvm2 2.03.16: 0x7e).
    pub const COW_STORE: Self = Self(0x7e);
    /// A copy-on-write snapshot (lvm2 2.03.16: 0x70).
    pub const COW_SNAPSHOT: Self = Self(0x70);

    /// From the bits.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl BitOr for UdevFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for UdevFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UdevFlags({:#x})", self.0)
    }
}

/// One semaphore shared by a batch of changes. Made by
/// [`DeviceMapper::cookie`](super::DeviceMapper::cookie), ended by
/// [`DeviceMapper::wait`](super::DeviceMapper::wait), also after an error: one that is dropped
/// stays in the kernel until `dmsetup udevcomplete_all`.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a cookie that is not waited for stays in the kernel"]
pub struct Cookie {
    base: u16,
    semaphore: i32,
}

impl Cookie {
    /// From what an implementation of [`DeviceMapper`](super::DeviceMapper) made: 16 bits that
    /// the kernel passes on to udev, not zero, and the id of the semaphore.
    pub const fn new(base: u16, semaphore: i32) -> Self {
        Self { base, semaphore }
    }

    /// The 16 bits the kernel passes on to udev.
    #[must_use]
    pub const fn base(&self) -> u16 {
        self.base
    }

    /// The id of the semaphore.
    #[must_use]
    pub const fn semaphore(&self) -> i32 {
        self.semaphore
    }
}

/// What one call tells udev: the flags of this change, and the cookie to raise, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Udev<'a> {
    /// The batch it belongs to; `None`: nobody waits for udev.
    pub cookie: Option<&'a Cookie>,
    /// What udev's rules do.
    pub flags: UdevFlags,
}

impl<'a> Udev<'a> {
    /// Nobody waits; if udev runs, its rules do all they do.
    pub const NO_UDEV: Udev<'static> = Udev { cookie: None, flags: UdevFlags::NONE };

    /// With flags and, where udev answers, a cookie.
    #[must_use]
    pub const fn new(cookie: Option<&'a Cookie>, flags: UdevFlags) -> Self {
        Self { cookie, flags }
    }

    /// What the kernel is given as the event number: flags in the upper half, the cookie's base
    /// in the lower.
    #[must_use]
    pub fn event_number(&self) -> u32 {
        let base = self.cookie.map_or(0, Cookie::base);
        u32::from(self.flags.bits()) << 16 | u32::from(base)
    }
}

/// How waiting for udev ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UdevAnswer {
    /// udev has dealt with every change of the batch.
    Done,
    /// The deadline passed first; the cookie is gone all the same. Nodes and links may be missing.
    TimedOut,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_base_share_the_event_number() {
        let cookie = Cookie::new(0xbeef, 7);
        assert_eq!(Udev::new(Some(&cookie), UdevFlags::NEW_VOLUME).event_number(), 0x016c_beef);
        assert_eq!(Udev::new(None, UdevFlags::HIDDEN).event_number(), 0x006e_0000);
        assert_eq!(Udev::NO_UDEV.event_number(), 0);
    }

    #[test]
    fn what_lvm_was_seen_to_use_is_made_of_the_bits() {
        let volume = UdevFlags::NO_LIBRARY_FALLBACK | UdevFlags::PRIMARY_SOURCE;
        assert_eq!(volume, UdevFlags::VOLUME);
        let quiet = UdevFlags::NO_DISK_RULES | UdevFlags::NO_OTHER_RULES;
        assert_eq!(volume | quiet | UdevFlags::LVM_NO_SCAN, UdevFlags::NEW_VOLUME);
        assert_eq!(volume | quiet | UdevFlags::NO_SUBSYSTEM_RULES, UdevFlags::HIDDEN);
        assert_eq!(UdevFlags::HIDDEN | UdevFlags::LOW_PRIORITY, UdevFlags::COW_STORE);
        assert_eq!(volume | UdevFlags::LOW_PRIORITY, UdevFlags::COW_SNAPSHOT);
    }
}
