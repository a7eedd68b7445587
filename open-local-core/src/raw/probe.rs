//! Which signatures a device holds, judged by its bytes alone.
//!
//! Offsets and magic numbers are those of the formats' own documents and of what the kernel
//! (6.18) accepts. The judgement errs to one side: something that merely looks like a known
//! format is named, since the cost of a wrong name is a refusal and that of a miss is data.

mod files;
mod linux;
mod lvm;
mod partitions;
mod stacks;
mod view;

use std::io;
use std::ops::Range;

use super::Signature;
use crate::host::BlockIo;

use view::View;

/// Every signature on the device, in the order of their kind, none twice at one place.
///
/// Reads at most 1 MiB and 8 KiB; total over any content and size.
///
/// # Errors
/// As the device gives them.
pub fn signatures(device: &dyn BlockIo) -> io::Result<Vec<Signature>> {
    let view = View::of(device)?;
    let (mut found, territories) = linux::find(&view);
    let mut others = Vec::new();
    files::find(&view, &mut others);
    stacks::find(&view, &mut others);
    lvm::name_group(device, &view, &mut others)?;
    partitions::find(&view, &mut others);
    others.retain(|other| !territories.iter().any(|t| t.explains(other)));
    found.append(&mut others);
    Ok(found)
}

/// What of a device belongs to a finished file system.
#[derive(Debug)]
struct Territory {
    /// The bytes of its superblock.
    superblock: Range<u64>,
    /// Where it ends.
    end: u64,
}

impl Territory {
    /// Whether a signature is no more than this file system's own bytes.
    ///
    /// Within the superblock, a number that happens to be another format's short magic: that
    /// format would have overwritten the superblock. Near the end of the device, the content of a
    /// file, such as the image of a partitioned disk: what a layer below left there lies behind
    /// the end of the file system. Elsewhere a signature may be newer than the file system
    /// (mdadm does not erase what it covers), so it counts.
    fn explains(&self, other: &Signature) -> bool {
        self.superblock.contains(&other.offset)
            || (other.offset >= view::HEAD && other.offset < self.end)
    }
}

#[cfg(test)]
mod tests;
