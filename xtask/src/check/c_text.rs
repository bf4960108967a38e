//! C and C++ text without its comments and the insides of its strings.

/// The words of a line of code.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    let apart = |letter: char| !letter.is_alphanumeric() && letter != '_';
    line.split(apart).filter(|word| !word.is_empty())
}

#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Code,
    Line,
    Block,
    Quoted(char),
}

/// The text with comments and the insides of strings blanked, line for line.
pub fn code(text: &str) -> String {
    let mut inside = Inside::Code;
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        let (kept, skip) = match (inside, letter, next) {
            (Inside::Code, '/', Some('/')) => (Some(Inside::Line), true),
            (Inside::Code, '/', Some('*')) => (Some(Inside::Block), true),
            // A quote inside a number separates digits: 1'000.
            (Inside::Code, '\'', _) if out.ends_with(|c: char| c.is_ascii_hexdigit()) => {
                (None, false)
            }
            (Inside::Code, '"' | '\'', _) => (Some(Inside::Quoted(letter)), false),
            (Inside::Line, '\n', _) => (Some(Inside::Code), false),
            (Inside::Block, '*', Some('/')) => (Some(Inside::Code), true),
            (Inside::Quoted(_), '\\', _) => (None, true),
            (Inside::Quoted(quote), _, _) if letter == quote => (Some(Inside::Code), false),
            _ => (None, false),
        };
        let visible = letter == '\n' || (inside == Inside::Code && kept.is_none());
        out.push(if visible { letter } else { ' ' });
        if skip {
            let newline = letters.next() == Some('\n');
            out.push(if newline { '\n' } else { ' ' });
        }
        inside = kept.unwrap_or(inside);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers() {
        let text = "a /* b\nc */ d\n\"e\\\nf\" g\n";
        assert_eq!(code(text).lines().count(), text.lines().count());
        assert!(code(text).lines().nth(3).unwrap().ends_with('g'));
    }
}
