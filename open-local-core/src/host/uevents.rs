//! Messages of the kernel about devices that come, go and change.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt,
    socket, sockopt,
};

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// One message of the kernel, as it is.
    Message(Vec<u8>),
    /// Messages were lost because nobody took them in time: everything has to be read again.
    Overrun,
    /// Nothing within the time given.
    Nothing,
}

/// A listener to the kernel's messages about devices.
///
/// Everything that happens after it was opened is heard: open it first, read the devices then.
pub trait Uevents: Debug + Send + Sync {
    /// Waits for the next message.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn receive(&self, wait: Duration) -> io::Result<Received>;
}

/// The multicast group of the kernel itself; group 2 is what udev sends on.
const KERNEL_GROUP: u32 = 1;
/// Bytes of messages the kernel keeps for us: some thousand of them.
const BACKLOG: usize = 1 << 20;
/// More than the largest message: the kernel's are at most 2 KiB and a header
/// (`UEVENT_BUFFER_SIZE`, `linux/kobject.h`, 6.18).
const LARGEST: usize = 16 << 10;
/// Messages of others skipped in one call.
const MAX_SKIPPED: usize = 64;

/// The kernel's messages by netlink (netlink(7), `NETLINK_KOBJECT_UEVENT`).
#[derive(Debug)]
pub struct SystemUevents(OwnedFd);

impl SystemUevents {
    /// Starts listening. Needs no privilege.
    ///
    /// # Errors
    /// As the operating system gives them. In a network namespace that is not owned by the first
    /// user namespace the kernel sends nothing.
    pub fn open() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        setsockopt(&socket, sockopt::RcvBuf, &BACKLOG)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        Ok(Self(socket))
    }

    /// The next message that waits, if it is the kernel's; the outer `None` if none waits.
    fn take(&self) -> io::Result<Option<Option<Received>>> {
        let mut buffer = vec![0; LARGEST];
        match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut buffer) {
            Ok((len, from)) => {
                // Any process with CAP_NET_ADMIN may send to the group, with its own port.
                let kernel = from.is_some_and(|from| from.pid() == 0 && from.groups() == 1);
                buffer.truncate(len);
                Ok(Some(kernel.then_some(Received::Message(buffer))))
            }
            Err(Errno::ENOBUFS) => Ok(Some(Some(Received::Overrun))),
            Err(Errno::EAGAIN) => Ok(None),
            Err(Errno::EINTR) => Ok(Some(None)),
            Err(e) => Err(e.into()),
        }
    }
}

impl Uevents for SystemUevents {
    fn receive(&self, wait: Duration) -> io::Result<Received> {
        let mut waited = false;
        for _ in 0..MAX_SKIPPED {
            match self.take()? {
                Some(Some(received)) => return Ok(received),
                Some(None) => {}
                None if waited => return Ok(Received::Nothing),
                None => {
                    waited = true;
                    let mut wanted = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
                    let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
                    match poll(&mut wanted, timeout) {
                        Ok(_) | Err(Errno::EINTR) => {}
                        Err(e) => return Err(e.into()),
                    }
                }
            }
        }
        Ok(Received::Nothing)
    }
}

/// A listener that hears what it was told, for tests.
#[derive(Debug, Default)]
pub struct ScriptedUevents(Mutex<VecDeque<Received>>);

impl ScriptedUevents {
    /// One that hears this, then nothing.
    #[must_use]
    pub fn new(script: impl IntoIterator<Item = Received>) -> Self {
        Self(Mutex::new(script.into_iter().collect()))
    }

    /// Adds to what it will hear.
    pub fn push(&self, received: Received) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(received);
    }
}

impl Uevents for ScriptedUevents {
    fn receive(&self, _wait: Duration) -> io::Result<Received> {
        let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        Ok(next.unwrap_or(Received::Nothing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_heard_in_order_and_then_there_is_silence() {
        let heard = ScriptedUevents::new([Received::Overrun]);
        heard.push(Received::Message(vec![1]));
        let next = || heard.receive(Duration::from_secs(9)).unwrap();
        assert_eq!(next(), Received::Overrun);
        assert_eq!(next(), Received::Message(vec![1]));
        assert_eq!(next(), Received::Nothing);
    }
}
