//! The open set of backends, found by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// Backends by name. Anybody's backend can be added.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    backends: BTreeMap<String, Arc<dyn Backend>>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a backend under its name.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if the name is taken, [`ErrorKind::InvalidArgument`] if it holds
    /// anything but lower-case letters, digits and hyphens or is empty or over 32 bytes.
    pub fn register(&mut self, backend: Arc<dyn Backend>) -> Result<()> {
        let name = backend.name().to_owned();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 32 || !name.chars().all(plain) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                Op::OpenBackend,
                Subject::value(&name),
                "the backend's name is malformed",
            )
            .with_remedy("use 1 to 32 lower-case letters, digits and hyphens"));
        }
        if self.backends.contains_key(&name) {
            return Err(Error::new(
                ErrorKind::Conflict,
                Op::OpenBackend,
                Subject::Backend(name),
                "a backend of this name is registered already",
            )
            .with_remedy("give one of the two another name"));
        }
        self.backends.insert(name, backend);
        Ok(())
    }

    /// The backend of this name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] listing the names there are.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Backend>> {
        self.backends.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.names().collect();
            Error::new(
                ErrorKind::NotFound,
                Op::OpenBackend,
                Subject::value(name),
                "no backend of this name is registered",
            )
            .with_remedy(format!("choose one of: {}", known.join(", ")))
        })
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.backends.keys().map(String::as_str)
    }

    /// All backends, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Backend>> {
        self.backends.values()
    }
}
