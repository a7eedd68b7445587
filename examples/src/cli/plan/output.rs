//! Writing the picture.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use serde_json::json;

use super::Picture;
use crate::answer::Answer;
use crate::context::{Globals, absolute};
use crate::plan::picture::{Drawing, Format};
use crate::plan::report::Told;

/// Where the picture goes and in which form; told before the long work begins.
///
/// # Errors
/// `InvalidArgument` for a name that ends in neither `.html` nor `.svg`.
pub(super) fn target(picture: &Picture) -> Result<Option<(PathBuf, Format)>> {
    let Some(file) = &picture.picture else {
        return Ok(None);
    };
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    let format = match ending.as_deref() {
        Some("html" | "htm") => Format::Html,
        Some("svg") => Format::Svg,
        _ => {
            let message = "a picture is HTML or SVG";
            let about = Subject::path(file);
            return Err(Error::new(ErrorKind::InvalidArgument, Op::Parse, about, message)
                .with_remedy("end the name in .html or .svg"));
        }
    };
    Ok(Some((absolute(file)?, format)))
}

/// The answer, after the picture was written if one was asked for.
///
/// # Errors
/// As writing gives them.
pub(super) fn with_picture<'d>(
    globals: &Globals,
    told: Told,
    target: Option<(PathBuf, Format)>,
    drawing: impl FnOnce() -> Drawing<'d>,
) -> Result<Answer> {
    let Told { mut json, mut text } = told;
    if let Some((path, format)) = target {
        let shown = path.display().to_string();
        if globals.dry_run {
            text.push_str(&format!("\npicture: would write {shown}"));
        } else {
            write(&path, drawing().draw(format).as_bytes())?;
            text.push_str(&format!("\npicture: {shown}"));
        }
        if let serde_json::Value::Object(map) = &mut json {
            let _ = map.insert("picture".to_owned(), json!(shown));
        }
    }
    Ok(Answer::new(json!({ "plan": json }), text))
}

/// Writes beside and renames, so that nobody sees half a picture.
fn write(path: &Path, content: &[u8]) -> Result<()> {
    let refuse = |e: io::Error| {
        Error::from_io(Op::WriteState, Subject::path(path), "can't write the picture", e)
            .with_remedy("name a file in a folder that exists and may be written")
    };
    if path.is_dir() {
        return Err(refuse(io::Error::from(io::ErrorKind::IsADirectory))
            .with_kind(ErrorKind::InvalidArgument));
    }
    let mut beside = OsString::from(".");
    beside.push(path.file_name().unwrap_or_default());
    beside.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&beside);
    }
    written.map_err(refuse)
}
