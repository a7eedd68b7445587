//! The [`Backend`] of folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::{self, Ground};
use super::layout::Layout;
use super::pool::{FileOptions, FilePool};
use super::record::PoolRecord;
use super::registration::{self, Registration, Stage};
use crate::backend::Backend;
use crate::capability::Capabilities;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileLock, Host, Loops, Quiescer, poll_until};
use crate::ids::PoolId;
use crate::info::{Capacity, Health, PoolInfo};
use crate::outcome::{Ensured, Removed};
use crate::pool::Pool;
use crate::spec::PoolSpec;
use crate::token::Uuid;
use crate::units::{Bytes, Ratio};

/// Pools in folders of this host.
#[derive(Debug, Clone)]
pub struct FileBackend {
    host: Host,
    loops: Arc<dyn Loops>,
    quiescer: Option<Arc<dyn Quiescer>>,
    options: FileOptions,
}

impl FileBackend {
    /// A backend without a quiescer: published volumes can't be copied.
    #[must_use]
    pub fn new(host: Host, loops: Arc<dyn Loops>) -> Self {
        Self { host, loops, quiescer: None, options: FileOptions::default() }
    }

    /// Lets it freeze the file systems of published volumes while they are copied.
    #[must_use]
    pub fn with_quiescer(mut self, quiescer: Arc<dyn Quiescer>) -> Self {
        self.quiescer = Some(quiescer);
        self
    }

    /// Sets bounds of waiting.
    #[must_use]
    pub fn with_options(mut self, options: FileOptions) -> Self {
        self.options = options;
        self
    }

    fn lock(&self, op: Op, id: &PoolId) -> Result<Box<dyn FileLock>> {
        let folder = registration::folder(&self.host);
        registration::make_folders(&self.host, op, &folder)?;
        let path = folder.join(".lock");
        let held = poll_until(self.host.clock.as_ref(), self.options.lock_wait, || {
            self.host.files.try_lock(&path).map_err(|e| {
                Error::from_io(op, id, format!("can't lock {}", path.display()), e)
                    .with_remedy("run as root, or name another state folder")
            })
        })?;
        held.ok_or_else(|| {
            Error::new(ErrorKind::Busy, op, id, "another process is making or removing a pool")
                .with_remedy("try again when it has ended")
        })
    }

    fn open(&self, op: Op, known: &Registration) -> Result<FilePool> {
        if known.stage != Stage::Ready {
            return Err(absent(op, known));
        }
        let record = match folder::look(&self.host, op, &known.id, &known.location) {
            Ok(Ground::Pool(record)) => record,
            Ok(_) => return Err(absent(op, known)),
            Err(e) if e.kind() == ErrorKind::NotFound => return Err(absent(op, known)),
            Err(e) => return Err(e),
        };
        if record.uuid != known.uuid {
            return Err(absent(op, known));
        }
        let kind = folder::judge(&self.host, op, &record.spec, &known.location)?.kind;
        Ok(FilePool {
            host: self.host.clone(),
            loops: Arc::clone(&self.loops),
            quiescer: self.quiescer.clone(),
            options: self.options,
            reflink: record.shares_blocks && record.host_fs == kind.name,
            copy_on_write: kind.copy_on_write,
            block_size: record.block_size,
            layout: Layout::new(known.location.clone()),
            id: known.id.clone(),
            uuid: known.uuid,
        })
    }

    fn info(&self, id: &PoolId, known: Result<Registration>) -> PoolInfo {
        let pool = known.and_then(|known| self.open(Op::ListPools, &known));
        pool.and_then(|pool| pool.info()).unwrap_or_else(|error| {
            let nothing = Capacity::new(Bytes::ZERO, Bytes::ZERO, Bytes::ZERO, Bytes::ZERO);
            let mut info = PoolInfo::new(super::NAME, PoolSpec::new(id.clone()), nothing);
            info.health = Health::Failed(error.report().to_string());
            info
        })
    }

