//! What is compared: the same steps, done in different ways.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use open_local_core::Bytes;

/// Size of every new volume.
pub const SIZE: Bytes = Bytes::new(64 << 20);
/// Data written to volumes that are copied or removed.
pub const DATA: Bytes = Bytes::new(8 << 20);

/// One way of working with volumes in a folder.
///
/// Every method takes its step to its end, or panics.
pub trait Side {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// Makes a sparse volume of [`SIZE`].
    fn create(&self, volume: &str);
    /// Makes a snapshot of a volume that is not published.
    fn snapshot(&self, volume: &str, snapshot: &str);
    /// Makes a volume with the content of a snapshot.
    fn clone_snapshot(&self, snapshot: &str, volume: &str);
    /// Attaches a volume to a loop device.
    fn publish(&self, volume: &str);
    /// Makes a published volume and its device larger.
    fn grow(&self, volume: &str, size: Bytes);
    /// Detaches the loop device of a volume.
    fn unpublish(&self, volume: &str);
    /// Removes a volume that is not published.
    fn remove(&self, volume: &str);
    /// Removes a snapshot.
    fn remove_snapshot(&self, snapshot: &str);
    /// The file that holds a volume.
    fn image(&self, volume: &str) -> PathBuf;

    /// Writes [`DATA`] that is not zero to the beginning of a volume, down to the disk.
    fn fill(&self, volume: &str) {
        let image = File::options().write(true).open(self.image(volume)).expect("open the image");
        let mut block = [0u8; 4096];
        for (byte, value) in block.iter_mut().zip((1..=251).cycle()) {
            *byte = value;
        }
        for offset in (0..DATA.get()).step_by(block.len()) {
            image.write_all_at(&block, offset).expect("fill the image");
        }
        image.sync_all().expect("flush the image");
    }
}
