//! What is written is what is read, and nothing else is.

use crate::conformance::case::{Case, Checked};
use crate::conformance::lab::Context;
use crate::units::Bytes;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "content/survives_unpublishing",
        "What was written is read again after unpublishing and publishing.",
        survives_unpublishing,
    ),
    Case::new(
        "content/fresh_reads_as_zeroes",
        "A new volume reads as zeroes, also where a removed one held data.",
        fresh_reads_as_zeroes,
    ),
    Case::new(
        "content/volumes_do_not_touch",
        "Writing one volume changes no other.",
        volumes_do_not_touch,
    ),
];

fn survives_unpublishing(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 1)?.size;
    lab.holds("data", 1, size)?;
    lab.stamp("data", 2)?;
    lab.holds("data", 2, size)
}

fn fresh_reads_as_zeroes(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("old", 3)?;
    lab.filled("other", 4)?;
    lab.remove("old")?;
    lab.create("new", context.mib(4)?)?;
    lab.zero_from("new", Bytes::ZERO)?;
    lab.remove("other")?;
    lab.create("old", context.mib(8)?)?;
    lab.zero_from("old", Bytes::ZERO)
}

fn volumes_do_not_touch(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let names = [("a", 5), ("b", 6), ("c", 7)];
    let mut size = Bytes::ZERO;
    for (name, seed) in names {
        size = lab.filled(name, seed)?.size;
    }
    lab.stamp("b", 8)?;
    lab.remove("c")?;
    lab.holds("a", 5, size)?;
    lab.holds("b", 8, size)
}
