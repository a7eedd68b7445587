//! Lists of regular expressions that choose devices by the path of their node.
//!
//! The semantics are those of the original's include and exclude lists: an expression means a
//! name if its *leftmost-first* match is the whole name. So an expression needs no `^` and `$`,
//! and of alternatives the first that matches counts: `/dev/sda|/dev/sda1` does not mean
//! `/dev/sda1`. A device is chosen if an include means it and no exclude does; an empty include
//! list chooses nothing.
//!
//! The syntax is that of the crate `regex` for ASCII text, as RE2's: `\d` is `[0-9]`. The engine
//! takes time linear in the length of the name, whatever the expression, and an expression that
//! would need much memory is refused.

use regex::bytes::{Regex, RegexBuilder};

use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// Most expressions of a list.
pub const MAX_EXPRESSIONS: usize = 256;
/// Longest expression, in bytes.
pub const MAX_EXPRESSION: usize = 4096;
/// Memory a compiled expression may take.
const SIZE_LIMIT: usize = 256 << 10;
/// Groups within groups.
const NEST_LIMIT: u32 = 64;

/// What a filter says of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection<'a> {
    /// It is chosen.
    Chosen,
    /// No include means it.
    NotIncluded,
    /// This exclude means it.
    Excluded(&'a str),
}

/// Include and exclude lists.
#[derive(Debug, Clone)]
pub struct Filter {
    /// `None` includes everything.
    include: Option<Vec<Regex>>,
    exclude: Vec<Regex>,
}

impl Default for Filter {
    fn default() -> Self {
        Self::everything()
    }
}

impl Filter {
    /// Chooses every device.
    #[must_use]
    pub const fn everything() -> Self {
        Self { include: None, exclude: Vec::new() }
    }

    /// Chooses what the lists say; nothing if `include` is empty.
    ///
    /// # Errors
    /// `InvalidArgument` naming the expression and the place in it that is wrong, and for more
    /// than [`MAX_EXPRESSIONS`] in a list, one longer than [`MAX_EXPRESSION`], and one that would
    /// take more than 256 KiB of memory.
    pub fn new<I: AsRef<str>, E: AsRef<str>>(include: &[I], exclude: &[E]) -> Result<Self> {
        Ok(Self { include: Some(compile(include)?), exclude: compile(exclude)? })
    }

    /// Chooses everything but what the list says.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn all_but<E: AsRef<str>>(exclude: &[E]) -> Result<Self> {
        Ok(Self { include: None, exclude: compile(exclude)? })
    }

    /// What it says of a name, such as `/dev/sda`.
    #[must_use]
    pub fn judge(&self, name: &str) -> Selection<'_> {
        let included = |list: &Vec<Regex>| list.iter().any(|one| means(one, name));
        if !self.include.as_ref().is_none_or(included) {
            return Selection::NotIncluded;
        }
        match self.exclude.iter().find(|one| means(one, name)) {
            Some(one) => Selection::Excluded(one.as_str()),
            None => Selection::Chosen,
        }
    }

    /// The chosen names, sorted, each once.
    #[must_use]
    pub fn select<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let chosen = |name: &&str| self.judge(name) == Selection::Chosen;
        let mut names: Vec<&str> = names.into_iter().filter(chosen).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn means(expression: &Regex, name: &str) -> bool {
    let found = expression.find(name.as_bytes());
    found.is_some_and(|found| found.range() == (0..name.len()))
}

fn compile<T: AsRef<str>>(list: &[T]) -> Result<Vec<Regex>> {
    if list.len() > MAX_EXPRESSIONS {
        let message = format!("{} expressions are more than {MAX_EXPRESSIONS}", list.len());
        return Err(Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::Host, message)
            .with_remedy("join some of them: one expression may have alternatives"));
    }
    list.iter().map(|expression| compile_one(expression.as_ref())).collect()
}

