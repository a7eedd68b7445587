//! One connection: bytes in, bytes out. No socket and no thread.

use super::disk::{Content, MOST, PowerDisk, Refused, SECTOR};
use super::wire::{
    Answer, Choice, Command, Failure, Parsed, Request, export, greeting, info_blocks, info_export,
    listed, option_reply, parse_client_flags, parse_option, parse_request, reply,
};

/// The name of the one export; the empty name stands for it too.
pub const EXPORT: &[u8] = b"disk";

/// Options answered before a client that never starts is sent away.
const MOST_OPTIONS: u32 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Greeted,
    Choosing { no_zeroes: bool, options: u32 },
    Using,
    Closed,
}

/// A connection's state and the bytes that were not answered yet.
///
/// The caller takes all answers before it gives more bytes, so that no more is held than one
/// message and what came with it, and one answer: 32 MiB each and a read.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    input: Vec<u8>,
    /// How much of the input has been answered.
    answered: usize,
}

impl Session {
    /// A new connection, and what is said to it first.
    #[must_use]
    pub fn new() -> (Self, Vec<u8>) {
        (Self { phase: Phase::Greeted, input: Vec::new(), answered: 0 }, greeting())
    }

    /// Whether nothing more is taken: the connection is to be closed once the answers are sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Takes bytes of the client.
    pub fn take(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The answer to the next message, empty if it gets none; `None` if that is not all there.
    pub fn answer(&mut self, disk: &mut PowerDisk) -> Option<Vec<u8>> {
        let input = std::mem::take(&mut self.input);
        let message = input.get(self.answered..).unwrap_or_default();
        let (taken, output) = self.step(message, disk);
        self.input = input;
        self.answered = self.answered.saturating_add(taken);
        if taken == 0 {
            self.input.drain(..self.answered);
            self.answered = 0;
            return None;
        }
        Some(output)
    }

    /// Answers the first message; how many bytes it took, none if it is not all there.
    fn step(&mut self, bytes: &[u8], disk: &mut PowerDisk) -> (usize, Vec<u8>) {
        let mut output = Vec::new();
        let taken = match self.phase {
            Phase::Greeted => match parse_client_flags(bytes) {
                Parsed::Whole(no_zeroes, taken) => {
                    self.phase = Phase::Choosing { no_zeroes, options: 0 };
                    taken
                }
                Parsed::More => 0,
                Parsed::Bad(_) => self.close(),
            },
            Phase::Choosing { no_zeroes, options } => match parse_option(bytes) {
                Parsed::Whole((number, choice), taken) => {
                    let options = options.saturating_add(1);
                    self.phase = match choose(number, choice, no_zeroes, disk, &mut output) {
                        Phase::Choosing { .. } if options >= MOST_OPTIONS => Phase::Closed,
                        Phase::Choosing { .. } => Phase::Choosing { no_zeroes, options },
                        other => other,
                    };
                    taken
                }
                Parsed::More => 0,
                Parsed::Bad(_) => self.close(),
            },
            Phase::Using => match parse_request(bytes, MOST) {
                Parsed::Whole(request, taken) => {
                    self.serve(&request, disk, &mut output);
                    taken
                }
                Parsed::More => 0,
                Parsed::Bad(_) => self.close(),
            },
            Phase::Closed => 0,
        };
        (taken, output)
    }

    const fn close(&mut self) -> usize {
        self.phase = Phase::Closed;
        0
    }

    fn serve(&mut self, request: &Request<'_>, disk: &mut PowerDisk, output: &mut Vec<u8>) {
        if request.command == Command::Disconnect {
            self.phase = Phase::Closed;
            return;
        }
        let mut data = Vec::new();
        let failure = carry_out(request, disk, &mut data).err();
        output.extend(reply(request.handle, failure));
        if failure.is_none() {
            output.append(&mut data);
        }
    }
}

/// Answers an option; the phase it leads to.
fn choose(
    number: u32,
    choice: Choice<'_>,
    no_zeroes: bool,
    disk: &PowerDisk,
    output: &mut Vec<u8>,
) -> Phase {
    let stay = Phase::Choosing { no_zeroes, options: 0 };
    let known = |name: &[u8]| name.is_empty() || name == EXPORT;
    let mut say = |answer, data: &[u8]| output.extend(option_reply(number, answer, data));
    match choice {
        Choice::ExportName(name) if known(name) && disk.status().powered => {
            output.extend(export(disk.size(), no_zeroes));
            return Phase::Using;
        }
        Choice::ExportName(_) => return Phase::Closed,
        Choice::Abort => {
            say(Answer::Ack, &[]);
            return Phase::Closed;
        }
        _ if !disk.status().powered => say(Answer::Shutdown, &[]),
        Choice::List => {
            say(Answer::Server, &listed(EXPORT));
            say(Answer::Ack, &[]);
        }
        Choice::Info(name) | Choice::Go(name) if !known(name) => say(Answer::NoExport, &[]),
        Choice::Info(_) | Choice::Go(_) => {
            let least = u32::try_from(SECTOR).unwrap_or(u32::MAX);
            say(Answer::Info, &info_export(disk.size()));
            say(Answer::Info, &info_blocks(least, 4096, MOST));
            say(Answer::Ack, &[]);
            if matches!(choice, Choice::Go(_)) {
                return Phase::Using;
            }
        }
        Choice::Malformed => say(Answer::Invalid, &[]),
        Choice::Unknown => say(Answer::Unsupported, &[]),
    }
    stay
}

fn carry_out(
    request: &Request<'_>,
    disk: &mut PowerDisk,
    data: &mut Vec<u8>,
) -> Result<(), Failure> {
    let (offset, durable) = (request.offset, request.durable);
    let zeroes = Content::Zeroes(u64::from(request.length));
    let done = match request.command {
        Command::Read if request.length > MOST => return Err(Failure::TooMuch),
        Command::Read => {
            data.resize(usize::try_from(request.length).unwrap_or(0), 0);
            disk.read(offset, data)
        }
        Command::Write(content) => disk.write(offset, Content::Data(content), durable),
        Command::Trim | Command::WriteZeroes => disk.write(offset, zeroes, durable),
        Command::Flush => disk.flush(),
        Command::Disconnect | Command::Unknown => return Err(Failure::Invalid),
    };
    done.map_err(|refused| match refused {
        Refused::Off => Failure::Shutdown,
        Refused::Range => Failure::NoSpace,
        Refused::Unaligned => Failure::Invalid,
        Refused::Backing(_) => Failure::Io,
    })
}

#[cfg(test)]
mod tests;
