//! Reads the modules of a crate from its source: what each declares and names. Code that only
//! tests compile is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as it is written, such as `["crate", "domain", "id"]`.
pub(crate) type Segments = Vec<String>;

/// A place where a file names something of another module or crate.
#[derive(Debug)]
pub(crate) struct Mention {
    /// The module of this place, which may be an inline module of the file.
    pub(crate) module: Segments,
    pub(crate) path: Segments,
    /// The name that a `use` here brings into scope; `None` outside of a `use`.
    pub(crate) imports: Option<String>,
    pub(crate) is_public: bool,
}

/// A module that has a file of its own.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) mentions: Vec<Mention>,
    /// Every identifier outside of `use` declarations.
    pub(crate) identifiers: BTreeSet<String>,
    children: Vec<String>,
}

/// Returns the modules of the crate in `folder`, by path; the root's is empty.
pub(crate) fn modules(folder: &Path) -> BTreeMap<Segments, Module> {
    let root = ["src/lib.rs", "src/main.rs"].map(|root| folder.join(root));
    let root = root.into_iter().find(|root| root.exists()).unwrap();
    let mut modules = BTreeMap::new();
    scan_file(root, vec![], &mut modules);
    modules
}

fn scan_file(file: PathBuf, path: Segments, modules: &mut BTreeMap<Segments, Module>) {
    let text = fs::read_to_string(&file).unwrap();
    let mut module = Module::default();
    module.scan(text.parse().unwrap(), &path);
    // `a/mod.rs` and the root have their children beside them, `a.rs` in `a/`.
    let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") => file.parent().unwrap().to_owned(),
        _ => file.with_extension(""),
    };
    for child in &module.children {
        let files = [format!("{child}.rs"), format!("{child}/mod.rs")];
        let files = files.map(|name| folder.join(name));
        let file = files.into_iter().find(|file| file.exists()).unwrap();
        scan_file(
            file,
            [&path[..], std::slice::from_ref(child)].concat(),
            modules,
        );
    }
    modules.insert(path, module);
}

impl Module {
    fn scan(&mut self, tokens: TokenStream, within: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += match token {
                TokenTree::Punct(hash) if hash.as_char() == '#' && is_test_only(&tokens[at..]) => {
                    length_of_item(&tokens[at..])
                }
                TokenTree::Ident(word) if word == "use" && !is_angle(tokens.get(at + 1)) => {
                    self.scan_use(&tokens, at, within)
                }
                TokenTree::Ident(word) if word == "mod" => self.scan_mod(&tokens[at..], within),
                TokenTree::Ident(_) => self.scan_path(&tokens[at..], within),
                TokenTree::Group(group) => {
                    self.scan(group.stream(), within);
                    1
                }
                _ => 1,
            };
        }
    }

    fn scan_mod(&mut self, tokens: &[TokenTree], within: &[String]) -> usize {
        let Some(TokenTree::Ident(name)) = tokens.get(1) else {
            return 1;
        };
        match tokens.get(2) {
            Some(TokenTree::Group(body)) => {
                self.scan(body.stream(), &[within, &[name.to_string()]].concat());
            }
            _ => self.children.push(name.to_string()),
        }
        3
    }

    fn scan_use(&mut self, tokens: &[TokenTree], at: usize, within: &[String]) -> usize {
        let is_public = match &tokens[..at] {
            [.., TokenTree::Ident(word), TokenTree::Group(_)] => word == "pub",
            [.., TokenTree::Ident(word)] => word == "pub",
            _ => false,
        };
        let length = tokens[at..].iter().position(is_semicolon).unwrap();
        for (path, name) in use_tree(&tokens[at + 1..at + length], vec![]) {
            self.mentions.push(Mention {
                module: within.to_vec(),
                path,
                imports: Some(name),
                is_public,
            });
        }
        length
    }

    fn scan_path(&mut self, tokens: &[TokenTree], within: &[String]) -> usize {
        let mut path = vec![tokens[0].to_string()];
        let mut length = 1;
        while let [
            TokenTree::Punct(first),
            TokenTree::Punct(second),
            TokenTree::Ident(segment),
            ..,
        ] = &tokens[length..]
            && (first.as_char(), second.as_char()) == (':', ':')
        {
            path.push(segment.to_string());
            length += 3;
        }
        self.identifiers.extend(path.iter().cloned());
        if path.len() > 1 {
            self.mentions.push(Mention {
                module: within.to_vec(),
                path,
                imports: None,
                is_public: false,
            });
        }
        length
    }
}

/// Returns the paths of a `use`, each with the name that it brings into scope.
fn use_tree(tokens: &[TokenTree], mut prefix: Segments) -> Vec<(Segments, String)> {
    let mut name = None;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(word) if word == "as" => name = tokens.get(at + 1),
            TokenTree::Ident(_) if name.is_some() => {}
            TokenTree::Ident(segment) => prefix.push(segment.to_string()),
            TokenTree::Punct(star) if star.as_char() == '*' => prefix.push("*".to_owned()),
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let branches = inner.split(is_comma).filter(|branch| !branch.is_empty());
                return branches
                    .flat_map(|branch| use_tree(branch, prefix.clone()))
                    .collect();
            }
            _ => {}
        }
    }
    // `use a::{self}` is `use a`.
    if prefix.len() > 1 && prefix.last().is_some_and(|last| last == "self") {
        prefix.pop();
    }
    let last = prefix.last().cloned().unwrap_or_default();
    vec![(prefix, name.map_or(last, ToString::to_string))]
}

/// Tells `impl Trait + use<'a>` from a `use` declaration.
fn is_angle(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == '<')
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

fn is_semicolon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';')
}

/// Whether an item that only tests compile begins here: `#[cfg(test)]`.
fn is_test_only(tokens: &[TokenTree]) -> bool {
    let Some(TokenTree::Group(attribute)) = tokens.get(1) else {
        return false;
    };
    let text = attribute.stream().to_string().replace(' ', "");
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// Returns the length of an item and its attributes, up to its body in braces or its semicolon.
fn length_of_item(tokens: &[TokenTree]) -> usize {
    let end = tokens.iter().position(|token| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_semicolon(token),
    });
    end.map_or(tokens.len(), |end| end + 1)
}
