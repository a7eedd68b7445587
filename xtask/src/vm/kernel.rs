//! A distribution's kernel: fetched by name through the package client, unpacked into a cache,
//! never installed.

use std::fs;
use std::path::{Path, PathBuf};

use super::image;
use super::run_folder::RunFolder;
use crate::Result;
use crate::process::Call;

/// Debian's generic flavour, the newest of the release. The `cloud` one has no 9p.
pub(crate) const PACKAGE: &str = "linux-image-amd64";
const COMPRESSED: &str = "vmlinuz";
const UNPACKED: &str = "vmlinux";
const SUMS: &str = "SHA256SUMS";
/// Changes with what is kept: checkouts of different age share the cache.
const FORMAT: &str = "2";
/// What is kept of the modules, below `kernel/`: all else has no use in the guest.
const KEPT: [&str; 18] = [
    "arch",
    "block",
    "crypto",
    "fs",
    "lib",
    "mm",
    "net/9p",
    "drivers/ata",
    "drivers/base",
    "drivers/block",
    "drivers/char",
    "drivers/crypto",
    "drivers/dax",
    "drivers/md",
    "drivers/nvme",
    "drivers/scsi",
    "drivers/virtio",
    "virt",
];
/// Hexadecimal digits of the package's hash in the name of its folder.
const DIGITS: usize = 12;

/// A kernel in the cache, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kernel {
    pub(super) folder: PathBuf,
    /// The package's version.
    pub(super) version: String,
    pub(super) release: String,
}

/// One package as the client tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Package {
    depends: String,
    version: String,
    sha256: String,
}

impl Kernel {
    /// The current kernel of the distribution: from the cache if it is there and whole, else
    /// fetched.
    pub(super) fn current() -> Result<Self> {
        let meta = shown(PACKAGE)?;
        let (name, version) = image_of(&meta.depends).ok_or_else(|| {
            format!("the package {PACKAGE} depends on no kernel: {:?}", meta.depends)
        })?;
        let cache = cache_folder()?;
        if let Some(kernel) = cached(&cache, name, version) {
            return Ok(kernel);
        }
        let package = shown(name)?;
        if package.version != version {
            return Err(format!(
                "{PACKAGE} needs {name} {version}, there is {}; run `apt-get update`",
                package.version
            ));
        }
        eprintln!("fetching {name} {version} into {}", cache.display());
        fetch(&cache, name, &package)?;
        cached(&cache, name, version)
            .ok_or_else(|| format!("{name} {version} is not whole after it was fetched"))
    }

    /// The folder of the modules, as `/lib/modules/RELEASE`.
    pub(super) fn modules(&self) -> PathBuf {
        self.folder.join("lib/modules").join(&self.release)
    }

    /// The file that the emulator starts.
    pub(super) fn image(&self) -> PathBuf {
        let unpacked = self.folder.join(UNPACKED);
        if unpacked.is_file() { unpacked } else { self.folder.join(COMPRESSED) }
    }

    /// A module's content, unpacked.
    pub(super) fn module(&self, path: &str) -> Result<Vec<u8>> {
        let path = self.modules().join(path);
        let unpack = |program| {
            Call::new(program, &["-d", "-c"]).args([path.to_string_lossy()]).captured_bytes()
        };
        match path.extension().and_then(|e| e.to_str()) {
            Some("xz") => unpack("xz"),
            Some("zst") => unpack("zstd"),
            Some("gz") => unpack("gzip"),
            _ => fs::read(&path).map_err(|e| format!("{}: {e}", path.display())),
        }
    }
}

/// Whether the package client knows a kernel to fetch.
pub(crate) fn known() -> bool {
    shown(PACKAGE).is_ok_and(|package| image_of(&package.depends).is_some())
}

/// Where fetched and built things of others are kept; it may be removed at any time.
pub(super) fn cache_folder() -> Result<PathBuf> {
    let folder = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let folder = folder.filter(|path| path.is_absolute()).or_else(home);
    let folder = folder.ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(folder.join("open-local-build"))
}

