//! How C's names are written elsewhere.

/// Names that C# has of its own kind: what calls answer has the type of its numbers there.
const OWN: [(&str, &str); 1] = [("sockeye_status_code", "SockeyeStatus")];

/// Reserved words of C#, by which a parameter cannot be called as it is.
const RESERVED: [&str; 24] = [
    "as", "base", "bool", "byte", "checked", "default", "event", "fixed", "in", "int", "internal",
    "is", "lock", "long", "new", "null", "object", "operator", "out", "params", "ref", "string",
    "this", "using",
];

/// A type of C#: `sockeye_conn_info` is `SockeyeConnInfo`, and `sockeye_log_fn`, of a function,
/// `SockeyeLogCallback`.
pub fn of_type(name: &str) -> String {
    if let Some((_, own)) = OWN.iter().find(|(ours, _)| *ours == name) {
        return (*own).to_owned();
    }
    match name.strip_suffix("_fn") {
        Some(short) => pascal(short.trim_end_matches("_callback")) + "Callback",
        None => pascal(name),
    }
}

/// `data_len` is `DataLen`, and so is `DATA_LEN`.
pub fn pascal(name: &str) -> String {
    let parts = name.split('_').map(|part| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_uppercase() + &rest.to_lowercase()
    });
    parts.collect()
}

/// `data_len` is `dataLen`, `event` is `@event`.
pub fn argument(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("@{name}");
    }
    let pascal = pascal(name);
    let (first, rest) = pascal.split_at(pascal.len().min(1));
    first.to_lowercase() + rest
}

/// How much these names share, to the last underscore: `SOCKEYE_EVENT_`.
pub fn shared<'a>(names: impl IntoIterator<Item = &'a str>) -> usize {
    let mut names = names.into_iter();
    let first = names.next().unwrap_or_default();
    let same = |other: &str| first.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let length = names.map(same).min().unwrap_or(first.len());
    first[..length].rfind('_').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_written_as_its_language_does() {
        assert_eq!(of_type("sockeye_conn_info"), "SockeyeConnInfo");
        assert_eq!(of_type("sockeye_status_code"), "SockeyeStatus");
        assert_eq!(of_type("sockeye_callback_fn"), "SockeyeCallback");
        assert_eq!(of_type("sockeye_log_fn"), "SockeyeLogCallback");
        assert_eq!(pascal("TIMEOUT_FIRST_BYTE"), "TimeoutFirstByte");
        assert_eq!((argument("out_each"), argument("event")), ("outEach".into(), "@event".into()));
    }

    #[test]
    fn what_is_shared_ends_with_a_word() {
        assert_eq!(shared(["SOCKEYE_A_TO", "SOCKEYE_A_TWO"]), "SOCKEYE_A_".len());
        assert_eq!(shared(["SOCKEYE_OK", "SOCKEYE_ERR_A"]), "SOCKEYE_".len());
        assert_eq!(shared(["SOCKEYE_A_ONE"]), "SOCKEYE_A_".len());
    }
}