    /// Makes the pool that is registered, or answers that it is there.
    fn finish(
        &self,
        spec: &PoolSpec,
        known: &Registration,
        ground: Ground,
    ) -> Result<Ensured<PoolInfo>> {
        let op = Op::EnsurePool;
        let made = match ground {
            Ground::Pool(record) if record.uuid == known.uuid => {
                same_spec(spec, &record)?;
                known.stage != Stage::Ready
            }
            Ground::Pool(record) => return Err(occupied(spec, &record)),
            Ground::Missing | Ground::Free if known.stage == Stage::Ready => {
                return Err(absent(op, known));
            }
            Ground::Missing | Ground::Free => {
                let record = self.new_record(spec, known)?;
                folder::make(&self.host, op, &record, &known.location)?;
                true
            }
        };
        folder::settle(&self.host, op, &spec.id, &known.location)?;
        registration::settle(&self.host, op)?;
        if known.stage != Stage::Ready {
            self.host.checkpoints.before(op, &(&spec.id).into(), "register the pool as ready")?;
            registration::store(&self.host, op, &known.with_stage(Stage::Ready))?;
        }
        let info = self.open(op, &known.with_stage(Stage::Ready))?.info()?;
        Ok(if made { Ensured::Created(info) } else { Ensured::Unchanged(info) })
    }

    fn new_record(&self, spec: &PoolSpec, known: &Registration) -> Result<PoolRecord> {
        let root = &known.location;
        let missing = self.host.files.stat(root).is_err();
        let there = if missing { root.parent().unwrap_or(root) } else { root };
        let mut bare = spec.clone();
        bare.location = None;
        Ok(PoolRecord {
            uuid: known.uuid,
            block_size: match spec.parameters.get("block-size") {
                Some(text) => block_size(spec, text)?,
                None => folder::disk_block_size(&self.host, there),
            },
            overcommit: spec.overcommit,
            stop_at: Ratio::from_percent(80),
            shares_blocks: false,
            host_fs: folder::judge(&self.host, Op::EnsurePool, spec, root)?.kind.name.to_owned(),
            spec: bare,
        })
    }
}

fn absent(op: Op, known: &Registration) -> Error {
    let why = match known.stage {
        Stage::Ready => format!("its folder {} does not hold it", known.location.display()),
        Stage::Making => "its making was cut".to_owned(),
        Stage::Removing => "its removal was cut".to_owned(),
    };
    let remedy = match known.stage {
        Stage::Ready => format!("mount its disk at {}", known.location.display()),
        Stage::Making => "repeat the call that creates it, or remove it".to_owned(),
        Stage::Removing => "repeat the call that removes it".to_owned(),
    };
    Error::new(ErrorKind::NotFound, op, &known.id, why).with_remedy(remedy)
}

fn occupied(spec: &PoolSpec, record: &PoolRecord) -> Error {
    Error::new(
        ErrorKind::Conflict,
        Op::EnsurePool,
        &spec.id,
        format!("its location holds the pool {} ({}) already", record.spec.id, record.uuid),
    )
    .with_remedy("choose another folder, or use that pool's name")
}

fn same_spec(spec: &PoolSpec, record: &PoolRecord) -> Result<()> {
    let has = &record.spec;
    let text = |value: Option<Bytes>| value.map_or("everything".to_owned(), |v| v.to_string());
    let parameters = |spec: &PoolSpec| format!("{:?}", spec.parameters);
    let fields = [
        ("name", has.id.to_string(), spec.id.to_string()),
        ("capacity", text(has.capacity), text(spec.capacity)),
        ("reserve", has.reserve.to_string(), spec.reserve.to_string()),
        ("overcommit", has.overcommit.to_string(), spec.overcommit.to_string()),
        ("parameters", parameters(has), parameters(spec)),
    ];
    match fields.into_iter().find(|(_, has, wanted)| has != wanted) {
        None => Ok(()),
        Some((field, has, wanted)) => Err(Error::new(
            ErrorKind::Conflict,
            Op::EnsurePool,
            &spec.id,
            format!("its {field} is {has}, not {wanted}"),
        )
        .with_remedy("ask for what exists, or choose another name and folder")),
    }
}

