//! Asking before data is destroyed.

use std::io::{BufRead, IsTerminal, Write};

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use crate::context::Globals;

/// Goes on if `--yes` was given or a person at a terminal says so.
///
/// # Errors
/// `Refused` naming `--yes` otherwise.
pub fn destruction(globals: &Globals, op: Op, subject: Subject, what: &str) -> Result<()> {
    if globals.yes {
        return Ok(());
    }
    let refuse = |message: &str| {
        Err(Error::new(ErrorKind::Refused, op, subject.clone(), message)
            .with_remedy("add --yes if you mean it"))
    };
    let input = std::io::stdin();
    if !input.is_terminal() {
        return refuse(&format!("{what}, and was not confirmed"));
    }
    let asked = write!(std::io::stderr(), "{subject}: {what}. Go on? [y/N] ");
    let mut reply = String::new();
    match asked.and_then(|()| input.lock().read_line(&mut reply)) {
        Ok(_) if matches!(reply.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => refuse("it was not confirmed"),
    }
}
