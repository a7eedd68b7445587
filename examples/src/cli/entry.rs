//! From the process's arguments to its exit code.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as ClapKind;
use open_local_core::{Error, ErrorKind, Op, Subject};

use super::{Cli, Command, log, run};
use crate::answer::OutputFormat;
use crate::{exit, failure};

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = crate::csi::arguments::with_hyphens(std::env::args_os().collect());
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => answer(cli),
        Err(error) => ExitCode::from(complain(&error, wants_json(&arguments))),
    }
}

fn answer(cli: Cli) -> ExitCode {
    let format = cli.globals.output;
    log::start(&cli.globals, matches!(cli.command, Command::Csi(_)));
    let code = match run(cli) {
        Ok(answer) => match answer.write(format, &mut std::io::stdout().lock()) {
            Ok(()) => answer.failure.map_or(exit::SUCCESS, |error| show(&error, format)),
            Err(e) if answer.failure.is_none() => {
                let failed = "what was asked is done, but the answer can't be written";
                let about = Subject::path("/dev/stdout");
                let error = Error::from_io(Op::RunProgram, about, failed, e)
                    .with_kind(ErrorKind::Io)
                    .with_remedy("make room where the output goes, and repeat the command");
                show(&error, format)
            }
            Err(_) => answer.failure.map_or(exit::UNKNOWN, |error| show(&error, format)),
        },
        Err(error) => show(&error, format),
    };
    ExitCode::from(code)
}

fn show(error: &Error, format: OutputFormat) -> u8 {
    let shown = match format {
        OutputFormat::Table => failure::text(error),
        OutputFormat::Json => format!("{:#}", failure::json(error)),
    };
    // Nobody can be told that standard error is closed; the exit code still tells.
    let _ = writeln!(std::io::stderr(), "{shown}");
    exit::code_of(error.kind())
}

/// Shows what the argument parser says; a value that one of our own types refused is shown like
/// any other error of ours, with its remedy.
fn complain(error: &clap::Error, json: bool) -> u8 {
    let format = if json { OutputFormat::Json } else { OutputFormat::Table };
    if matches!(
        error.kind(),
        ClapKind::DisplayHelp
            | ClapKind::DisplayVersion
            | ClapKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        // Nobody can be told that standard output is closed.
        let _ = error.print();
        let asked = error.kind() != ClapKind::DisplayHelpOnMissingArgumentOrSubcommand;
        return if asked { exit::SUCCESS } else { exit::code_of(ErrorKind::InvalidArgument) };
    }
    let ours = std::error::Error::source(error).and_then(|e| e.downcast_ref::<Error>());
    match ours {
        Some(ours) => show(ours, format),
        None if json => {
            let said = error.render().to_string();
            // The names of missing arguments stand on lines of their own; the usage comes after
            // an empty line.
            let words: Vec<&str> = said
                .trim_start_matches("error: ")
                .lines()
                .map(str::trim)
                .take_while(|line| !line.is_empty())
                .collect();
            let message = words.join(" ");
            let usage = Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::Host, message)
                .with_remedy("look at open-local --help");
            show(&usage, format)
        }
        None => {
            // Nobody can be told that standard error is closed.
            let _ = error.print();
            exit::code_of(ErrorKind::InvalidArgument)
        }
    }
}

/// Whether JSON was asked for, judged before the arguments are understood.
fn wants_json(arguments: &[OsString]) -> bool {
    let words: Vec<String> =
        arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    words
        .iter()
        .any(|word| word == "--output=json" || word == "-ojson" || word == "-o=json")
        || words.windows(2).any(
            |pair| matches!(pair, [flag, value] if (flag == "--output" || flag == "-o") && value == "json"),
        )
}
