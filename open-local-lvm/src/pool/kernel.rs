//! Volumes as devices of the kernel.

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::group::Turn;
use super::steps::Message;

impl Turn<'_> {
    fn control(&self) -> Result<&dyn crate::dm::DeviceMapper> {
        self.pool.dm().ok_or_else(|| {
            let why = "this needs device-mapper, and this program has none to use";
            Error::new(ErrorKind::Unsupported, Op::MapDevice, Subject::Host, why)
                .with_remedy("run where the kernel has device-mapper, with /dev/mapper/control")
        })
    }

    pub(super) fn recover_devices(&mut self, _op: Op) -> Result<()> {
        Ok(())
    }
    pub(super) fn activate(&mut self, _volume: &str, _read_only: bool) -> Result<()> {
        self.control().map(drop)
    }
    pub(super) fn activate_pool(&mut self, _pool: &str) -> Result<()> {
        self.control().map(drop)
    }
    pub(super) fn deactivate(&mut self, _volume: &str) -> Result<()> {
        self.control().map(drop)
    }
    pub(super) fn deactivate_pool(&mut self, _pool: &str) -> Result<()> {
        self.control().map(drop)
    }
    pub(super) fn reload(&mut self, _volume: &str) -> Result<()> {
        self.control().map(drop)
    }
    pub(super) fn reload_pool(&mut self, _pool: &str) -> Result<()> {
        self.control().map(drop)
    }
    pub(super) fn hold(&mut self, _volume: &str) -> Result<()> {
        self.control().map(drop)
    }
    pub(super) fn release(&self, _volume: &str) -> Result<()> {
        self.control().map(drop)
    }
    pub(super) fn tell(&mut self, _pool: &str, _message: &Message) -> Result<()> {
        self.control().map(drop)
    }
}
