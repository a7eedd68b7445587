//! Small records on disk that survive a kill at any write.
//!
//! A record is text a person can read: a first line with its kind and format version, one line a
//! field, and a last line with a CRC-32C of all before it. It is written to a new file, flushed,
//! renamed over the old one, and the folder is flushed: a reader sees the old record or the new
//! one, whole. A version newer than the reader knows is refused; older ones are read for ever.
//!
//! ```text
//! open-local volume 1
//! id data
//! size 1073741824
//! end 8a3f00d1
//! ```

#[cfg(any(feature = "file", feature = "raw"))]
mod folders;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{Files, OpenMode};

#[cfg(any(feature = "file", feature = "raw"))]
pub(crate) use folders::{flush_folder, make_folders};

/// A record larger than this is not ours.
pub const MAX_RECORD: u64 = 64 << 10;

/// A kind, a format version and fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    kind: String,
    version: u32,
    fields: BTreeMap<String, String>,
}

impl Record {
    /// An empty record. `kind` and field names are lower-case letters, digits, `-`, `_`, `.`
    /// and `/`; anything else in them is dropped.
    #[must_use]
    pub fn new(kind: &str, version: u32) -> Self {
        Self { kind: word(kind), version, fields: BTreeMap::new() }
    }

    /// Sets a field; any text is kept as it is.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.insert(word(name), value.to_string());
        self
    }

    /// Sets a field if there is a value.
    #[must_use]
    pub fn with_optional(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Its format version.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// A field's text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// All fields, sorted by name.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field, parsed.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is missing or does not parse.
    pub fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<T> {
        self.parsed_optional(name)?
            .ok_or_else(|| damaged(format!("the field {name} of the {} is missing", self.kind)))
    }

    /// A field, parsed, if it is there.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it does not parse.
    pub fn parsed_optional<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            damaged(format!("the field {name} of the {} can't be {text:?}", self.kind))
        })
    }

    /// The bytes to store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("open-local {} {}\n", self.kind, self.version);
        for (name, value) in &self.fields {
            text.push_str(name);
            text.push(' ');
            for c in value.chars() {
                match c {
                    '\\' => text.push_str("\\\\"),
                    '\n' => text.push_str("\\n"),
                    '\r' => text.push_str("\\r"),
                    '\0' => text.push_str("\\0"),
                    c => text.push(c),
                }
            }
            text.push('\n');
        }
        let sum = crc32c(text.as_bytes());
        text.push_str(&format!("end {sum:08x}\n"));
        text.into_bytes()
    }

    /// Reads stored bytes of this kind, up to this version.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for anything that [`Self::to_bytes`] did not write, or of another
    /// kind; [`ErrorKind::Unsupported`] for a newer version.
    pub fn parse(bytes: &[u8], kind: &str, newest: u32) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("the record is not text"))?;
        let body = text
            .rfind("end ")
            .and_then(|at| text.split_at_checked(at))
            .filter(|(body, end)| *end == format!("end {:08x}\n", crc32c(body.as_bytes())))
            .map(|(body, _)| body)
            .ok_or_else(|| damaged("the record is cut or its checksum is wrong"))?;
        let mut lines = body.lines();
        let version = lines
            .next()
            .and_then(|line| line.strip_prefix("open-local "))
            .and_then(|line| line.strip_prefix(kind)?.strip_prefix(' ')?.parse::<u32>().ok())
            .ok_or_else(|| damaged(format!("this is no record of a {kind}")))?;
        if version > newest {
            return Err(Error::new(
                ErrorKind::Unsupported,
                Op::ReadState,
                Subject::Host,
                format!("the {kind} was written in format {version}, newer than {newest}"),
            )
            .with_remedy("use the version of open-local that wrote it, or a newer one"));
        }
        let mut record = Self::new(kind, version);
        for line in lines {
            let (name, value) =
                line.split_once(' ').ok_or_else(|| damaged("a field has no value"))?;
            let value = unescape(value).ok_or_else(|| damaged("a field is badly escaped"))?;
            if name != word(name) || record.fields.insert(name.to_owned(), value).is_some() {
                return Err(damaged("a field's name is malformed or stands twice"));
            }
        }
        // One record has one form: what reads alike but is written otherwise is not ours.
        if record.to_bytes() != bytes {
            return Err(damaged("the record is not in the form it is written in"));
        }
        Ok(record)
    }

    /// Reads the record in a file.
    ///
    /// # Errors
    /// As [`Self::parse`], with the path as subject; `NotFound` if there is no such file.
    pub fn load(files: &dyn Files, path: &Path, kind: &str, newest: u32) -> Result<Self> {
        let failed = |e| Error::from_io(Op::ReadState, Subject::path(path), "can't read it", e);
        let file = files.open(path, OpenMode::Read).map_err(failed)?;
        let size = file.size().map_err(failed)?;
        let about = |error: Error| {
            Error::new(error.kind(), Op::ReadState, Subject::path(path), error.message())
                .with_remedy(error.remedy().map_or_else(
                    || format!("restore {} from a copy", path.display()),
                    str::to_owned,
                ))
        };
        if size.get() > MAX_RECORD {
            return Err(about(damaged(format!("{size} is too large for a record"))));
        }
        let mut bytes = vec![0; size.to_usize().unwrap_or(0)];
        file.read_at(0, &mut bytes).map_err(failed)?;
        Self::parse(&bytes, kind, newest).map_err(about)
    }

    /// Stores the record in a file so that it survives a power cut; replaces an older one in one
    /// step. The caller holds a lock against other writers of the same path.
    ///
    /// # Errors
    /// `OutOfSpace`, `PermissionDenied` or `Io`; the older record is still there then.
    pub fn store(&self, files: &dyn Files, path: &Path) -> Result<()> {
        let (folder, new) = beside(path)?;
        let failed = |what: &'static str| {
            move |e| Error::from_io(Op::WriteState, Subject::path(path), what, e)
        };
        match files.remove_file(&new) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("can't remove what a killed write left")(e));
            }
            _ => {}
        }
        let written = (|| {
            let file = files.create_new(&new).map_err(failed("can't make the new record"))?;
            let bytes = self.to_bytes();
            file.allocate(0, u64::try_from(bytes.len()).unwrap_or(0)).or_else(|e| {
                match e.raw_os_error() {
                    Some(libc::EOPNOTSUPP) => Ok(()),
                    _ => Err(failed("can't make room for the new record")(e)),
                }
            })?;
            file.write_at(0, &bytes).map_err(failed("can't write the new record"))?;
            file.flush().map_err(failed("can't flush the new record"))?;
            drop(file);
            files.rename(&new, path).map_err(failed("can't put the new record in place"))
        })();
        if written.is_err() {
            // Best effort: the next write removes it as well.
            let _ = files.remove_file(&new);
        }
        written?;
        files.sync_dir(&folder).map_err(failed("can't flush the folder"))
    }
}

