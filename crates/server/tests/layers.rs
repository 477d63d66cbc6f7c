//! Who may import whom (ARCHITECTURE.md, *Code map*), checked from the manifests; and that no pure
//! crate reaches for a runtime, a socket or a clock.
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const PREFIX: &str = "ringtrip-";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn dependencies(manifest: &toml::Table, section: &str) -> BTreeSet<String> {
    let table = manifest.get(section).and_then(toml::Value::as_table);
    table
        .into_iter()
        .flat_map(toml::Table::keys)
        .cloned()
        .collect()
}

/// Crate → (normal dependencies, dev and build dependencies).
fn manifests() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let mut crates = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let path = entry.unwrap().path().join("Cargo.toml");
        let manifest: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let name = manifest["package"]["name"].as_str().unwrap();
        let name = name
            .strip_prefix(PREFIX)
            .expect("package names carry the prefix")
            .to_owned();
        let mut dev = dependencies(&manifest, "dev-dependencies");
        dev.extend(dependencies(&manifest, "build-dependencies"));
        crates.insert(name, (dependencies(&manifest, "dependencies"), dev));
    }
    crates
}

fn ours(dependencies: &BTreeSet<String>) -> BTreeSet<&str> {
    dependencies
        .iter()
        .filter_map(|name| name.strip_prefix(PREFIX))
        .collect()
}

fn allowed(name: &str) -> &'static [&'static str] {
    match name {
        "model" | "udp" => &[],
        "sip" | "verto" | "switch" | "media" | "store" | "cluster" => &["model"],
        "api" => &["model", "store", "cluster"],
        "server" => &[
            "model", "sip", "verto", "switch", "media", "store", "cluster", "api", "udp",
        ],
        "sim" => &["model", "sip", "verto", "switch", "media"],
        "bench" => &["model", "media"],
        other => panic!(
            "crate {other} has no place in the house yet: add it here and to ARCHITECTURE.md"
        ),
    }
}

#[test]
fn crates_import_only_what_they_may() {
    for (name, (normal, dev)) in manifests() {
        for import in ours(&normal) {
            assert!(
                allowed(&name).contains(&import),
                "{name} must not import {import}"
            );
        }
        for import in ours(&dev) {
            let fine = allowed(&name).contains(&import) || import == "sim";
            assert!(fine, "{name} must not import {import}, not even in tests");
        }
    }
}

#[test]
fn only_the_server_uses_udp_and_nobody_uses_the_server() {
    for (name, (normal, dev)) in manifests() {
        let imports = ours(&normal);
        assert!(!imports.contains("server"), "{name} imports server");
        assert!(
            !imports.contains("udp") || name == "server",
            "{name} imports udp"
        );
        assert!(
            !imports.contains("sim"),
            "{name} imports sim outside its tests"
        );
        assert!(
            !ours(&dev).contains("server"),
            "{name} imports server in its tests"
        );
    }
}

#[test]
fn pure_crates_have_no_runtime_and_forbid_the_clock() {
    let impure = [
        "tokio",
        "axum",
        "sqlx",
        "socket2",
        "libc",
        "rand",
        "fastrand",
        "getrandom",
        "parking_lot",
    ];
    for name in ["model", "sip", "verto", "switch", "media", "sim"] {
        let folder = root().join("crates").join(name);
        if !folder.exists() {
            continue;
        }
        let (normal, _) = &manifests()[name];
        for dependency in impure {
            assert!(
                !normal.contains(dependency),
                "{name} is pure and must not import {dependency}"
            );
        }
        let lints = std::fs::read_to_string(folder.join("clippy.toml")).unwrap();
        for method in [
            "std::time::Instant::now",
            "std::time::SystemTime::now",
            "std::thread::spawn",
        ] {
            assert!(
                lints.contains(method),
                "crates/{name}/clippy.toml must disallow {method}"
            );
        }
    }
}

#[test]
fn unsafe_code_stands_in_udp_alone() {
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let inherits = manifest.contains("[lints]\nworkspace = true");
        assert!(
            inherits || folder.ends_with("udp"),
            "{} must take the workspace's lints",
            folder.display()
        );
    }
}

#[test]
fn nothing_is_called_common_or_utils() {
    fn walk(folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let vague = ["common", "utils", "util", "helpers", "misc", "manager"];
            assert!(
                !vague.contains(&stem.as_str()),
                "{} says nothing of what it holds",
                path.display()
            );
            if path.is_dir() && stem != "target" {
                walk(&path);
            }
        }
    }
    walk(&root().join("crates"));
}
