//! A secret that comes with a call is in no log, no answer and no error.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use open_local_csi::{Answer, proto};
use tracing::field::{Field, Visit};
use tracing::span;

use crate::ask;
use crate::lab::Lab;

/// Beginning of every secret.
const MARK: &str = "s3cr3t-marker";

/// Keeps whatever is logged, at every level.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0.lock().unwrap(), "{field}={value:?} ");
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Makes a call, with what is printed of its message and its answer in the log.
fn made<M: Debug, A: Debug>(message: &M, answer: Answer<A>) {
    tracing::info!(?message, "called");
    match answer {
        Ok(answer) => tracing::info!(?answer, "answered"),
        Err(status) => tracing::info!(%status, ?status, "refused"),
    }
}

/// Makes a call with secrets, first as it is and then so that it is refused.
macro_rules! call {
    ($driver:expr, $method:ident, $message:expr) => {{
        let mut message = $message;
        message.secrets.insert(format!("{MARK}-key"), format!("{MARK}-value"));
        made(&message, $driver.$method(&message));
        let refused = {
            let mut message = message.clone();
            message.secrets.insert("s3SK".into(), format!("{MARK}-s3"));
            message
        };
        made(&refused, $driver.$method(&refused));
        made(&refused, $driver.$method(&Default::default()));
    }};
}

#[test]
fn a_secret_sent_with_every_call_is_not_logged() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let lab = Lab::sim();
        let d = &lab.driver;
        let (staging, target) = (lab.staging("v"), lab.target("v"));
        call!(d, create_volume, ask::create("v"));
        let volume = lab.create("v");
        call!(d, validate_volume_capabilities, ask::validate("v"));
        call!(d, controller_publish_volume, proto::ControllerPublishVolumeRequest::default());
        call!(d, controller_unpublish_volume, proto::ControllerUnpublishVolumeRequest::default());
        call!(d, node_stage_volume, ask::stage(&volume, &staging));
        call!(d, node_publish_volume, ask::publish(&volume, &staging, &target));
        call!(d, controller_expand_volume, ask::expand("v", 2 * ask::SIZE));
        call!(d, node_expand_volume, ask::expand_on_node("v", &target, 2 * ask::SIZE));
        call!(d, controller_modify_volume, ask::modify("v", "iops", "10"));
        call!(d, create_snapshot, ask::snapshot("s", "v"));
        call!(d, list_snapshots, proto::ListSnapshotsRequest::default());
        call!(d, get_snapshot, ask::get_snapshot("s"));
        call!(d, delete_snapshot, ask::delete_snapshot("s"));
        call!(d, create_volume_group_snapshot, ask::group("g", &["v"]));
        call!(d, get_volume_group_snapshot, ask::get_group("g", &[]));
        call!(d, delete_volume_group_snapshot, ask::delete_group("g", &[]));
        call!(d, delete_volume, ask::delete("v"));
    });
    let log = log.0.lock().unwrap();
    // The subscriber hears what is said: the calls are there, and the number of their secrets.
    assert!(log.contains("CreateVolumeRequest") && log.contains("hidden"), "{log}");
    assert!(log.contains("s3SK") && !log.contains(MARK), "{log}");
}
