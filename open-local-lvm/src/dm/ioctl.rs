//! The ioctls of `/dev/mapper/control` and the semaphores of cookies: the only file with unsafe
//! code of this crate.
//!
//! Numbers and structures are those of the kernel's `linux/dm-ioctl.h` (6.18) and of `semop(2)`.
//! Nothing here decides anything.

#![expect(unsafe_code, reason = "these calls have no safe form; each block states why it is sound")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Bytes of `struct dm_ioctl`, with which every buffer begins.
pub(super) const HEADER: usize = 312;
/// Where `data_size` is in it.
pub(super) const DATA_SIZE_AT: usize = 12;

/// `struct dm_ioctl`, of which only the size matters here.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Header([u64; HEADER / 8]);

const _: () = assert!(size_of::<Header>() == HEADER && align_of::<Header>() == 8);

mod raw {
    //! Bindings made by `nix`'s macros from request numbers.
    #![allow(missing_docs, reason = "named after the kernel's own constants")]

    use super::Header;

    nix::ioctl_readwrite!(dm_version, 0xfd, 0, Header);
    nix::ioctl_readwrite!(dm_list_devices, 0xfd, 2, Header);
    nix::ioctl_readwrite!(dm_dev_create, 0xfd, 3, Header);
    nix::ioctl_readwrite!(dm_dev_remove, 0xfd, 4, Header);
    nix::ioctl_readwrite!(dm_dev_rename, 0xfd, 5, Header);
    nix::ioctl_readwrite!(dm_dev_suspend, 0xfd, 6, Header);
    nix::ioctl_readwrite!(dm_dev_status, 0xfd, 7, Header);
    nix::ioctl_readwrite!(dm_table_load, 0xfd, 9, Header);
    nix::ioctl_readwrite!(dm_table_clear, 0xfd, 10, Header);
    nix::ioctl_readwrite!(dm_table_deps, 0xfd, 11, Header);
    nix::ioctl_readwrite!(dm_table_status, 0xfd, 12, Header);
    nix::ioctl_readwrite!(dm_list_versions, 0xfd, 13, Header);
    nix::ioctl_readwrite!(dm_target_msg, 0xfd, 14, Header);
}

/// The calls that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Version,
    ListDevices,
    Create,
    Remove,
    Rename,
    /// Suspends or resumes, as the flags say.
    Suspend,
    Status,
    TableLoad,
    TableClear,
    TableDeps,
    TableStatus,
    ListVersions,
    Message,
}

/// Makes one call. The buffer begins with a header whose `data_size` is the buffer's length; the
/// answer takes its place.
pub(super) fn call(control: &File, command: Command, buffer: &mut [u64]) -> io::Result<()> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let len = buffer.len().checked_mul(8).ok_or_else(invalid)?;
    // The kernel reads and writes as many bytes as this field says, so it must be the truth.
    let [low, high] = [DATA_SIZE_AT / 8, DATA_SIZE_AT % 8];
    let said = buffer.get(low).and_then(|word| {
        let bytes = word.to_ne_bytes();
        bytes.get(high..).and_then(|rest| rest.first_chunk::<4>()).map(|b| u32::from_ne_bytes(*b))
    });
    if len < HEADER || said.and_then(|said| usize::try_from(said).ok()) != Some(len) {
        return Err(invalid());
    }
    let request = match command {
        Command::Version => raw::dm_version,
        Command::ListDevices => raw::dm_list_devices,
        Command::Create => raw::dm_dev_create,
        Command::Remove => raw::dm_dev_remove,
        Command::Rename => raw::dm_dev_rename,
        Command::Suspend => raw::dm_dev_suspend,
        Command::Status => raw::dm_dev_status,
        Command::TableLoad => raw::dm_table_load,
        Command::TableClear => raw::dm_table_clear,
        Command::TableDeps => raw::dm_table_deps,
        Command::TableStatus => raw::dm_table_status,
        Command::ListVersions => raw::dm_list_versions,
        Command::Message => raw::dm_target_msg,
    };
    // SAFETY: the kernel reads and writes `data_size` bytes from the pointer on, which was just
    // compared with the length of a live exclusive slice of plain numbers, aligned for the
    // header; the descriptor is open. Every bit pattern is a valid `u64`.
    unsafe { request(control.as_raw_fd(), buffer.as_mut_ptr().cast::<Header>()) }?;
    Ok(())
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The value a cookie begins with: the share of whoever waits for it.
const SET_TO: libc::c_int = 1;

