//! Pools that this node served and does not serve now.

use super::pools::uuid_of;
use super::{Driver, ServedPool};
use crate::errors::{Answer, Code, Status};
use crate::rpc::Rpc;

impl Driver {
    /// Remembers which pools this node serves, so that a volume is not taken for one that is gone
    /// when its pool is left out of the settings later. To be called at start.
    ///
    /// # Errors
    /// If a record can't be written.
    pub fn remember_pools(&self) -> Answer<()> {
        for entry in self.pools.iter() {
            // A pool that can't be asked now is remembered by its name.
            let uuid = entry.pool.info().ok().as_ref().and_then(uuid_of);
            let pool = ServedPool::new(entry.name.clone(), &entry.backend, uuid);
            self.records.serve_pool(&pool).map_err(|e| Status::of(Rpc::Probe, &e))?;
        }
        Ok(())
    }

    /// Refuses to say that something is gone which may be in a pool that is not served now.
    ///
    /// # Errors
    /// `UNAVAILABLE` naming the pool.
    pub(super) fn refuse_unserved(&self, rpc: Rpc, what: &str) -> Answer<()> {
        let known = self.records.served_pools();
        let known = known.map_err(|e| Status::of(rpc, &e).with_code(Code::Unavailable))?;
        let absent = known.into_iter().filter(|pool| self.pools.get(&pool.name).is_none());
        let absent: Vec<ServedPool> = absent.collect();
        if absent.is_empty() {
            return Ok(());
        }
        let infos = self.pools.iter().filter_map(|entry| entry.pool.info().ok());
        let here: Vec<_> = infos.filter_map(|info| uuid_of(&info)).collect();
        match absent.iter().find(|pool| pool.uuid.is_none_or(|uuid| !here.contains(&uuid))) {
            Some(pool) => {
                let message = format!(
                    "{what} is in none of the pools that are served, and may be in pool {} of \
                     backend {}, which this node has served and does not serve now: serve it \
                     again, or, if it is gone for good with all that was in it, remove {}",
                    pool.name,
                    pool.backend,
                    self.records.pool_file(&pool.name).display()
                );
                Err(Status::new(Code::Unavailable, message))
            }
            None => Ok(()),
        }
    }
}
