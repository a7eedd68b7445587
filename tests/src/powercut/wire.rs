//! The NBD protocol, as much of it as a disk needs: parsers that take any bytes, and replies.
//!
//! Numbers and layouts are those of the protocol's own description (`doc/proto.md` of the NBD
//! project): the fixed newstyle handshake and simple replies.

/// First word of the server's greeting.
const HELLO: u64 = 0x4e42_444d_4147_4943;
/// Second word of it, and the first of every option.
const OPTION: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;

/// Handshake flags of both sides.
const FIXED_NEWSTYLE: u16 = 1;
const NO_ZEROES: u16 = 2;

/// Options of a client with longer data are not read.
pub const MOST_OPTION: u32 = 8 << 10;

/// The part of the bytes that was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<T> {
    /// It is not all there yet.
    More,
    /// It will never be one.
    Bad(&'static str),
    /// It, and how many bytes it took.
    Whole(T, usize),
}

/// Reads big-endian fields from the front.
struct Fields<'a> {
    left: &'a [u8],
    taken: usize,
}

impl<'a> Fields<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes, taken: 0 }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (value, left) = self.left.split_first_chunk::<N>()?;
        self.left = left;
        self.taken = self.taken.saturating_add(N);
        Some(*value)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn bytes(&mut self, length: u32) -> Option<&'a [u8]> {
        let length = usize::try_from(length).ok()?;
        let (value, left) = self.left.split_at_checked(length)?;
        self.left = left;
        self.taken = self.taken.saturating_add(length);
        Some(value)
    }
}

/// What the server says first.
#[must_use]
pub fn greeting() -> Vec<u8> {
    let flags = FIXED_NEWSTYLE | NO_ZEROES;
    [&HELLO.to_be_bytes()[..], &OPTION.to_be_bytes(), &flags.to_be_bytes()].concat()
}

/// The client's flags: whether it wants no zeroes behind the answer to `NBD_OPT_EXPORT_NAME`.
#[must_use]
pub fn parse_client_flags(bytes: &[u8]) -> Parsed<bool> {
    let mut fields = Fields::new(bytes);
    let Some(flags) = fields.u32() else {
        return Parsed::More;
    };
    let (fixed, no_zeroes) = (u32::from(FIXED_NEWSTYLE), u32::from(NO_ZEROES));
    if flags & fixed == 0 || flags & !(fixed | no_zeroes) != 0 {
        return Parsed::Bad("client flags other than fixed newstyle");
    }
    Parsed::Whole(flags & no_zeroes != 0, fields.taken)
}

/// What a client asks for before it reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'a> {
    /// The export of this name, with no way to be told no.
    ExportName(&'a [u8]),
    /// The end.
    Abort,
    /// The names of all exports.
    List,
    /// What there is to know of the export of this name.
    Info(&'a [u8]),
    /// The same, and then to use it.
    Go(&'a [u8]),
    /// One of the above with data that is not as it should be.
    Malformed,
    /// Anything else.
    Unknown,
}

/// One option of the handshake: its number, and what it asks for.
#[must_use]
pub fn parse_option(bytes: &[u8]) -> Parsed<(u32, Choice<'_>)> {
    let mut fields = Fields::new(bytes);
    match fields.u64() {
        None => return Parsed::More,
        Some(OPTION) => {}
        Some(_) => return Parsed::Bad("an option without its magic number"),
    }
    let Some((number, length)) = fields.u32().zip(fields.u32()) else {
        return Parsed::More;
    };
    if length > MOST_OPTION {
        return Parsed::Bad("an option with too much data");
    }
    let Some(data) = fields.bytes(length) else {
        return Parsed::More;
    };
    let bare = |choice| if data.is_empty() { choice } else { Choice::Malformed };
    let choice = match number {
        1 => Choice::ExportName(data),
        2 => Choice::Abort,
        3 => bare(Choice::List),
        6 => export_asked(data).map_or(Choice::Malformed, Choice::Info),
        7 => export_asked(data).map_or(Choice::Malformed, Choice::Go),
        _ => Choice::Unknown,
    };
    Parsed::Whole((number, choice), fields.taken)
}

/// The name in the data of INFO and GO; the list of wishes behind it must be whole, and is not
/// needed, since we tell all we know.
fn export_asked(data: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields::new(data);
    let length = fields.u32()?;
    let name = fields.bytes(length)?;
    let wishes = fields.u16()?;
    (fields.left.len() == usize::from(wishes) * 2).then_some(name)
}

/// The kinds of answers to an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Answer {
    /// Done, nothing more comes.
    Ack = 1,
    /// The name of an export.
    Server = 2,
    /// A piece of information on one.
    Info = 3,
    /// We don't know this option.
    Unsupported = 0x8000_0001,
    /// Its data are malformed.
    Invalid = 0x8000_0003,
    /// There is no such export.
    NoExport = 0x8000_0006,
    /// We are closing.
    Shutdown = 0x8000_0007,
}

/// An answer to an option.
#[must_use]
pub fn option_reply(number: u32, answer: Answer, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let words = [number, answer as u32, length].map(u32::to_be_bytes).concat();
    [&OPTION_REPLY.to_be_bytes()[..], &words, data].concat()
}

/// The data of [`Answer::Server`]: a name.
#[must_use]
pub fn listed(name: &[u8]) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], name].concat()
}

