//! As much of Rust's lexical grammar as it takes to see names and brackets, and not to see comments and literals.

/// A token, or all that is between two brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A name or keyword, with its line, counted from 1. Raw ones (`r#type`) come without their mark.
    Name(String, usize),
    /// One character of an operator; `::` is a token of its own.
    Sign(char),
    /// `::`
    Separator,
    /// A literal, a lifetime or a label.
    Literal,
    /// What stands between `(…)`, `[…]` or `{…}`.
    Group(Vec<Token>),
}

/// The tokens of a source file, or `None` when a bracket, a comment or a literal is not closed.
pub fn tokens(source: &str) -> Option<Vec<Token>> {
    let mut lexer = Lexer {
        rest: source.chars().collect(),
        at: 0,
        line: 1,
    };
    lexer.group(None)
}

struct Lexer {
    rest: Vec<char>,
    at: usize,
    line: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn group(&mut self, close: Option<char>) -> Option<Vec<Token>> {
        let mut found = Vec::new();
        loop {
            let line = self.line;
            let Some(next) = self.next() else {
                return close.is_none().then_some(found);
            };
            match (next, self.peek(0)) {
                ('/', Some('/')) => while self.peek(0).is_some_and(|c| c != '\n') && self.next().is_some() {},
                ('/', Some('*')) => self.block_comment()?,
                ('(', _) => found.push(Token::Group(self.group(Some(')'))?)),
                ('[', _) => found.push(Token::Group(self.group(Some(']'))?)),
                ('{', _) => found.push(Token::Group(self.group(Some('}'))?)),
                (')' | ']' | '}', _) => return (close == Some(next)).then_some(found),
                ('"', _) => found.push(self.quoted('"')?),
                ('\'', _) => found.push(self.character_or_lifetime()?),
                (':', Some(':')) => {
                    self.next();
                    found.push(Token::Separator);
                }
                (c, _) if c.is_ascii_digit() => {
                    self.word();
                    found.push(Token::Literal);
                }
                (c, _) if is_name(c) => {
                    let word = format!("{c}{}", self.word());
                    found.push(self.name_or_literal(word, line)?);
                }
                (c, _) if c.is_whitespace() => {}
                (c, _) => found.push(Token::Sign(c)),
            }
        }
    }

    fn word(&mut self) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(is_name) {
            self.at += 1;
        }
        self.rest[start..self.at].iter().collect()
    }

    /// After a word: it is a name, unless it is the prefix of a literal.
    fn name_or_literal(&mut self, word: String, line: usize) -> Option<Token> {
        let hashes = self.rest[self.at..].iter().take_while(|&&c| c == '#').count();
        match (word.as_str(), self.peek(hashes)) {
            ("r" | "br" | "cr", Some('"')) => self.raw_string(hashes),
            ("b" | "c", Some('"')) if hashes == 0 => {
                self.next();
                self.quoted('"')
            }
            ("b", Some('\'')) if hashes == 0 => {
                self.next();
                self.quoted('\'')
            }
            ("r", Some(c)) if hashes == 1 && is_name(c) => {
                self.next();
                Some(Token::Name(self.word(), line))
            }
            _ => Some(Token::Name(word, line)),
        }
    }

    /// After `/` of `/*`; such comments nest.
    fn block_comment(&mut self) -> Option<()> {
        let mut depth = 0;
        self.at -= 1;
        loop {
            match (self.next()?, self.peek(0)) {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => continue,
            }
            self.next();
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// After the opening quote of a literal with escapes.
    fn quoted(&mut self, end: char) -> Option<Token> {
        loop {
            match self.next()? {
                '\\' => _ = self.next()?,
                c if c == end => return Some(Token::Literal),
                _ => {}
            }
        }
    }

    fn raw_string(&mut self, hashes: usize) -> Option<Token> {
        self.at += hashes + 1;
        loop {
            if self.next()? == '"' && (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.at += hashes;
                return Some(Token::Literal);
            }
        }
    }

    /// After `'`: `'x'`, `'\n'`, or `'static`.
    fn character_or_lifetime(&mut self) -> Option<Token> {
        if self.peek(0)? == '\\' || self.peek(1) == Some('\'') {
            return self.quoted('\'');
        }
        self.word();
        Some(Token::Literal)
    }
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::{Token, tokens};

    fn names(source: &str) -> Vec<(String, usize)> {
        fn collect(tokens: Vec<Token>, found: &mut Vec<(String, usize)>) {
            for token in tokens {
                match token {
                    Token::Name(name, line) => found.push((name, line)),
                    Token::Group(inner) => collect(inner, found),
                    Token::Sign(_) | Token::Separator | Token::Literal => {}
                }
            }
        }
        let mut found = Vec::new();
        collect(tokens(source).unwrap_or_else(|| panic!("{source}")), &mut found);
        found
    }

    #[test]
    fn comments_and_literals_hide_what_is_in_them() {
        for hidden in [
            "// x y",
            "/* x /* y */ z */",
            "/**/",
            r#""x \" { y""#,
            "\"a\nb\"",
            r##"r"x \" "##,
            r###"r#"x " y"#"###,
            r###"br##"x "# y"##"###,
            r#"b"x""#,
            r#"c"x""#,
            "'x'",
            r"'\''",
            r"'\u{1f600}'",
            "'{'",
            r"b'\\'",
            "b'('",
            "'static",
            "0xffu64",
            "1_000.5e-3",
        ] {
            let expected = vec![("a".to_owned(), 1), ("z".to_owned(), 2 + hidden.matches('\n').count())];
            assert_eq!(names(&format!("a {hidden}\nz")), expected, "{hidden}");
        }
    }

    #[test]
    fn names_keep_their_lines_through_brackets() {
        let expected = [("fn", 1), ("f", 1), ("r", 2), ("type", 3)].map(|(name, line)| (name.to_owned(), line));
        assert_eq!(names("fn f(\n[r], {\nr#type})"), expected);
        assert_eq!(
            tokens("a::b"),
            Some(vec![
                Token::Name("a".into(), 1),
                Token::Separator,
                Token::Name("b".into(), 1)
            ])
        );
    }

    #[test]
    fn what_is_not_closed_is_not_read() {
        for broken in ["(", "(]", ")", "\"", "/* /* */", "r#\"\"", "b'"] {
            assert_eq!(tokens(broken), None, "{broken}");
        }
    }
}
