//! The pools of one process, of several backends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use open_local_core::host::{Host, Roots};
use open_local_core::plan::Media;
use open_local_core::{
    Backend, Bytes, Error, ErrorKind, Op, Pool, PoolId, PoolSpec, Ratio, Result, Subject,
};
use open_local_csi::service::{PoolEntry, PoolSet};

use crate::machine::{Machine, SIM};
use crate::observe::{ObservedBackend, Observer};
use crate::progress::Bars;

/// The backend whose location is the name of a volume group.
const LVM: &str = "lvm";
const FORM: &str = "write it like fast=file:/srv/open-local or disks=raw:/dev/disk/by-id/nvme-A";
/// Several devices are a key of their own.
const DEVICES: &str = "write several devices like disks=raw,devices=/dev/sdb,/dev/sdc";

/// One pool as an option says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The registered name of its backend.
    pub backend: String,
    /// What it is asked for with.
    pub spec: PoolSpec,
    /// Where it lies, as it was written.
    pub place: Option<String>,
    /// What it lies on.
    pub media: Media,
    /// Whether pods may have inline volumes in it.
    pub inline: bool,
}

fn refuse(text: &str, what: impl Into<String>, remedy: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::value(text), what)
        .with_remedy(remedy)
}

impl FromStr for Definition {
    type Err = Error;

    /// `NAME=BACKEND[:LOCATION][,KEY=VALUE…]`; a comma that no key follows belongs to the value
    /// before it, as in `devices=/dev/sdb,/dev/sdc`.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(',');
        let head = parts.next().unwrap_or_default();
        let (name, place) =
            head.split_once('=').ok_or_else(|| refuse(text, "this is no pool", FORM))?;
        let (backend, location) = match place.split_once(':') {
            Some((backend, location)) => (backend, Some(location)),
            None => (place, None),
        };
        if backend.is_empty() || location == Some("") {
            return Err(refuse(text, "the backend or the location is empty", FORM));
        }
        let mut settings: Vec<(String, String)> = Vec::new();
        for part in parts {
            match (part.split_once('='), settings.last_mut()) {
                (Some((key, value)), _) if !key.is_empty() => {
                    settings.push((key.to_owned(), value.to_owned()));
                }
                (_, Some((_, value))) => {
                    value.push(',');
                    value.push_str(part);
                }
                _ => return Err(refuse(text, "a comma that no KEY=VALUE follows", DEVICES)),
            }
        }
        let mut pool = Self {
            backend: backend.to_owned(),
            spec: PoolSpec::new(PoolId::new(name)?),
            place: location.map(str::to_owned),
            media: Media::Unspecified,
            inline: false,
        };
        pool.locate(text, location)?;
        let mut seen = std::collections::BTreeSet::new();
        for (key, value) in settings {
            if !seen.insert(key.clone()) {
                let what = format!("the key {} is given twice", Subject::value(&key));
                return Err(refuse(text, what, "leave one of them out"));
            }
            pool.set(&key, &value)?;
        }
        pool.spec.validate()?;
        Ok(pool)
    }
}

