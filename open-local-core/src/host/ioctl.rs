//! The ioctls of loop devices, block devices and file systems: the only file with unsafe code.
//!
//! Numbers and structures are those of the kernel's `linux/loop.h` and `linux/fs.h` (6.18). Every
//! function takes an open file and answers an [`io::Result`]; nothing here decides anything.

#![expect(unsafe_code, reason = "these calls have no safe form; each block states why it is sound")]
#![cfg_attr(
    not(all(feature = "file", feature = "fs", feature = "raw")),
    allow(dead_code, reason = "each feature uses its own part")
)]

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
#[cfg(feature = "fs")]
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

mod raw {
    //! Bindings made by `nix`'s macros from request numbers.
    #![allow(missing_docs, reason = "named after the kernel's own constants")]

    nix::ioctl_none_bad!(loop_ctl_get_free, 0x4C82);
    nix::ioctl_write_ptr_bad!(loop_configure, 0x4C0A, super::LoopConfig);
    nix::ioctl_none_bad!(loop_clr_fd, 0x4C01);
    nix::ioctl_write_ptr_bad!(loop_set_status64, 0x4C04, super::LoopInfo64);
    nix::ioctl_read_bad!(loop_get_status64, 0x4C05, super::LoopInfo64);
    nix::ioctl_none_bad!(loop_set_capacity, 0x4C07);
    #[cfg(feature = "loopdev")]
    nix::ioctl_write_int_bad!(loop_set_block_size, 0x4C09);
    nix::ioctl_read!(blkgetsize64, 0x12, 114, usize);
    nix::ioctl_read_bad!(blksszget, 0x1268, libc::c_int);
    nix::ioctl_read_bad!(blkroget, 0x125E, libc::c_int);
    nix::ioctl_write_ptr_bad!(blkroset, 0x125D, libc::c_int);
    nix::ioctl_none_bad!(blkflsbuf, 0x1261);
    nix::ioctl_write_int_bad!(ficlone, 0x4004_9409);
    nix::ioctl_readwrite!(fifreeze, b'X', 119, libc::c_int);
    nix::ioctl_readwrite!(fithaw, b'X', 120, libc::c_int);
    nix::ioctl_readwrite!(fitrim, b'X', 121, super::TrimRange);
}

/// Refuses writes (`LO_FLAGS_READ_ONLY`).
pub(crate) const LO_FLAGS_READ_ONLY: u32 = 1;
/// Detaches when the last opener closes (`LO_FLAGS_AUTOCLEAR`).
pub(crate) const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Bypasses the host's page cache (`LO_FLAGS_DIRECT_IO`).
pub(crate) const LO_FLAGS_DIRECT_IO: u32 = 16;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoopInfo64 {
    pub(crate) lo_device: u64,
    pub(crate) lo_inode: u64,
    pub(crate) lo_rdevice: u64,
    pub(crate) lo_offset: u64,
    pub(crate) lo_sizelimit: u64,
    pub(crate) lo_number: u32,
    pub(crate) lo_encrypt_type: u32,
    pub(crate) lo_encrypt_key_size: u32,
    pub(crate) lo_flags: u32,
    pub(crate) lo_file_name: [u8; 64],
    pub(crate) lo_crypt_name: [u8; 64],
    pub(crate) lo_encrypt_key: [u8; 32],
    pub(crate) lo_init: [u64; 2],
}

impl LoopInfo64 {
    /// All zeroes.
    pub(crate) const fn empty() -> Self {
        Self {
            lo_device: 0,
            lo_inode: 0,
            lo_rdevice: 0,
            lo_offset: 0,
            lo_sizelimit: 0,
            lo_number: 0,
            lo_encrypt_type: 0,
            lo_encrypt_key_size: 0,
            lo_flags: 0,
            lo_file_name: [0; 64],
            lo_crypt_name: [0; 64],
            lo_encrypt_key: [0; 32],
            lo_init: [0; 2],
        }
    }
}

/// `struct loop_config` (Linux 5.8 and newer).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoopConfig {
    pub(crate) fd: u32,
    pub(crate) block_size: u32,
    pub(crate) info: LoopInfo64,
    pub(crate) reserved: [u64; 8],
}

/// `struct fstrim_range`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrimRange {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) minlen: u64,
}

const _: () = assert!(size_of::<LoopInfo64>() == 232 && align_of::<LoopInfo64>() == 8);
const _: () = assert!(std::mem::offset_of!(LoopInfo64, lo_file_name) == 56);
const _: () = assert!(size_of::<LoopConfig>() == 304);
const _: () = assert!(std::mem::offset_of!(LoopConfig, info) == 8);
const _: () = assert!(size_of::<TrimRange>() == 24);

