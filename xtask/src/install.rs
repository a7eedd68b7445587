//! `--install`: brings a fresh Debian machine what the chosen work needs.

use crate::Result;
use crate::needs::{self, Need};
use crate::process::Call;

/// Lists what is missing and installs the packages among it. What no package brings is left to
/// the step that needs it, which names it and fails.
pub(crate) fn install(wanted: impl IntoIterator<Item = Need>) -> Result<()> {
    let missing = needs::missing(wanted);
    if missing.is_empty() {
        println!("nothing to install: this machine has all that is needed");
        return Ok(());
    }
    println!("missing:");
    for need in &missing {
        println!("  {}", need.describe());
    }
    let packages = needs::packages(&missing);
    let lists = missing.contains(&Need::GuestKernel);
    if packages.is_empty() && !lists {
        return Ok(());
    }
    let line = match packages.as_slice() {
        [] => "apt-get update".to_owned(),
        packages => needs::apt_line(packages),
    };
    if !needs::is_root() {
        return Err(format!(
            "only root can install packages; run this first:\n  sudo sh -c '{line}'"
        ));
    }
    let apt = Need::Program { name: "apt-get", package: "apt" };
    if !apt.met() {
        return Err(
            "there is no apt-get here; install the programs above by other means".to_owned()
        );
    }
    apt_get(&["update"], &[])?;
    if !packages.is_empty() {
        println!("installing: {}", packages.join(" "));
        apt_get(&["install", "-y", "--no-install-recommends"], &packages)?;
    }
    let left = needs::missing(missing.into_iter().filter(|need| need.package().is_some()));
    if left.is_empty() {
        return Ok(());
    }
    Err(format!("after the installation {}", needs::complaint(&left)))
}

fn apt_get(words: &[&str], packages: &[&str]) -> Result<()> {
    // Another apt may be running on a machine that has just started.
    let status = Call::new("apt-get", &["-q", "-o", "DPkg::Lock::Timeout=300"])
        .args(words.iter().copied())
        .args(packages.iter().copied())
        .env("DEBIAN_FRONTEND", "noninteractive")
        .inherited()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("apt-get {} failed: {status}", words.join(" ")))
}
