//! A block of code on a page, and what its fence says of it.
//!
//! The fence's first word is the language, those behind its comma say more:
//!
//! * `c`, `cpp`: with a `main` it is a program, compiled and linked. Else it is statements, or the
//!   `case`s of a loop over events, compiled inside of a function behind `prelude.h` or
//!   `prelude.hpp`, which declare `net`, `conn`, `events` and so on.
//!   * `run`: the program is run to its end and has to answer 0.
//!   * `serve=raw`, `serve=u32be`: an echo server. Started with a URL of port 0 (a foreign one: the
//!     port), it has to print `port N`, give bytes or frames back, and end in order on SIGTERM.
//!   * `client`: run with the URL of each Sockeye server of its page, it has to answer 0.
//!   * On pages of `engines/unreal` the function is one of an actor, in the engine's stand-ins.
//!   * `top`: declarations of a file in place of statements.
//!   * `uv`, `asio`: with the headers and the library of libuv or asio, not of Sockeye.
//! * `sh`, and no language: `bash -n`; every `cargo xtask …` in it has to be one that there is.
//!   * `run`: run as well, in a folder with the files of its page and the checkout as `sockeye`;
//!     `/opt/sockeye` is an installed one.
//! * `cmake`: a `CMakeLists.txt`, or a part of one, behind `add_executable(game main.c)` if it has
//!   no program of its own; it is configured and built against an installed Sockeye.
//! * `python`, `csharp`: compiled. `python,run` is run with the library at hand.
//! * `toml`, `json`, `ini`, `dockerfile`: parsed.
//! * `text`: nothing, it is for people.
//!
//! `file=NAME` is what a block is called in its page's folder. A language or a word that is not
//! here is an error, so that nothing goes unchecked. Indented code has no fence, and no language.

use anyhow::{Result, bail};

/// The words behind each language.
const LANGUAGES: [(&str, &[&str]); 12] = [
    ("c", &["run", "serve", "client", "top", "uv", "file"]),
    ("cpp", &["run", "serve", "client", "top", "uv", "asio", "file"]),
    ("sh", &["run"]),
    ("cmake", &["file"]),
    ("python", &["run"]),
    ("csharp", &[]),
    ("toml", &[]),
    ("json", &[]),
    ("ini", &[]),
    ("dockerfile", &[]),
    ("text", &[]),
    ("", &[]),
];

/// A block, with where it stands.
#[derive(Debug, Default)]
pub struct Block {
    pub page: String,
    /// The line of its first line of code.
    pub line: usize,
    /// What its fence says.
    info: String,
    pub text: String,
}

impl Block {
    /// An empty block whose first line of code this is.
    pub fn new(page: &str, line: usize, info: &str) -> Block {
        Block { page: page.to_owned(), line, info: info.to_owned(), text: String::new() }
    }

    pub fn language(&self) -> &str {
        self.parts().next().unwrap_or_default()
    }

    /// Whether its fence has this word, with a value or without.
    pub fn says(&self, word: &str) -> bool {
        self.parts().skip(1).any(|part| part.split('=').next() == Some(word))
    }

    /// What its fence says behind `word=`.
    pub fn value(&self, word: &str) -> Option<&str> {
        let pair = self.parts().skip(1).filter_map(|part| part.split_once('='));
        pair.filter(|(name, _)| *name == word).map(|(_, value)| value).next()
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        self.info.split([',', ' ']).map(str::trim)
    }

    /// `page:line`, as compilers write places.
    pub fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }

    /// As part of a file's name.
    pub fn slug(&self) -> String {
        self.place().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")
    }

    /// Whether there is something that checks it.
    pub fn known(&self) -> Result<()> {
        let language = self.language();
        let Some((_, words)) = LANGUAGES.iter().find(|(name, _)| *name == language) else {
            bail!("{}: nothing checks the language '{language}'", self.place());
        };
        let mut said = self.parts().skip(1).map(|part| part.split('=').next().unwrap_or_default());
        match said.find(|word| !words.contains(word)) {
            Some(word) => bail!("{}: '{word}' means nothing behind {language}", self.place()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(info: &str) -> Block {
        Block::new("docs/a.md", 1, info)
    }

    #[test]
    fn a_fence_is_read() {
        let block = block("c,serve=raw,file=a.c");
        assert_eq!((block.language(), block.value("serve")), ("c", Some("raw")));
        assert!(block.says("serve") && !block.says("run") && block.known().is_ok());
    }

    #[test]
    fn what_nothing_checks_is_an_error() {
        assert!(block("").known().is_ok());
        assert!(block("cobol").known().is_err());
        assert!(block("c,jog").known().is_err());
        assert!(block("sh,client").known().is_err());
    }
}
