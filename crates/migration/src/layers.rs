//! No module of the crate imports one that imports it: what stands lower knows nothing of what stands above it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who imports whom, by the folders and files right under `src`; and one file in which it does.
type Imports = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn no_module_imports_one_that_imports_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut imports = Imports::new();
    for file in files(&src) {
        let module = module(file.strip_prefix(&src).unwrap());
        // The crate's own file only lists what is here, and this one holds examples.
        if ["lib", "layers"].contains(&module[0].as_str()) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let known = imports.entry(module[0].clone()).or_default();
        for other in imported(&text, &module) {
            if other != module[0] {
                known.insert(other, file.display().to_string());
            }
        }
    }
    let modules: BTreeSet<String> = imports.keys().cloned().collect();
    for (module, known) in &imports {
        for (other, file) in known {
            assert!(
                modules.contains(other),
                "{module} imports {other}, which is no module: {file}"
            );
        }
    }
    let circle = circle(imports);
    assert!(circle.is_empty(), "in a circle, or between circles: {circle:#?}");
}

#[test]
fn imports_are_found() {
    let text = "//! crate::a\nuse crate::b::{self, C};\nuse crate::{\n    d::E,\n    f::{g, h},\n};\nuse super::i;\n\
                use super::super::j::K;\n let x = crate::l::m(); // crate::n";
    let module = ["x", "y"].map(ToOwned::to_owned);
    assert_eq!(imported(text, &module).join(" "), "b d f l x j");
    let two = |a: &str, b: &str| (a.to_owned(), BTreeMap::from([(b.to_owned(), String::new())]));
    let imports = Imports::from([
        two("a", "b"),
        two("b", "c"),
        two("c", "b"),
        two("d", "e"),
        ("e".to_owned(), BTreeMap::new()),
    ]);
    assert_eq!(circle(imports).into_keys().collect::<Vec<_>>(), ["b", "c"]);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// `session/mod.rs` → session, `run/pass.rs` → run, pass.
fn module(file: &Path) -> Vec<String> {
    let path = file.with_extension("");
    let mut parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    parts.retain(|part| part != "mod");
    parts
}

/// The top-level modules that a file of `module` names.
fn imported(text: &str, module: &[String]) -> Vec<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        found.extend(first_names(&code[at + "crate::".len()..]));
    }
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("::") {
            continue;
        }
        let mut rest = &code[at..];
        let mut above = module;
        while let Some(shorter) = rest.strip_prefix("super::") {
            rest = shorter;
            above = &above[..above.len().saturating_sub(1)];
        }
        match above.first() {
            Some(top) => found.push(top.clone()),
            None => found.extend(first_names(rest)),
        }
    }
    found
}

/// `a::b` → a; `{a::b, c}` → a, c; `*` → nothing.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let text = text.trim_start();
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return Some(name(path)).filter(|name| !name.is_empty()).into_iter().collect();
    };
    let (mut depth, mut names, mut from) = (0, Vec::new(), 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.extend(Some(name(&group[from..at])).filter(|name| !name.is_empty()));
                from = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

/// What is left once who imports nobody, and whom nobody imports, is taken away again and again.
fn circle(mut imports: Imports) -> Imports {
    loop {
        let imported: BTreeSet<String> = imports.values().flat_map(|known| known.keys().cloned()).collect();
        let before = imports.len();
        imports.retain(|module, known| !known.is_empty() && imported.contains(module));
        if imports.len() == before {
            return imports;
        }
        let left: BTreeSet<String> = imports.keys().cloned().collect();
        for known in imports.values_mut() {
            known.retain(|other, _| left.contains(other));
        }
    }
}
