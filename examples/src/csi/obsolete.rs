//! Options of the original program, so that its command lines start this one.

use clap::Args;

/// Options of the original: two that still say something, and those that are read over.
#[derive(Debug, Clone, Default, Args)]
pub struct Obsolete {
    /// Where sysfs is
    #[arg(long = "path.sysfs", value_name = "DIR", hide = true)]
    pub(super) sysfs: Option<String>,
    /// all, node or controller
    #[arg(long, value_name = "MODE", hide = true)]
    pub(super) driver_mode: Option<String>,
    #[command(flatten)]
    words: Words,
    #[command(flatten)]
    switches: Switches,
    #[command(flatten)]
    logs: Logs,
}

/// A struct of options that are read over, with a method that lists those given. With a third
/// word, an option may stand without a value, as a switch of the original does.
macro_rules! ignored {
    ($(#[$doc:meta])* $name:ident { $($field:ident $option:literal $(or $missing:literal)?,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Args)]
        struct $name {
            $(
                #[arg(
                    long = $option, id = $option, hide = true, value_name = "VALUE",
                    allow_hyphen_values = true
                    $(, num_args = 0..=1, require_equals = true, default_missing_value = $missing)?
                )]
                $field: Vec<String>,
            )*
        }

        impl $name {
            fn given(&self) -> Vec<&'static str> {
                let all = [$(($option, !self.$field.is_empty())),*];
                all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
            }
        }
    };
}

ignored! {
    /// What the original needed to reach Kubernetes, other nodes and its forked tools.
    Words {
        kubeconfig "kubeconfig",
        master "master",
        timeout "grpc-connection-timeout",
        lvmd "lvmdPort",
        cgroup "cgroupDriver",
        extender "extender-scheduler-names",
        framework "framework-scheduler-names",
        uds "konnectivity-uds",
        proxy_host "konnectivity-proxy-host",
        proxy_port "konnectivity-proxy-port",
        proxy_mode "konnectivity-proxy-mode",
        client_cert "konnectivity-client-cert",
        client_key "konnectivity-client-key",
        ca_cert "konnectivity-ca-cert",
    }
}

ignored! {
    /// Its switches.
    Switches {
        hostname "use-node-hostname" or "true",
        spdk "enable-spdk" or "true",
    }
}

ignored! {
    /// Those of its logs.
    Logs {
        verbosity "v",
        modules "vmodule",
        threshold "stderrthreshold",
        folder "log-dir",
        file "log-file",
        size "log-file-max-size",
        flush "log-flush-frequency",
        trace "log-backtrace-at",
        stderr "logtostderr" or "true",
        both "alsologtostderr" or "true",
        one "one-output" or "true",
        headers "skip-headers" or "true",
        log_headers "skip-log-headers" or "true",
        dir_header "add-dir-header" or "true",
    }
}

impl Obsolete {
    /// Those that were given and say nothing any more, by name.
    #[must_use]
    pub fn given(&self) -> Vec<&'static str> {
        [self.words.given(), self.switches.given(), self.logs.given()].concat()
    }
}
