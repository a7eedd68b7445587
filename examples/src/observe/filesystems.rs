//! File systems whose operations are logged.

use std::path::Path;
use std::sync::Arc;

use open_local_core::fs::{
    BindSpec, CheckOutcome, CheckPolicy, Filesystems, FormatSpec, FsIdentity, FsUsage, MountSpec,
    Mounted, Probe,
};
use open_local_core::{
    Attachment, Bytes, Ensured, FormatTokens, Grown, Op, Removed, Result, Subject, VolumeId,
};

use super::{Done, Observer};

/// Logs every change; reading passes through.
#[derive(Debug)]
pub struct ObservedFilesystems {
    inner: Arc<dyn Filesystems>,
    observer: Arc<Observer>,
}

impl ObservedFilesystems {
    /// Wraps file systems.
    #[must_use]
    pub fn new(inner: Arc<dyn Filesystems>, observer: Arc<Observer>) -> Self {
        Self { inner, observer }
    }
}

impl Filesystems for ObservedFilesystems {
    fn probe(&self, device: &Path) -> Result<Probe> {
        self.inner.probe(device)
    }

    fn ensure_formatted(
        &self,
        tokens: &dyn FormatTokens,
        volume: &VolumeId,
        device: &Attachment,
        spec: &FormatSpec,
    ) -> Result<Ensured<FsIdentity>> {
        self.observer.run(Op::Format, &Subject::from(volume), None, || {
            self.inner.ensure_formatted(tokens, volume, device, spec)
        })
    }

    fn ensure_mounted(&self, spec: &MountSpec) -> Result<Ensured<Mounted>> {
        let subject = Subject::path(&spec.target);
        self.observer.run(Op::Mount, &subject, None, || self.inner.ensure_mounted(spec))
    }

    fn ensure_bound(&self, spec: &BindSpec) -> Result<Ensured<Mounted>> {
        let subject = Subject::path(&spec.target);
        self.observer.run(Op::Bind, &subject, None, || self.inner.ensure_bound(spec))
    }

    fn ensure_unmounted(&self, target: &Path) -> Result<Removed<Mounted>> {
        let subject = Subject::path(target);
        self.observer.run(Op::Unmount, &subject, None, || self.inner.ensure_unmounted(target))
    }

    fn mounted_at(&self, target: &Path) -> Result<Option<Mounted>> {
        self.inner.mounted_at(target)
    }

    fn grow(&self, target: &Path) -> Result<Grown<FsUsage>> {
        let subject = Subject::path(target);
        self.observer.run(Op::GrowFilesystem, &subject, None, || self.inner.grow(target))
    }

    fn usage(&self, target: &Path) -> Result<FsUsage> {
        self.inner.usage(target)
    }

    fn check(&self, device: &Path, policy: CheckPolicy) -> Result<CheckOutcome> {
        let subject = Subject::device(device);
        self.observer
            .run(Op::Check, &subject, None, || self.inner.check(device, policy).map(Done))
            .map(|done| done.0)
    }

    fn trim(&self, target: &Path) -> Result<Bytes> {
        let subject = Subject::path(target);
        self.observer
            .run(Op::Trim, &subject, None, || self.inner.trim(target).map(Done))
            .map(|done| done.0)
    }
}
