use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::powercut::MemoryBacking;

/// A socket path of its own, removed by the server.
fn served() -> Server {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let name = format!("open-local-test-{}-{number}-powerdisk", std::process::id());
    Server::start(&std::env::temp_dir().join(name), PowerDisk::new(MemoryBacking::new(1 << 20)))
        .unwrap()
}

struct Client(UnixStream);

impl Client {
    fn connect(server: &Server) -> io::Result<Self> {
        let mut client = Self(UnixStream::connect(server.socket())?);
        client.read(18)?;
        client.0.write_all(b"\0\0\0\x03IHAVEOPT\0\0\0\x01\0\0\0\0")?;
        client.read(10)?;
        Ok(client)
    }

    fn read(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Sends a request; answers the error number and the data.
    fn ask(&mut self, kind: u16, length: u32, data: &[u8], answer: usize) -> io::Result<Vec<u8>> {
        let head = [
            &0x2560_9513_u32.to_be_bytes()[..],
            &[0, 0],
            &kind.to_be_bytes(),
            &[0; 16],
            &length.to_be_bytes(),
        ];
        self.0.write_all(&[&head.concat(), data].concat())?;
        let reply = self.read(16)?;
        if reply[4..8] != [0; 4] {
            return Err(io::Error::other(format!("error {}", reply[7])));
        }
        self.read(answer)
    }

    fn write(&mut self, byte: u8) -> io::Result<()> {
        self.ask(1, 1 << 19, &vec![byte; 1 << 19], 0).map(drop)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ask(3, 0, &[], 0).map(drop)
    }

    fn content(&mut self) -> io::Result<Vec<u8>> {
        self.ask(0, 1 << 19, &[], 1 << 19)
    }
}

#[test]
fn flushed_bytes_outlive_a_cut_and_unflushed_ones_may_not() {
    let server = served();
    let mut lost = 0;
    for seed in 0..20 {
        let mut client = Client::connect(&server).unwrap();
        client.write(1).unwrap();
        client.flush().unwrap();
        client.write(2).unwrap();
        assert_eq!(client.content().unwrap(), vec![2; 1 << 19]);
        server.cut(seed).unwrap();
        assert_eq!(client.flush().unwrap_err().to_string(), "error 108");
        assert!(Client::connect(&server).is_err(), "refused while the power is off");
        server.power_on();
        assert!(client.flush().is_err(), "from before the cut");
        let found = Client::connect(&server).unwrap().content().unwrap();
        assert!(found.iter().all(|b| [1, 2].contains(b)));
        lost += u32::from(found.contains(&1));
    }
    assert!((5..20).contains(&lost), "{lost} of 20");
    assert_eq!(server.status().cuts, 20);
}

#[test]
fn several_connections_see_one_disk_and_their_number_is_bounded() {
    let server = served();
    let mut clients: Vec<Client> =
        (0..MOST_CONNECTIONS).map(|_| Client::connect(&server).unwrap()).collect();
    assert!(Client::connect(&server).is_err());
    clients[0].write(5).unwrap();
    assert_eq!(clients[1].content().unwrap(), vec![5; 1 << 19]);
    clients[1].flush().unwrap();
    assert_eq!(server.status().pending, 0, "a flush is for all of them");
}

#[test]
fn a_dropped_server_hangs_up_and_removes_its_socket() {
    let server = served();
    let mut client = Client::connect(&server).unwrap();
    let socket = server.socket().to_path_buf();
    assert!(Server::start(&socket, PowerDisk::new(MemoryBacking::new(512))).is_err(), "taken");
    drop(server);
    assert!(!socket.exists());
    assert!(client.flush().is_err());
}
