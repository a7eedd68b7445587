//! UUIDs of groups, physical volumes and volumes.

use std::fmt;
use std::str::FromStr;

use open_local_core::{Error, ErrorKind, Op, Subject};

/// Characters of a UUID.
pub const ID_LEN: usize = 32;

/// Where the printed form has its hyphens: 6-4-4-4-4-4-6.
const GROUPS: [usize; 7] = [6, 4, 4, 4, 4, 4, 6];

/// What lvm2 makes new UUIDs of; it reads `!` and `#` too (2.03.16, `lib/uuid/uuid.c`).
const ALPHABET: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The UUID of a group, physical volume or volume: 32 characters of `0-9 a-z A-Z ! #`.
///
/// Prints with hyphens, as the tools and the metadata text have it; parses with or without.
/// It is no RFC 9562 UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LvmId([u8; ID_LEN]);

const fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'#')
}

impl LvmId {
    /// A UUID as it lies in a label: 32 characters without hyphens.
    #[must_use]
    pub fn from_raw(raw: [u8; ID_LEN]) -> Option<Self> {
        raw.iter().copied().all(is_id_byte).then_some(Self(raw))
    }

    /// A new UUID from 32 random bytes.
    #[must_use]
    pub fn from_random(random: [u8; ID_LEN]) -> Self {
        Self(random.map(|byte| {
            let index = usize::from(byte) % ALPHABET.len();
            ALPHABET.get(index).copied().unwrap_or(b'0')
        }))
    }

    /// The 32 characters without hyphens, as in labels and device-mapper UUIDs.
    #[must_use]
    pub const fn as_raw(&self) -> &[u8; ID_LEN] {
        &self.0
    }

    /// The same as text.
    #[must_use]
    pub fn to_plain(&self) -> String {
        self.0.iter().copied().map(char::from).collect()
    }
}

impl fmt::Display for LvmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(38);
        let mut rest = self.0.iter().copied().map(char::from);
        for (index, length) in GROUPS.into_iter().enumerate() {
            if index > 0 {
                text.push('-');
            }
            text.extend(rest.by_ref().take(length));
        }
        f.pad(&text)
    }
}

impl fmt::Debug for LvmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LvmId({self})")
    }
}

impl FromStr for LvmId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut plain = text.bytes().filter(|byte| *byte != b'-');
        let mut raw = [0u8; ID_LEN];
        let filled = raw.iter_mut().all(|slot| {
            plain.next().is_some_and(|byte| {
                *slot = byte;
                true
            })
        });
        let whole = filled && plain.next().is_none();
        let id = whole.then_some(raw).and_then(Self::from_raw);
        id.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                Op::Parse,
                Subject::value(text),
                "is no LVM UUID: wanted 32 characters of 0-9 a-z A-Z ! # with optional hyphens",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_hyphens_stand_where_lvm_puts_them() {
        let text = "GWyL43-I45Q-DR02-02x0-TLJM-gyuP-z3p7I4";
        let id: LvmId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.to_plain(), "GWyL43I45QDR0202x0TLJMgyuPz3p7I4");
        assert_eq!(id.to_plain().parse::<LvmId>().unwrap(), id);
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in ["", "a", &"a".repeat(31), &"a".repeat(33), &"*".repeat(32), &"-".repeat(40)] {
            assert!(text.parse::<LvmId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_random_one_prints_and_parses(raw: [u8; 32]) {
            let id = LvmId::from_random(raw);
            prop_assert_eq!(id.to_string().parse::<LvmId>().unwrap(), id);
        }

        #[test]
        fn any_text_gives_an_answer(text: String) {
            let _ = text.parse::<LvmId>();
        }
    }
}
