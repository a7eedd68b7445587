//! Capabilities and backends.

use open_local_core::{Capabilities, Registry};
use serde_json::{Map, Value, json};

use super::Grid;

/// One member a capability; snapshots and clones say how they are made.
#[must_use]
pub fn json(capabilities: &Capabilities) -> Value {
    let mut object: Map<String, Value> = capabilities
        .flags()
        .into_iter()
        .map(|(name, value)| (name.replace('-', "_"), Value::Bool(value)))
        .collect();
    object.insert("snapshots".into(), json!(capabilities.snapshots.as_str()));
    object.insert("clones".into(), json!(capabilities.clones.as_str()));
    Value::Object(object)
}

/// The names of what it can do, on one line.
#[must_use]
pub fn words(capabilities: &Capabilities) -> String {
    let able: Vec<&str> = capabilities
        .flags()
        .into_iter()
        .filter_map(|(name, value)| value.then_some(name))
        .collect();
    able.join(", ")
}

/// `{"backends": [{"name", "capabilities"}]}`.
#[must_use]
pub fn backends_json(registry: &Registry) -> Value {
    let list: Vec<Value> = registry
        .iter()
        .map(|b| json!({ "name": b.name(), "capabilities": json(&b.capabilities()) }))
        .collect();
    json!({ "backends": list })
}

/// One row a backend.
#[must_use]
pub fn backends_table(registry: &Registry) -> String {
    let mut grid = Grid::new(&["NAME", "SNAPSHOTS", "CLONES", "CAN"], "no backend is registered");
    for backend in registry.iter() {
        let can = backend.capabilities();
        grid.row([
            backend.name().to_owned(),
            can.snapshots.as_str().to_owned(),
            can.clones.as_str().to_owned(),
            words(&can),
        ]);
    }
    grid.render()
}