fn shown(name: &str) -> Result<Package> {
    let shown = Call::new("apt-cache", &["show", "--no-all-versions", name]).captured();
    let text = shown.map_err(|_| {
        format!("apt knows no package {name}; run `apt-get update` (Debian on x86-64)")
    })?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Package {
    let field = |name: &str| {
        let fields = text.lines().filter_map(|line| line.split_once(": "));
        let mut of_name = fields.filter(|(field, _)| *field == name);
        of_name.next().map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    Package { depends: field("Depends"), version: field("Version"), sha256: field("SHA256") }
}

/// Name and version of the kernel in the metapackage's `Depends: linux-image-… (= VERSION)`.
fn image_of(depends: &str) -> Option<(&str, &str)> {
    let mut parts = depends.split(',').map(str::trim);
    let part = parts.find(|part| part.starts_with("linux-image-"))?;
    let (name, rest) = part.split_once(' ')?;
    let version = rest.trim().strip_prefix("(=")?.strip_suffix(')')?.trim();
    (!version.is_empty()).then_some((name, version))
}

/// The folder of this version whose files are all as they were when it was made.
fn cached(cache: &Path, name: &str, version: &str) -> Option<Kernel> {
    let (prefix, suffix) = (format!("kernel-{version}-"), format!("-{FORMAT}"));
    let entries = fs::read_dir(cache).ok()?.flatten();
    let mut folders = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let hash = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(&suffix));
        hash.is_some_and(|h| h.len() == DIGITS && h.chars().all(|c| c.is_ascii_hexdigit()))
    });
    let folder = folders.find(|entry| whole(&entry.path()))?.path();
    let release = name.strip_prefix("linux-image-")?.to_owned();
    Some(Kernel { folder, version: version.to_owned(), release })
}

fn whole(folder: &Path) -> bool {
    let check = ["--check", "--quiet", "--strict", "--status", SUMS];
    Call::new("sha256sum", &check).dir(folder).captured().is_ok()
}

/// Downloads and unpacks into a folder of our own, which takes its name when it is complete:
/// several runs may do so at once.
fn fetch(cache: &Path, name: &str, package: &Package) -> Result<()> {
    // What a killed fetch left goes the same way as folders of ended runs.
    let folder = RunFolder::new(&cache.join("fetch"))?;
    let work = folder.path();
    let fetched = fetch_into(work, name).and_then(|kernel| {
        let hash = package.sha256.get(..DIGITS).ok_or("apt tells no hash of the kernel")?;
        let target = cache.join(format!("kernel-{}-{hash}-{FORMAT}", package.version));
        // A folder of this name is one that is not whole, or another run's that just came.
        if !whole(&target) {
            let _ = fs::remove_dir_all(&target);
            let renamed = fs::rename(&kernel, &target);
            renamed
                .or_else(|e| if whole(&target) { Ok(()) } else { Err(e) })
                .map_err(|e| format!("{}: {e}", target.display()))?;
        }
        Ok(())
    });
    let _ = fs::remove_dir_all(work);
    fetched
}

fn fetch_into(work: &Path, name: &str) -> Result<PathBuf> {
    let about = |e| format!("{}: {e}", work.display());
    fs::create_dir_all(work).map_err(about)?;
    Call::new("apt-get", &["-q", "download", name]).dir(work).captured()?;
    let files = fs::read_dir(work).map_err(about)?.flatten().map(|entry| entry.path());
    let mut files = files.filter(|path| path.extension().is_some_and(|e| e == "deb"));
    let archive = files.next().ok_or("apt-get downloaded nothing")?;
    let (all, kernel) = (work.join("all"), work.join("kernel"));
    let unpack = Call::new("dpkg-deb", &["-x"]);
    unpack.args([archive.to_string_lossy(), all.to_string_lossy()]).captured()?;
    let release = name.strip_prefix("linux-image-").unwrap_or(name);
    fs::create_dir_all(&kernel).map_err(about)?;
    copy_image(&all.join("boot").join(format!("vmlinuz-{release}")), &kernel)?;
    keep_modules(&all, &kernel, release)?;
    let text = Call::new("sha256sum", &["--"]).args(files_below(&kernel)?).dir(&kernel);
    fs::write(kernel.join(SUMS), text.captured()?).map_err(about)?;
    Ok(kernel)
}

