//! The name that was probably meant.

/// The candidate nearest to `name`, if it is near enough to be worth offering: at most a third of
/// the letters differ (and at least one may), case aside. Ties go to the first in order.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let most = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|it| (strsim::damerau_levenshtein(&wanted, &it.to_lowercase()), it))
        .filter(|(distance, it)| *distance <= most && *it != name)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
}

/// As [`nearest`], but up to `count` of them, the nearest first.
pub fn nearest_few<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>, count: usize) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let letters = name.chars().count();
    let most = (letters / 3).max(1);
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        // Spares the work of comparing what cannot be near.
        .filter(|it| it.chars().count().abs_diff(letters) <= most && *it != name)
        .map(|it| (strsim::damerau_levenshtein(&wanted, &it.to_lowercase()), it))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.truncate(count);
    near.into_iter().map(|(_, it)| it).collect()
}

#[cfg(test)]
mod tests {
    use super::{nearest, nearest_few};

    #[test]
    fn offers_only_what_is_near() {
        let names = ["orders", "daily_sales", "customers"];
        assert_eq!(nearest("order", names), Some("orders"));
        assert_eq!(nearest("dialy_sales", names), Some("daily_sales"));
        assert_eq!(nearest("Orders", names), Some("orders"));
        assert_eq!(nearest("weather", names), None);
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest_few("orders", ["border", "order", "ordersx", "y"], 2), ["order", "ordersx"]);
    }
}
