//! Enforces what each folder of `shared/src` may import, and that no modules form an import
//! cycle.

#![expect(clippy::unwrap_used, reason = "a test that fails should say where")]

mod graph;
mod source;

use std::fs;
use std::path::PathBuf;

use graph::Graph;
use source::{Mention, Segments};

/// The crates that are free of import cycles between their modules.
const CRATES: [&str; 9] = [
    "shared",
    "edge",
    "functions/platform-calls",
    "functions/api",
    "functions/check-tokens",
    "functions/notify",
    "functions/rate-limit-authorizer",
    "local",
    "cli",
];

/// What a folder of `shared/src` may import.
struct FolderRule {
    folder: &'static str,
    folders: &'static str,
    crates: &'static str,
    /// No I/O, no clock and no randomness, also not std's and chrono's.
    is_pure: bool,
}

const PURE: &str = "chrono serde serde_bytes serde_json std thiserror utoipa";

const RULES: [FolderRule; 8] = [
    FolderRule {
        folder: "domain",
        folders: "domain platforms",
        crates: PURE,
        is_pure: true,
    },
    FolderRule {
        folder: "platforms",
        folders: "domain platforms",
        crates: PURE,
        is_pure: true,
    },
    FolderRule {
        folder: "oauth",
        folders: "domain oauth platforms runtime aws",
        crates: "aws_config aws_lc_rs aws_sdk_secretsmanager chrono flate2 futures percent_encoding \
                 reqwest secrecy serde serde_json std thiserror tokio tracing url",
        is_pure: false,
    },
    FolderRule {
        folder: "openid",
        folders: "openid",
        crates: "reqwest serde serde_json std thiserror url",
        is_pure: false,
    },
    FolderRule {
        folder: "registration",
        folders: "aws domain platforms registration runtime",
        crates: "aws_lc_rs chrono futures secrecy serde serde_json std thiserror tokio utoipa",
        is_pure: false,
    },
    FolderRule {
        folder: "platform_calls",
        folders: "aws domain oauth platform_calls platforms runtime",
        crates: "aws_config aws_sdk_dynamodb aws_sdk_kms chrono rand reqwest secrecy serde \
                 serde_json std thiserror tokio tracing",
        is_pure: false,
    },
    FolderRule {
        folder: "aws",
        folders: "aws domain platforms runtime",
        crates: "aws_config aws_lc_rs aws_sdk_dynamodb aws_sdk_kms aws_sdk_lambda aws_sdk_s3 \
                 aws_sdk_secretsmanager aws_sdk_sns chrono futures percent_encoding rand secrecy \
                 serde serde_dynamo serde_json std thiserror tokio tracing utoipa",
        is_pure: false,
    },
    FolderRule {
        folder: "runtime",
        folders: "runtime",
        crates: "chrono metrique_writer metrique_writer_format_emf rand std thiserror tokio \
                 tracing tracing_subscriber",
        is_pure: false,
    },
];

/// Imports that a rule forbids and we accept: the module, and the crate or the path that it
/// names.
const EXCEPTIONS: [(&str, &str); 1] = [
    // SHA-256, from which ids derive.
    ("domain::digest", "aws_lc_rs"),
];

/// Names of std and chrono that are not pure.
const IMPURE: [&str; 11] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
    "chrono::Local",
    "Utc::now",
];

fn workspace(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(folder)
}

fn graph(folder: &str) -> Graph {
    Graph::new(source::modules(&workspace(folder)))
}

/// Returns the other crates that `shared` can name.
fn crates() -> Vec<String> {
    let manifest = fs::read_to_string(workspace("shared/Cargo.toml")).unwrap();
    let (_, list) = manifest.split_once("[dependencies]\n").unwrap();
    let list = list.lines().take_while(|line| !line.starts_with('['));
    let names = list.filter_map(|line| line.split(['.', ' ', '=']).next());
    let names = names.map(|name| name.replace('-', "_"));
    names
        .chain(["std", "core", "alloc"].map(str::to_owned))
        .collect()
}

fn has(list: &str, name: &str) -> bool {
    list.split(' ').any(|other| other == name)
}

/// Returns what is wrong with one import.
fn fault(
    rule: &FolderRule,
    graph: &Graph,
    crates: &[String],
    at: &Segments,
    mention: &Mention,
) -> Option<String> {
    let written = mention.path.join("::");
    let first = mention.path.first()?;
    let is_allowed = match graph.resolve(mention).map(|target| target.first()) {
        // The root of the crate has nothing but re-exports.
        Some(None) => false,
        Some(Some(folder)) => has(rule.folders, folder),
        None if !crates.contains(first) || graph.is_imported(at, mention) => true,
        None => has(rule.crates, first),
    };
    let is_impure = rule.is_pure && IMPURE.iter().any(|impure| written.contains(impure));
    let module = at.join("::");
    let is_exception = EXCEPTIONS
        .iter()
        .any(|(of, named)| *of == module && (named == first || *named == written));
    if is_allowed && !is_impure || is_exception {
        return None;
    }
    let remedy = match rule.is_pure {
        true => {
            "It is pure: take what needs I/O, a clock or randomness as a parameter, and leave the \
             rest to `aws`, `oauth` or `runtime`."
        }
        false => "Move the code to a folder that may, or take what it needs as a parameter.",
    };
    Some(format!(
        "{module} names {written}. `{}` may import the folders {} and the crates {}. {remedy}",
        rule.folder, rule.folders, rule.crates,
    ))
}

#[test]
fn each_folder_imports_what_it_may() {
    let (graph, crates) = (graph("shared"), crates());
    let mut faults = vec![];
    for (at, mention) in graph.mentions() {
        let Some(folder) = at.first() else { continue };
        match RULES.iter().find(|rule| rule.folder == folder) {
            Some(rule) => faults.extend(fault(rule, &graph, &crates, at, mention)),
            None => faults.push(format!("{folder} has no rule in {}", file!())),
        }
    }
    assert!(faults.is_empty(), "\n\n{}\n", faults.join("\n"));
}

#[test]
fn no_module_needs_itself_through_others() {
    let of_crate = |folder| {
        let cycles = graph(folder).cycles().into_iter();
        cycles.map(move |cycle| format!("{folder}:\n{cycle}"))
    };
    let cycles: Vec<_> = CRATES.into_iter().flat_map(of_crate).collect();
    assert!(
        cycles.is_empty(),
        "\nThese modules import each other in a circle:\n\n{}\n\nMove what both sides need \
         into a module of its own, or the code to the side that may import the other.\n",
        cycles.join("\n\n")
    );
}
