//! Which kernel modules are loaded before the root is there, and in which order.

use crate::Result;

/// What the guest needs to reach the host's root and to talk to us.
pub(super) const BOOT: [&str; 5] =
    ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"];

/// Paths of the wanted modules and of what they depend on, in load order, each once. A line of
/// `modules.dep` names a module, a colon, and all it depends on, the last to be loaded first
/// (modules.dep(5)). What `modules.builtin` lists is in the kernel itself.
pub(super) fn load_order(dep: &str, builtin: &str, wanted: &[&str]) -> Result<Vec<String>> {
    let mut order: Vec<String> = Vec::new();
    for name in wanted {
        let line = dep.lines().filter_map(|line| line.split_once(':'));
        let mut line = line.filter(|(path, _)| module_name(path) == canonical(name));
        match line.next() {
            Some((path, below)) => {
                for module in below.split_whitespace().rev().chain([path]) {
                    if !order.iter().any(|known| known == module) {
                        order.push(module.to_owned());
                    }
                }
            }
            None if builtin.lines().any(|path| module_name(path) == canonical(name)) => {}
            None => return Err(format!("the kernel package has no module {name}")),
        }
    }
    Ok(order)
}

/// The name of a module in a path: `-` and `_` are the same.
pub(super) fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    canonical(file.split_once(".ko").map_or(file, |(name, _)| name))
}

fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/fscache/fscache.ko kernel/fs/netfs/netfs.ko
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio.ko
";

    #[test]
    fn what_a_module_needs_is_loaded_before_it_and_once() {
        let order = load_order(DEP, "kernel/fs/overlay-fs.ko\n", &["9p", "9pnet-virtio"]).unwrap();
        let names: Vec<String> = order.iter().map(|path| module_name(path)).collect();
        assert_eq!(names, ["netfs", "fscache", "9pnet", "9p", "virtio", "9pnet_virtio"]);
    }

    #[test]
    fn a_built_in_module_is_skipped_and_an_unknown_one_an_error() {
        assert_eq!(load_order(DEP, "kernel/fs/overlay-fs.ko\n", &["overlay_fs"]).unwrap(), [""; 0]);
        assert!(load_order(DEP, "", &["overlay"]).unwrap_err().contains("overlay"));
    }
}
