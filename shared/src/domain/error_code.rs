//! What came in the place of a platform's error code, and codes in words.

/// Defines an enum whose names stand in rows and logs, each with its words, which fit into a
/// sentence.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:literal => $words:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $(#[doc = $words] $variant,)*
        }

        impl $type {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the name, as rows and logs have it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            const fn words(self) -> &'static str {
                match self {
                    $(Self::$variant => $words,)*
                }
            }

            fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

named! {
    /// Why there is no answer that could be read.
    ResponseDefect {
        Redirected = "redirected" => "a redirect to another address",
        TimedOut = "timed_out_after_10_s" => "no answer within 10 seconds",
        ConnectionClosed = "connection_closed" => "no answer: the connection was closed",
        CutOff = "cut_off" => "an answer that was cut off",
        TooLong = "longer_than_256_kib" => "an answer of more than 256 KiB",
        NoConnection = "no_connection" => "no connection",
        NotSent = "not_sent" => "a request that could not be sent",
        NoClientCredentials = "no_client_credentials" => "no client credentials of ours",
    }
}

named! {
    /// The form of an answer's body.
    BodyForm {
        Html = "html" => "an HTML page",
        Empty = "empty" => "an empty answer",
        Json = "json" => "JSON of another shape than documented",
        JsonCutOff = "json_cut_off" => "the beginning of a JSON document",
        Form = "form" => "a form of another shape than documented",
        Xml = "xml" => "an XML document",
        Gzip = "gzip" => "a gzip body that cannot be unpacked",
        Compressed = "compressed" => "a body in a compression that we did not ask for",
        Text = "text" => "plain text",
        Binary = "binary" => "bytes that are no text",
    }
}

impl BodyForm {
    /// Returns the code of an answer of this form and HTTP status: `http_200_html`.
    #[must_use]
    pub fn code(self, status: u16) -> String {
        format!("http_{status}_{}", self.name())
    }
}

/// Returns the code in words that fit into a sentence:
/// `an HTML page with status 200`, `the code invalid_grant`.
#[must_use]
pub fn in_words(code: &str) -> String {
    if let Some(defect) = ResponseDefect::from_name(code) {
        return defect.words().to_owned();
    }
    code.strip_prefix("http_")
        .and_then(|rest| rest.split_once('_'))
        .and_then(|(status, form)| Some((status, BodyForm::from_name(form)?)))
        .map_or_else(
            || format!("the code {code}"),
            |(status, form)| format!("{} with status {status}", form.words()),
        )
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