/// The name under which [`Record::store`] writes a new version of a record, beside it, before it
/// takes the record's place. A kill leaves it behind; the next write removes it, and whoever removes
/// the record removes it too.
///
/// # Errors
/// `InvalidArgument` if the path names no file.
pub fn half_written(path: &Path) -> Result<PathBuf> {
    beside(path).map(|(_, new)| new)
}

/// The folder of a path, and the name a new version is written under.
fn beside(path: &Path) -> Result<(PathBuf, PathBuf)> {
    let parts = path.parent().zip(path.file_name());
    let (folder, name) = parts.ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, Op::WriteState, Subject::path(path), "not a file")
    })?;
    Ok((folder.to_path_buf(), folder.join(format!(".{}.new", name.to_string_lossy()))))
}

fn damaged(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, Op::ReadState, Subject::Host, what)
}

fn word(text: &str) -> String {
    let plain = |c: &char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | '/')
    };
    text.chars().filter(plain).collect()
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                '0' => '\0',
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

/// The checksum of every byte value alone, so that a byte costs one step instead of eight.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut byte = 0;
    let mut value = 0u32;
    while byte < table.len() {
        let mut crc = value;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "the loop ends at the length; const context")]
        {
            table[byte] = crc;
        }
        byte += 1;
        value += 1;
    }
    table
};

/// CRC-32C (Castagnoli), reflected, as in iSCSI and btrfs.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(!0u32, |crc, byte| {
        let [low, ..] = (crc ^ u32::from(*byte)).to_le_bytes();
        (crc >> 8) ^ CRC_TABLE.get(usize::from(low)).copied().unwrap_or(0)
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_crc_32c() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn a_newer_format_is_refused_and_another_kind_is_corrupt() {
        let bytes = Record::new("volume", 2).with("id", "a").to_bytes();
        assert_eq!(Record::parse(&bytes, "volume", 1).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(Record::parse(&bytes, "pool", 9).unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(Record::parse(&bytes, "volume", 2).is_ok());
    }

    proptest! {
        #[test]
        fn records_parse_what_they_store(
            fields in prop::collection::btree_map("[a-z0-9_./-]{1,12}", "(?s).{0,40}", 0..8),
        ) {
            let mut record = Record::new("volume", 1);
            for (name, value) in &fields {
                record = record.with(name, value);
            }
            prop_assert_eq!(Record::parse(&record.to_bytes(), "volume", 1).unwrap(), record);
        }

        #[test]
        fn a_cut_or_changed_record_never_passes(cut in 0usize..60, flip in 0usize..60, bit in 0u8..8) {
            let whole = Record::new("volume", 1).with("id", "data").with("size", 4096).to_bytes();
            let cut = &whole[..cut.min(whole.len() - 1)];
            prop_assert!(Record::parse(cut, "volume", 1).is_err());
            let mut changed = whole.clone();
            let at = flip % whole.len();
            changed[at] ^= 1 << bit;
            prop_assert!(Record::parse(&changed, "volume", 1).is_err());
        }

        #[test]
        fn any_bytes_give_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::parse(&bytes, "volume", 1);
        }
    }
}
