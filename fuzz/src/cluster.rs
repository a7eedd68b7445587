//! Cluster files of `open-local plan`.

use open_local_core::{ErrorKind, Subject};
use open_local_examples::plan::read;
use open_local_examples::plan::simulate::{Settings, Unwatched, place};

/// A cluster, or an error that says what to do; what was read can be placed, if it is small enough
/// for a fuzzer.
pub(crate) fn cluster(data: &[u8]) {
    let cluster = match read::cluster(data, &Subject::Host) {
        Ok(cluster) => cluster,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.remedy().is_some());
            return;
        }
    };
    let pods: usize = cluster.pods.iter().map(|pod| pod.replicas).sum();
    if cluster.nodes.len() > 8 || pods > 32 {
        return;
    }
    let outcome = place(&cluster, &Settings::default(), &Unwatched);
    assert_eq!(outcome.map(|outcome| outcome.pods.len()).ok(), Some(pods));
}
