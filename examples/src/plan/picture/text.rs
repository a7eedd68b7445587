//! Text in a picture: harmless, and no wider than its place.

/// Text as XML and HTML take it, in content and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_odd(c) => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// What XML 1.0 does not allow, and what would change the direction of the text around it.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{FFFE}' | '\u{FFFF}' | '\u{200E}' | '\u{200F}' | '\u{061C}')
        || ('\u{202A}'..='\u{202E}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// The width of a character in hundredths of the font's size, rather too wide than too narrow: no
/// font is at hand to ask.
fn width(c: char) -> u64 {
    match c {
        'i' | 'l' | 'j' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' | 'I' => 32,
        'f' | 't' | 'r' | ' ' | '(' | ')' | '[' | ']' | '/' | '-' => 40,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '→' | '…' => 92,
        'A'..='Z' | '×' => 72,
        c if c.is_ascii() => 60,
        // Scripts with square characters, and signs of unknown width.
        c if c >= '\u{1100}' => 110,
        _ => 70,
    }
}

/// The width of a text of this font size in pixels.
pub(super) fn pixels(text: &str, size: u64) -> u64 {
    let sum: u64 = text.chars().map(width).fold(0, u64::saturating_add);
    sum.saturating_mul(size).div_ceil(100)
}

/// The text, or its two ends, in so many pixels.
pub(super) fn fit(text: &str, size: u64, room: u64) -> String {
    if pixels(text, size) <= room {
        return text.to_owned();
    }
    let room =
        room.saturating_mul(100).checked_div(size).unwrap_or(0).saturating_sub(width('…') + 1);
    let take = |chars: &mut dyn Iterator<Item = char>, room: u64| {
        let mut left = room;
        let mut taken = Vec::new();
        for c in chars {
            let Some(rest) = left.checked_sub(width(c)) else {
                break;
            };
            left = rest;
            taken.push(c);
        }
        taken
    };
    let head: String = take(&mut text.chars(), room * 3 / 5).into_iter().collect();
    let tail: Vec<char> = take(&mut text.chars().rev(), room * 2 / 5);
    let tail: String = tail.into_iter().rev().collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_can_not_become_markup() {
        let shown = escape("<script>alert(\"1\" & '2')</script>\u{202E}\u{0}");
        assert_eq!(
            shown,
            "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;\u{FFFD}\u{FFFD}"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_harmless_and_fits(text in ".{0,200}", room in 20u64..400) {
            let shown = escape(&text);
            prop_assert!(!shown.contains(['<', '>', '"', '\'']));
            prop_assert!(pixels(&fit(&text, 12, room), 12) <= room.max(12));
        }
    }
}
