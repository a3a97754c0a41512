//! Puts the code that is kept of a request to a platform into words.

/// Returns the code in words that fit into a sentence:
/// `an HTML page with status 200`, `the code invalid_grant`.
#[must_use]
pub fn in_words(code: &str) -> String {
    let whole = match code {
        "redirected" => "a redirect to another address",
        "timed_out_after_10_s" => "no answer within 10 seconds",
        "connection_closed" => "no answer: the connection was closed",
        "cut_off" => "an answer that was cut off",
        "longer_than_256_kib" => "an answer of more than 256 KiB",
        "no_connection" => "no connection",
        "not_sent" => "a request that could not be sent",
        _ => "",
    };
    if !whole.is_empty() {
        return whole.to_owned();
    }
    let answer = code
        .strip_prefix("http_")
        .and_then(|rest| rest.split_once('_'));
    let Some((status, form)) = answer else {
        return format!("the code {code}");
    };
    let what = match form {
        "html" => "an HTML page",
        "empty" => "an empty answer",
        "json" => "JSON of another shape than documented",
        "json_cut_off" => "the beginning of a JSON document",
        "form" => "a form of another shape than documented",
        "xml" => "an XML document",
        "gzip" => "a gzip body that cannot be unpacked",
        "compressed" => "a body in a compression that we did not ask for",
        "text" => "plain text",
        _ => "bytes that are no text",
    };
    format!("{what} with status {status}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_said_in_words() {
        for (code, words) in [
            ("http_200_html", "an HTML page with status 200"),
            ("http_502_empty", "an empty answer with status 502"),
            (
                "http_200_json_cut_off",
                "the beginning of a JSON document with status 200",
            ),
            ("timed_out_after_10_s", "no answer within 10 seconds"),
            ("190/460", "the code 190/460"),
            ("http_error", "the code http_error"),
        ] {
            assert_eq!(in_words(code), words);
        }
    }
}
