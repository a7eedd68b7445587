//! `open-local lvm …`: volume groups as they lie on devices, read, changed and activated without
//! the lvm2 tools.

pub mod group;
pub mod physical;
pub mod site;
pub mod volume;

mod activate;
mod change;
mod image;
mod members;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use open_local_core::host::{BlockIo, DeviceAccess, Devices, SystemDevices};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use open_local_lvm::format::text::{Style, parse, print};
use open_local_lvm::report::{
    LVS, PVS, Report, SEGMENTS, SizeFormat, SizeUnit, VGS, logical_volumes, physical_volumes,
    segments, volume_groups,
};
use open_local_lvm::scan::{Options, Scan, ScannedGroup, Severity};

use self::image::Image;
use crate::answer::Answer;
use crate::context::Globals;
use crate::view::lvm as shown;

/// What to do with LVM2 groups.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what each device holds, and which groups they make
    Scan {
        /// Where to look
        #[command(flatten)]
        on: On,
    },
    /// Print the report of pvs, vgs or lvs without the lvm2 tools
    Report(ReportArguments),
    /// Print the metadata text of a group as a tree
    Show {
        /// Where to look
        #[command(flatten)]
        on: On,
        /// The group; may be left out where there is only one
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
    },
    /// Look for damage and for what forbids a change
    Check {
        /// Where to look
        #[command(flatten)]
        on: On,
    },
    /// Make, resize and remove physical volumes
    #[command(subcommand)]
    Pv(physical::Command),
    /// Make, change, repair, remove, activate and deactivate groups
    #[command(subcommand)]
    Group(group::Command),
    /// Make, change and remove volumes in the metadata of a group; activate and deactivate them
    #[command(subcommand)]
    Volume(volume::Command),
}

/// The devices to read; no others are touched.
#[derive(Debug, Args)]
pub struct On {
    /// Block devices, or files that hold images of them
    #[arg(required = true, value_name = "DEVICE")]
    pub devices: Vec<PathBuf>,
    /// The host's system id, which groups of other hosts differ from
    #[arg(long, value_name = "ID")]
    pub system_id: Option<String>,
}

/// Which report, and how.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// The report
    #[arg(value_enum)]
    pub which: Which,
    /// Where to look
    #[command(flatten)]
    pub on: On,
    /// Columns by the names the tools have for them, or "all"
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// The unit of sizes
    #[arg(long, value_enum, default_value_t)]
    pub units: Units,
}

/// A report, named after the tool that prints it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Which {
    /// Physical volumes
    Pvs,
    /// Groups
    Vgs,
    /// Volumes, hidden ones in brackets
    Lvs,
    /// Segments of volumes
    Segments,
}

/// The unit of sizes.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum Units {
    /// As fits, with < where rounding made it larger
    #[default]
    R,
    /// Bytes
    B,
    /// Sectors of 512 bytes
    S,
    /// KiB
    K,
    /// MiB
    M,
    /// GiB
    G,
    /// TiB
    T,
}

impl Units {
    const fn format(self) -> SizeFormat {
        let unit = match self {
            Self::R => SizeUnit::Readable,
            Self::B => SizeUnit::Bytes,
            Self::S => SizeUnit::Sectors,
            Self::K => SizeUnit::Kib,
            Self::M => SizeUnit::Mib,
            Self::G => SizeUnit::Gib,
            Self::T => SizeUnit::Tib,
        };
        SizeFormat { unit, suffix: true }
    }
}

/// Runs a command.
///
/// # Errors
/// `NotFound` for a device or group that is not there, `InvalidArgument` for an unknown column;
/// what is wrong with a device or group is a finding, and the failure of `check`. Those of
/// [`physical::run`], [`group::run`] and [`volume::run`].
pub fn run(globals: &Globals, command: Command) -> Result<Answer> {
    match command {
        Command::Pv(command) => physical::run(globals, &command),
        Command::Group(command) => group::run(globals, &command),
        Command::Volume(command) => volume::run(globals, &command),
        Command::Scan { on } => {
            let scan = scan(&on)?;
            Ok(Answer::new(shown::scan_json(&scan), shown::scan_text(&scan)))
        }
        Command::Report(arguments) => report(&arguments),
        Command::Show { on, group } => show(&scan(&on)?, group.as_deref()),
        Command::Check { on } => {
            let scan = scan(&on)?;
            let answer = Answer::new(shown::findings_json(&scan), shown::findings_text(&scan));
            Ok(answer.with_failure(damage(&scan)))
        }
    }
}

