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
            Some(Token::Word(word)) if word.quote_style.is_none() => {
                self.pivot() || self.first() || self.clause() || self.expression()
            }
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

    /// `from a where b` is `select * from a where b`; and in brackets the parser takes `from a select b` for a query only
    /// behind a WITH.
    fn first(&mut self) -> bool {
        const SETS: [&str; 5] = ["union", "except", "intersect", "all", "name"];
        if self.is_any(0, &["union", "except", "intersect"]) {
            self.around().selects = false;
        }
        if self.is(0, "with") && self.is_beginning() {
            self.around().is_with = true;
        }
        if self.is(0, "select") {
            self.around().selects = true;
        }
        let (is_with, selects) = (self.around().is_with, self.around().selects);
        let is_in_brackets = self.came_after_token(&Token::LParen);
        let is_first =
            self.is_beginning() || self.came_after(&SETS) || is_with && self.came_after_token(&Token::RParen);
        if !self.is(0, "from") || selects || !is_first || self.is_trimming() {
            return false;
        }
        self.around().selects = true;
        let from = Token::make_keyword("from");
        if !self.selects_later() {
            return self.put([Token::make_keyword("select"), Token::Mul, from]);
        }
        let lead = ["with", "assets_nothing", "as"].map(Token::make_keyword);
        let nothing = [Token::LParen, Token::make_keyword("select"), Token::make_keyword("null"), Token::RParen];
        is_in_brackets && self.put(lead.into_iter().chain(nothing).chain([from]))
    }

    /// Whether a SELECT follows in this very query.
    fn selects_later(&self) -> bool {
        let mut depth = 0;
        for on in 1.. {
            match self.token(on) {
                Some(Token::LParen | Token::LBracket) => depth += 1,
                Some(Token::RParen | Token::RBracket) if depth == 0 => return false,
                Some(Token::RParen | Token::RBracket) => depth -= 1,
                None => return false,
                _ if depth > 0 => {}
                _ if self.is_any(on, &["union", "except", "intersect"]) => return false,
                _ if self.is(on, "select") => return true,
                _ => {}
            }
        }
        false
    }

    /// What stands around tables.
    fn clause(&mut self) -> bool {
        if self.is(0, "asof") && self.is_any(1, &["join", "left", "right", "full", "inner"]) {
            self.leave_out(1)
        } else if let (true, true, Some(count)) = (self.is(0, "using"), self.is(1, "key"), self.bracketed(2)) {
            self.leave_out(2 + count)
        } else if self.is(0, "tablesample") && self.came_after_value() || self.is(0, "using") && self.is(1, "sample") {
            self.sample()
        } else if self.is(0, "group") && self.is(1, "by") && self.is_behind_pivot() {
            self.leave_out(2 + self.names(2))
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

    /// Whether `group by a, b` ends `pivot (sum(c) for d in (1, 2) group by a, b)`.
    fn is_behind_pivot(&self) -> bool {
        let is_pivot =
            |it: &Around| !it.selects && it.of.as_ref().is_some_and(|it| is_word(it, "pivot")) && self.names(2) > 0;
        self.around.last().is_some_and(is_pivot) && self.is_token(2 + self.names(2), &Token::RParen)
    }

    /// Whether `name:` stands here, before what it names.
    fn is_named(&self) -> bool {
        let is_inside = self.is_within(&Token::LBrace) || self.is_within(&Token::LBracket);
        let is_item = self.came_after(&["select", "distinct", "from", "join"]) || self.came_after_token(&Token::Comma);
        self.is_token(1, &Token::Colon) && is_item && !is_inside
    }

    fn expression(&mut self) -> bool {
        if self.is(0, "in") && !self.is_token(1, &Token::LParen) && self.is_list() {
            // `a in b`, `a not in b`
            let is_not = self.came_after(&["not"]);
            if is_not {
                self.made.pop();
            }
            self.put([if is_not { Token::Neq } else { Token::Eq }])
        } else if self.is(0, "isnull") && self.came_after_value() && !self.is_token(1, &Token::LParen) {
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

    /// Whether what follows an IN is a list, and not what `position('a' in b)` looks through.
    fn is_list(&self) -> bool {
        let is_searching =
            self.around.last().is_some_and(|it| it.of.as_ref().is_some_and(|it| is_word(it, "position")));
        !is_searching && !matches!(self.token(1), None | Some(Token::Comma | Token::RParen))
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
