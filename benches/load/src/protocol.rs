//! The bytes of a request and of its answer: all that the two kinds of servers differ in.

use clap::ValueEnum;

use crate::script::Script;

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Lines of the package index: QUERY and INDEX.
    Haul,
    /// RESP: GET and SET, sent as arrays like all clients of Redis do.
    Redis,
}

impl Protocol {
    /// Asks for a package; `found` is what the server holds of it.
    pub(crate) fn read(self, script: &mut Script, name: &str, found: Option<&str>) {
        match (self, found) {
            (Self::Haul, Some(_)) => script.push(&format!("QUERY|{name}|\n"), "OK\n"),
            (Self::Haul, None) => script.push(&format!("QUERY|{name}|\n"), "FAIL\n"),
            (Self::Redis, Some(value)) => script.push(&array(&["GET", name]), &bulk(value)),
            (Self::Redis, None) => script.push(&array(&["GET", name]), "$-1\r\n"),
        }
    }

    /// Writes a package and its list of dependencies.
    pub(crate) fn write(self, script: &mut Script, name: &str, list: &str) {
        match self {
            Self::Haul => script.push(&format!("INDEX|{name}|{list}\n"), "OK\n"),
            Self::Redis => script.push(&array(&["SET", name, list]), "+OK\r\n"),
        }
    }
}

fn array(words: &[&str]) -> String {
    let words_in_bulk: String = words.iter().map(|word| bulk(word)).collect();
    format!("*{}\r\n{words_in_bulk}", words.len())
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All requests of a script, and all answers.
    fn said(fill: impl Fn(&mut Script)) -> [String; 2] {
        let mut script = Script::default();
        fill(&mut script);
        let all = 0..script.len();
        [script.requests(), script.answers()].map(|pieces| {
            let bytes = pieces.bytes(pieces.span(&all));
            String::from_utf8_lossy(bytes).into_owned()
        })
    }

    #[test]
    fn lines_are_those_of_the_index() {
        let [requests, answers] = said(|script| {
            Protocol::Haul.write(script, "vim", "libc6,vim-common");
            Protocol::Haul.read(script, "vim", Some("libc6,vim-common"));
            Protocol::Haul.read(script, "emacs", None);
        });
        assert_eq!(requests, "INDEX|vim|libc6,vim-common\nQUERY|vim|\nQUERY|emacs|\n");
        assert_eq!(answers, "OK\nOK\nFAIL\n");
    }

    #[test]
    fn arrays_are_those_of_redis() {
        let [requests, answers] = said(|script| {
            Protocol::Redis.write(script, "vim", "");
            Protocol::Redis.read(script, "vim", Some(""));
            Protocol::Redis.read(script, "emacs", None);
        });
        let set = "*3\r\n$3\r\nSET\r\n$3\r\nvim\r\n$0\r\n\r\n";
        let gets = "*2\r\n$3\r\nGET\r\n$3\r\nvim\r\n*2\r\n$3\r\nGET\r\n$5\r\nemacs\r\n";
        assert_eq!(requests, format!("{set}{gets}"));
        assert_eq!(answers, "+OK\r\n$0\r\n\r\n$-1\r\n");
    }
}
