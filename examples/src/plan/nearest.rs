//! What somebody may have meant.

/// Longest words that are compared.
const LONGEST: usize = 64;

/// The candidate that takes the fewest changes to make out of `word`, if they are few for its
/// length.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let most = (word.chars().count() / 3).max(1);
    let best = candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(word, candidate)?, candidate)))
        .min();
    best.filter(|(changes, _)| *changes <= most).map(|(_, candidate)| candidate)
}

/// How many characters must be changed, added, left out or swapped with their neighbour, case
/// aside; `None` for long words.
fn distance(a: &str, b: &str) -> Option<usize> {
    let chars = |text: &str| -> Option<Vec<char>> {
        let lower: Vec<char> =
            text.chars().take(LONGEST + 1).flat_map(char::to_lowercase).collect();
        (lower.len() <= LONGEST).then_some(lower)
    };
    let (a, b) = (chars(a)?, chars(b)?);
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX);
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i.saturating_add(1)];
        for (j, y) in b.iter().enumerate() {
            let replaced = at(&row, j).saturating_add(usize::from(x != y));
            let removed = at(&row, j.saturating_add(1)).saturating_add(1);
            let added = at(&next, j).saturating_add(1);
            let mut least = replaced.min(removed).min(added);
            let before = |list: &[char], index: usize| list.get(index.wrapping_sub(1)).copied();
            if i > 0 && j > 0 && before(&a, i) == Some(*y) && before(&b, j) == Some(*x) {
                least = least.min(at(&above, j.saturating_sub(1)).saturating_add(1));
            }
            next.push(least);
        }
        above = std::mem::replace(&mut row, next);
    }
    row.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let fields = ["name", "size", "media", "overcommit", "replicas"];
        for (word, meant) in [
            ("sise", Some("size")),
            ("isze", Some("size")),
            ("Media", Some("media")),
            ("overcomit", Some("overcommit")),
            ("replica", Some("replicas")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, fields), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), fields), None);
    }
}