fn block_size(spec: &PoolSpec, text: &str) -> Result<Bytes> {
    let size = text.parse::<Bytes>().ok().filter(|size| matches!(size.get(), 512 | 4096));
    size.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArgument,
            Op::EnsurePool,
            &spec.id,
            format!("the parameter block-size can't be {}", Subject::value(text)),
        )
        .with_remedy("use 512 or 4096")
    })
}

/// A pool can promise no more than its disk has, and a reserve must leave something.
fn fits_disk(spec: &PoolSpec, disk: &folder::Disk) -> Result<()> {
    let total = disk.total;
    let refuse = |why: String, remedy: &str| {
        Err(Error::new(ErrorKind::OutOfSpace, Op::EnsurePool, &spec.id, why).with_remedy(remedy))
    };
    match spec.capacity {
        Some(capacity) if capacity > total => refuse(
            format!("its capacity {capacity} is more than the disk's {total}"),
            "lower the capacity, or leave it out to use all there is",
        ),
        _ if spec.reserve >= total => refuse(
            format!("its reserve {} leaves nothing of the disk's {total}", spec.reserve),
            "lower the reserve",
        ),
        _ => Ok(()),
    }
}

/// The rules for specifications of this backend; answers the location.
fn check(spec: &PoolSpec) -> Result<PathBuf> {
    spec.validate()?;
    let refuse = |why: String, remedy: &str| {
        Err(Error::new(ErrorKind::InvalidArgument, Op::EnsurePool, &spec.id, why)
            .with_remedy(remedy))
    };
    let known = ["allow-filesystem", "block-size"];
    if let Some(key) = spec.parameters.keys().find(|key| !known.contains(&key.as_str())) {
        return refuse(
            format!("the parameter {} is unknown", Subject::value(key)),
            "the parameters are: allow-filesystem, block-size",
        );
    }
    if let Some(text) = spec.parameters.get("block-size") {
        block_size(spec, text)?;
    }
    match &spec.location {
        Some(root) if root.is_absolute() && root.parent().is_some() && is_plain(root) => {
            Ok(root.components().collect())
        }
        Some(root) => refuse(
            format!("the location {} is not a plain absolute path", root.display()),
            "give the absolute path of a folder, without '..'",
        ),
        None => refuse("it has no location".into(), "name the folder it shall live in"),
    }
}

fn is_plain(path: &Path) -> bool {
    let text = path.to_str().is_some_and(|text| !text.chars().any(char::is_control));
    text && path.components().all(|part| part != std::path::Component::ParentDir)
}

impl Backend for FileBackend {
    fn name(&self) -> &str {
        super::NAME
    }

    fn capabilities(&self) -> Capabilities {
        super::CAPABILITIES
    }

    fn list_pools(&self) -> Result<Vec<PoolInfo>> {
        let known = registration::list(&self.host, Op::ListPools)?;
        Ok(known.into_iter().map(|(id, known)| self.info(&id, known)).collect())
    }

