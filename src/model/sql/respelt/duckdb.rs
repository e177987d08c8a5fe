//! What DuckDB writes: see the module above.

use std::any::TypeId;

use sqlparser::{
    dialect::{Dialect, DuckDbDialect},
    tokenizer::Token,
};

use super::{Around, Respelling, is_word};

/// The parser's own rules for DuckDB, and those that it has for others and that hold there too.
#[derive(Debug)]
pub struct Rules;

macro_rules! with {
    ($($rule:ident)*) => { $(fn $rule(&self) -> bool { true })* };
}

impl Dialect for Rules {
    fn dialect(&self) -> TypeId {
        TypeId::of::<DuckDbDialect>()
    }

    fn is_identifier_start(&self, it: char) -> bool {
        DuckDbDialect.is_identifier_start(it)
    }

    fn is_identifier_part(&self, it: char) -> bool {
        DuckDbDialect.is_identifier_part(it)
    }

    with! {
        // As in the parser's own.
        supports_trailing_commas supports_filter_during_aggregation supports_group_by_expr supports_bitwise_shift_operators
        supports_named_fn_args_with_eq_operator supports_named_fn_args_with_assignment_operator supports_dictionary_syntax
        support_map_literal_syntax supports_lambda_functions allow_extract_single_quotes supports_explain_with_utility_options
        supports_load_extension supports_array_typedef_with_brackets supports_from_first_select supports_order_by_all
        supports_select_wildcard_exclude supports_notnull_operator supports_install supports_detach
        supports_select_wildcard_replace supports_comma_separated_trim
        // Those of others.
        supports_nested_comments supports_numeric_literal_underscores supports_select_wildcard_rename
        supports_string_escape_constant supports_string_literal_concatenation_with_newline
        supports_window_function_null_treatment_arg
    }
}

/// Types that may stand before a text, and that the parser does not know there.
const TYPES: [&str; 4] = ["timestamp_ms", "timestamp_ns", "timestamp_s", "timestamp_us"];

impl Respelling {
    pub(super) fn duckdb(&mut self) -> bool {
        match self.token(0) {
            Some(Token::Word(word)) if word.quote_style.is_none() => self.pivot() || self.clause() || self.expression(),
            Some(Token::Word(_)) => self.is_named() && self.leave_out(2),
            // `e'a\n'`
            Some(Token::EscapedStringLiteral(text)) => {
                let text = Token::SingleQuotedString(text.clone());
                self.put([text])
            }
            // `a ** b`
            Some(Token::Mul) => self.is_token(1, &Token::Mul) && self.leave_out(1),
            // `a ^@ b`
            Some(Token::CaretAt) => self.put([Token::Plus]),
            // `#1`
            Some(Token::Sharp) => matches!(self.token(1), Some(Token::Number(..))) && self.leave_out(1),
            // `limit 10%`
            Some(Token::Mod) => {
                let is_number = matches!(self.before(1), Some(Token::Number(..)));
                is_number && self.before(2).is_some_and(|it| is_word(it, "limit")) && self.leave_out(1)
            }
            _ => false,
        }
    }

    /// What stands around tables.
    fn clause(&mut self) -> bool {
        if self.is(0, "asof") && self.is_any(1, &["join", "left", "right", "full", "inner"]) {
            self.leave_out(1)
        } else if let (true, true, Some(count)) = (self.is(0, "using"), self.is(1, "key"), self.bracketed(2)) {
            self.leave_out(2 + count)
        } else if self.is(0, "tablesample") && self.came_after_value() || self.is(0, "using") && self.is(1, "sample") {
            self.sample()
        } else if self.is_any(0, &["summarize", "describe", "show"]) && self.came_after_token(&Token::LParen) {
            match self.is_query(1) || self.is_token(1, &Token::LParen) {
                true => self.leave_out(1),
                false => self.put_words(&["from"]),
            }
        } else {
            self.is_named() && self.leave_out(2)
        }
    }

    /// `using sample 10%`, `tablesample reservoir(20 rows) repeatable (1)`
    fn sample(&mut self) -> bool {
        let lead = if self.is(0, "using") { 2 } else { 1 };
        let mut count = lead;
        loop {
            let words = ["percent", "rows", "reservoir", "bernoulli", "system", "repeatable"];
            let is_part =
                matches!(self.token(count), Some(Token::Number(..) | Token::Mod)) || self.is_any(count, &words);
            match self.bracketed(count) {
                Some(brackets) => count += brackets,
                None if is_part => count += 1,
                None => return count > lead && self.leave_out(count),
            }
        }
    }

    /// Whether `name:` stands here, before what it names.
    fn is_named(&self) -> bool {
        let is_inside = self.is_within(&Token::LBrace) || self.is_within(&Token::LBracket);
        let is_item = self.came_after(&["select", "distinct", "from", "join"]) || self.came_after_token(&Token::Comma);
        self.is_token(1, &Token::Colon) && is_item && !is_inside
    }

    fn expression(&mut self) -> bool {
        if self.is(0, "isnull") && self.came_after_value() && !self.is_token(1, &Token::LParen) {
            self.put_words(&["is", "null"])
        } else if self.is_any(0, &TYPES) && matches!(self.token(1), Some(Token::SingleQuotedString(_))) {
            self.leave_out(1)
        } else if self.is_any(0, &["leading", "trailing", "both"]) && self.is(1, "from") && self.is_trimming() {
            self.leave_out(2)
        } else if self.came_after_token(&Token::Mul) && self.is_any(0, &["like", "ilike", "glob", "similar", "not"]) {
            self.pattern()
        } else if self.is(0, "filter") && self.is_token(1, &Token::LParen) && self.came_after_token(&Token::RParen) {
            self.filter()
        } else if self.is(0, "lambda") && self.is_token(1 + self.names(1), &Token::Colon) {
            // `lambda a, b: c` is `c`: it reads nothing by its own names.
            self.leave_out(2 + self.names(1))
        } else if self.is(0, "for") && self.is_within(&Token::LBracket) && self.is(1 + self.names(1), "in") {
            // `[a for b in c if d]` is `[a, c, d]`.
            self.around().comprehends = true;
            self.leave_out(1 + self.names(1));
            self.put([Token::Comma])
        } else if self.is(0, "if") && self.around().comprehends {
            self.put([Token::Comma])
        } else {
            false
        }
    }

    fn is_trimming(&self) -> bool {
        self.came_after_token(&Token::LParen) && self.before(2).is_some_and(|it| is_word(it, "trim"))
    }

    /// `* like 'a%'`
    fn pattern(&mut self) -> bool {
        let words = ["not", "like", "ilike", "glob", "similar", "to"];
        let count = (0..).take_while(|it| self.is_any(*it, &words)).count();
        matches!(self.token(count), Some(Token::SingleQuotedString(_))) && self.leave_out(count + 1)
    }

    /// `filter (a)` is `filter (where a)`.
    fn filter(&mut self) -> bool {
        self.keep();
        self.around.push(Around { opened: Some(Token::LParen), ..Around::default() });
        match self.is(1, "where") {
            true => self.keep(),
            false => _ = self.put([Token::LParen, Token::make_keyword("where")]),
        }
        true
    }
}
