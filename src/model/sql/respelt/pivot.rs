//! `pivot` and `unpivot` of DuckDB that are queries of their own: `pivot a on b using c` is `from a select b, c`.

use sqlparser::tokenizer::Token;

use super::Respelling;

/// What is known of one from its word to the end of the brackets around it.
#[derive(Default)]
pub struct Turned {
    /// Joins that have not said yet how they join.
    joins: usize,
    /// It has got to its columns.
    selects: bool,
}

impl Respelling {
    pub(super) fn pivot(&mut self) -> bool {
        if self.is_any(0, &["pivot", "unpivot", "pivot_wider", "pivot_longer"]) && self.is_turn() {
            self.around().turned = Some(Turned::default());
            return self.put_words(&["from"]);
        }
        if self.around().turned.is_none() {
            return false;
        }
        if self.is_any(0, &["include", "exclude"]) && self.is(1, "nulls") {
            self.leave_out(2)
        } else if self.is(0, "into") && self.is(1, "name") && self.is(3, "value") {
            // `into name a value b, c`
            self.leave_out(4 + self.names(4))
        } else {
            self.turned()
        }
    }

    /// Whether it begins here, and not one that stands behind a table.
    fn is_turn(&self) -> bool {
        // A bracket may end what a WITH names, or a table.
        let is_behind = self.is_token(1, &Token::LParen) && !self.is_query(2);
        self.is_beginning() || self.came_after_token(&Token::RParen) && !is_behind
    }

    fn turned(&mut self) -> bool {
        let is_join = self.is(0, "join") && !self.came_after(&["cross", "natural", "positional"]);
        let is_after = self.is_any(0, &["on", "using"]);
        let Some(turned) = &mut self.around().turned else { return false };
        if is_join {
            turned.joins += 1;
            return false;
        }
        if !is_after {
            return false;
        }
        if turned.joins > 0 {
            turned.joins -= 1;
            return false;
        }
        match std::mem::replace(&mut turned.selects, true) {
            false => self.put_words(&["select"]),
            true => self.put([Token::Comma]),
        }
    }
}
