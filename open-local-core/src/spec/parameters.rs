//! Settings that only one backend knows.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// Most parameters of one volume or snapshot.
pub const MAX_PARAMETERS: usize = 32;
/// Longest key, in bytes.
pub const MAX_PARAMETER_KEY: usize = 63;
/// Longest value, in bytes: room for a list of devices.
pub const MAX_PARAMETER_VALUE: usize = 1024;

/// Settings of one backend by their keys: how many stripes, which medium.
///
/// The keys are the backend's own and stand in its documentation; one that it does not know is
/// refused, so that a misspelt wish is not lost.
///
/// On a pool they are part of what it is. On a volume or a snapshot they are **hints on how to make
/// it**, and no part of its identity: asked for again with others, it stays as it is and the answer
/// is [`crate::Ensured::Unchanged`]. Only a backend that records one says so beside the key, and
/// answers [`ErrorKind::Conflict`] where it differs.
///
/// A value may be shown in errors and plans, shortened: it is no place for secrets.
pub type Parameters = BTreeMap<String, String>;

/// The limits on hints.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] naming what is over the limits.
pub(super) fn check_parameters(parameters: &Parameters, op: Op, subject: &Subject) -> Result<()> {
    let refuse = |message: String| {
        Err(Error::new(ErrorKind::InvalidArgument, op, subject.clone(), message).with_remedy(
            format!(
                "use at most {MAX_PARAMETERS} parameters, keys of 1 to {MAX_PARAMETER_KEY} letters, \
                 digits, '-', '_', '.' and '/', values of at most {MAX_PARAMETER_VALUE} bytes \
                 without control characters"
            ),
        ))
    };
    if parameters.len() > MAX_PARAMETERS {
        return refuse(format!("there are {} parameters", parameters.len()));
    }
    for (key, value) in parameters {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if key.is_empty() || key.len() > MAX_PARAMETER_KEY || !key.chars().all(plain) {
            return refuse(format!("the parameter key {} is malformed", Subject::value(key)));
        }
        if value.len() > MAX_PARAMETER_VALUE || value.chars().any(char::is_control) {
            return refuse(format!("the value of parameter {key} is malformed"));
        }
    }
    Ok(())
}

/// Refuses the first key that is not known.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] naming the key and listing the known ones.
pub(super) fn refuse_unknown(
    parameters: &Parameters,
    known: &[&str],
    op: Op,
    subject: &Subject,
) -> Result<()> {
    let Some(key) = parameters.keys().find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    let remedy = match known {
        [] => "leave it out: this backend has no parameters here".to_owned(),
        _ => format!("the parameters here are: {}", known.join(", ")),
    };
    let message = format!("the parameter {} is unknown", Subject::value(key));
    Err(Error::new(ErrorKind::InvalidArgument, op, subject.clone(), message).with_remedy(remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{SnapshotSpec, VolumeSpec};
    use crate::units::Bytes;

    fn volume() -> VolumeSpec {
        VolumeSpec::new("v".parse().unwrap(), Bytes::MIB)
    }

    fn snapshot() -> SnapshotSpec {
        SnapshotSpec::new("s".parse().unwrap(), "v".parse().unwrap())
    }

    #[test]
    fn hostile_parameters_are_refused() {
        let long = "x".repeat(MAX_PARAMETER_VALUE + 1);
        let key = "k".repeat(MAX_PARAMETER_KEY + 1);
        for (key, value) in
            [("", "v"), ("a b", "v"), ("k", "a\nb"), ("k", long.as_str()), (key.as_str(), "v")]
        {
            let error = volume().with_parameter(key, value).validate(Bytes::new(512)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.remedy().is_some() && !error.to_string().contains(&long), "{error}");
            assert!(snapshot().with_parameter(key, value).validate().is_err(), "{key:?}");
        }
        let with = |count: usize| {
            (0..count).fold(snapshot(), |spec, n| spec.with_parameter(format!("k{n}"), "v"))
        };
        assert!(with(MAX_PARAMETERS).validate().is_ok());
        assert!(with(MAX_PARAMETERS + 1).validate().is_err());
    }

    #[test]
    fn an_unknown_key_is_named_with_the_known_ones() {
        let spec = volume().with_parameter("stripes", "2").with_parameter("strips", "2");
        let error = spec.refuse_unknown_parameters(&["chunk", "stripes"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("\"strips\""), "{error}");
        assert!(error.remedy().is_some_and(|r| r.contains("chunk, stripes")), "{error:?}");
        assert!(spec.refuse_unknown_parameters(&["stripes", "strips"]).is_ok());
        let none = snapshot().with_parameter("strips", "2");
        assert!(none.refuse_unknown_parameters(&[]).is_err());
        assert!(snapshot().refuse_unknown_parameters(&[]).is_ok());
    }
}