/// The fourth argument of `semctl`, as `semctl(2)` has the caller declare it. The C library takes
/// this union and hands it on as a word: on 64 bits an `int` alone would be half of it, with
/// nothing said of the other half, and on big-endian machines the wrong half.
#[repr(C)]
#[derive(Clone, Copy)]
union Argument {
    value: libc::c_int,
    pointer: *mut libc::c_void,
}

const _: () = assert!(size_of::<Argument>() == size_of::<libc::c_ulong>());

impl Argument {
    /// The value, with all other bytes zero.
    const fn value(value: libc::c_int) -> Self {
        let mut argument = Self { pointer: std::ptr::null_mut() };
        argument.value = value;
        argument
    }
}

/// Makes a new semaphore of this key with the value 1; `EEXIST` if the key is taken.
pub(super) fn semaphore_new(key: libc::key_t) -> io::Result<libc::c_int> {
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
    // SAFETY: all arguments are integers; no memory is touched.
    let id = checked(unsafe { libc::semget(key, 1, flags) })?;
    // SAFETY: the fourth argument is the union that the C library reads as such, of the size of a
    // word on 32 and on 64 bits and initialised whole; for `SETVAL` its `int` counts and no
    // pointer is followed.
    let set = checked(unsafe { libc::semctl(id, 0, libc::SETVAL, Argument::value(SET_TO)) });
    if let Err(error) = set {
        let _ = semaphore_remove(id);
        return Err(error);
    }
    Ok(id)
}

/// Adds to a semaphore, or takes away without waiting.
pub(super) fn semaphore_add(id: libc::c_int, amount: i16) -> io::Result<()> {
    let flags = libc::c_short::try_from(libc::IPC_NOWAIT).map_err(io::Error::other)?;
    let mut act = libc::sembuf { sem_num: 0, sem_op: amount, sem_flg: flags };
    // SAFETY: the kernel reads one `sembuf`, as the count says, from a live reference.
    checked(unsafe { libc::semop(id, &raw mut act, 1) }).map(drop)
}

/// Waits until a semaphore is zero; `EAGAIN` if it is not after so long, `EINTR` after a signal.
pub(super) fn semaphore_wait_zero(id: libc::c_int, wait: Duration) -> io::Result<()> {
    let mut act = libc::sembuf { sem_num: 0, sem_op: 0, sem_flg: 0 };
    let seconds = libc::time_t::try_from(wait.as_secs()).unwrap_or(libc::time_t::MAX);
    let time = libc::timespec { tv_sec: seconds, tv_nsec: wait.subsec_nanos().into() };
    // SAFETY: the kernel reads one `sembuf`, as the count says, and one `timespec` from live
    // references; the rest are integers.
    let result =
        unsafe { libc::syscall(libc::SYS_semtimedop, id, &raw mut act, 1usize, &raw const time) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Removes a semaphore, whoever waits for it.
pub(super) fn semaphore_remove(id: libc::c_int) -> io::Result<()> {
    // SAFETY: `IPC_RMID` takes no fourth argument; no memory is touched.
    checked(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_lies_about_its_length_is_refused() {
        let file = File::open("/dev/null").unwrap();
        let mut buffer = vec![0u64; 64];
        let error = call(&file, Command::Version, &mut buffer).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        let error = call(&file, Command::Version, &mut []).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        // An honest one reaches the driver, which is none.
        buffer[1] = (512u64 << 32).to_le();
        let error = call(&file, Command::Version, &mut buffer).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }

    #[test]
    fn a_semaphore_is_waited_for_and_goes() {
        let key = 0x0d4d_0000 | i32::try_from(std::process::id() % 0xffff).unwrap();
        // Another process may have this key.
        let Ok(id) = semaphore_new(key) else { return };
        semaphore_add(id, 1).unwrap();
        let late = semaphore_wait_zero(id, Duration::from_millis(10)).unwrap_err();
        assert_eq!(late.raw_os_error(), Some(libc::EAGAIN));
        semaphore_add(id, -2).unwrap();
        semaphore_wait_zero(id, Duration::from_secs(10)).unwrap();
        semaphore_remove(id).unwrap();
        assert!(semaphore_add(id, 1).is_err());
    }
}