/// What the disk can do: flush, FUA, trim, write zeroes.
const TRANSMISSION: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6;

/// Size and abilities, as NBD_OPT_EXPORT_NAME is answered.
#[must_use]
pub fn export(size: u64, no_zeroes: bool) -> Vec<u8> {
    let zeroes = if no_zeroes { 0 } else { 124 };
    [&size.to_be_bytes()[..], &TRANSMISSION.to_be_bytes(), &vec![0; zeroes]].concat()
}

/// The data of [`Answer::Info`] on size and abilities (`NBD_INFO_EXPORT`).
#[must_use]
pub fn info_export(size: u64) -> Vec<u8> {
    [&0_u16.to_be_bytes()[..], &export(size, true)].concat()
}

/// The data of [`Answer::Info`] on block sizes (`NBD_INFO_BLOCK_SIZE`): least, best and most.
#[must_use]
pub fn info_blocks(least: u32, best: u32, most: u32) -> Vec<u8> {
    let sizes = [least, best, most].map(u32::to_be_bytes).concat();
    [&3_u16.to_be_bytes()[..], &sizes].concat()
}

/// What a client wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// These bytes read.
    Read,
    /// This written.
    Write(&'a [u8]),
    /// The end, without an answer.
    Disconnect,
    /// Everything made durable.
    Flush,
    /// A range forgotten; it reads as zeroes.
    Trim,
    /// A range zeroed.
    WriteZeroes,
    /// Something we don't do, or with flags that we don't know.
    Unknown,
}

/// A request: what, where, and the client's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Given back in the reply.
    pub handle: u64,
    /// Where it begins.
    pub offset: u64,
    /// How much it is.
    pub length: u32,
    /// Whether it must be durable when it is answered (`NBD_CMD_FLAG_FUA`).
    pub durable: bool,
    /// What is to be done.
    pub command: Command<'a>,
}

const FLAG_FUA: u16 = 1;
const FLAG_NO_HOLE: u16 = 2;

/// A request with its data; a write of more than `most` bytes is bad, since there is no other way
/// to get past its data.
#[must_use]
pub fn parse_request(bytes: &[u8], most: u32) -> Parsed<Request<'_>> {
    let mut fields = Fields::new(bytes);
    match fields.u32() {
        None => return Parsed::More,
        Some(REQUEST) => {}
        Some(_) => return Parsed::Bad("a request without its magic number"),
    }
    let Some((flags, kind)) = fields.u16().zip(fields.u16()) else {
        return Parsed::More;
    };
    let Some(((handle, offset), length)) = fields.u64().zip(fields.u64()).zip(fields.u32()) else {
        return Parsed::More;
    };
    let (command, known) = match kind {
        0 => (Command::Read, FLAG_FUA),
        1 if length > most => return Parsed::Bad("a write that is too long"),
        1 => match fields.bytes(length) {
            Some(data) => (Command::Write(data), FLAG_FUA),
            None => return Parsed::More,
        },
        2 => (Command::Disconnect, u16::MAX),
        3 => (Command::Flush, FLAG_FUA),
        4 => (Command::Trim, FLAG_FUA),
        6 => (Command::WriteZeroes, FLAG_FUA | FLAG_NO_HOLE),
        _ => (Command::Unknown, 0),
    };
    let command = if flags & !known == 0 { command } else { Command::Unknown };
    let durable = flags & FLAG_FUA != 0;
    Parsed::Whole(Request { handle, offset, length, durable, command }, fields.taken)
}

/// The errors of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Failure {
    /// The backing failed (`NBD_EIO`).
    Io = 5,
    /// Nothing we do, or not whole sectors (`NBD_EINVAL`).
    Invalid = 22,
    /// Beyond the end (`NBD_ENOSPC`).
    NoSpace = 28,
    /// More than one request may move (`NBD_EOVERFLOW`).
    TooMuch = 75,
    /// The power is off (`NBD_ESHUTDOWN`).
    Shutdown = 108,
}

/// The reply to a request, before the data of a read.
#[must_use]
pub fn reply(handle: u64, failure: Option<Failure>) -> Vec<u8> {
    let error = failure.map_or(0, |f| f as u32);
    [&REPLY.to_be_bytes()[..], &error.to_be_bytes(), &handle.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests;
