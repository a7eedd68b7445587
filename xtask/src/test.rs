//! `cargo xtask test`.

use crate::process::Watch;
use crate::steps::{Group, Step};
use crate::workspace::Workspace;
use crate::{Result, install, packaged, report, runner, steps};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Lists what this machine lacks for the chosen steps and installs it (Debian, as root).
    #[arg(long)]
    install: bool,
    /// Only this tier's tests: 0 needs nothing, 1 needs root and loop devices, 2 needs qemu.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=2))]
    tier: Option<u8>,
    /// Only steps whose name contains this.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// Prints the chosen steps and runs none.
    #[arg(long)]
    list: bool,
    /// Only tests whose name contains this; leaves the checks and feature sets out.
    filter: Option<String>,
}

/// Whatever happens, the last line says how much passed and failed.
pub(crate) fn run(args: &Args) -> Result<u8> {
    run_chosen(args).or_else(|why| {
        eprintln!("error: {why}");
        println!("{}", report::last_line(0, 1));
        Ok(1)
    })
}

fn run_chosen(args: &Args) -> Result<u8> {
    let watch = Watch::start();
    let workspace = Workspace::load()?;
    let steps = chosen(steps::all(&workspace, args.filter.as_deref()), args);
    if steps.is_empty() {
        return Err("no step has such a name; `cargo xtask test --list` prints them".to_owned());
    }
    if args.list {
        for step in &steps {
            println!("{:8} {}", step.group.name(), step.name);
        }
        return Ok(0);
    }
    if args.install {
        let needs = steps.iter().flat_map(|step| step.needs.iter().copied());
        install::install(needs)?;
    }
    packaged::forget(&workspace);
    let tallies = runner::run(&workspace, &steps);
    println!("\n{:.0} s in all", watch.elapsed().as_secs_f64());
    if let Some(why) = nothing_ran(&tallies, args.filter.as_deref()) {
        eprintln!("error: {why}");
    }
    println!("{}", report::summary(&tallies));
    Ok(code(&tallies))
}

/// What to say where no test ran and nothing failed, which is no success either.
fn nothing_ran(tallies: &[runner::Tally], filter: Option<&str>) -> Option<String> {
    let quiet = tallies.iter().all(|tally| tally.counts.total() == 0);
    let filter = filter.filter(|_| quiet)?;
    Some(format!("no test of these tiers has {filter:?} in its name"))
}

/// The exit code: 0 only if something ran and all of it passed.
fn code(tallies: &[runner::Tally]) -> u8 {
    u8::from(!report::succeeded(tallies))
}

fn chosen(steps: Vec<Step>, args: &Args) -> Vec<Step> {
    let tests_only = args.filter.is_some();
    let of_tier = |step: &Step| match (args.tier, step.group) {
        (None, Group::Checks | Group::Features) => !tests_only,
        (None | Some(0), Group::Tier0)
        | (None | Some(1), Group::Tier1)
        | (None | Some(2), Group::Tier2) => true,
        _ => false,
    };
    let named = |step: &Step| args.only.as_ref().is_none_or(|part| step.name.contains(part));
    steps.into_iter().filter(|step| of_tier(step) && named(step)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(tier: Option<u8>, filter: Option<&str>, only: Option<&str>) -> Vec<Group> {
        let args = Args {
            install: false,
            tier,
            only: only.map(str::to_owned),
            list: false,
            filter: filter.map(str::to_owned),
        };
        let workspace = Workspace::load().unwrap();
        let steps = chosen(steps::all(&workspace, filter), &args);
        let mut groups: Vec<Group> = steps.iter().map(|step| step.group).collect();
        groups.dedup();
        groups
    }

    #[test]
    fn only_a_run_that_passed_ends_with_0() {
        let tally = |passed, failed| runner::Tally {
            group: Group::Tier0,
            counts: crate::cargo_output::Counts { passed, failed, ignored: 0 },
        };
        assert_eq!(code(&[tally(3, 0)]), 0);
        let why = nothing_ran(&[tally(0, 0)], Some("nosuch")).unwrap();
        assert!(why.contains("nosuch"), "{why}");
        assert_eq!(nothing_ran(&[tally(0, 0)], None), None);
        assert_eq!(nothing_ran(&[tally(0, 1)], Some("x")), None);
        for bad in [vec![], vec![tally(0, 0)], vec![tally(3, 0), tally(0, 1)]] {
            assert_eq!(code(&bad), 1, "{bad:?}");
        }
    }

    #[test]
    fn a_tier_a_filter_and_a_name_choose_steps() {
        assert_eq!(groups(None, None, None), Group::ALL);
        assert_eq!(groups(Some(0), None, None), [Group::Tier0]);
        assert_eq!(groups(Some(1), None, None), [Group::Tier1]);
        assert_eq!(groups(Some(2), None, None), [Group::Tier2]);
        let tiers = [Group::Tier0, Group::Tier1, Group::Tier2];
        assert_eq!(groups(None, Some("units"), None), tiers);
        assert_eq!(groups(None, None, Some("clippy")), [Group::Checks]);
    }
}