/// Every file below a folder, sorted, as paths from it.
fn files_below(root: &Path) -> Result<Vec<String>> {
    let mut folders = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let about = |e| format!("{}: {e}", folder.display());
        for entry in fs::read_dir(&folder).map_err(about)? {
            let entry = entry.map_err(about)?;
            let path = entry.path();
            if entry.file_type().map_err(about)?.is_dir() {
                folders.push(path);
            } else {
                let path = path.strip_prefix(root).unwrap_or(&path);
                files.push(path.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    Ok(files)
}

fn copy_image(image: &Path, kernel: &Path) -> Result<()> {
    let about = |e| format!("{}: {e}", image.display());
    let bytes = fs::read(image).map_err(about)?;
    fs::write(kernel.join(COMPRESSED), &bytes).map_err(about)?;
    let Some(payload) = image::xz_payload(&bytes) else {
        return Ok(());
    };
    let packed = kernel.join("payload.xz");
    fs::write(&packed, payload).map_err(about)?;
    // The unpacked size follows the stream.
    let unpack = Call::new("xz", &["-d", "-c", "--single-stream"]).args([packed.to_string_lossy()]);
    let unpacked = unpack.captured_bytes();
    fs::remove_file(&packed).map_err(about)?;
    fs::write(kernel.join(UNPACKED), unpacked?).map_err(about)
}

fn keep_modules(all: &Path, kernel: &Path, release: &str) -> Result<()> {
    let below = Path::new("lib/modules").join(release);
    // A merged /usr may one day reach the package too.
    let merged = all.join("usr").join(&below);
    let from = if merged.is_dir() { merged } else { all.join(&below) };
    let to = kernel.join(&below);
    let about = |path: &Path, e| format!("{}: {e}", path.display());
    for folder in KEPT {
        let (from, to) = (from.join("kernel").join(folder), to.join("kernel").join(folder));
        if !from.is_dir() {
            continue;
        }
        let parent = to.parent().unwrap_or(&to);
        fs::create_dir_all(parent).map_err(|e| about(parent, e))?;
        fs::rename(&from, &to).map_err(|e| about(&from, e))?;
    }
    for list in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
        fs::copy(from.join(list), to.join(list)).map_err(|e| about(&from.join(list), e))?;
    }
    Call::new("depmod", &["-b"]).args([&*kernel.to_string_lossy(), release]).captured()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metapackage_names_the_kernel() {
        let package = parse(
            "Package: linux-image-amd64\nVersion: 6.1.192-2\nDepends: \
             linux-image-6.1.0-56-amd64 (= 6.1.192-2)\nSHA256: 4545\n\nPackage: other\nVersion: 1\n",
        );
        assert_eq!(package.version, "6.1.192-2");
        assert_eq!(package.sha256, "4545");
        assert_eq!(image_of(&package.depends), Some(("linux-image-6.1.0-56-amd64", "6.1.192-2")));
        for odd in ["", "linux-image-x", "linux-base (= 1)", "linux-image-x (>= 1)"] {
            assert_eq!(image_of(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_cached_kernel_is_used_only_whole() {
        let cache = std::env::temp_dir().join(format!("xtask-cache-{}", std::process::id()));
        let folder = cache.join(format!("kernel-1.2-3-0123456789ab-{FORMAT}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("vmlinuz"), "kernel").unwrap();
        let find = || cached(&cache, "linux-image-1.2-amd64", "1.2-3");
        assert_eq!(find(), None, "it has no sums");
        let sums = Call::new("sha256sum", &["vmlinuz"]).dir(&folder).captured().unwrap();
        fs::write(folder.join(SUMS), sums).unwrap();
        let found = find();
        fs::write(folder.join("vmlinuz"), "other").unwrap();
        let changed = find();
        fs::remove_dir_all(&cache).unwrap();
        let found = found.unwrap();
        assert_eq!((found.release.as_str(), found.folder), ("1.2-amd64", folder));
        assert_eq!(changed, None);
        assert_eq!(find(), None, "the cache is gone");
    }
}