    fn open_pool(&self, id: &PoolId) -> Result<Arc<dyn Pool>> {
        let op = Op::OpenPool;
        let known = registration::load(&self.host, op, id)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, op, id, "this host knows no such pool")
                .with_remedy("list the pools with: open-local pool list")
        })?;
        let pool = self.open(op, &known)?;
        pool.recover()?;
        Ok(Arc::new(pool))
    }

    fn ensure_pool(&self, spec: &PoolSpec) -> Result<Ensured<PoolInfo>> {
        let op = Op::EnsurePool;
        let root = check(spec)?;
        let _lock = self.lock(op, &spec.id)?;
        let known = registration::load(&self.host, op, &spec.id)?;
        if let Some(known) = known.as_ref().filter(|known| known.location != root) {
            return Err(Error::new(
                ErrorKind::Conflict,
                op,
                &spec.id,
                format!("its location is {}, not {}", known.location.display(), root.display()),
            )
            .with_remedy("ask for what exists, or choose another name"));
        }
        if known.as_ref().is_some_and(|known| known.stage == Stage::Removing) {
            return Err(Error::new(ErrorKind::Busy, op, &spec.id, "it is being removed")
                .with_remedy("repeat the call that removes it first"));
        }
        let ground = folder::look(&self.host, op, &spec.id, &root)?;
        if let Some(known) = known {
            return self.finish(spec, &known, ground);
        }
        folder::refuse_nested(&self.host, op, &spec.id, &root)?;
        let disk = folder::judge(&self.host, op, spec, &root)?;
        fits_disk(spec, &disk)?;
        let (uuid, stage) = match &ground {
            // A pool made elsewhere or before this host's state was lost: it is taken as it is.
            Ground::Pool(record) => {
                same_spec(spec, record)?;
                (record.uuid, Stage::Ready)
            }
            _ => (Uuid::random(self.host.entropy.as_ref())?, Stage::Making),
        };
        let made_folder = ground == Ground::Missing;
        let known = Registration { id: spec.id.clone(), uuid, location: root, made_folder, stage };
        self.host.checkpoints.before(op, &(&spec.id).into(), "register the pool")?;
        registration::store(&self.host, op, &known)?;
        self.finish(spec, &known, ground)
    }

    fn remove_pool(&self, id: &PoolId) -> Result<Removed<PoolInfo>> {
        let op = Op::RemovePool;
        let _lock = self.lock(op, id)?;
        let Some(known) = registration::load(&self.host, op, id)? else {
            registration::settle(&self.host, op)?;
            return Ok(Removed::WasAbsent);
        };
        let whole = known.made_folder;
        let mut info = self.info(id, Ok(known.clone()));
        match folder::look(&self.host, op, id, &known.location) {
            // What is left of it was empty when its removal began.
            Ok(Ground::Pool(record))
                if record.uuid == known.uuid && known.stage == Stage::Removing =>
            {
                folder::remove(&self.host, op, id, &known.location, whole)?;
            }
            Ok(Ground::Pool(record)) if record.uuid == known.uuid => {
                let pool = self.open(op, &known.with_stage(Stage::Ready))?;
                let _room = pool.lock_room(op)?;
                refuse_filled(op, &pool)?;
                info = pool.info()?;
                self.host.checkpoints.before(op, &id.into(), "register the pool as removed")?;
                registration::store(&self.host, op, &known.with_stage(Stage::Removing))?;
                folder::remove(&self.host, op, id, &known.location, whole)?;
            }
            // Absence is no order: a pool whose disk is away is not forgotten.
            Ok(_) if known.stage == Stage::Ready => return Err(absent(op, &known)),
            Ok(Ground::Pool(record)) => return Err(occupied(&info.spec, &record)),
            Ok(Ground::Missing | Ground::Free) => {
                folder::remove(&self.host, op, id, &known.location, whole)?;
            }
            Err(e) => return Err(e),
        }
        self.host.checkpoints.before(op, &id.into(), "forget the pool")?;
        registration::forget(&self.host, op, id)?;
        Ok(Removed::Removed(info))
    }
}

/// A pool with anything in it is not removed.
fn refuse_filled(op: Op, pool: &FilePool) -> Result<()> {
    let contents = pool.contents(op)?;
    let groups = contents.groups.keys().map(|id| format!("group snapshot {id}"));
    let objects = contents.objects.keys().map(ToString::to_string).chain(groups);
    let objects: Vec<String> = objects.take(5).collect();
    let mut strays = contents.strays;
    strays.extend(folder::strays_of_locks(&pool.host, &pool.layout));
    if let (true, false) = (objects.is_empty(), strays.is_empty()) {
        let strays = strays.join(", ");
        return Err(Error::new(
            ErrorKind::Busy,
            op,
            &pool.id,
            format!("its folder holds files that are not ours: {strays}"),
        )
        .with_remedy("move them away first"));
    }
    if objects.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Busy,
        op,
        &pool.id,
        format!(
            "it holds {} objects: {}",
            contents.objects.len().saturating_add(contents.groups.len()),
            objects.join(", ")
        ),
    )
    .with_remedy("remove its volumes and snapshots first"))
}
