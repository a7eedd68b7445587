//! What the kernel itself shows of a device: its node and its folder in `/sys/block`.

use super::kernel::{Kernel, number_of};

/// Files of a device's folder, those that are folders last.
const FILES: [&str; 9] =
    ["dev", "size", "ro", "uevent", "dm/name", "dm/uuid", "dm/suspended", "dm", ""];

impl Kernel {
    /// Writes what the kernel shows of a device. It never fails: the tree is in memory.
    pub(super) fn show(&self, minor: u32) {
        let Some(device) = self.devices.get(&minor).filter(|device| device.is_disk) else {
            return;
        };
        let number = number_of(minor);
        let (major, minor) = (number.major(), number.minor());
        let node = format!("dm-{minor}");
        let uevent = format!("MAJOR={major}\nMINOR={minor}\nDEVNAME={node}\nDEVTYPE=disk\n");
        let line = |text: &str| format!("{text}\n");
        let texts = [
            ("dev", line(&number.to_string())),
            ("size", line(&device.sectors().to_string())),
            ("ro", line(if device.read_only { "1" } else { "0" })),
            ("uevent", uevent),
            ("dm/name", line(&device.name)),
            ("dm/uuid", line(&device.uuid)),
            ("dm/suspended", line(if device.suspended { "1" } else { "0" })),
        ];
        for root in [format!("/sys/block/{node}"), format!("/sys/dev/block/{number}")] {
            let _ = self.files.add_folder(format!("{root}/dm"));
            for (name, text) in &texts {
                let _ = self.files.add_file(format!("{root}/{name}"), text.as_bytes());
            }
        }
        let _ = self.files.add_device(format!("/dev/{node}"), number);
    }

    /// Takes away what [`Self::show`] wrote.
    pub(super) fn hide(&self, minor: u32) {
        for root in
            [format!("/sys/block/dm-{minor}"), format!("/sys/dev/block/{}", number_of(minor))]
        {
            for name in FILES {
                let _ = self.files.take_away(format!("{root}/{name}"));
            }
        }
        let _ = self.files.take_away(format!("/dev/dm-{minor}"));
    }
}
