//! The few values of `lvm.conf` (lvm.conf(5)) that others than lvm2 have to agree with.

use std::collections::BTreeMap;

/// Values beyond this many are not kept.
const MAX_VALUES: usize = 10_000;
/// Sections deeper than this are not kept.
const MAX_DEPTH: usize = 16;

/// Single values of a configuration file by their path (`backup/archive`).
///
/// The reader is lenient, as lvm2's own files have shapes we have no use for: lists, words without
/// quotes, octal numbers. What it does not understand is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LvmConf {
    values: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Open,
    Close,
    Equals,
    Other,
}

impl LvmConf {
    /// Reads any bytes. Of a path that is there more than once the last counts.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let mut conf = Self::default();
        let mut path: Vec<String> = Vec::new();
        let mut skipped = 0usize;
        let mut tokens = tokens(&text).into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                Token::Word(key) => match tokens.peek() {
                    Some(Token::Open) => {
                        tokens.next();
                        if path.len() < MAX_DEPTH {
                            path.push(key);
                        } else {
                            skipped = skipped.saturating_add(1);
                        }
                    }
                    Some(Token::Equals) => {
                        tokens.next();
                        if let Some(Token::Word(_)) = tokens.peek()
                            && let Some(Token::Word(value)) = tokens.next()
                            && skipped == 0
                        {
                            conf.keep(&path, &key, value);
                        }
                    }
                    _ => {}
                },
                Token::Close if skipped > 0 => skipped -= 1,
                Token::Close => {
                    path.pop();
                }
                Token::Open | Token::Equals | Token::Other => {}
            }
        }
        conf
    }

    fn keep(&mut self, path: &[String], key: &str, value: String) {
        // `backup/archive = 0` outside of a section is the same as inside.
        let mut parts: Vec<&str> = path.iter().map(String::as_str).collect();
        parts.push(key);
        if self.values.len() < MAX_VALUES {
            self.values.insert(parts.join("/"), value);
        }
    }

    /// A value as text.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.values.get(path).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A value as a number.
    #[must_use]
    pub fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// A value as yes or no.
    #[must_use]
    pub fn flag(&self, path: &str) -> Option<bool> {
        match self.text(path)? {
            "0" | "n" | "no" | "off" | "false" => Some(false),
            "1" | "y" | "yes" | "on" | "true" => Some(true),
            _ => None,
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            '#' => while rest.next_if(|c| *c != '\n').is_some() {},
            '{' => found.push(Token::Open),
            '}' => found.push(Token::Close),
            '=' => found.push(Token::Equals),
            '"' => found.push(Token::Word(quoted(&mut rest))),
            space if space.is_whitespace() => {}
            plain if is_plain(plain) => {
                let mut word = String::from(plain);
                while let Some(next) = rest.next_if(|c| is_plain(*c)) {
                    word.push(next);
                }
                found.push(Token::Word(word));
            }
            _ => found.push(Token::Other),
        }
    }
    found
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-+./@:".contains(c)
}

fn quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(next) = rest.next() {
        match next {
            '"' => break,
            '\\' => word.extend(rest.next()),
            other => word.push(other),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sections_paths_lists_and_comments_are_told_apart() {
        let conf = LvmConf::parse(
            b"# x = 1\na { b = 1 c { d=\"e # f\" } list = [ \"x\", \"y\" ]\n g = [] h = 077 }
              a/i=no\nj = 2 } k { l = 3 }",
        );
        assert_eq!(conf.number("a/b"), Some(1));
        assert_eq!(conf.text("a/c/d"), Some("e # f"));
        assert_eq!(conf.text("a/list"), None);
        assert_eq!(conf.text("a/h"), Some("077"));
        assert_eq!(conf.flag("a/i"), Some(false));
        assert_eq!(conf.number("j"), Some(2));
        assert_eq!(conf.number("k/l"), Some(3));
        assert_eq!(conf.text("x"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(text: Vec<u8>) {
            let _ = LvmConf::parse(&text);
        }

        #[test]
        fn any_shape_gives_an_answer(text in "[a-c{}=\"#\\[\\], \n\\\\]{0,200}") {
            let _ = LvmConf::parse(text.as_bytes());
        }
    }
}
