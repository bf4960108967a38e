//! Comments and lists that fit the width.

/// What a line has room for.
pub const COLUMNS: usize = 100;

/// Words in lines that begin with `margin`.
pub fn filled(words: &[String], margin: &str) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for word in words {
        let width = margin.chars().count() + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && width > COLUMNS {
            text += &format!("{margin}{line}\n");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    text + &format!("{margin}{line}\n")
}

/// A comment of C#: XML, in which a name is `<c>name</c>`.
pub fn summary(words: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let escaped = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut text = String::new();
    for (at, part) in escaped.split('`').enumerate() {
        let name = at % 2 == 1;
        text += &if name { format!("<c>{part}</c>") } else { part.to_owned() };
    }
    let line = format!("{margin}/// <summary>{text}</summary>\n");
    if line.chars().count() <= COLUMNS + 1 {
        return line;
    }
    let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let filled = filled(&words, &format!("{margin}/// "));
    format!("{margin}/// <summary>\n{filled}{margin}/// </summary>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_xml_and_fits() {
        let line = summary("A `b` < c.", 4);
        assert_eq!(line, "    /// <summary>A <c>b</c> &lt; c.</summary>\n");
        let text = summary("word ".repeat(30).trim(), 4);
        assert!(text.lines().all(|line| line.len() <= COLUMNS));
        assert_eq!((text.lines().count(), text.matches("word").count()), (4, 30));
    }
}