fn compile_one(expression: &str) -> Result<Regex> {
    let refuse = |message: String| {
        Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::value(expression), message)
    };
    if expression.len() > MAX_EXPRESSION {
        let message = format!("the expression has more than {MAX_EXPRESSION} bytes");
        return Err(refuse(message).with_remedy("use several shorter ones"));
    }
    // The parser of the same crate, asked first because it tells the place.
    let mut parser = regex_syntax::ParserBuilder::new();
    parser.unicode(false).utf8(false).nest_limit(NEST_LIMIT);
    if let Err(e) = parser.build().parse(expression) {
        let (what, at) = match &e {
            regex_syntax::Error::Parse(e) => (e.kind().to_string(), e.span().start.offset),
            regex_syntax::Error::Translate(e) => (e.kind().to_string(), e.span().start.offset),
            _ => (e.to_string(), 0),
        };
        let place = expression.get(..at).unwrap_or(expression).chars().count().saturating_add(1);
        let message = format!("the expression is wrong at character {place}: {what}");
        return Err(refuse(message)
            .with_remedy("mend it; /dev/sd[b-z] or /dev/nvme\\d+n\\d+ are expressions that work"));
    }
    let mut builder = RegexBuilder::new(expression);
    builder.unicode(false).size_limit(SIZE_LIMIT).nest_limit(NEST_LIMIT);
    builder.build().map_err(|e| match e {
        regex::Error::CompiledTooBig(limit) => {
            refuse(format!("the expression would take more than {limit} bytes of memory"))
                .with_remedy("use smaller counts than those in its braces")
        }
        other => refuse("the expression is refused".to_owned()).with_source(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn selects(include: &[&str], exclude: &[&str], names: &[&'static str]) -> Vec<&'static str> {
        Filter::new(include, exclude).unwrap().select(names.iter().copied())
    }

    #[test]
    fn a_match_must_be_the_whole_name_leftmost_first() {
        let names = ["/dev/sdb", "/dev/sda", "/dev/sda1", "/dev/nvme0n1"];
        assert_eq!(selects(&["/dev/sd[ab]"], &[], &names), ["/dev/sda", "/dev/sdb"]);
        assert_eq!(selects(&["sda"], &[], &names), [""; 0]);
        assert_eq!(selects(&[".*sda|x"], &[], &names), ["/dev/sda"]);
        // As in the original: the first alternative matches a part, and that is that.
        assert_eq!(selects(&["/dev/sda|/dev/sda1"], &[], &names), ["/dev/sda"]);
        assert_eq!(selects(&["/dev/sda1|/dev/sda"], &[], &names), ["/dev/sda", "/dev/sda1"]);
        assert_eq!(selects(&[r"/dev/\w+"], &["/dev/s.*"], &names), ["/dev/nvme0n1"]);
        assert_eq!(
            selects(&[r"/dev/nvme\dn\d", "/dev/sd."], &["/dev/sda"], &names),
            ["/dev/nvme0n1", "/dev/sdb"]
        );
    }

    #[test]
    fn no_include_chooses_nothing_and_no_filter_everything() {
        assert_eq!(selects(&[], &[], &["/dev/sda"]), [""; 0]);
        assert_eq!(Filter::everything().judge("/dev/sda"), Selection::Chosen);
        let filter = Filter::all_but(&["/dev/sd.*"]).unwrap();
        assert_eq!(filter.judge("/dev/sda"), Selection::Excluded("/dev/sd.*"));
        assert_eq!(filter.judge("/dev/vda"), Selection::Chosen);
    }

    #[test]
    fn a_wrong_expression_is_named_with_its_place() {
        for (bad, place, part) in [
            ("/dev/(sd", 6, "unclosed group"),
            ("/dev/sd[", 8, "class"),
            ("a{2,1}", 2, "repetition"),
            ("*", 1, "repetition"),
            (r"(a)\1", 4, "backreference"),
            (r"\pL", 1, "Unicode"),
            ("(?=a)", 1, "look"),
        ] {
            let error = Filter::new(&[bad], &[""; 0]).unwrap_err();
            let text = error.report().to_string();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text}");
            assert!(text.contains(&format!("character {place}")), "{text}");
            assert!(text.contains(part) && error.subject() == &Subject::value(bad), "{text}");
            assert!(Filter::all_but(&[bad]).is_err());
        }
    }

    #[test]
    fn what_ruins_a_backtracking_engine_is_harmless_or_refused_by_name() {
        let long: String = "/dev/".chars().chain("a".repeat(60_000).chars()).collect();
        let filter = Filter::new(&["/dev/(a+)+b", "/dev/(a|aa)+b", "/dev/(.*)*x"], &[""; 0]);
        assert_eq!(filter.unwrap().judge(&long), Selection::NotIncluded);
        for bad in ["(a{1000}){1000}", "((a{100}){100}){100}"] {
            let error = Filter::new(&[bad], &[""; 0]).unwrap_err();
            assert!(error.report().to_string().contains("memory"), "{}", error.report());
        }
        let nested = "(".repeat(1000) + &")".repeat(1000);
        assert!(Filter::new(&[&nested], &[""; 0]).is_err());
        assert!(Filter::new(&["a".repeat(MAX_EXPRESSION + 1)], &[""; 0]).is_err());
        assert!(Filter::new(&vec!["a"; MAX_EXPRESSIONS + 1], &[""; 0]).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_an_expression_or_an_error(text in "\\PC{0,24}") {
            if let Ok(filter) = Filter::new(&[&text], &[&text]) {
                // What is included is excluded by the same expression.
                prop_assert_ne!(filter.judge("/dev/sda"), Selection::Chosen);
            }
        }

        #[test]
        fn the_selection_is_sorted_and_does_not_depend_on_the_order(
            mut names in prop::collection::vec("/dev/[a-d]{1,2}[0-3]?", 0..12),
        ) {
            let filter = Filter::new(&["/dev/[a-c].*"], &["/dev/.1"]).unwrap();
            let chosen: Vec<String> =
                filter.select(names.iter().map(String::as_str)).into_iter().map(str::to_owned).collect();
            prop_assert!(chosen.is_sorted());
            names.reverse();
            let again = filter.select(names.iter().map(String::as_str));
            prop_assert_eq!(chosen, again);
        }
    }
}
