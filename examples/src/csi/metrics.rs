//! Figures of calls, pools and volumes for Prometheus.

use std::fmt::{self, Write};
use std::time::Duration;

use open_local_core::{Bytes, Health};
use open_local_csi::server::Observer;
use open_local_csi::{Code, Rpc};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::sample::{PoolSample, Samples, Volumes};

/// Service, method and code; all of them from lists of ours, so that there is a bounded number.
type Call = [(&'static str, &'static str); 3];
type Method = [(&'static str, &'static str); 2];

/// Bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// Figures of calls; hears of them as the server's observer.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    calls: Family<Call, Counter>,
    seconds: Family<Call, Histogram, fn() -> Histogram>,
    in_flight: Family<Method, Gauge>,
}

impl Metrics {
    /// No call yet; pools and volumes as the samples say.
    pub(super) fn new(samples: Samples, driver: &str, version: &str) -> Self {
        let mut registry = Registry::with_prefix("open_local");
        let new: fn() -> Histogram = || Histogram::new(BUCKETS);
        let metrics = Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(new),
            in_flight: Family::default(),
            registry: Registry::default(),
        };
        let info = prometheus_client::metrics::info::Info::new([
            ("driver".to_owned(), driver.to_owned()),
            ("version".to_owned(), version.to_owned()),
        ]);
        registry.register("build", "The driver's name and version", info);
        let calls = metrics.calls.clone();
        registry.register("csi_operations", "Calls that were answered, by gRPC code", calls);
        registry.register_with_unit(
            "csi_operation_duration",
            "How long calls took",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        let in_flight = metrics.in_flight.clone();
        registry.register("csi_operations_in_flight", "Calls that are worked on", in_flight);
        registry.register_collector(Box::new(Seen(samples)));
        Self { registry, ..metrics }
    }

    /// All figures as text, in the OpenMetrics form.
    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

const fn method(rpc: Rpc) -> Method {
    [("service", rpc.service()), ("method", rpc.as_str())]
}

impl Observer for Metrics {
    fn begun(&self, rpc: Rpc) {
        let _ = self.in_flight.get_or_create(&method(rpc)).inc();
    }

    fn ended(&self, rpc: Rpc, code: Option<Code>, took: Duration) {
        let _ = self.in_flight.get_or_create(&method(rpc)).dec();
        let [service, name] = method(rpc);
        let call = [service, name, ("code", code.map_or("OK", Code::as_str))];
        let _ = self.calls.get_or_create(&call).inc();
        self.seconds.get_or_create(&call).observe(took.as_secs_f64());
    }
}

/// Pools and volumes as they were seen last.
#[derive(Debug)]
struct Seen(Samples);

impl Collector for Seen {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.pools(&mut encoder)?;
        volumes(&self.0.volumes(), &mut encoder)
    }
}

/// A figure of a pool, where there is one.
type PoolFigure = fn(&PoolSample, bool) -> Option<u64>;

const POOL_FIGURES: [(&str, &str, PoolFigure); 8] = [
    ("pool_size_bytes", "All the pool may use", |seen, _| room(seen, |c| c.total)),
    ("pool_used_bytes", "Really taken", |seen, _| room(seen, |c| c.used)),
    ("pool_promised_bytes", "Promised to volumes", |seen, _| room(seen, |c| c.promised)),
    ("pool_reserved_bytes", "Kept free of promises", |seen, _| room(seen, |c| c.reserved)),
    ("pool_available_bytes", "What may still be promised", |seen, _| room(seen, |c| c.available)),
    ("pool_largest_volume_bytes", "The largest volume granted now", |seen, _| {
        room(seen, |c| c.largest)
    }),
    ("pool_healthy", "Whether it can be relied on", |seen, _| {
        seen.health.as_ref().map(|health| u64::from(*health == Health::Healthy))
    }),
    (
        "pool_stale",
        "Whether it has not answered for three intervals: its other figures are old",
        |_, stale| Some(u64::from(stale)),
    ),
];

fn room(seen: &PoolSample, part: fn(&open_local_core::Capacity) -> Bytes) -> Option<u64> {
    seen.capacity.as_ref().map(|capacity| part(capacity).get())
}

impl Seen {
    fn pools(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let pools = self.0.pools();
        for (name, help, figure) in POOL_FIGURES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (id, seen) in &pools {
                if let Some(value) = figure(seen, self.0.is_stale(seen)) {
                    gauge(&mut family, &[("pool", id.as_str())], value)?;
                }
            }
        }
        Ok(())
    }
}

fn gauge(
    family: &mut MetricEncoder<'_>,
    labels: &[(&'static str, &str); 1],
    value: u64,
) -> fmt::Result {
    family.encode_family(labels)?.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))
}

/// A counter of a volume.
type VolumeFigure = fn(&super::measure::Traffic) -> u64;

const VOLUME_FIGURES: [(&str, &str, VolumeFigure); 5] = [
    ("volume_reads", "Reads the kernel has done", |t| t.reads),
    ("volume_read_bytes", "Bytes the kernel has read", |t| t.read_bytes),
    ("volume_writes", "Writes the kernel has done", |t| t.writes),
    ("volume_written_bytes", "Bytes the kernel has written", |t| t.written_bytes),
    ("volume_busy_milliseconds", "Time with a request under way", |t| t.busy_ms),
];

fn volumes(seen: &Volumes, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for (name, help, figure) in VOLUME_FIGURES {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for one in &seen.told {
            let labels = [("volume", one.volume.as_str()), ("device", one.device.as_str())];
            family
                .encode_family(&labels)?
                .encode_counter::<[(&str, &str); 0], u64, u64>(&figure(&one.traffic), None)?;
        }
    }
    let help = "Published volumes beyond the bound, of which there are no figures";
    let left_out = i64::try_from(seen.left_out).unwrap_or(i64::MAX);
    encoder
        .encode_descriptor("volumes_left_out", help, None, MetricType::Gauge)?
        .encode_gauge(&left_out)
}

/// An error as the body of an answer.
pub(super) fn sorry(error: fmt::Error) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "the figures can't be written: {error}");
    text
}
