//! What Postgres writes: see the module above.

use sqlparser::tokenizer::Token;

use super::Respelling;

impl Respelling {
    pub(super) fn postgres(&mut self) -> bool {
        let is_name = matches!(self.token(1), Some(Token::Word(_)));
        let is_in_list = self.came_after_token(&Token::LParen) || self.came_after_token(&Token::Comma);
        let says_nothing = self.is(0, "symmetric") && self.came_after(&["between"])
            || self.is(0, "variadic") && is_in_list
            || self.is(0, "only")
                && (self.came_after(&["from", "join", "table"]) || self.came_after_token(&Token::Comma))
                && is_name;
        if self.is(0, "only") && self.is_token(1, &Token::LParen) {
            return self.only();
        }
        if self.is_name_of_columns() {
            return self.leave_out(2);
        }
        // `(a).*`
        if self.is_token(0, &Token::Period) && self.is_token(1, &Token::Mul) && self.came_after_token(&Token::RParen) {
            self.leave_out(2)
        } else if says_nothing {
            self.leave_out(1)
        } else if self.is(0, "json") && (self.came_after(&["is"]) || self.came_after(&["not"]) && self.was_is()) {
            self.json()
        } else if self.is(0, "search") && self.is(2, "first") && self.is(3, "by") && self.is(4 + self.names(4), "set") {
            // `search depth first by a, b set c`
            self.leave_out(6 + self.names(4))
        } else if self.is(0, "cycle") && self.is(1 + self.names(1), "set") {
            // `cycle a, b set c to 1 default 0 using d`
            let until = (0..8).map(|it| it + self.names(1)).find(|it| self.is(*it, "using"));
            until.is_some_and(|it| self.leave_out(it + 2))
        } else {
            false
        }
    }

    /// `as d` of `a join b using (c) as d`, which names no table.
    fn is_name_of_columns(&self) -> bool {
        let is_name = self.is(0, "as") && matches!(self.token(1), Some(Token::Word(_)));
        if !is_name || self.is_token(2, &Token::LParen) || !self.came_after_token(&Token::RParen) {
            return false;
        }
        let is_inside = |it: &Token| matches!(it, Token::Word(_) | Token::Comma);
        let inside = (2..).take_while(|it| self.before(*it).is_some_and(is_inside)).count();
        self.before(2 + inside) == Some(&Token::LParen)
            && self.before(3 + inside).is_some_and(|it| super::is_word(it, "using"))
    }

    /// `only (a.b)`
    fn only(&mut self) -> bool {
        self.leave_out(2);
        while self.token(0).is_some_and(|it| *it != Token::RParen) {
            self.keep();
        }
        self.leave_out(1)
    }

    fn was_is(&self) -> bool {
        self.before(2).is_some_and(|it| super::is_word(it, "is"))
    }

    /// `a is json object with unique keys`
    fn json(&mut self) -> bool {
        self.put_words(&["null"]);
        while self.is_any(0, &["value", "array", "object", "scalar", "with", "without", "unique", "keys"]) {
            self.leave_out(1);
        }
        true
    }
}
