//! The options of `open-local csi`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::obsolete::Obsolete;
use super::settings::{Layer, Source};

/// Arguments of `csi`. Every option is text here, so that one reader judges it wherever it comes
/// from: this line, the environment or the configuration file.
#[expect(rustdoc::broken_intra_doc_links, reason = "addresses in the texts of --help")]
#[derive(Debug, Clone, Default, Args)]
pub struct Arguments {
    /// A YAML file with the options of this list by their names; an option on this line or in the
    /// environment goes before it [env: OPEN_LOCAL_CSI_CONFIG=]
    #[arg(long, value_name = "FILE", help_heading = CSI)]
    pub config: Option<PathBuf>,
    /// A pool as NAME=BACKEND:LOCATION,KEY=VALUE…, made if it is not there; may be repeated.
    /// LOCATION and keys may be left out; keys are media (hdd, ssd, nvme), inline (true where pods
    /// may have inline volumes), capacity, reserve, overcommit, and what the backend knows
    /// [env: OPEN_LOCAL_CSI_POOL=]
    #[arg(id = "pool", long = "pool", value_name = "POOL", help_heading = CSI)]
    pub pools: Vec<String>,
    /// The socket, unix:///run/csi/csi.sock or its path [default: unix:///tmp/csi.sock]
    #[arg(long, value_name = "SOCKET", help_heading = CSI)]
    pub endpoint: Option<String>,
    /// The name of this node
    #[arg(long, visible_alias = "nodeid", alias = "nodeID", value_name = "NAME", help_heading = CSI)]
    pub node_id: Option<String>,
    /// The name of the driver [default: local.csi.aliyun.com]
    #[arg(long, alias = "driver", value_name = "NAME", help_heading = CSI)]
    pub driver_name: Option<String>,
    /// What is served: node (everything about this node's volumes) or central (expansion and
    /// modification for the resizer) [default: node]
    #[arg(long, value_name = "MODE", help_heading = CSI)]
    pub mode: Option<String>,
    /// Where this node's volumes are reachable from, as VALUE or KEY=VALUE [default:
    /// kubernetes.io/hostname= and the name of the node]
    #[arg(long, value_name = "[KEY=]VALUE", help_heading = CSI)]
    pub topology: Option<String>,
    /// What the node says of itself, such as its label kubernetes.io/hostname; another value than
    /// that of --topology is an error at start
    #[arg(long, value_name = "VALUE", help_heading = CSI)]
    pub node_topology: Option<String>,
    /// Most volumes of this node; 0 is no limit [default: 64] [env: also MAX_VOLUMES_PERNODE=]
    #[arg(long, value_name = "COUNT", help_heading = CSI)]
    pub max_volumes: Option<String>,
    /// What a new volume is formatted with if nobody says: ext4, xfs, btrfs …
    #[arg(long, value_name = "FS", help_heading = CSI)]
    pub default_fs: Option<String>,
    /// The size of an inline volume that does not say [default: 1GiB]
    #[arg(long, value_name = "SIZE", help_heading = CSI)]
    pub inline_size: Option<String>,
    /// The largest inline volume [default: 100GiB]
    #[arg(long, value_name = "SIZE", help_heading = CSI)]
    pub inline_limit: Option<String>,
    /// The kubelet's folder [default: /var/lib/kubelet]
    #[arg(long, value_name = "DIR", help_heading = CSI)]
    pub kubelet_dir: Option<String>,
    /// Where the runtime of virtual machines looks for devices
    /// [default: /run/kata-containers/shared/direct-volumes]
    #[arg(long, value_name = "DIR", help_heading = CSI)]
    pub direct_dir: Option<String>,
    /// Serve Prometheus metrics at ADDRESS:PORT/metrics, such as 127.0.0.1:9810 or [::]:9810; a
    /// port alone is on 127.0.0.1; may be repeated
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = CSI)]
    pub metrics_address: Vec<String>,
    /// Serve /healthz and /readyz there; may be repeated
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = CSI)]
    pub health_address: Vec<String>,
    /// Most calls that are worked on at once [default: 32]
    #[arg(long, value_name = "COUNT", help_heading = CSI)]
    pub workers: Option<String>,
    /// How long calls may go on after a stop was asked for, such as 30s [default: 30s]
    #[arg(long, value_name = "DURATION", help_heading = CSI)]
    pub grace: Option<String>,
    /// How often pools and published volumes are looked at, and limits brought to pods
    /// [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = CSI)]
    pub interval: Option<String>,
    /// Options of the original program
    #[command(flatten)]
    pub obsolete: Obsolete,
}

const CSI: &str = "CSI";

impl Arguments {
    /// What this line says, by the names of the options.
    ///
    /// The other commands have an option `--pool` too, and a variable for it, whose value the
    /// parser hands on to this one. It is the name of a pool, which no definition is, and left out
    /// here.
    #[must_use]
    pub fn layer(&self, shells_pool: Option<&str>) -> Layer {
        let mut layer = Layer::default();
        let one = [
            ("endpoint", &self.endpoint),
            ("node-id", &self.node_id),
            ("driver-name", &self.driver_name),
            ("mode", &self.mode),
            ("topology", &self.topology),
            ("node-topology", &self.node_topology),
            ("max-volumes", &self.max_volumes),
            ("default-fs", &self.default_fs),
            ("inline-size", &self.inline_size),
            ("inline-limit", &self.inline_limit),
            ("kubelet-dir", &self.kubelet_dir),
            ("direct-dir", &self.direct_dir),
            ("workers", &self.workers),
            ("grace", &self.grace),
            ("interval", &self.interval),
            ("path.sysfs", &self.obsolete.sysfs),
        ];
        for (name, value) in one {
            if let Some(text) = value {
                layer.add(name, text, Source::Flag);
            }
        }
        let lists = [
            ("pool", &self.pools),
            ("metrics-address", &self.metrics_address),
            ("health-address", &self.health_address),
        ];
        let shells = |text: &str| shells_pool == Some(text) && !text.contains('=');
        for (name, values) in lists {
            for text in values.iter().filter(|text| name != "pool" || !shells(text)) {
                layer.add(name, text, Source::Flag);
            }
        }
        if let (None, Some(mode)) = (&self.mode, &self.obsolete.driver_mode) {
            layer.add("mode", mode, Source::Flag);
        }
        layer
    }
}

/// The options of `csi` with hyphens where they were written with underscores, as the original
/// takes both; other commands are left as they are.
#[must_use]
pub fn with_hyphens(arguments: Vec<OsString>) -> Vec<OsString> {
    let Some(command) = arguments.iter().position(|word| word == "csi") else {
        return arguments;
    };
    let hyphens = |(at, word): (usize, OsString)| match word.to_str() {
        Some(text) if at > command && text.starts_with("--") => {
            let (name, value) = text.split_at(text.find('=').unwrap_or(text.len()));
            format!("{}{value}", name.replace('_', "-")).into()
        }
        _ => word,
    };
    arguments.into_iter().enumerate().map(hyphens).collect()
}
