//! What SQLite writes: see the module above.

use sqlparser::tokenizer::Token;

use super::Respelling;

/// What the parser knows behind IS.
const KNOWN: [&str; 7] = ["null", "true", "false", "unknown", "distinct", "not", "normalized"];

impl Respelling {
    pub(super) fn sqlite(&mut self) -> bool {
        match self.token(0) {
            Some(Token::ShiftLeft | Token::ShiftRight) => self.put([Token::Plus]),
            // `a is b`, `a is not b`
            Some(Token::Word(_)) if self.is(0, "is") && self.is(1, "not") && !self.is_any(2, &KNOWN) => {
                self.leave_out(1);
                self.put([Token::Neq])
            }
            Some(Token::Word(_)) if self.is(0, "is") && !self.is_any(1, &KNOWN) => self.put([Token::Eq]),
            // `from a indexed by b`, `from a not indexed`
            Some(Token::Word(_)) if self.is(0, "indexed") && self.is(1, "by") && self.came_after_value() => {
                self.names(2) == 1 && self.leave_out(3)
            }
            Some(Token::Word(_)) if self.is(0, "not") && self.is(1, "indexed") && self.came_after_value() => {
                self.leave_out(2)
            }
            // `a in b`
            Some(Token::Word(it)) if self.came_after(&["in"]) && !self.is_token(1, &Token::LParen) => {
                let table = Token::Word(it.clone());
                let lead = [Token::LParen, Token::make_keyword("select"), Token::Mul, Token::make_keyword("from")];
                self.put(lead.into_iter().chain([table, Token::RParen]))
            }
            _ => false,
        }
    }
}
