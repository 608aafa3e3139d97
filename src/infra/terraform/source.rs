//! The hash of a configuration: its own files, those of local modules, the chosen versions of the others, and the
//! files with variables. A file that the configuration reads from elsewhere is not in it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::id::Digest;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modules {
    modules: Vec<Module>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Module {
    source: String,
    #[serde(default)]
    version: String,
    dir: PathBuf,
}

/// The hash; `data` is where Terraform keeps what it has downloaded.
pub(super) fn hash(directory: &Path, data: &Path, var_files: &[PathBuf]) -> io::Result<Digest> {
    // By name, so that neither the order of a listing nor the place of the clone counts.
    let mut walk = Walk { data, parts: BTreeMap::new(), within: Vec::new() };
    walk.collect(directory, "")?;
    let modules: Option<Modules> =
        fs::read(data.join("modules/modules.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
    for module in modules.into_iter().flat_map(|modules| modules.modules) {
        let place = directory.join(&module.dir);
        let name = format!("module {} {}", module.source, module.version);
        walk.parts.insert(name, Digest::of(b""));
        if !place.starts_with(data) && module.dir != Path::new(".") {
            walk.collect(&place, &format!("{}/", module.dir.display()))?;
        }
    }
    let mut parts = walk.parts;
    for (n, file) in var_files.iter().enumerate() {
        parts.insert(format!("variables {n}"), Digest::of(&fs::read(file)?));
    }
    let listing: String = parts.iter().map(|(name, digest)| format!("{digest} {name:?}\n")).collect();
    Ok(Digest::of(listing.as_bytes()))
}

/// What Terraform and its users leave beside a configuration, and is none of it.
fn is_left(name: &str) -> bool {
    matches!(name, ".terraform" | ".git" | "crash.log")
        || [".tfstate", ".tfplan"].iter().any(|end| name.ends_with(end))
        || name.contains(".tfstate.")
}

/// The files of a directory and below, those behind links as well: Terraform reads through them.
struct Walk<'a> {
    data: &'a Path,
    parts: BTreeMap<String, Digest>,
    /// Where it is, from the outermost on, without links.
    within: Vec<PathBuf>,
}

impl Walk<'_> {
    fn collect(&mut self, directory: &Path, prefix: &str) -> io::Result<()> {
        let place = fs::canonicalize(directory)?;
        // A link to what it lies in leads nowhere new; nor is a whole repository, or disk, part of its own corner.
        if self.within.iter().any(|above| above.starts_with(&place)) {
            self.parts.insert(format!("{prefix} a link back"), Digest::of(b""));
            return Ok(());
        }
        self.within.push(place);
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if is_left(&name) || path == self.data {
                continue;
            }
            // A link that leads to nothing is read by nobody.
            let Ok(found) = fs::metadata(&path) else { continue };
            if found.is_dir() {
                self.collect(&path, &format!("{prefix}{name}/"))?;
            } else if found.is_file() {
                self.parts.insert(format!("{prefix}{name}"), Digest::of(&fs::read(&path)?));
            }
        }
        self.within.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_with_every_file_that_counts_and_with_no_other() {
        let place = tempfile::tempdir().unwrap();
        let (root, module) = (place.path().join("live/single"), place.path().join("modules/host"));
        let data = root.join(".terraform");
        fs::create_dir_all(data.join("modules")).unwrap();
        fs::create_dir_all(root.join("files")).unwrap();
        fs::create_dir_all(&module).unwrap();
        fs::write(root.join("main.tf"), "a").unwrap();
        fs::write(module.join("main.tf"), "a").unwrap();
        let variables = place.path().join("blue.tfvars");
        fs::write(&variables, "a").unwrap();
        let modules = r#"{"Modules":[{"Key":"","Source":"","Dir":"."},
            {"Key":"host","Source":"../../modules/host","Dir":"../../modules/host"},
            {"Key":"vpc","Source":"registry/vpc","Version":"1.0.0","Dir":".terraform/modules/vpc"}]}"#;
        fs::write(data.join("modules/modules.json"), modules).unwrap();
        let hash = || hash(&root, &data, std::slice::from_ref(&variables)).unwrap();
        let first = hash();
        for unimportant in
            ["terraform.tfstate", "terraform.tfstate.backup", ".terraform.tfstate.lock.info", "x.tfplan"]
        {
            fs::write(root.join(unimportant), "x").unwrap();
            assert_eq!(hash(), first, "{unimportant}");
        }
        fs::write(data.join("environment"), "x").unwrap();
        assert_eq!(hash(), first);
        let mut seen = vec![first];
        let mut moved = |what: &str| {
            let now = hash();
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        for (file, what) in [
            (root.join("main.tf"), "the root"),
            (root.join("more.tf"), "a new file"),
            (root.join("files/user-data"), "a file below"),
            (root.join(".terraform.lock.hcl"), "versions of providers"),
            (module.join("main.tf"), "a local module"),
            (variables.clone(), "variables"),
        ] {
            fs::write(file, "b").unwrap();
            moved(what);
        }
        fs::write(data.join("modules/modules.json"), modules.replace("1.0.0", "1.0.1")).unwrap();
        moved("the version of a module");
    }

    #[test]
    fn what_lies_behind_a_link_counts_and_a_link_back_ends() {
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().unwrap();
        let (root, shared, other) =
            (place.path().join("live"), place.path().join("shared"), place.path().join("other"));
        for directory in [&root, &shared, &other] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("x.tf"), "a").unwrap();
        }
        let hash = || hash(&root, &root.join(".terraform"), &[]).unwrap();
        let first = hash();
        symlink(&shared, root.join("files")).unwrap();
        let second = hash();
        assert_ne!(first, second);
        fs::write(shared.join("x.tf"), "b").unwrap();
        let third = hash();
        assert_ne!(second, third, "a file behind the link");
        // To itself, to what it lies in, to each other, and to nothing.
        for (target, link) in [
            (&root, root.join("itself")),
            (&place.path().to_owned(), root.join("above")),
            (&other, shared.join("other")),
            (&shared, other.join("shared")),
            (&place.path().join("nothing"), root.join("nothing")),
        ] {
            symlink(target, link).unwrap();
        }
        assert_eq!(hash(), hash());
        fs::write(other.join("x.tf"), "c").unwrap();
        assert_ne!(hash(), third);
    }
}
