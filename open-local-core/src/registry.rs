//! The open set of backends, found by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// Backends by name. Anybody's backend can be added.
///
/// ```
/// # #[cfg(feature = "sim")] {
/// use std::sync::Arc;
/// use open_local_core::Registry;
/// use open_local_core::sim::{Machine, SimBackend};
///
/// let mut registry = Registry::new();
/// registry.register(Arc::new(SimBackend::new(&Machine::new(1))))?;
/// assert!(registry.get("sim")?.list_pools()?.is_empty());
/// assert!(registry.get("lvm").is_err());
/// # }
/// # Ok::<(), open_local_core::Error>(())
/// ```
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
            let remedy = match known.as_slice() {
                [] => "register a backend first".to_owned(),
                known => format!("choose one of: {}", known.join(", ")),
            };
            Error::new(
                ErrorKind::NotFound,
                Op::OpenBackend,
                Subject::value(name),
                "no backend of this name is registered",
            )
            .with_remedy(remedy)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::Capabilities;
    use crate::ids::PoolId;
    use crate::info::PoolInfo;
    use crate::outcome::{Ensured, Removed};
    use crate::pool::Pool;
    use crate::spec::PoolSpec;

    /// A backend that is only a name.
    #[derive(Debug)]
    struct Named(String);

    impl Named {
        fn nothing(&self) -> Error {
            let subject = Subject::Backend(self.0.clone());
            Error::new(ErrorKind::Unsupported, Op::ListPools, subject, "a name")
        }
    }

    impl Backend for Named {
        fn name(&self) -> &str {
            &self.0
        }
        fn capabilities(&self) -> Capabilities {
            Capabilities::MINIMAL
        }
        fn list_pools(&self) -> Result<Vec<PoolInfo>> {
            Err(self.nothing())
        }
        fn open_pool(&self, _: &PoolId) -> Result<Arc<dyn Pool>> {
            Err(self.nothing())
        }
        fn ensure_pool(&self, _: &PoolSpec) -> Result<Ensured<PoolInfo>> {
            Err(self.nothing())
        }
        fn remove_pool(&self, _: &PoolId) -> Result<Removed<PoolInfo>> {
            Err(self.nothing())
        }
    }

    fn registry(names: &[&str]) -> Result<Registry> {
        let mut registry = Registry::new();
        for name in names {
            registry.register(Arc::new(Named((*name).to_owned())))?;
        }
        Ok(registry)
    }

    #[test]
    fn names_are_sorted_unique_and_plain() {
        let all = registry(&["b-2", "a"]).unwrap();
        assert_eq!(all.names().collect::<Vec<_>>(), ["a", "b-2"]);
        assert_eq!(all.iter().count(), 2);
        let twice = registry(&["a", "a"]).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::Conflict);
        let long = "a".repeat(33);
        for bad in ["", "A", "aB", "a b", "a/b", "ä", "a_b", &long] {
            let error = registry(&[bad]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad:?}");
            assert!(error.remedy().is_some());
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_there_are() {
        let all = registry(&["file", "sim"]).unwrap();
        assert_eq!(all.get("file").unwrap().name(), "file");
        let error = all.get("lvm").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.remedy(), Some("choose one of: file, sim"));
        let error = Registry::new().get("lvm").unwrap_err();
        assert_eq!(error.remedy(), Some("register a backend first"));
    }
}
