//! What may be said of tags in messages.

use crate::spec::Tags;

/// The keys that two sets of tags do not share with the same value, for messages: values may be
/// nobody's business, and messages are logged.
pub(crate) fn differing_tags(a: &Tags, b: &Tags) -> String {
    let mut keys: Vec<&str> = a
        .iter()
        .filter(|(key, value)| b.get(*key) != Some(value))
        .chain(b.iter().filter(|(key, _)| !a.contains_key(*key)))
        .map(|(key, _)| key.as_str())
        .collect();
    keys.sort_unstable();
    keys.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_differ_are_told_by_key_and_never_by_value() {
        let tags = |pairs: &[(&str, &str)]| -> Tags {
            let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
            pairs.iter().map(own).collect()
        };
        let (a, b) = (
            tags(&[("same", "1"), ("changed", "hush"), ("old", "hush")]),
            tags(&[("same", "1"), ("changed", "quiet"), ("new", "quiet")]),
        );
        assert_eq!(differing_tags(&a, &b), "changed, new, old");
        assert_eq!(differing_tags(&a, &a), "");
    }
}