fn fd(file: &File) -> RawFd {
    file.as_raw_fd()
}

/// The index of a loop device that was free a moment ago; attaching may still find it taken.
pub(crate) fn loop_get_free(control: &File) -> io::Result<u32> {
    // SAFETY: no argument is passed and no memory is touched; the descriptor is open.
    let index = unsafe { raw::loop_ctl_get_free(fd(control)) }?;
    u32::try_from(index).map_err(io::Error::other)
}

/// Binds a file to a loop device in one step.
pub(crate) fn loop_configure(device: &File, config: &LoopConfig) -> io::Result<()> {
    // SAFETY: the kernel reads one `loop_config`, whose layout is asserted above, from a live
    // reference of that type; both descriptors are open.
    unsafe { raw::loop_configure(fd(device), config) }?;
    Ok(())
}

/// Unbinds a loop device; while others have it open the kernel defers it to their last close.
pub(crate) fn loop_clear(device: &File) -> io::Result<()> {
    // SAFETY: no argument is passed and no memory is touched; the descriptor is open.
    unsafe { raw::loop_clr_fd(fd(device)) }?;
    Ok(())
}

/// What a loop device is bound to; `ENXIO` if to nothing.
pub(crate) fn loop_status(device: &File) -> io::Result<LoopInfo64> {
    let mut info = LoopInfo64::empty();
    // SAFETY: the kernel writes one `loop_info64`, whose layout is asserted above and for which
    // every bit pattern is valid, into a live exclusive reference.
    unsafe { raw::loop_get_status64(fd(device), &raw mut info) }?;
    Ok(info)
}

/// Changes the flags of a bound loop device that may be changed (auto-clear among them).
pub(crate) fn loop_set_status(device: &File, info: &LoopInfo64) -> io::Result<()> {
    // SAFETY: the kernel reads one `loop_info64`, whose layout is asserted above, from a live
    // reference of that type; the descriptor is open.
    unsafe { raw::loop_set_status64(fd(device), info) }?;
    Ok(())
}

/// Makes a loop device as large as its file has become.
pub(crate) fn loop_set_capacity(device: &File) -> io::Result<()> {
    // SAFETY: no argument is passed and no memory is touched; the descriptor is open.
    unsafe { raw::loop_set_capacity(fd(device)) }?;
    Ok(())
}

/// Sets the logical block size of a bound loop device.
#[cfg(feature = "loopdev")]
pub(crate) fn loop_set_block_size(device: &File, size: libc::c_int) -> io::Result<()> {
    // SAFETY: the argument is a number and no memory is touched; the descriptor is open.
    unsafe { raw::loop_set_block_size(fd(device), size) }?;
    Ok(())
}

/// The size of a block device in bytes.
pub(crate) fn device_size(device: &File) -> io::Result<u64> {
    // `size_t` in the request number is a kernel quirk: 64 bits are written (`linux/fs.h`, 6.18).
    let mut size = 0u64;
    // SAFETY: the kernel writes 8 bytes into a live exclusive `u64`; on every target this crate
    // builds for (checked below) `usize` is 8 bytes with the same alignment.
    unsafe { raw::blkgetsize64(fd(device), (&raw mut size).cast::<usize>()) }?;
    Ok(size)
}

const _: () = assert!(size_of::<usize>() == 8, "64-bit targets only");

/// The logical block size of a block device in bytes.
pub(crate) fn device_block_size(device: &File) -> io::Result<u64> {
    let mut size: libc::c_int = 0;
    // SAFETY: the kernel writes one `int` into a live exclusive reference.
    unsafe { raw::blksszget(fd(device), &raw mut size) }?;
    u64::try_from(size).map_err(io::Error::other)
}

/// Whether a block device refuses writes.
pub(crate) fn device_read_only(device: &File) -> io::Result<bool> {
    let mut flag: libc::c_int = 0;
    // SAFETY: the kernel writes one `int` into a live exclusive reference.
    unsafe { raw::blkroget(fd(device), &raw mut flag) }?;
    Ok(flag != 0)
}

/// Makes a block device refuse writes, for everybody, or take them again.
pub(crate) fn device_set_read_only(device: &File, on: bool) -> io::Result<()> {
    let flag = libc::c_int::from(on);
    // SAFETY: the kernel reads one `int` from a live reference; the descriptor is open.
    unsafe { raw::blkroset(fd(device), &raw const flag) }?;
    Ok(())
}

