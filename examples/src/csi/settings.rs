//! What the command line, the environment and the configuration file come to.
//!
//! Each is a [`Layer`] of texts by the name of the option; the first that has an option decides.
//! Only then is a text read, so that a complaint can say where the text stood.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use open_local_core::{Bytes, Error, ErrorKind, FsKind, Op, Result, Subject};
use open_local_csi::service::{Config, DRIVER_NAME, InlinePolicy, Mode, Topology};

use super::listen;
use super::pools::Definition;

/// Every option that may stand in the environment and in the file, and whether it may be repeated.
pub const OPTIONS: &[(&str, bool)] = &[
    ("pool", true),
    ("endpoint", false),
    ("node-id", false),
    ("driver-name", false),
    ("mode", false),
    ("topology", false),
    ("node-topology", false),
    ("max-volumes", false),
    ("default-fs", false),
    ("inline-size", false),
    ("inline-limit", false),
    ("kubelet-dir", false),
    ("direct-dir", false),
    ("metrics-address", true),
    ("health-address", true),
    ("workers", false),
    ("grace", false),
    ("interval", false),
    ("state-dir", false),
    ("run-dir", false),
    ("path.sysfs", false),
];

/// Most pools, and most addresses of a kind.
pub const MOST: usize = 64;

/// Where the text of an option stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// On the command line.
    Flag,
    /// In this variable.
    Environment(String),
    /// In the configuration file, on this line.
    File(PathBuf, usize),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("the command line"),
            Self::Environment(name) => write!(f, "the environment, {name}"),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
        }
    }
}

/// A text and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Where it stood.
    pub source: Source,
}

/// Texts by the name of their option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer(BTreeMap<&'static str, Vec<Text>>);

impl Layer {
    /// Adds one.
    pub fn add(&mut self, name: &'static str, text: impl Into<String>, source: Source) {
        self.0.entry(name).or_default().push(Text { text: text.into(), source });
    }

    /// What the environment says: `OPEN_LOCAL_CSI_` and the name in capitals, several values
    /// apart by semicolons.
    #[must_use]
    pub fn of_environment(read: impl Fn(&str) -> Option<String>) -> Self {
        let mut layer = Self::default();
        for (name, repeated) in OPTIONS {
            let variable = variable(name);
            let Some(text) = read(&variable) else { continue };
            let source = || Source::Environment(variable.clone());
            match repeated {
                false => layer.add(name, text, source()),
                true => {
                    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
                    parts.for_each(|part| layer.add(name, part, source()));
                }
            }
        }
        // Two of the original.
        for (name, variable) in
            [("max-volumes", "MAX_VOLUMES_PERNODE"), ("node-id", "KUBE_NODE_NAME")]
        {
            if let (false, Some(text)) = (layer.0.contains_key(name), read(variable)) {
                layer.add(name, text, Source::Environment(variable.to_owned()));
            }
        }
        layer
    }

    /// This layer, and below it another.
    #[must_use]
    pub fn over(mut self, below: Self) -> Self {
        for (name, texts) in below.0 {
            let _ = self.0.entry(name).or_insert(texts);
        }
        self
    }

    /// The one value of an option.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&Text> {
        self.0.get(name)?.first()
    }

    /// All values of an option.
    #[must_use]
    pub fn all(&self, name: &str) -> &[Text] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Reads the one value of an option.
    fn read<T>(&self, name: &str, read: impl Fn(&str) -> Result<T>) -> Result<Option<T>> {
        self.one(name).map(|text| located(name, text, &read)).transpose()
    }

    /// Reads all values of an option.
    fn list<T>(&self, name: &str, read: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
        let all = self.all(name);
        if let Some(text) = all.get(MOST) {
            let error = wrong(name, &text.text, "there are more than 64", "leave some out");
            return Err(error);
        }
        all.iter().map(|text| located(name, text, &read)).collect()
    }
}

fn variable(name: &str) -> String {
    format!("OPEN_LOCAL_CSI_{}", name.replace(['-', '.'], "_").to_uppercase())
}

/// Reads a text; a complaint says where it stood.
fn located<T>(name: &str, text: &Text, read: impl Fn(&str) -> Result<T>) -> Result<T> {
    read(&text.text).map_err(|e| {
        let message = format!("{name} (from {}): {}", text.source, e.message());
        let remedy = e.remedy().unwrap_or("correct it").to_owned();
        Error::new(e.kind(), Op::Parse, Subject::value(&text.text), message).with_remedy(remedy)
    })
}

fn wrong(name: &str, text: &str, what: &str, remedy: &str) -> Error {
    let message = format!("{name}: {what}");
    Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::value(text), message)
        .with_remedy(remedy)
}

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the driver is told.
    pub config: Config,
    /// The pools.
    pub pools: Vec<Definition>,
    /// The socket.
    pub socket: PathBuf,
    /// Where metrics are served.
    pub metrics: Vec<SocketAddr>,
    /// Where health is served.
    pub health: Vec<SocketAddr>,
    /// Most calls that are worked on at once.
    pub workers: usize,
    /// How long calls may go on after a stop was asked for.
    pub grace: Duration,
    /// How often pools and volumes are looked at.
    pub interval: Duration,
    /// The folder for state that survives a reboot, if the file or the environment says.
    pub state: Option<PathBuf>,
    /// The folder for state that a reboot may forget.
    pub run: Option<PathBuf>,
    /// Where sysfs is.
    pub sys: Option<PathBuf>,
}

