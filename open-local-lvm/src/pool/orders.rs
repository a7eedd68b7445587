//! What a specification asks of a pool in a volume group (pure).

use std::path::PathBuf;

use open_local_core::{Bytes, Error, ErrorKind, FullPolicy, Op, PoolSpec, Result};

use crate::format::names::{check_name, check_new_volume_name};

/// Smallest and largest chunk of a thin pool (lvm2 2.03.16, `DM_THIN_*_DATA_BLOCK_SIZE`).
const CHUNKS: [Bytes; 2] = [Bytes::new(64 << 10), Bytes::new(1 << 30)];
/// Most stripes of a volume.
const MAX_STRIPES: u32 = 128;
/// Most devices of a pool.
const MAX_DEVICES: usize = 256;

/// The parameters a pool understands.
pub const PARAMETERS: [&str; 16] = [
    "adopt",
    "adopt-volumes",
    "chunk",
    "data-size",
    "devices",
    "erase",
    "extent-size",
    "group",
    "metadata-size",
    "mode",
    "replace",
    "stripe-size",
    "stripes",
    "thin-pool",
    "when-full",
    "zero",
];

/// How its volumes take room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Linear or striped volumes.
    Thick,
    /// Volumes of a thin pool of the group.
    Thin {
        /// The name of the pool's volume.
        pool: String,
        /// Smallest unit of allocation; by lvm2's rules unless given.
        chunk: Option<Bytes>,
        /// Room for data; all there is unless given.
        data: Option<Bytes>,
        /// Room for metadata; by lvm2's rules unless given.
        metadata: Option<Bytes>,
        /// What happens to writes when the room is gone; they fail unless given, and a pool that is
        /// there stays as it is.
        when_full: Option<FullPolicy>,
    },
}

/// What a specification asks for, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) group: String,
    pub(crate) devices: Vec<PathBuf>,
    pub(crate) mode: Mode,
    pub(crate) stripes: u32,
    pub(crate) stripe_size: Option<Bytes>,
    pub(crate) extent: Bytes,
    /// Whether what is removed is zeroed before its room is free.
    pub(crate) erase: bool,
    /// Whether all of a new thick volume is zeroed, and not only what file systems look at.
    pub(crate) zero_all: bool,
    /// Whether a group that was not made here may become ours.
    pub(crate) adopt: bool,
    /// What names of volumes begin with that were made elsewhere and are ours all the same.
    pub(crate) adopted: Vec<String>,
    /// Signatures that may be destroyed.
    pub(crate) replace: Vec<String>,
}

impl Orders {
    /// Reads a specification.
    ///
    /// # Errors
    /// `InvalidArgument` as [`PoolSpec::validate`], and for what can't be, naming the parameter.
    pub(crate) fn read(spec: &PoolSpec) -> Result<Self> {
        spec.validate()?;
        let reader = Reader(spec);
        if let Some(key) = spec.parameters.keys().find(|key| !PARAMETERS.contains(&key.as_str())) {
            return Err(reader.refuse(
                key,
                "is unknown",
                &format!("known are {}", PARAMETERS.join(", ")),
            ));
        }
        if spec.location.is_some() {
            return Err(reader.refuse(
                "location",
                "is no place of a volume group",
                "leave it out, and name devices: devices=/dev/sdb,/dev/sdc",
            ));
        }
        let group = reader.text("group").unwrap_or(spec.id.as_str()).to_owned();
        check_name(&group)?;
        let stripes = reader.number("stripes")?.unwrap_or(1);
        let stripes = u32::try_from(stripes).ok().filter(|n| (1..=MAX_STRIPES).contains(n));
        let stripes = stripes
            .ok_or_else(|| reader.refuse("stripes", "is not 1 to 128", "choose another number"))?;
        let devices: Vec<PathBuf> = reader.list("devices").into_iter().map(PathBuf::from).collect();
        if devices.len() > MAX_DEVICES || devices.iter().any(|path| !path.is_absolute()) {
            return Err(reader.refuse(
                "devices",
                "are not at most 256 absolute paths",
                "name nodes under /dev",
            ));
        }
        Ok(Self {
            group,
            devices,
            mode: reader.mode()?,
            stripes,
            stripe_size: reader.size("stripe-size")?,
            extent: reader.size("extent-size")?.unwrap_or(Bytes::new(4 << 20)),
            erase: reader.choice("erase", &["zero", "none"])? != Some("none"),
            zero_all: reader.choice("zero", &["ends", "all"])? == Some("all"),
            adopt: reader.choice("adopt", &["no", "yes"])? == Some("yes"),
            adopted: reader.list("adopt-volumes"),
            replace: reader.list("replace"),
        })
    }
}

struct Reader<'a>(&'a PoolSpec);

