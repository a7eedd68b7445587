//! The guest's first root: a static busybox, the modules that reach the host's root, a script.

use std::path::Path;

use super::cpio::Archive;
use super::modules::module_name;
use super::protocol::{BUSYBOX, FOLDER, JOB, SHARE};
use crate::Result;

/// Said on the console by a machine that runs at all.
pub(super) const ALIVE: &str = "open-local-vm: alive";

/// What the script has to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root<'a> {
    /// The kernel's release: the name of the folder of its modules.
    pub(super) release: &'a str,
    /// That folder on the host.
    pub(super) modules: &'a Path,
    /// This program on the host.
    pub(super) program: &'a Path,
}

/// The archive: `modules` are file names with content, in load order.
pub(super) fn archive(
    busybox: &[u8],
    modules: &[(String, Vec<u8>)],
    script: &str,
) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "host", "modules", "new", "proc", "up"] {
        archive.folder(folder)?;
    }
    archive.device("dev/console", 5, 1)?;
    archive.file("bin/busybox", busybox)?;
    for (number, (path, content)) in modules.iter().enumerate() {
        // The script loads them in the order of their names.
        archive.file(&format!("modules/{number:03}-{}.ko", module_name(path)), content)?;
    }
    archive.file("init", script.as_bytes())?;
    archive.finish()
}

/// Shows that the machine runs, and ends it.
pub(super) fn probe_script() -> String {
    format!(
        "#!/bin/busybox sh\nb=/bin/busybox\n$b mount -t proc proc /proc\necho '{ALIVE}'\n\
         echo o > /proc/sysrq-trigger\n$b sleep 60\n"
    )
}

/// Puts a file system in memory over the host's root, which the emulator exports read-only, and
/// goes there. Process 1 stays a shell on the static busybox in memory: it must end the machine
/// even where a test has removed everything else.
pub(super) fn script(root: &Root<'_>) -> String {
    let release = root.release;
    let modules = quoted(&format!("/host{}", root.modules.display()));
    let program = quoted(&root.program.to_string_lossy());
    format!(
        "#!/bin/busybox sh
b=/bin/busybox
fail() {{ echo \"open-local-vm: $1\"; $b mount -t proc proc /proc; echo o > /proc/sysrq-trigger; $b sleep 60; }}
for m in /modules/*.ko; do $b insmod $m || fail \"can't load $m\"; done
p=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o $p,cache=loose,ro host /host || fail 'no root of the host'
$b mount -t tmpfs tmpfs /up
$b mkdir /up/upper /up/work
$b mount -t overlay -o lowerdir=/host,upperdir=/up/upper,workdir=/up/work overlay /new || fail 'no overlay'
for d in proc sys dev run; do $b mkdir -p /new/$d; done
$b mount -t proc proc /new/proc
$b mount -t sysfs sysfs /new/sys
$b mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
$b mount -t devtmpfs dev /new/dev
$b mkdir -p /new/dev/pts /new/dev/shm
$b mount -t devpts -o mode=620,ptmxmode=666 devpts /new/dev/pts
$b mount -t tmpfs tmpfs /new/dev/shm
for l in fd fd/0:stdin fd/1:stdout fd/2:stderr; do
  $b ln -s /proc/self/${{l%:*}} /new/dev/${{l#*:}}
done
$b mount -t tmpfs -o mode=755 tmpfs /new/run
$b mkdir -p /new/run/lock /new{SHARE} /new/lib/modules/{release}
$b mount -t 9p -o $p,cache=none share /new{SHARE} || fail 'no share'
$b mount --bind {modules} /new/lib/modules/{release} || fail 'no modules'
$b cp $b /new{BUSYBOX}
$b hostname guest
$b ifconfig lo 127.0.0.1 up
echo {program} > /new{FOLDER}/program
cat > /new{FOLDER}/init <<'EOF'
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
read -r program < {FOLDER}/program
\"$program\" vm agent {SHARE}/{JOB}
echo \"open-local-vm: the agent ended with $?\"
echo o > /proc/sysrq-trigger
while :; do {BUSYBOX} sleep 1; done
EOF
exec $b switch_root /new {BUSYBOX} sh {FOLDER}/init
"
    )
    .replace("cat > /new", "$b cat > /new")
}

/// A word of a shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Call;

    fn odd_script() -> String {
        script(&Root {
            release: "6.1.0-1-amd64",
            modules: Path::new("/a b/it's"),
            program: Path::new("/x y/xtask"),
        })
    }

    #[test]
    fn the_script_is_a_script_whatever_the_paths() {
        let script = odd_script();
        assert!(script.contains(r"--bind '/host/a b/it'\''s' /new/lib/modules/6.1.0-1-amd64"));
        assert!(script.contains("echo '/x y/xtask' >"));
        for script in [script, probe_script()] {
            Call::new("sh", &["-n", "-c", &script]).captured().unwrap();
        }
    }

    #[test]
    fn the_host_is_mounted_read_only() {
        let script = odd_script();
        let line = script.lines().find(|line| line.contains(" host /host")).unwrap();
        assert!(line.contains(",ro "), "{line}");
    }

    #[test]
    fn modules_keep_their_order_in_their_names() {
        let modules = [("kernel/b.ko.xz", b"2"), ("kernel/a.ko", b"1")]
            .map(|(path, content)| (path.to_owned(), content.to_vec()));
        let archive = archive(b"busybox", &modules, "script").unwrap();
        let text = String::from_utf8_lossy(&archive);
        assert!(text.contains("modules/000-b.ko") && text.contains("modules/001-a.ko"));
        assert!(text.contains("bin/busybox") && text.contains("script"));
    }
}
