use std::borrow::Cow;

/// Escapes a name, key or reason for display on one line of a log, a terminal or a page.
///
/// Control characters (which include line breaks and terminal escape sequences), the line and paragraph separators of Unicode, characters
/// that change the text direction, invisible characters, and the backslash are replaced by escapes as in a Rust string: `\n`, `\u{1b}`,
/// `\\`. Therefore no text is displayed as two lines, and these characters cannot make different texts look the same. A text without such
/// characters is returned unchanged.
///
/// Each `Display` implementation of this crate, the `tracing` fields and the metric labels escape names, keys and reasons in this way.
/// Accessors such as [`CircuitOpen::key`](crate::CircuitOpen::key) and JSON contain the unescaped text.
///
/// ```
/// assert_eq!(steadfast::escaped("tenant-7"), "tenant-7");
/// assert_eq!(steadfast::escaped("a\r\nERROR all is lost\u{1b}[2J"), r"a\r\nERROR all is lost\u{1b}[2J");
/// ```
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_misleading) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_misleading(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Returns true for a character that ends a line, controls a terminal, changes the text direction or is invisible, and for the backslash.
fn is_misleading(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\\' | '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misleading_characters_are_escaped() {
        for (text, shown) in [
            ("", ""),
            ("tenant 7: `ünïcødé` 日本 👩‍👩‍👧", "tenant 7: `ünïcødé` 日本 👩‍👩‍👧"),
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[31mred\u{7}\u{0}\u{7f}", r"\u{1b}[31mred\u{7}\u{0}\u{7f}"),
            ("\u{85}\u{9b}", r"\u{85}\u{9b}"),
            ("\u{2028}\u{2029}", r"\u{2028}\u{2029}"),
            ("\u{202e}gpj\u{2066}\u{200f}\u{61c}", r"\u{202e}gpj\u{2066}\u{200f}\u{61c}"),
            ("a\u{200b}b\u{feff}\u{ad}\u{e0061}", r"a\u{200b}b\u{feff}\u{ad}\u{e0061}"),
            (r"a\nb", r"a\\nb"),
        ] {
            assert_eq!(escaped(text), shown);
        }
        assert!(matches!(escaped("plain"), Cow::Borrowed("plain")));
    }
}