impl Settings {
    /// Reads what the layers say.
    ///
    /// # Errors
    /// `InvalidArgument` naming the option, the text, where it stood, and what to write.
    pub fn read(layer: &Layer) -> Result<Self> {
        let folder = |name: &str| layer.read(name, absolute);
        let node = layer.read("node-id", |text| Ok(text.to_owned()))?.ok_or_else(|| {
            wrong("node-id", "", "it is missing", "give the name of this node: --node-id NAME")
        })?;
        Ok(Self {
            config: config(layer, node)?,
            pools: layer.list("pool", str::parse)?,
            socket: layer
                .read("endpoint", listen::socket)?
                .unwrap_or_else(|| "/tmp/csi.sock".into()),
            metrics: layer.list("metrics-address", listen::address)?,
            health: layer.list("health-address", listen::address)?,
            workers: layer
                .read("workers", |text| count(text, 1, 1024))?
                .map_or(32, |n| usize::try_from(n).unwrap_or(32)),
            grace: layer.read("grace", duration)?.unwrap_or(Duration::from_secs(30)),
            interval: layer
                .read("interval", duration)?
                .map_or(Duration::from_secs(10), |span| span.max(Duration::from_secs(1))),
            state: folder("state-dir")?,
            run: folder("run-dir")?,
            sys: folder("path.sysfs")?,
        })
    }
}

/// What the driver is told.
fn config(layer: &Layer, node: String) -> Result<Config> {
    let text = |name: &str| layer.one(name).map(|text| text.text.clone());
    let inline = InlinePolicy::default();
    let topology = match layer.read("topology", topology)? {
        Some((key, value)) => match key {
            Some(key) => Topology::new(key, value),
            None => Topology::of_node(value),
        },
        None => Topology::of_node(&node),
    };
    topology.agree(&node, text("node-topology").as_deref()).map_err(|status| {
        Error::new(
            ErrorKind::InvalidArgument,
            Op::Parse,
            Subject::value(topology.value()),
            status.message(),
        )
        .with_remedy("give --topology the value that the node says, or correct the node's label")
    })?;
    let mut config = Config::new(node)
        .with_driver_name(text("driver-name").unwrap_or_else(|| DRIVER_NAME.to_owned()))
        .with_topology(topology)
        .with_mode(layer.read("mode", mode)?.unwrap_or_default())
        .with_inline(InlinePolicy {
            default_size: layer.read("inline-size", str::parse)?.unwrap_or(inline.default_size),
            largest: layer.read("inline-limit", str::parse::<Bytes>)?.unwrap_or(inline.largest),
        });
    if let Some(most) = layer.read("max-volumes", |text| count(text, 0, 1 << 20))? {
        config = config.with_max_volumes(most);
    }
    if let Some(kind) = layer.read("default-fs", str::parse::<FsKind>)? {
        config = config.with_filesystem(kind);
    }
    if let Some(folder) = layer.read("kubelet-dir", absolute)? {
        config = config.with_kubelet(folder);
    }
    if let Some(folder) = layer.read("direct-dir", absolute)? {
        config = config.with_direct_volumes(folder);
    }
    config.check().map_err(|status| {
        Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::Host, status.message())
            .with_remedy("correct --driver-name, --node-id or --topology")
    })?;
    Ok(config)
}

fn mode(text: &str) -> Result<Mode> {
    match text {
        // `all` is the original's: its controller was on one node for all others.
        "node" | "all" => Ok(Mode::Node),
        "central" | "controller" => Ok(Mode::Central),
        _ => Err(wrong("the mode", text, "this is no mode", "choose node or central")),
    }
}

fn topology(text: &str) -> Result<(Option<String>, String)> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (Some(key.to_owned()), value),
        None => (None, text),
    };
    if value.is_empty() || key.as_deref() == Some("") {
        let remedy = "write it like node-1, or kubernetes.io/hostname=node-1";
        return Err(wrong("the topology", text, "key or value is empty", remedy));
    }
    Ok((key, value.to_owned()))
}

fn count(text: &str, least: u32, most: u32) -> Result<u32> {
    let read = text.parse().ok().filter(|n| (least..=most).contains(n));
    read.ok_or_else(|| {
        let what = format!("this is no number from {least} to {most}");
        wrong("the number", text, &what, "write it with digits alone")
    })
}

fn absolute(text: &str) -> Result<PathBuf> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(wrong("the folder", text, "the path is not absolute", "give the whole path"))
}

/// `500ms`, `90s`, `10m`, or a number of seconds; at most an hour.
pub(super) fn duration(text: &str) -> Result<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    let span = number.parse::<u64>().ok().zip(factor).and_then(|(n, unit)| n.checked_mul(unit));
    span.filter(|ms| *ms <= 3_600_000).map(Duration::from_millis).ok_or_else(|| {
        let remedy = "write it like 500ms, 30s or 5m";
        wrong("the duration", text, "this is no duration of at most an hour", remedy)
    })
}

#[cfg(test)]
mod tests;
