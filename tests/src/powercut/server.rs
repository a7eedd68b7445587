//! A unix socket and threads around a disk.

use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::disk::{Aftermath, PowerDisk, Status};
use super::session::Session;

/// Connections served at once; further ones are closed at once.
pub const MOST_CONNECTIONS: usize = 8;
/// What is read of a connection at once.
const CHUNK: usize = 256 << 10;

#[derive(Debug)]
struct Shared {
    disk: Mutex<PowerDisk>,
    /// The connections that are open, by a number of their own.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    streams: Vec<(u64, UnixStream)>,
    /// No further connection is taken.
    closing: bool,
}

/// A connection's number, and how often the power had been cut when it came.
struct Admitted {
    number: u64,
    cuts: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Keeps a handle of a new connection, so that a cut can close it.
    fn admit(&self, stream: &UnixStream) -> io::Result<Option<Admitted>> {
        let mut open = locked(&self.open);
        // Under the lock of the connections: a cut that comes now waits and then closes this one.
        let status = locked(&self.disk).status();
        if open.closing || open.streams.len() >= MOST_CONNECTIONS || !status.powered {
            return Ok(None);
        }
        let handle = stream.try_clone()?;
        let number = open.next;
        open.next += 1;
        open.streams.push((number, handle));
        Ok(Some(Admitted { number, cuts: status.cuts }))
    }

    fn dismiss(&self, number: u64) {
        locked(&self.open).streams.retain(|(n, _)| *n != number);
    }

    fn hang_up(&self) {
        for (_, stream) in &locked(&self.open).streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A disk served on a unix socket. Dropped, it hangs up and removes the socket; what was not
/// flushed is lost.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    socket: PathBuf,
    listener: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves a disk on a socket that must not exist yet.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn start(socket: &Path, disk: PowerDisk) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let shared = Arc::new(Shared { disk: Mutex::new(disk), open: Mutex::default() });
        let theirs = shared.clone();
        let listener = thread::Builder::new()
            .name("powerdisk".to_owned())
            .spawn(move || listen(&listener, &theirs))?;
        Ok(Self { shared, socket: socket.to_path_buf(), listener: Some(listener) })
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What the disk says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        locked(&self.shared.disk).status()
    }

    /// Cuts the power as [`PowerDisk::cut`]. From that moment on no request is carried out and no
    /// connection taken. Those that are open stay so and are refused every request: a kernel
    /// whose connection merely ends waits for its answers for ever (nbd of Linux 6.1).
    ///
    /// # Errors
    /// As the backing gives them.
    pub fn cut(&self, seed: u64) -> io::Result<Aftermath> {
        locked(&self.shared.disk).cut(seed)
    }

    /// Makes the disk cut its own power as [`PowerDisk::cut_after`].
    pub fn cut_after(&self, writes: u64, seed: u64) {
        locked(&self.shared.disk).cut_after(writes, seed);
    }

    /// What the last cut did.
    #[must_use]
    pub fn last_cut(&self) -> Option<Aftermath> {
        locked(&self.shared.disk).last_cut()
    }

    /// Turns the power on: the socket takes connections again. Those from before are closed.
    pub fn power_on(&self) {
        self.shared.hang_up();
        locked(&self.shared.disk).power_on();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        locked(&self.shared.open).closing = true;
        self.shared.hang_up();
        // Wakes the listener, which waits for a connection.
        let woken = UnixStream::connect(&self.socket);
        let _ = fs::remove_file(&self.socket);
        if let (Ok(_), Some(listener)) = (woken, self.listener.take()) {
            let _ = listener.join();
        }
    }
}

fn listen(listener: &UnixListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if locked(&shared.open).closing {
            return;
        }
        let Ok(stream) = stream else { continue };
        let Ok(Some(Admitted { number, cuts })) = shared.admit(&stream) else { continue };
        let theirs = shared.clone();
        let served = thread::Builder::new().name(format!("powerdisk-{number}")).spawn(move || {
            // A connection that breaks is the client's affair: the disk is as it was.
            let _ = converse(stream, &theirs, cuts);
            theirs.dismiss(number);
        });
        if served.is_err() {
            shared.dismiss(number);
        }
    }
}

fn converse(mut stream: UnixStream, shared: &Shared, cuts: u64) -> io::Result<()> {
    let (mut session, hello) = Session::new();
    stream.write_all(&hello)?;
    let mut chunk = vec![0; CHUNK];
    while !session.is_closed() {
        let got = stream.read(&mut chunk)?;
        if got == 0 {
            break;
        }
        session.take(chunk.get(..got).unwrap_or_default());
        // The lock is held for one request: a cut falls between two.
        while let Some(answer) = answer(&mut session, shared, cuts)? {
            stream.write_all(&answer)?;
        }
    }
    stream.shutdown(Shutdown::Both)
}

/// The next answer. What a connection sent before a cut may be read after it, when the power is
/// on again perhaps, and must not be carried out then.
fn answer(session: &mut Session, shared: &Shared, cuts: u64) -> io::Result<Option<Vec<u8>>> {
    let mut disk = locked(&shared.disk);
    let status = disk.status();
    if status.powered && status.cuts != cuts {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    Ok(session.answer(&mut disk))
}

#[cfg(test)]
mod tests;
