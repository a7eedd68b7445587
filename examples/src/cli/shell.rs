//! `open-local completions` and `open-local man`.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use open_local_core::{Error, Op, Result, Subject};
use serde_json::json;

use super::Cli;
use crate::answer::Answer;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionArguments {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// Write one page a command into this folder, which must exist
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// The completion script of a shell.
pub fn completions(arguments: &CompletionArguments) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "open-local", &mut script);
    // clap_complete 4.6.11 names the functions of a program with a hyphen in two ways, so that
    // nothing after the first word is completed in bash; elsewhere the words don't occur.
    let script = String::from_utf8_lossy(&script).replace("open__subcmd__local", "open__local");
    Answer::raw(script)
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered.map_err(|e| {
        Error::from_io(Op::RunProgram, Subject::Host, "the manual page can't be made", e)
    })?;
    Ok(page)
}

/// Writes the page of a command and of all below it; hidden ones are left out.
fn write_pages(command: &clap::Command, folder: &Path, written: &mut Vec<String>) -> Result<()> {
    let path = folder.join(clap_mangen::Man::new(command.clone()).get_filename());
    std::fs::write(&path, page(command.clone())?).map_err(|e| {
        let about = Subject::path(&path);
        Error::from_io(Op::RunProgram, about, "can't write the page", e)
            .with_remedy("name a folder that exists and may be written")
    })?;
    written.push(path.display().to_string());
    let below = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    below.into_iter().try_for_each(|sub| write_pages(sub, folder, written))
}

/// The manual page on standard output, or all pages in a folder.
///
/// # Errors
/// `Io`, `NotFound` or `PermissionDenied` if a page can't be written.
pub fn man(arguments: &ManArguments) -> Result<Answer> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let Some(folder) = &arguments.out else {
        return Ok(Answer::raw(String::from_utf8_lossy(&page(root)?)));
    };
    let mut written = Vec::new();
    write_pages(&root, folder, &mut written)?;
    let text = written.join("\n");
    Ok(Answer::new(json!({ "pages": written }), text))
}