impl<'a> Reader<'a> {
    fn refuse(&self, key: &str, why: &str, remedy: &str) -> Error {
        let message = format!("the parameter {key} {why}");
        Error::new(ErrorKind::InvalidArgument, Op::EnsurePool, &self.0.id, message)
            .with_remedy(remedy)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.0.parameters.get(key).map(String::as_str)
    }

    fn list(&self, key: &str) -> Vec<String> {
        let words = self.text(key).into_iter().flat_map(|text| text.split(','));
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn number(&self, key: &str) -> Result<Option<u64>> {
        let parse =
            |text: &str| text.parse().map_err(|_| self.refuse(key, "is no number", "write digits"));
        self.text(key).map(parse).transpose()
    }

    fn size(&self, key: &str) -> Result<Option<Bytes>> {
        let parse = |text: &str| {
            let size = text.parse::<Bytes>().ok().filter(|size| !size.is_zero());
            size.ok_or_else(|| self.refuse(key, "is no size", "write it like 64KiB or 16GiB"))
        };
        self.text(key).map(parse).transpose()
    }

    fn choice(&self, key: &str, words: &[&'static str]) -> Result<Option<&'static str>> {
        let parse = |text: &str| {
            let found = words.iter().find(|word| **word == text).copied();
            let remedy = format!("write one of {}", words.join(", "));
            found.ok_or_else(|| self.refuse(key, &format!("is {text:?}"), &remedy))
        };
        self.text(key).map(parse).transpose()
    }

    fn mode(&self) -> Result<Mode> {
        if self.choice("mode", &["thick", "thin"])? != Some("thin") {
            let only = ["thin-pool", "chunk", "data-size", "metadata-size", "when-full"];
            return match only.iter().find(|key| self.text(key).is_some()) {
                Some(key) => {
                    Err(self.refuse(key, "is for thin pools", "leave it out, or write mode=thin"))
                }
                None => Ok(Mode::Thick),
            };
        }
        let pool = self.text("thin-pool").unwrap_or("pool").to_owned();
        check_new_volume_name(&pool)?;
        if self.text("zero").is_some() {
            let remedy = "leave it out: a thin pool zeroes every block it gives out";
            return Err(self.refuse("zero", "is for thick volumes", remedy));
        }
        let chunk = self.size("chunk")?;
        let [least, most] = CHUNKS;
        if chunk.is_some_and(|chunk| chunk < least || chunk > most || !chunk.is_multiple_of(least))
        {
            let why = "is no multiple of 64KiB up to 1GiB";
            return Err(self.refuse("chunk", why, "write one, such as 64KiB or 512KiB"));
        }
        let when_full = self.choice("when-full", &["error", "queue"])?.map(|word| match word {
            "queue" => FullPolicy::Queue,
            _ => FullPolicy::Error,
        });
        let (data, metadata) = (self.size("data-size")?, self.size("metadata-size")?);
        Ok(Mode::Thin { pool, chunk, data, metadata, when_full })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parameters: &[(&str, &str)]) -> Result<Orders> {
        let spec = PoolSpec::new("vg".parse().unwrap());
        let with = |spec: PoolSpec, (key, value): &(&str, &str)| spec.with_parameter(*key, *value);
        Orders::read(&parameters.iter().fold(spec, with))
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let orders = read(&[("devices", "/dev/sdb,/dev/sdc")]).unwrap();
        assert_eq!((orders.group.as_str(), orders.devices.len()), ("vg", 2));
        assert_eq!((orders.mode, orders.stripes, orders.erase), (Mode::Thick, 1, true));
        let thin = read(&[("mode", "thin"), ("chunk", "128KiB"), ("when-full", "queue")]).unwrap();
        let Mode::Thin { pool, chunk, when_full, .. } = thin.mode else { panic!("thick") };
        assert_eq!(pool, "pool");
        assert_eq!((chunk, when_full), (Some(Bytes::new(128 << 10)), Some(FullPolicy::Queue)));
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_name_of_the_parameter() {
        let cases: [(&[(&str, &str)], &str); 12] = [
            (&[("zero", "some")], "zero"),
            (&[("mode", "thin"), ("zero", "all")], "zero"),
            (&[("device", "/dev/sdb")], "device"),
            (&[("devices", "sdb")], "devices"),
            (&[("stripes", "0")], "stripes"),
            (&[("stripes", "129")], "stripes"),
            (&[("mode", "fat")], "mode"),
            (&[("chunk", "64KiB")], "chunk"),
            (&[("mode", "thin"), ("chunk", "65KiB")], "chunk"),
            (&[("mode", "thin"), ("chunk", "2GiB")], "chunk"),
            (&[("erase", "shred")], "erase"),
            (&[("extent-size", "0")], "extent-size"),
        ];
        for (parameters, key) in cases {
            let error = read(parameters).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{parameters:?}");
            assert!(error.message().contains(key), "{error}");
        }
        assert!(read(&[("mode", "thin"), ("thin-pool", "a_tdata")]).is_err());
        assert!(read(&[("group", "a b")]).is_err());
    }
}
