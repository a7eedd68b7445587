//! From the text of a cluster file to a checked [`Cluster`].
//!
//! ```
//! use open_local_core::Subject;
//! let text = "nodes:\n  - name: a\n    pools: [{name: fast, size: 1TiB}]\n";
//! let cluster = open_local_examples::plan::read::cluster(text.as_bytes(), &Subject::value("doc"))?;
//! assert_eq!(cluster.nodes.len(), 1);
//! # Ok::<(), open_local_core::Error>(())
//! ```

mod facts;
mod fields;
mod nodes;
mod pods;

use open_local_core::plan::{AntiAffinity, Strategy};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::limits;
use super::mistakes::Mistakes;
use super::model::{Cluster, Wishes};
use super::source;
use fields::{Path, Reader};

/// An annotated cluster to start from: every field there is, and every kind of request.
pub const EXAMPLE: &str = include_str!("../../clusters/five-nodes.yaml");

/// Reads a cluster file; any bytes give a cluster or an error.
///
/// # Errors
/// `InvalidArgument` that lists what is wrong, with line, column, field, value and remedy.
pub fn cluster(bytes: &[u8], file: &Subject) -> Result<Cluster> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let message = format!("byte {} is no UTF-8 text", e.valid_up_to().saturating_add(1));
        Error::new(ErrorKind::InvalidArgument, Op::Parse, file.clone(), message)
            .with_remedy("give a cluster description in YAML or JSON")
    })?;
    let mut mistakes = Mistakes::default();
    match source::parse(text) {
        Err(mistake) => mistakes.add(mistake),
        Ok(root) => {
            let mut reader = Reader::default();
            let cluster = whole(&mut reader, &root);
            if reader.mistakes.is_empty() {
                return Ok(cluster);
            }
            mistakes = reader.mistakes;
        }
    }
    Err(mistakes.into_error(file))
}

fn whole(reader: &mut Reader, root: &source::Value) -> Cluster {
    let path = Path::Root;
    let Some(fields) = reader.fields(root, &path, &["nodes", "pods", "policy"]) else {
        return Cluster::default();
    };
    let mut known = nodes::Known::default();
    let list = path.field("nodes");
    for (index, value) in reader.list(&fields, "nodes").iter().enumerate() {
        nodes::read(reader, value, &list.index(index), &mut known);
    }
    if known.is_empty() && reader.mistakes.is_empty() {
        reader.complain(root.at, &list, "there is no node", "describe at least one");
    }
    let pods = pods::read_all(reader, &fields, &path, &known);
    let wishes = fields.get("policy").map(|value| policy(reader, value, &path.field("policy")));
    Cluster { nodes: known.into_nodes(), pods, wishes: wishes.unwrap_or_default() }
}

fn policy(reader: &mut Reader, value: &source::Value, path: &Path<'_>) -> Wishes {
    let mut wishes = Wishes::default();
    let known = ["strategy", "score", "anti-affinity"];
    let Some(fields) = reader.fields(value, path, &known) else {
        return wishes;
    };
    let strategies = [("binpack", Strategy::Binpack), ("spread", Strategy::Spread)];
    wishes.strategy = reader.word(&fields, "strategy", &strategies);
    wishes.compatible = reader.word(&fields, "score", &[("default", false), ("compatible", true)]);
    if let Some(value) = fields.get("anti-affinity") {
        let path = path.field("anti-affinity");
        if let Some(fields) = reader.fields(value, &path, &["devices", "mount-points"]) {
            let mut weight = |name| {
                let most = usize::from(u16::MAX);
                let given = reader.count(&fields, name, most, "the largest weight").unwrap_or(0);
                u16::try_from(given).unwrap_or(u16::MAX)
            };
            let devices = weight("devices");
            wishes.anti_affinity = AntiAffinity { devices, mount_points: weight("mount-points") };
        }
    }
    wishes
}

/// The limits in words, for help texts.
#[must_use]
pub fn limits_in_words() -> String {
    format!(
        "At most {} MiB, {} values, {} nodes, {} pods and {} claims are read.",
        limits::FILE_BYTES >> 20,
        limits::VALUES,
        limits::NODES,
        limits::PODS,
        limits::CLAIMS
    )
}