/// Writes back and drops what the host has cached of a block device.
pub(crate) fn device_flush_cache(device: &File) -> io::Result<()> {
    // SAFETY: no argument is passed and no memory is touched; the descriptor is open.
    unsafe { raw::blkflsbuf(fd(device)) }?;
    Ok(())
}

/// Makes `target` share all blocks of `source`.
pub(crate) fn clone_file(source: &File, target: &File) -> io::Result<()> {
    // SAFETY: the argument is the number of an open descriptor; no memory is touched.
    unsafe { raw::ficlone(fd(target), fd(source)) }?;
    Ok(())
}

/// Freezes the file system that holds `folder`; `EBUSY` if it is frozen already.
pub(crate) fn freeze(folder: &File) -> io::Result<()> {
    let mut unused: libc::c_int = 0;
    // SAFETY: the kernel ignores the argument, which is a live exclusive `int` all the same.
    unsafe { raw::fifreeze(fd(folder), &raw mut unused) }?;
    Ok(())
}

/// Thaws the file system that holds `folder`; `EINVAL` if it is not frozen.
pub(crate) fn thaw(folder: &File) -> io::Result<()> {
    let mut unused: libc::c_int = 0;
    // SAFETY: the kernel ignores the argument, which is a live exclusive `int` all the same.
    unsafe { raw::fithaw(fd(folder), &raw mut unused) }?;
    Ok(())
}

/// Discards what the file system that holds `folder` does not use; answers the bytes discarded.
pub(crate) fn trim(folder: &File) -> io::Result<u64> {
    let mut range = TrimRange { start: 0, len: u64::MAX, minlen: 0 };
    // SAFETY: the kernel reads and writes one `fstrim_range`, whose layout is asserted above,
    // through a live exclusive reference.
    unsafe { raw::fitrim(fd(folder), &raw mut range) }?;
    Ok(range.len)
}

/// Makes `source` visible at `target` too, as one change: with these attributes (`MOUNT_ATTR_…`
/// of `linux/mount.h`) from the first moment on. Links are followed in neither. `ENOSYS` before
/// Linux 5.12.
#[cfg(feature = "fs")]
pub(crate) fn bind_mount(source: &CStr, target: &CStr, attributes: u64) -> io::Result<()> {
    let flags = libc::OPEN_TREE_CLONE | libc::O_CLOEXEC.cast_unsigned();
    let flags = flags | libc::AT_SYMLINK_NOFOLLOW.cast_unsigned();
    // SAFETY: the path is a NUL-terminated string that lives across the call; the rest are
    // integers of the width the call takes.
    let tree =
        unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, source.as_ptr(), flags) };
    if tree < 0 {
        return Err(io::Error::last_os_error());
    }
    let tree = RawFd::try_from(tree).map_err(io::Error::other)?;
    // SAFETY: the kernel has just given us this descriptor, which nobody else closes.
    let tree = unsafe { OwnedFd::from_raw_fd(tree) };
    let attr = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the descriptor is open, the empty path is a static NUL-terminated string, and the
    // kernel reads one `mount_attr` of the size given from a live reference.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open and both paths are NUL-terminated strings that live across
    // the call; the rest are integers.
    let moved = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    if moved < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The number of the block device a path leads to, links followed; `None` if it is none. Nobody is
/// asked over a network: what the kernel knows already is enough (`AT_STATX_DONT_SYNC`, statx(2)).
pub(crate) fn block_device_at(path: &CStr) -> io::Result<Option<(u32, u32)>> {
    let mut found = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is a NUL-terminated string that lives across the call, and the kernel
    // writes one `statx` into a live exclusive reference of that type.
    let result = unsafe {
        libc::statx(
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_STATX_DONT_SYNC,
            libc::STATX_TYPE,
            found.as_mut_ptr(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the structure was zeroed, for which every field has a valid value, and the kernel
    // has filled it in.
    let found = unsafe { found.assume_init() };
    let is_block = u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFBLK;
    Ok(is_block.then_some((found.stx_rdev_major, found.stx_rdev_minor)))
}

/// Has the kernel kill the program when the thread that started it ends, however it ends: so that
/// nothing works on a device on behalf of a caller that was killed.
pub(crate) fn end_with_parent(command: &mut Command) {
    let set = || {
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes one system call, which is
    // async-signal-safe; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(set) };
}
