//! The simulated udev daemon: what it is told, the links it makes, the cookies it answers.

use std::collections::BTreeMap;
use std::io;

use open_local_core::host::{Clock, Deadline};

use super::super::cookie::{Cookie, UdevAnswer, UdevFlags};
use super::kernel::{Kernel, os};

/// What becomes of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SimUdev {
    /// Nobody listens: no links, and cookies stay as they are.
    #[default]
    Absent,
    /// The daemon makes links and answers cookies, when somebody waits or at
    /// [`SimDm::settle`](super::SimDm::settle).
    Answers,
    /// It is there, takes events and does nothing.
    Dead,
}

/// What happened to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    Appear,
    Vanish,
    /// From the name it had.
    Rename(String),
}

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) minor: u32,
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) work: Work,
    pub(super) flags: UdevFlags,
    pub(super) cookie: Option<u16>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct SimUdevd {
    pub(super) mode: SimUdev,
    /// Changes each cookie still waits for.
    pub(super) cookies: BTreeMap<u16, u32>,
    events: Vec<Event>,
    last: u16,
}

impl SimUdevd {
    pub(super) fn queue(&mut self, event: Event, cookie: Option<&Cookie>) {
        let base = cookie.map(Cookie::base);
        if let Some(count) = base.and_then(|base| self.cookies.get_mut(&base)) {
            *count = count.saturating_add(1);
        }
        if self.mode != SimUdev::Absent {
            self.events.push(Event { cookie: base, ..event });
        }
    }

    /// What a reboot forgets.
    pub(super) fn forget(&mut self) {
        self.cookies.clear();
        self.events.clear();
    }
}

/// Group and volume of a name as lvm2 makes them: a hyphen between the two, those inside doubled;
/// `None` for a third part, the layer.
fn split(name: &str) -> Option<(String, String)> {
    let whole = name.replace("--", "\u{0}");
    let (group, volume) = whole.split_once('-')?;
    if volume.contains('-') {
        return None;
    }
    Some((group.replace('\u{0}', "-"), volume.replace('\u{0}', "-")))
}

/// The links for a name.
fn links(name: &str, uuid: &str, flags: UdevFlags) -> Vec<String> {
    let has = |flag: UdevFlags| flags.bits() & flag.bits() != 0;
    if has(UdevFlags::NO_DM_RULES) {
        return Vec::new();
    }
    let mut links = vec![format!("/dev/mapper/{name}")];
    if uuid.starts_with("LVM-")
        && !has(UdevFlags::NO_SUBSYSTEM_RULES)
        && let Some((group, volume)) = split(name)
    {
        links.push(format!("/dev/{group}/{volume}"));
    }
    links
}

impl Kernel {
    fn link(&self, minor: u32, links: Vec<String>) {
        for link in links {
            if let Some((folder, _)) = link.rsplit_once('/') {
                let _ = self.files.add_folder(folder);
            }
            let _ = self.files.add_symlink(link, format!("../dm-{minor}"));
        }
    }

    fn unlink(&self, links: Vec<String>) {
        for link in links {
            let _ = self.files.take_away(&link);
            if let Some((folder, _)) = link.rsplit_once('/').filter(|(f, _)| *f != "/dev/mapper") {
                // Others may be in it.
                let _ = self.files.take_away(folder);
            }
        }
    }

    /// Takes away the nodes and links a device has by its name, whoever made them: `/dev` does
    /// not outlive a reboot.
    pub(super) fn forget_links(&self, minor: u32) {
        if let Some(device) = self.devices.get(&minor) {
            self.unlink(links(&device.name, &device.uuid, UdevFlags::NONE));
        }
    }

    /// Lets udev deal with all it was told of.
    pub(super) fn settle(&mut self) {
        if self.udev.mode != SimUdev::Answers {
            return;
        }
        for event in std::mem::take(&mut self.udev.events) {
            let now = links(&event.name, &event.uuid, event.flags);
            match &event.work {
                Work::Appear if self.devices.contains_key(&event.minor) => {
                    self.link(event.minor, now);
                }
                Work::Appear => {}
                // The daemon remembers what it made, whatever the flags say now.
                Work::Vanish => self.unlink(links(&event.name, &event.uuid, UdevFlags::NONE)),
                Work::Rename(old) => {
                    self.unlink(links(old, &event.uuid, UdevFlags::NONE));
                    self.link(event.minor, now);
                }
            }
            if let Some(count) = event.cookie.and_then(|c| self.udev.cookies.get_mut(&c)) {
                *count = count.saturating_sub(1);
            }
        }
    }

    pub(super) fn cookie(&mut self) -> io::Result<Cookie> {
        let udev = &mut self.udev;
        let used = udev.cookies.len();
        if used >= usize::from(u16::MAX) {
            return Err(os(libc::ENOSPC));
        }
        for _ in 0..=used {
            udev.last = udev.last.checked_add(1).unwrap_or(1);
            if !udev.cookies.contains_key(&udev.last) {
                break;
            }
        }
        udev.cookies.insert(udev.last, 0);
        Ok(Cookie::new(udev.last, i32::from(udev.last)))
    }

    pub(super) fn wait(
        &mut self,
        cookie: &Cookie,
        clock: &dyn Clock,
        deadline: Deadline,
    ) -> io::Result<UdevAnswer> {
        let suspended = self.suspended();
        if !suspended.is_empty() {
            self.hazard(format!("waited for udev while {} is suspended", suspended.join(", ")));
        }
        self.settle();
        match self.udev.cookies.remove(&cookie.base()) {
            None => Err(os(libc::EINVAL)),
            Some(0) => Ok(UdevAnswer::Done),
            Some(_) => {
                clock.sleep(deadline.left(clock));
                Ok(UdevAnswer::TimedOut)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_as_lvm_makes_them() {
        let part = |name: &str| split(name).map(|(group, volume)| format!("{group}/{volume}"));
        assert_eq!(part("vg0-lin--a").as_deref(), Some("vg0/lin-a"));
        assert_eq!(part("v--g-a").as_deref(), Some("v-g/a"));
        assert_eq!(part("vg-pool-tpool"), None);
        assert_eq!(part("plain"), None);
    }
}
