//! Rust text with everything blanked that is no code.

/// The same text with comments, strings and character literals replaced by blanks; line breaks
/// stay, so that line numbers do.
pub(crate) fn only_code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let length = if after_word && !matches!(first, '"' | '/') { None } else { not_code(rest) };
        let (head, tail) = rest.split_at(length.unwrap_or(first.len_utf8()));
        if length.is_some() {
            out.extend(head.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(head);
        }
        after_word = length.is_none() && (first.is_alphanumeric() || first == '_');
        rest = tail;
    }
    out
}

/// How many bytes at the start of the text are a comment, a string or a character; `None` for
/// code. An unfinished one reaches to the end.
fn not_code(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    let unprefixed = text.strip_prefix(['b', 'c']).unwrap_or(text);
    let prefix = text.len().saturating_sub(unprefixed.len());
    let literal = raw_string(unprefixed)
        .or_else(|| unprefixed.strip_prefix('"').map(|body| quoted(body, '"').saturating_add(1)))
        .or_else(|| character(unprefixed))?;
    Some(prefix.saturating_add(literal))
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0usize;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let step = if rest.starts_with("/*") {
            depth = depth.saturating_add(1);
            2
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            2
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        at = at.saturating_add(step);
        if depth == 0 {
            break;
        }
    }
    at
}

fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix('r')?;
    let hashes = body.bytes().take_while(|b| *b == b'#').count();
    body.get(hashes..)?.strip_prefix('"')?;
    let start = hashes.saturating_add(2);
    let end = format!("\"{}", "#".repeat(hashes));
    let found = text.get(start..)?.find(&end);
    Some(found.map_or(text.len(), |at| start.saturating_add(at).saturating_add(end.len())))
}

/// The length of a quoted body with its closing quote.
fn quoted(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at.saturating_add(1),
            _ => {}
        }
    }
    body.len()
}

/// A character literal, which is not a lifetime: `'x'` or an escape.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let mut chars = body.chars();
    let first = chars.next()?;
    if first == '\\' || chars.next() == Some('\'') {
        return Some(quoted(body, '\'').saturating_add(1));
    }
    None
}

/// Whether the line holds `word` with nothing of a name around it.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|s| s.chars().next_back());
        let after = line.get(at.saturating_add(word.len())..).and_then(|s| s.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_is_not() {
        let cases = [
            ("a // x\nb", "a     \nb"),
            ("a /* x /* y */ z */ b", "a                   b"),
            (r#"f("x\"y", z)"#, "f(      , z)"),
            (r###"r#"a"b"# + c"###, "         + c"),
            ("'a' 'b: loop {}", "    'b: loop {}"),
            (r"'\'' + x", "     + x"),
            ("b\"x\" br\"y\" b'z' bar", "                bar"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("var\"s\"", "var   "),
            ("\"open", "     "),
        ];
        for (text, code) in cases {
            assert_eq!(only_code(text), code, "{text}");
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        let text = "/* a\n b */ \"c\nd\" e";
        assert_eq!(only_code(text).lines().count(), text.lines().count());
    }

    #[test]
    fn words_stand_alone() {
        assert!(has_word("x = unsafe { y }", "unsafe"));
        assert!(!has_word("unsafe_code = 1; my_unsafe", "unsafe"));
    }
}
