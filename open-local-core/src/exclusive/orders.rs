//! What a specification asks of a pool: the rules, what lasts of it, and what is an order of one
//! call. Looks at nothing but the location.

use std::path::{Path, PathBuf};

use super::erasure::Erasure;
use super::kind::Kind;
use super::record::{PoolRecord, PoolStage};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::spec::PoolSpec;
use crate::units::Ratio;

/// Most places a pool has.
const MOST_PLACES: usize = 1024;

/// What one call asks of a pool's places.
pub(super) struct Orders {
    /// Paths of places it shall have.
    pub(super) names: Vec<PathBuf>,
    /// What may be destroyed on those that join.
    pub(super) replace: Vec<String>,
    /// Those that shall leave.
    pub(super) leave: Vec<String>,
    pub(super) erasure: Erasure,
}

fn words(spec: &PoolSpec, key: &str) -> Vec<String> {
    let text = spec.parameters.get(key).map_or("", String::as_str);
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

impl Orders {
    /// The rules for specifications of this kind.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field, and what looking at the location gives.
    pub(super) fn read(kind: &dyn Kind, op: Op, spec: &PoolSpec) -> Result<Self> {
        spec.validate()?;
        let refuse = |why: String, remedy: String| {
            Err(Error::new(ErrorKind::InvalidArgument, op, &spec.id, why).with_remedy(remedy))
        };
        let noun = kind.noun();
        if spec.capacity.is_some() || !spec.reserve.is_zero() || spec.overcommit != Ratio::ONE {
            return refuse(
                format!("a {noun} goes to a volume whole: there is nothing to limit or reserve"),
                "leave capacity, reserve and overcommit out".to_owned(),
            );
        }
        let mut known = vec![kind.naming(), "erase", "replace", "leave"];
        known.extend(kind.orders());
        if let Some(key) = spec.parameters.keys().find(|key| !known.contains(&key.as_str())) {
            return refuse(
                format!("the parameter {} is unknown", Subject::value(key)),
                format!("the parameters are: {}", known.join(", ")),
            );
        }
        let erasures = kind.erasures();
        let asked = spec.parameters.get("erase").map(|text| (text, text.parse::<Erasure>().ok()));
        let erasure = match asked {
            None => erasures.first().copied().unwrap_or(Erasure::None),
            Some((_, Some(erasure))) if erasures.contains(&erasure) => erasure,
            Some((text, _)) => {
                let all: Vec<&str> = erasures.iter().map(|e| e.as_str()).collect();
                return refuse(
                    format!("the parameter erase can't be {}", Subject::value(text)),
                    format!("use one of: {}", all.join(", ")),
                );
            }
        };
        let mut names: Vec<PathBuf> =
            words(spec, kind.naming()).into_iter().map(PathBuf::from).collect();
        let plain = |path: &&PathBuf| {
            let text = path.to_str();
            path.is_absolute() && text.is_some_and(|text| !text.chars().any(char::is_control))
        };
        let odd = |names: &[PathBuf]| {
            let odd = spec.location.iter().chain(names).find(|path| !plain(path));
            odd.map(|path| Subject::value(&path.to_string_lossy()))
        };
        let refuse_odd = |path: Subject| {
            refuse(
                format!("{path} is not a plain absolute path"),
                "give absolute paths, separated by commas".to_owned(),
            )
        };
        if let Some(path) = odd(&names) {
            return refuse_odd(path);
        }
        if let Some(location) = &spec.location {
            names.extend(kind.at_location(op, location)?);
        }
        if let Some(path) = odd(&names) {
            return refuse_odd(path);
        }
        if names.len() > MOST_PLACES {
            return refuse(
                format!("{} places are named", names.len()),
                format!("name at most {MOST_PLACES}"),
            );
        }
        let (replace, leave) = (words(spec, "replace"), words(spec, "leave"));
        // What leaves does not join by the same call, however the location names it.
        names.retain(|name| !leave.iter().any(|leaving| name == Path::new(leaving)));
        Ok(Self { names, replace, leave, erasure })
    }
}

/// The specification as it lasts: without what was an order of one call.
pub(super) fn lasting(spec: &PoolSpec) -> PoolSpec {
    let mut lasting = PoolSpec::new(spec.id.clone());
    lasting.location.clone_from(&spec.location);
    let erase = spec.parameters.get_key_value("erase");
    lasting.parameters = erase.map(|(k, v)| (k.clone(), v.clone())).into_iter().collect();
    lasting
}

/// Whether a pool that is there is the one asked for.
///
/// # Errors
/// `Conflict` naming the field, `Busy` while it is being removed.
pub(super) fn same_spec(spec: &PoolSpec, known: &PoolRecord, erasure: Erasure) -> Result<()> {
    let op = Op::EnsurePool;
    if known.stage == PoolStage::Removing {
        return Err(Error::new(ErrorKind::Busy, op, &spec.id, "its removal was cut")
            .with_remedy("repeat the call that removes it first"));
    }
    let place = |path: &Option<PathBuf>| {
        path.as_ref().map_or("none".to_owned(), |path| path.display().to_string())
    };
    let fields = [
        ("location", place(&known.spec.location), place(&spec.location)),
        ("erase", known.erasure.to_string(), erasure.to_string()),
    ];
    match fields.into_iter().find(|(_, has, wanted)| has != wanted) {
        None => Ok(()),
        Some((field, has, wanted)) => {
            let why = format!("its {field} is {has}, not {wanted}");
            Err(Error::new(ErrorKind::Conflict, op, &spec.id, why)
                .with_remedy("ask for what exists, or choose another name"))
        }
    }
}
