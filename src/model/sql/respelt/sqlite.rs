//! What SQLite writes: see the module above.

use sqlparser::tokenizer::Token;

use super::Respelling;

/// What the parser knows behind IS.
const KNOWN: [&str; 7] = ["null", "true", "false", "unknown", "distinct", "not", "normalized"];

impl Respelling {
    pub(super) fn sqlite(&mut self) -> bool {
        const ENDS: [&str; 9] =
            ["where", "group", "having", "window", "union", "except", "intersect", "order", "limit"];
        if self.is_any(0, &ENDS) {
            self.around().tables = false;
        } else if self.is(0, "from") && !self.came_after(&["distinct"]) {
            self.around().tables = true;
        }
        match self.token(0) {
            // `from (a, b)`
            Some(Token::Comma) if self.is_in_table_brackets() => self.put_words(&["cross", "join"]),
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

    /// Whether tables stand in the brackets here that are themselves where a table stands.
    fn is_in_table_brackets(&self) -> bool {
        self.around.last().is_some_and(|it| it.is_table)
    }
}
