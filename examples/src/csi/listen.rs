//! Addresses: of the socket, and of what is served beside it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Component, PathBuf};

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

fn refuse<T>(text: &str, what: &str, remedy: &str) -> Result<T> {
    Err(Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::value(text), what)
        .with_remedy(remedy))
}

/// The path of a unix socket: `unix:///run/csi.sock`, `unix:/run/csi.sock`, the path itself, or as
/// the original has it, `unix://run/csi.sock`, where the root is left out.
///
/// # Errors
/// `InvalidArgument` for anything else.
pub(super) fn socket(text: &str) -> Result<PathBuf> {
    let remedy = "write it like unix:///run/csi/csi.sock";
    let path = match text.strip_prefix("unix:") {
        Some(rest) => format!("/{}", rest.trim_start_matches('/')),
        None if text.starts_with('/') => text.to_owned(),
        None if text.contains("://") => {
            return refuse(text, "only unix sockets are served: others have no owner", remedy);
        }
        None => return refuse(text, "this is no path of a socket", remedy),
    };
    let path = PathBuf::from(path);
    let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    if !plain || path.file_name().is_none() || text.contains('\0') {
        return refuse(text, "this is no plain path of a socket", remedy);
    }
    Ok(path)
}

/// An address and a port; a port alone is on the IPv4 loopback.
///
/// # Errors
/// `InvalidArgument` for names, and for IPv6 without brackets.
pub(super) fn address(text: &str) -> Result<SocketAddr> {
    if let Ok(port) = text.trim_start_matches(':').parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().or_else(|_| {
        let remedy = "write it like 127.0.0.1:9810, [::1]:9810 or, for all, [::]:9810";
        refuse(text, "this is no address with a port", remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_in_every_way_people_write_them() {
        for text in
            ["unix:///tmp/csi.sock", "unix://tmp/csi.sock", "unix:/tmp/csi.sock", "/tmp/csi.sock"]
        {
            assert_eq!(socket(text).unwrap(), PathBuf::from("/tmp/csi.sock"), "{text}");
        }
        for text in ["", "tcp://127.0.0.1:1", "csi.sock", "unix://", "unix:///a/../b", "/a\0b"] {
            assert!(socket(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_literals_with_a_port() {
        assert_eq!(address("9810").unwrap().to_string(), "127.0.0.1:9810");
        assert_eq!(address("[::]:1").unwrap().to_string(), "[::]:1");
        assert!(address("[::1]:0").unwrap().is_ipv6());
        for text in ["", "localhost:1", "::1:80", "1.2.3.4", "[::1]", "127.0.0.1:99999"] {
            let error = address(text).unwrap_err();
            assert!(error.remedy().unwrap().contains("[::1]:9810"), "{text}");
        }
    }
}
