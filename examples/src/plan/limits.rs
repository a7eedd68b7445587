//! How much is taken in: whatever the file holds, memory and time stay bounded.

/// Most bytes of a cluster file.
pub const FILE_BYTES: usize = 32 << 20;
/// Most values in it: lists, maps, keys and scalars, those an alias repeats included.
pub const VALUES: usize = 1 << 20;
/// Deepest nesting of lists and maps.
pub const DEPTH: usize = 16;
/// Longest scalar, in bytes.
pub const SCALAR_BYTES: usize = 4096;
/// Most nodes, those of a `count` included.
pub const NODES: usize = 10_000;
/// Most pools of one node.
pub const NODE_POOLS: usize = 64;
/// Most devices of one node, and most mount points.
pub const NODE_EXCLUSIVES: usize = 256;
/// Most pools, devices and mount points of all nodes.
pub const PARTS: usize = 1 << 18;
/// Most pods, replicas included.
pub const PODS: usize = 100_000;
/// Most claims of all pods, replicas included. A JSON answer about so many takes about 1 GiB.
pub const CLAIMS: usize = 250_000;
/// Longest name of a node, pod or claim, in bytes; as Kubernetes has it.
pub const NAME_BYTES: usize = 253;
/// Most mistakes that are told; more are counted.
pub const MISTAKES: usize = 20;
