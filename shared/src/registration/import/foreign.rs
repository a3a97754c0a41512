//! Recognises a file that as a whole is no list of records. So one message says what it is and
//! what to do, and not one message for each line.

/// How the records of a file follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One record a line.
    Lines,
    /// One JSON array of all records.
    Array,
}

/// A file that cannot be imported as it is, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is {what}, not JSON Lines or a JSON array; {instead}. Nothing was imported")]
pub struct Foreign {
    what: &'static str,
    instead: &'static str,
}

const UNPACK: &str = "unpack it first";
const EXPORT: &str = "export the rows as JSON, one object a line";

/// What compressed files, archives and databases begin with.
const SIGNATURES: [(&[u8], &str, &str); 13] = [
    (
        b"\x1f\x8b",
        "gzip",
        "unpack it: gunzip -c FILE | warden import -",
    ),
    (
        b"PK\x03\x04",
        "a zip archive (or a spreadsheet)",
        "unpack it: unzip -p FILE | warden import -",
    ),
    (b"PK\x05\x06", "an empty zip archive", UNPACK),
    (b"BZh", "bzip2", UNPACK),
    (b"\xfd7zXZ\0", "xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "zstd", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"PGDMP", "a dump of pg_dump's own format", EXPORT),
    (b"SQLite format 3\0", "a SQLite database", EXPORT),
    (b"PAR1", "a Parquet file", EXPORT),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"%PDF", "a PDF", EXPORT),
    (b"\xd0\xcf\x11\xe0", "an old Office document", EXPORT),
];

/// Words that SQL dumps begin with, and no JSON does.
const SQL: [&str; 12] = [
    "--",
    "/*",
    "create ",
    "insert ",
    "set ",
    "copy ",
    "begin;",
    "drop ",
    "use ",
    "start ",
    "pragma ",
    "\\connect",
];

/// Returns the form of a file that begins with `head`: at least its first line that holds
/// anything, unless that line is very long.
pub(super) fn form(head: &[u8]) -> Result<Form, Foreign> {
    for (signature, what, instead) in SIGNATURES {
        if head.starts_with(signature) {
            return Err(Foreign { what, instead });
        }
    }
    if head.starts_with(b"\xff\xfe\0\0") || head.starts_with(b"\0\0\xfe\xff") {
        return Err(Foreign {
            what: "UTF-32 text",
            instead: "convert it: iconv -f UTF-32 -t UTF-8 FILE | warden import -",
        });
    }
    if head.iter().take(64).filter(|b| **b == 0).count() > 40 {
        return Err(Foreign {
            what: "binary",
            instead: EXPORT,
        });
    }
    if is_utf16(head) {
        return Err(Foreign {
            what: "UTF-16 text",
            instead: "convert it: iconv -f UTF-16 -t UTF-8 FILE | warden import -",
        });
    }
    let text = without_mark(head).trim_ascii_start();
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first).trim().to_ascii_lowercase();
    match text.first() {
        Some(b'[') => return Ok(Form::Array),
        // As `jq .` and pretty printers write it.
        Some(b'{') if first == "{" && text.len() > 2 => {
            return Err(Foreign {
                what: "JSON with records of several lines each",
                instead: "put each on one line: jq -c . FILE | warden import -",
            });
        }
        Some(b'{') | None => return Ok(Form::Lines),
        Some(_) => {}
    }
    if first.starts_with('<') {
        return Err(Foreign {
            what: "HTML or XML (a page, perhaps of an error or a login)",
            instead: EXPORT,
        });
    }
    if first.starts_with("---") {
        return Err(Foreign {
            what: "YAML",
            instead: EXPORT,
        });
    }
    if std::str::from_utf8(&text[..text.len().min(64)]).is_err_and(|e| e.error_len().is_some()) {
        return Err(Foreign {
            what: "binary, or text that is not UTF-8",
            instead: "convert it if it is text: iconv -f LATIN1 -t UTF-8 FILE | warden import -",
        });
    }
    if SQL.iter().any(|word| first.starts_with(word)) {
        return Err(Foreign {
            what: "SQL",
            instead: EXPORT,
        });
    }
    if first.contains([',', ';', '\t']) {
        return Err(Foreign {
            what: "CSV",
            instead: EXPORT,
        });
    }
    if first.starts_with("- ") || first.ends_with(':') {
        return Err(Foreign {
            what: "YAML",
            instead: EXPORT,
        });
    }
    Ok(Form::Lines)
}

/// Whether there is a byte order mark or, as ASCII has in UTF-16, a zero for every other byte.
fn is_utf16(head: &[u8]) -> bool {
    let every_other = |from| {
        let zeros = head.iter().skip(from).step_by(2).take(2);
        zeros.clone().count() == 2 && zeros.into_iter().all(|b| *b == 0)
    };
    head.starts_with(b"\xff\xfe")
        || head.starts_with(b"\xfe\xff")
        || every_other(0)
        || every_other(1)
}

/// Returns the text behind its UTF-8 byte order mark.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}
