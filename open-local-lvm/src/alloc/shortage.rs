//! How much there is room for.

use open_local_core::{Error, ErrorKind, Extents, Op, Subject};

use super::map::FreeMap;
use super::request::{Policy, Request};
use super::space::Space;

/// Whether so many rows of stripes find room on physical volumes with so many free extents each,
/// stripes of a row on different ones.
///
/// A physical volume serves a row at most once, so it is worth no more than the rows. That this
/// is enough too is the wrap-around rule for machines that may interrupt jobs (McNaughton 1959).
pub(super) fn fits(totals: impl IntoIterator<Item = u64>, stripes: usize, rows: u64) -> bool {
    let sum: u128 = totals.into_iter().map(|total| u128::from(total.min(rows))).sum();
    u128::try_from(stripes).is_ok_and(|stripes| sum >= stripes.saturating_mul(rows.into()))
}

/// The most of a range for which something holds that holds for less whenever it does for more.
pub(super) fn most(limit: u64, mut holds: impl FnMut(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0u64, limit);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if holds(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// The most extents a request could get, all stripes together, whatever it asks for.
///
/// # Errors
/// `NotFound` or `Refused` for a chosen physical volume that does not exist or can't be used.
pub fn largest(map: &FreeMap, request: &Request) -> Result<Extents, Error> {
    let space = Space::new(map, &request.choice)?;
    Ok(largest_in(&space, request))
}

fn largest_in(space: &Space, request: &Request) -> Extents {
    let stripes = usize::try_from(request.stripes).unwrap_or(usize::MAX);
    let nth = |mut sizes: Vec<u64>| {
        sizes.sort_unstable_by_key(|size| std::cmp::Reverse(*size));
        stripes.checked_sub(1).and_then(|last| sizes.get(last).copied()).unwrap_or(0)
    };
    let members = || 0..space.members.len();
    let totals = |members: &[usize]| -> Vec<u64> {
        members.iter().map(|index| space.total(*index)).collect()
    };
    let wrapped = |totals: Vec<u64>| {
        let limit = totals.iter().sum();
        most(limit, |rows| fits(totals.iter().copied(), stripes, rows))
    };
    let rows = match (request.policy, &request.tail) {
        (Policy::Contiguous, Some(_)) => space.behind(request).map_or(0, |(_, room)| room),
        (Policy::Contiguous, None) => nth(members().map(|i| space.largest_run(i)).collect()),
        (Policy::Cling, None) => nth(totals(&members().collect::<Vec<_>>())),
        (Policy::Cling, Some(tail)) => wrapped(totals(&space.of(&tail.pvs))),
        (Policy::Normal, _) => wrapped(totals(&members().collect::<Vec<_>>())),
    };
    Extents::new(rows.saturating_mul(u64::from(request.stripes)))
}

/// The error for a request that finds no room: what was asked, is free, and could be had.
pub(super) fn shortage(space: &Space, request: &Request) -> Error {
    let free: u64 = space.members.iter().map(|member| member.total).sum();
    let largest = largest_in(space, request);
    let form = match request.stripes {
        1 => String::new(),
        stripes => format!(" in {stripes} stripes"),
    };
    let growing = if request.tail.is_some() { " for growth" } else { "" };
    let message = format!(
        "{} asked{form}{growing}, {free} free on the physical volumes that may be used, of which \
         policy {} can give {} at most",
        request.extents,
        request.policy.as_str(),
        largest.get(),
    );
    Error::new(ErrorKind::OutOfSpace, Op::PlanChange, Subject::value("extents"), message)
        .with_remedy("ask for less, use fewer stripes or a weaker policy, or add a physical volume")
}
