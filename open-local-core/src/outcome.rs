//! What a mutating call did, with the object it did it to.

macro_rules! outcome {
    ($(#[$doc:meta])* $name:ident { $(#[$did_doc:meta])* $did:ident, $(#[$not_doc:meta])* $not:ident }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[must_use]
        pub enum $name<T> {
            $(#[$did_doc])*
            $did(T),
            $(#[$not_doc])*
            $not(T),
        }

        impl<T> $name<T> {
            /// The object, whatever was done.
            pub fn get(&self) -> &T {
                match self {
                    Self::$did(object) | Self::$not(object) => object,
                }
            }

            /// The object, whatever was done.
            pub fn into_inner(self) -> T {
                match self {
                    Self::$did(object) | Self::$not(object) => object,
                }
            }

            /// Whether this call changed anything.
            pub fn changed(&self) -> bool {
                matches!(self, Self::$did(_))
            }

            /// The same outcome with another object.
            pub fn map<U>(self, f: impl FnOnce(T) -> U) -> $name<U> {
                match self {
                    Self::$did(object) => $name::$did(f(object)),
                    Self::$not(object) => $name::$not(f(object)),
                }
            }
        }
    };
}

outcome! {
    /// Answer of a call that makes sure something is there.
    Ensured {
        /// This call made it.
        Created,
        /// It was there already and fits the specification.
        Unchanged
    }
}

outcome! {
    /// Answer of a call that makes something at least so large.
    Grown {
        /// This call made it larger.
        Grew,
        /// It was large enough already.
        AlreadyLarge
    }
}

/// Answer of a call that makes sure something is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Removed<T> {
    /// This call removed it; the object is as it was last seen.
    Removed(T),
    /// It was not there.
    WasAbsent,
}

impl<T> Removed<T> {
    /// The object as it was last seen, if this call removed it.
    pub fn object(&self) -> Option<&T> {
        match self {
            Self::Removed(object) => Some(object),
            Self::WasAbsent => None,
        }
    }

    /// The object as it was last seen, if this call removed it.
    pub fn into_object(self) -> Option<T> {
        match self {
            Self::Removed(object) => Some(object),
            Self::WasAbsent => None,
        }
    }

    /// Whether this call changed anything.
    pub fn changed(&self) -> bool {
        matches!(self, Self::Removed(_))
    }

    /// The same outcome with another object.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Removed<U> {
        match self {
            Self::Removed(object) => Removed::Removed(f(object)),
            Self::WasAbsent => Removed::WasAbsent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_carry_the_object_and_say_what_happened() {
        assert!(Ensured::Created(7).changed());
        assert!(!Ensured::Unchanged(7).changed());
        assert_eq!(Grown::AlreadyLarge(7).map(|n| n + 1).into_inner(), 8);
        assert!(Grown::Grew(7).changed() && !Grown::AlreadyLarge(7).changed());
        assert_eq!(Ensured::Created(7).map(|n| n + 1), Ensured::Created(8));
        assert_eq!(Ensured::Unchanged(7).map(|n| n + 1), Ensured::Unchanged(8));
        assert!(Removed::Removed(7).changed() && !Removed::<u8>::WasAbsent.changed());
        assert_eq!(Removed::Removed(7).map(|n| n + 1).into_object(), Some(8));
        assert_eq!(Removed::<u8>::WasAbsent.into_object(), None);
        assert_eq!(Removed::Removed(7).object(), Some(&7));
        assert_eq!(Removed::<u8>::WasAbsent.object(), None);
    }
}
