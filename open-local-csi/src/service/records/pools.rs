//! Which pools this node has served.
//!
//! The id of a volume does not name its pool. So that a volume in a pool that is not served any
//! more is not taken for one that is gone, the names of pools are kept, and while one of them is
//! not served nothing is answered of what is in none of the others.

use std::path::PathBuf;

use open_local_core::state::Record;
use open_local_core::{PoolId, Result, Uuid};

use super::{Records, VERSION, digest};

const KIND: &str = "csi-pool";

/// A pool that this node serves, or has served.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServedPool {
    /// Its name.
    pub name: PoolId,
    /// The registered name of its backend.
    pub backend: String,
    /// Its UUID, if its backend says: by it a pool is known under another name.
    pub uuid: Option<Uuid>,
}

impl ServedPool {
    /// A pool of this name.
    #[must_use]
    pub fn new(name: PoolId, backend: impl Into<String>, uuid: Option<Uuid>) -> Self {
        Self { name, backend: backend.into(), uuid }
    }
}

impl Records {
    fn pools_folder(&self) -> PathBuf {
        self.host.roots.state.join("csi/pools")
    }

    /// The file that keeps a pool's name.
    #[must_use]
    pub fn pool_file(&self, name: &PoolId) -> PathBuf {
        self.pools_folder().join(digest(name.as_str()))
    }

    /// The pools that are remembered.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the folder or one of the records can't be read.
    pub fn served_pools(&self) -> Result<Vec<ServedPool>> {
        let (all, unread) =
            self.all(&self.pools_folder(), |path| self.load_as(path, KIND, read))?;
        unread.into_iter().next().map_or(Ok(all), |error| {
            let remedy = format!(
                "see that all pools of this node are served, and remove {}",
                error.subject()
            );
            Err(error.with_remedy(remedy))
        })
    }

    /// Remembers a pool, unless it is remembered so already.
    ///
    /// # Errors
    /// `Io`, `OutOfSpace`, `PermissionDenied`.
    pub fn serve_pool(&self, pool: &ServedPool) -> Result<()> {
        let known = self.load_as(&self.pool_file(&pool.name), KIND, read).ok().flatten();
        if known.as_ref() == Some(pool) {
            return Ok(());
        }
        let record = Record::new(KIND, VERSION)
            .with("pool", &pool.name)
            .with("backend", &pool.backend)
            .with_optional("uuid", pool.uuid);
        self.store(&self.pools_folder(), &digest(pool.name.as_str()), &record)
    }
}

fn read(record: &Record) -> Result<ServedPool> {
    Ok(ServedPool {
        name: record.parsed("pool")?,
        backend: record.parsed("backend")?,
        uuid: record.parsed_optional("uuid")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_local_core::sim::Machine;

    #[test]
    fn pools_are_remembered_once_each() {
        let records = Records::new(Machine::new(1).host());
        assert_eq!(records.served_pools().unwrap(), []);
        let mut pool = ServedPool::new(PoolId::new("fast").unwrap(), "file", None);
        records.serve_pool(&pool).unwrap();
        pool.uuid = Some(Uuid::from_bytes([7; 16]));
        for _ in 0..2 {
            records.serve_pool(&pool).unwrap();
        }
        assert_eq!(records.served_pools().unwrap(), [pool]);
    }
}
