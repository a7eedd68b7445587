//! Paths the orchestrator names.

use std::path::{Component, PathBuf};

use open_local_core::Subject;

use crate::errors::{Answer, Status};

/// Longest path; `PATH_MAX` of Linux with the closing NUL.
const MAX_PATH: usize = 4095;

/// A place where something is to be mounted: absolute, below the root, without `.` and `..`.
///
/// # Errors
/// `INVALID_ARGUMENT` naming the field.
pub fn target_path(field: &str, text: &str) -> Answer<PathBuf> {
    text_path(field, text)?;
    let refuse =
        |what: &str| Err(Status::invalid(field, format!("is {}, {what}", Subject::value(text))));
    if !text.starts_with('/') {
        return refuse("which is not absolute");
    }
    // `Path::components` takes `.` out by itself.
    if text.split('/').any(|part| matches!(part, "." | "..")) {
        return refuse("which holds . or ..");
    }
    let path: PathBuf = PathBuf::from(text).components().collect();
    if !path.components().any(|part| matches!(part, Component::Normal(_))) {
        return refuse("which is the root of the machine");
    }
    Ok(path)
}

/// Text that may be a path: there, not too long, and without control characters.
///
/// # Errors
/// `INVALID_ARGUMENT` naming the field.
pub fn text_path(field: &str, text: &str) -> Answer<()> {
    if text.is_empty() {
        return Err(Status::invalid(field, "is missing"));
    }
    if text.len() > MAX_PATH {
        let what = format!("has {} bytes, more than {MAX_PATH}", text.len());
        return Err(Status::invalid(field, what));
    }
    if text.chars().any(char::is_control) {
        return Err(Status::invalid(field, "holds a control character"));
    }
    Ok(())
}
