//! Serves a disk that can lose power, on a unix socket with the NBD protocol.
//!
//! ```text
//! open-local-powerdisk --file FILE --size BYTES --socket PATH [--granule BYTES] [--memory BYTES]
//! ```
//!
//! It prints `ready` and then obeys its standard input, one command a line, one line of answer
//! each: `cut SEED`, `cut-after WRITES SEED`, `on`, `status`, `quit`. At its end, told or by the end of its input, what
//! was not flushed is lost.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

use open_local_tests::powercut::{FileBacking, PowerDisk, Server};

fn main() -> ExitCode {
    match serve(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("open-local-powerdisk: {error}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "usage: open-local-powerdisk --file FILE --size BYTES --socket PATH \
                     [--granule BYTES] [--memory BYTES]";

fn invalid(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{what}\n{USAGE}"))
}

fn serve(arguments: impl Iterator<Item = String>) -> io::Result<()> {
    let options = options(arguments)?;
    let text = |name: &str| options.get(name).ok_or_else(|| invalid(format!("{name} is missing")));
    let number = |name: &str| -> io::Result<Option<u64>> {
        let parse = |text: &String| text.parse().map_err(|e| invalid(format!("{name}: {e}")));
        options.get(name).map(parse).transpose()
    };
    let size = number("--size")?.ok_or_else(|| invalid("--size is missing"))?;
    let backing = FileBacking::open(Path::new(text("--file")?), size)?;
    let mut disk = PowerDisk::new(backing);
    if let Some(bytes) = number("--granule")? {
        disk = disk.with_granule(bytes);
    }
    if let Some(bytes) = number("--memory")? {
        disk = disk.with_memory(bytes);
    }
    let server = Server::start(Path::new(text("--socket")?), disk)?;
    let mut output = io::stdout().lock();
    writeln!(output, "ready")?;
    for line in io::stdin().lock().lines() {
        let Some(answer) = obey(&server, &line?)? else { break };
        writeln!(output, "{answer}")?;
    }
    Ok(())
}

fn options(arguments: impl Iterator<Item = String>) -> io::Result<BTreeMap<String, String>> {
    const KNOWN: [&str; 5] = ["--file", "--size", "--socket", "--granule", "--memory"];
    let mut found = BTreeMap::new();
    let mut arguments = arguments;
    while let Some(name) = arguments.next() {
        let Some(value) = arguments.next().filter(|_| KNOWN.contains(&name.as_str())) else {
            return Err(invalid(name));
        };
        found.insert(name, value);
    }
    Ok(found)
}

/// Carries out a command; `None` ends the program.
fn obey(server: &Server, line: &str) -> io::Result<Option<String>> {
    let mut words = line.split_whitespace();
    let word = words.next().unwrap_or_default();
    let numbers: Vec<Option<u64>> = words.map(|word| word.parse().ok()).collect();
    let answer = match (word, numbers.as_slice()) {
        ("cut", [Some(seed)]) => {
            let done = server.cut(*seed)?;
            format!(
                "cut kept={} lost={} torn={} reordered={}",
                done.kept, done.lost, done.torn, done.reordered
            )
        }
        ("cut-after", [Some(writes), Some(seed)]) => {
            server.cut_after(*writes, *seed);
            "armed".to_owned()
        }
        ("on", []) => {
            server.power_on();
            "on".to_owned()
        }
        ("status", []) => {
            let is = server.status();
            format!(
                "status powered={} pending={} flushes={} writes={} written_back={}",
                is.powered, is.pending, is.flushes, is.writes, is.written_back
            )
        }
        ("quit", []) => return Ok(None),
        _ => {
            format!("error: {line:?} is none of: cut SEED, cut-after WRITES SEED, on, status, quit")
        }
    };
    Ok(Some(answer))
}
