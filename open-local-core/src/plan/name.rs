//! Names of what is planned with: nodes, pools, devices, mount points, claims.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// Longest name the planner takes, in bytes.
///
/// Object names of Kubernetes end at 253; a device or mount point is named by its path.
pub const MAX_NAME: usize = 1024;

fn check(what: &str, text: &str) -> Result<()> {
    let complaint = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > MAX_NAME {
        format!("has {} bytes, more than {MAX_NAME}", text.len())
    } else if text.chars().any(char::is_control) {
        "holds a control character".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::InvalidArgument,
        Op::Parse,
        Subject::value(text),
        format!("the {what} {complaint}"),
    )
    .with_remedy(format!("use 1 to {MAX_NAME} bytes of text without control characters")))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a text.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidArgument`] for an empty text, one longer than [`MAX_NAME`]
            /// bytes, and one with control characters.
            pub fn new(text: impl AsRef<str>) -> Result<Self> {
                let text = text.as_ref();
                check($what, text)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// Name of a node, pool, device or mount point, as others call it. Cheap to clone.
    Name,
    "name"
);
name!(
    /// Identity of a claim. It is never used again: a claim that was removed and made anew under
    /// the same name has another one. Cheap to clone.
    ClaimUid,
    "claim identity"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_names_are_refused_with_a_remedy() {
        let long = "x".repeat(MAX_NAME + 1);
        for bad in ["", "a\nb", "\0", &long] {
            let error = Name::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.remedy().is_some());
        }
        assert_eq!(Name::new("/dev/vdb").unwrap().as_str(), "/dev/vdb");
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error(text in ".{0,80}") {
            if let Ok(uid) = ClaimUid::new(&text) {
                prop_assert_eq!(uid.to_string(), text);
            }
        }
    }
}