fn scan(on: &On) -> Result<Scan> {
    let mut devices: Vec<(PathBuf, Box<dyn BlockIo>)> = Vec::new();
    for path in &on.devices {
        let about =
            |error| Error::from_io(Op::ReadDevice, Subject::device(path), "can't open", error);
        let device: Box<dyn BlockIo> = match SystemDevices.open(path, DeviceAccess::Look) {
            Ok(device) => device,
            Err(error) if error.raw_os_error() == Some(libc::ENOTBLK) => {
                Box::new(Image::open(path).map_err(about)?)
            }
            Err(error) => return Err(about(error)),
        };
        devices.push((path.clone(), device));
    }
    let options = match &on.system_id {
        Some(id) => Options::default().with_system_id(id),
        None => Options::default(),
    };
    let given = devices.iter().map(|(path, device)| (path.as_path(), &**device));
    Ok(open_local_lvm::scan::scan(given, &options))
}

fn report(arguments: &ReportArguments) -> Result<Answer> {
    let scan = scan(&arguments.on)?;
    let (report, default): (Report, &[&str]) = match arguments.which {
        Which::Pvs => (physical_volumes(&scan), &PVS),
        Which::Vgs => (volume_groups(&scan), &VGS),
        Which::Lvs => (logical_volumes(&scan), &LVS),
        Which::Segments => (segments(&scan), &SEGMENTS),
    };
    let columns: Vec<String> = match arguments.columns.as_slice() {
        [] => default.iter().map(|column| (*column).to_owned()).collect(),
        [all] if all == "all" => {
            let first = report.rows.first().into_iter().flat_map(|row| row.cells());
            first.map(|(column, _)| column.to_owned()).collect()
        }
        named => named.to_vec(),
    };
    if let Some(row) = report.rows.first()
        && let Some(unknown) = columns.iter().find(|column| row.get(column).is_none())
    {
        let known: Vec<&str> = row.cells().map(|(column, _)| column).collect();
        let subject = Subject::value(unknown);
        return Err(Error::new(ErrorKind::InvalidArgument, Op::Parse, subject, "is no column")
            .with_remedy(format!("the columns are {}", known.join(", "))));
    }
    let format = arguments.units.format();
    let json = shown::report_json(&report, &columns, format);
    Ok(Answer::new(json, shown::report_text(&report, &columns, format)))
}

/// The group that is meant.
fn chosen<'a>(scan: &'a Scan, name: Option<&str>) -> Result<&'a ScannedGroup> {
    let error = |kind, subject: Subject, message: String| {
        Err(Error::new(kind, Op::InspectPool, subject, message))
    };
    match (name, scan.groups.as_slice()) {
        (Some(name), _) => match scan.group(name) {
            Some(group) => Ok(group),
            None => {
                let message = "there is no such group on these devices".to_owned();
                error(ErrorKind::NotFound, Subject::value(name), message)
            }
        },
        (None, [only]) => Ok(only),
        (None, []) => {
            error(ErrorKind::NotFound, Subject::Host, "no group on these devices".to_owned())
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|g| g.group().name.as_str()).collect();
            let message = format!("several groups: name one of {}", names.join(", "));
            error(ErrorKind::InvalidArgument, Subject::Host, message)
        }
    }
}

fn show(scan: &Scan, name: Option<&str>) -> Result<Answer> {
    let group = chosen(scan, name)?;
    let tree = parse(&group.text.raw)?;
    let text = print(&tree, Style::Indented)?;
    Ok(Answer::new(shown::tree_json(&tree), String::from_utf8_lossy(&text).into_owned()))
}

fn damage(scan: &Scan) -> Option<Error> {
    let bad = |severity| matches!(severity, Severity::Damage | Severity::Degraded);
    let count = scan.findings().filter(|finding| bad(finding.severity())).count();
    (count > 0).then(|| {
        let message = format!("{count} findings of damage");
        Error::new(ErrorKind::Corrupt, Op::InspectPool, Subject::Host, message)
    })
}