impl Definition {
    /// Takes a location as the backend reads it.
    fn locate(&mut self, text: &str, location: Option<&str>) -> Result<()> {
        match location {
            None => {}
            Some(group) if self.backend == LVM => {
                self.spec.parameters.insert("group".to_owned(), group.to_owned());
            }
            Some(path) => {
                let path = PathBuf::from(path);
                if !path.is_absolute() {
                    let what = "its location is no absolute path";
                    return Err(refuse(text, what, "give the whole path"));
                }
                self.spec.location = Some(path);
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "media" => self.media = value.parse()?,
            "inline" => {
                self.inline = value.parse().map_err(|_| {
                    refuse(value, "inline is neither true nor false", "write inline=true")
                })?;
            }
            "capacity" => self.spec.capacity = Some(value.parse::<Bytes>()?),
            "reserve" => self.spec.reserve = value.parse::<Bytes>()?,
            "overcommit" => self.spec.overcommit = value.parse::<Ratio>()?,
            _ => {
                self.spec.parameters.insert(key.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
}

/// The machine with its pools.
#[derive(Debug)]
pub struct Opened {
    /// The seams, file systems and limits.
    pub machine: Machine,
    /// The pools, logging what is done in them.
    pub set: PoolSet,
    /// The same once more, for who only looks at them or does what they left for later.
    pub pools: Vec<(PoolId, Arc<dyn Pool>)>,
}

/// Definitions that can stand together, with their backends. Nothing is made or opened yet: what
/// opening a pool finishes, undoes or sweeps is not done for settings that are refused.
#[derive(Debug)]
pub struct Checked {
    machine: Machine,
    pools: Vec<(Definition, Arc<dyn Backend>)>,
}

/// Judges all definitions.
///
/// # Errors
/// `InvalidArgument` for two pools of one name or at one location, and memory beside devices of the
/// kernel, naming both; `NotFound` for an unknown backend; `PermissionDenied` without root.
pub fn check(definitions: &[Definition], roots: Roots) -> Result<Checked> {
    refuse_doubles(definitions)?;
    let backend = |name: &str| definitions.iter().find(|pool| pool.backend == name);
    let main = [SIM, LVM].into_iter().find(|name| backend(name).is_some()).unwrap_or("file");
    let machine = Machine::open(main, roots, Bars::if_terminal(false))?;
    let known = definitions
        .iter()
        .map(|pool| Ok((pool.clone(), machine.registry.get(&pool.backend)?)))
        .collect::<Result<Vec<_>>>()?;
    if !known.is_empty() {
        machine.require_root(Op::EnsurePool)?;
    }
    Ok(Checked { machine, pools: known })
}

impl Checked {
    /// The machine, whose records can be held before a pool is opened.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.machine.host
    }

    /// Opens the pools; those that are not there are made.
    ///
    /// # Errors
    /// What making a pool gives.
    pub fn open(self) -> Result<Opened> {
        let machine = self.machine;
        let observer = Arc::new(Observer::new(&machine.host, None));
        let (mut entries, mut pools) = (Vec::new(), Vec::new());
        for (pool, inner) in self.pools {
            let backend = ObservedBackend::new(inner, Arc::clone(&observer));
            let _ = backend.ensure_pool(&pool.spec)?;
            let opened = backend.open_pool(&pool.spec.id)?;
            let entry = PoolEntry::new(pool.spec.id.clone(), &pool.backend, Arc::clone(&opened))
                .on_media(pool.media)
                .with_inline(pool.inline);
            entries.push(entry);
            pools.push((pool.spec.id.clone(), opened));
        }
        let set = PoolSet::new(entries).map_err(|status| {
            refuse("pool", status.message(), "give each pool a name of its own")
        })?;
        Ok(Opened { machine, set, pools })
    }
}

fn refuse_doubles(definitions: &[Definition]) -> Result<()> {
    let (mut names, mut places) = (BTreeMap::new(), BTreeMap::new());
    for pool in definitions {
        let shown = |pool: &Definition| {
            let place = pool.place.as_deref().map_or(String::new(), |place| format!(":{place}"));
            format!("{}={}{place}", pool.spec.id, pool.backend)
        };
        if let Some(other) = names.insert(pool.spec.id.clone(), pool) {
            let what = format!("two pools have one name: {} and {}", shown(other), shown(pool));
            let remedy = "give each pool a name of its own";
            return Err(refuse(pool.spec.id.as_str(), what, remedy));
        }
        // Another way to write the same place: through links, or with a slash at its end.
        let place = pool.place.as_ref().map(|text| {
            let path = PathBuf::from(text);
            let path = std::fs::canonicalize(&path).unwrap_or_else(|_| path.components().collect());
            (pool.backend == LVM, path)
        });
        if let Some(place) = place
            && let Some(other) = places.insert(place, pool)
        {
            let what = format!("two pools lie at one place: {} and {}", shown(other), shown(pool));
            let remedy = "a place belongs to one pool; leave one of them out";
            return Err(refuse(pool.spec.id.as_str(), what, remedy));
        }
    }
    let simulated = definitions.iter().find(|pool| pool.backend == SIM);
    let real = definitions.iter().find(|pool| pool.backend != SIM);
    if let (Some(simulated), Some(real)) = (simulated, real) {
        let what = format!(
            "pool {} is in memory and pool {} is not: their devices can't be mounted by one driver",
            simulated.spec.id, real.spec.id
        );
        return Err(refuse(SIM, what, "serve them by two processes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Vec<Definition> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_definition_has_a_name_a_backend_a_place_and_settings() {
        let pool: Definition =
            "p=raw:/dev/disk,devices=/dev/sdb,/dev/sdc,media=ssd,inline=true".parse().unwrap();
        assert_eq!(pool.backend, "raw");
        assert_eq!(pool.spec.location.as_deref(), Some(std::path::Path::new("/dev/disk")));
        assert_eq!(pool.spec.parameters["devices"], "/dev/sdb,/dev/sdc");
        assert_eq!((pool.media, pool.inline), (Media::Ssd, true));
        let group: Definition = "p=lvm:vg0,capacity=1GiB".parse().unwrap();
        assert_eq!(group.spec.parameters["group"], "vg0");
        assert_eq!(group.spec.capacity, Some(Bytes::GIB));
        for text in [
            "",
            "p",
            "p=",
            "p=file:",
            "=file:/a",
            "p=file:a",
            "p=file:/a,x",
            "p=file:/a,inline=x",
            "p=file:/a,media=tape",
            "p=file:/a,capacity=many",
            "p=sim,reserve=1,reserve=2",
        ] {
            assert!(text.parse::<Definition>().is_err(), "{text}");
        }
    }

    #[test]
    fn two_pools_of_one_name_or_place_are_refused_naming_both() {
        let message = |texts: &[&str]| {
            let error = refuse_doubles(&read(texts)).unwrap_err();
            error.message().to_owned()
        };
        let said = message(&["p=file:/a", "p=raw:/b"]);
        assert!(said.contains("p=file:/a") && said.contains("p=raw:/b"), "{said}");
        let said = message(&["p=file:/a", "q=file:/a/"]);
        assert!(said.contains("p=file:/a") && said.contains("q=file:/a/"), "{said}");
        let said = message(&["p=lvm:vg", "q=lvm:vg"]);
        assert!(said.contains("p=lvm:vg") && said.contains("q=lvm:vg"), "{said}");
        let said = message(&["p=sim", "q=file:/a"]);
        assert!(said.contains("pool p") && said.contains("pool q"), "{said}");
        refuse_doubles(&read(&["p=file:/a", "q=file:/b", "r=raw"])).unwrap();
    }

    #[test]
    fn nothing_is_made_or_opened_for_definitions_that_are_refused() {
        let folder = std::env::temp_dir().join(format!("open-local-check-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut roots = Roots::system();
        roots.state = folder.join("state");
        roots.run = folder.join("run");
        let first = format!("p=file:{}/pool,allow-filesystem=any", folder.display());
        let definitions = read(&[&first, "q=tape:/dev/st0"]);
        let error = check(&definitions, roots).and_then(Checked::open).unwrap_err();
        let made: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(made.is_empty(), "{made:?}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_definition_or_an_error(text in ".{0,80}") {
            let _ = text.parse::<Definition>();
        }
    }
}
