//! Which module of a crate uses which.
//!
//! *What counts as an edge:* a module uses the module in which a path that it writes ends. A
//! re-export is seen through: `crate::aws::AwsError` is an edge to `aws::error`, and none to
//! `aws`. So a `mod.rs` may gather the items of its children, and they may use what it defines
//! itself, without a cycle. `mod child;` and `pub use child::Name` are no edges, unless the
//! code of `mod.rs` writes that `Name` as well. In a cycle, modules need each other's code.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::source::{Mention, Module, Segments};

pub(crate) struct Graph {
    modules: BTreeMap<Segments, Module>,
}

impl Graph {
    pub(crate) fn new(modules: BTreeMap<Segments, Module>) -> Self {
        Self { modules }
    }

    pub(crate) fn mentions(&self) -> impl Iterator<Item = (&Segments, &Mention)> {
        let modules = self.modules.iter();
        modules
            .flat_map(|(path, module)| module.mentions.iter().map(move |mention| (path, mention)))
    }

    /// Returns the module of this crate in which a path ends; `None` for another crate's.
    pub(crate) fn resolve(&self, mention: &Mention) -> Option<&Segments> {
        self.resolve_path(&mention.module, &mention.path, 0)
    }

    /// Whether the first segment of a path is a name that its file has imported.
    pub(crate) fn is_imported(&self, module: &Segments, mention: &Mention) -> bool {
        let mut imports = self.modules[module].mentions.iter();
        mention.imports.is_none()
            && imports.any(|other| other.imports.as_ref() == mention.path.first())
    }

    fn resolve_path(&self, from: &[String], path: &[String], depth: u32) -> Option<&Segments> {
        let (first, rest) = path.split_first()?;
        let mut full = match first.as_str() {
            "crate" => vec![],
            "self" => from.to_vec(),
            "super" => from.split_last()?.1.to_vec(),
            _ => {
                let mut child = from.to_vec();
                child.push(first.clone());
                if !self.modules.contains_key(&child) {
                    return None;
                }
                child
            }
        };
        for segment in rest {
            match segment.as_str() {
                "super" => drop(full.pop()),
                _ => full.push(segment.clone()),
            }
        }
        let length = (0..=full.len())
            .rev()
            .find(|length| self.modules.contains_key(&full[..*length]))?;
        let (module, mentions) = self.modules.get_key_value(&full[..length])?;
        let name = full.get(length);
        let import = mentions.mentions.iter().find(|import| {
            import.imports.is_some() && import.imports.as_ref() == name && import.module == *module
        });
        let through = import.filter(|_| depth < 8).and_then(|import| {
            let path = [&import.path[..], &full[length + 1..]].concat();
            self.resolve_path(&import.module, &path, depth + 1)
        });
        Some(through.unwrap_or(module))
    }

    fn edges(&self) -> BTreeMap<&Segments, BTreeMap<&Segments, String>> {
        let mut edges: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (module, mention) in self.mentions() {
            let identifiers = &self.modules[module].identifiers;
            let is_used = |name| identifiers.contains(name);
            if mention.is_public && !mention.imports.as_ref().is_some_and(is_used) {
                continue;
            }
            if let Some(target) = self.resolve(mention).filter(|target| *target != module) {
                let written = mention.path.join("::");
                edges
                    .entry(module)
                    .or_default()
                    .entry(target)
                    .or_insert(written);
            }
        }
        edges
    }

    /// Returns a shortest cycle through each group of modules that need each other, as lines
    /// that say who names what.
    pub(crate) fn cycles(&self) -> Vec<String> {
        let edges = self.edges();
        let mut seen = BTreeSet::new();
        let mut cycles = vec![];
        for start in edges.keys() {
            let Some(cycle) = shortest_cycle(&edges, start) else {
                continue;
            };
            if cycle.iter().any(|module| seen.contains(module)) {
                continue;
            }
            seen.extend(cycle.iter().copied());
            let steps = cycle.iter().zip(cycle.iter().cycle().skip(1));
            let steps = steps.map(|(from, to)| {
                format!("  {} uses {} ({})", name(from), name(to), edges[from][to])
            });
            cycles.push(steps.collect::<Vec<_>>().join("\n"));
        }
        cycles
    }
}

fn name(module: &Segments) -> String {
    ["crate"]
        .into_iter()
        .chain(module.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("::")
}

fn shortest_cycle<'a>(
    edges: &BTreeMap<&'a Segments, BTreeMap<&'a Segments, String>>,
    start: &'a Segments,
) -> Option<Vec<&'a Segments>> {
    let mut came_from = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(module) = queue.pop_front() {
        for target in edges
            .get(module)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .copied()
        {
            if target == start {
                let back = std::iter::successors(Some(module), |at| came_from.get(*at).copied());
                let mut cycle: Vec<_> = back.collect();
                cycle.reverse();
                return Some(cycle);
            }
            if !came_from.contains_key(target) {
                came_from.insert(target, module);
                queue.push_back(target);
            }
        }
    }
    None
}
