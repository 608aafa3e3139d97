//! Secrets of a slot: files in memory that only the container's own user can read.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::Path;

use super::engine::Engine;
use super::store::failed;
use crate::host::wire::redact::Redactor;
use crate::host::wire::{HostError, HostErrorCode, Secret};

/// Who runs a container, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    uid: u32,
    gid: u32,
}

/// Makes an empty directory; what was there before is gone.
pub(super) fn clear(directory: &Path) -> Result<(), HostError> {
    remove(directory)?;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| failed("cannot make", directory, &error))
}

/// Forgets them. None there: nothing.
pub(super) fn remove(directory: &Path) -> Result<(), HostError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("cannot remove", directory, &error))
        }
        _ => Ok(()),
    }
}

/// Whether they are there: a reboot takes them.
pub(super) fn present<'a>(directory: &Path, mut names: impl Iterator<Item = &'a String>) -> bool {
    names.all(|name| directory.join(name).is_file())
}

/// What takes the secrets of a slot out of a text; those that a reboot took are in no text either.
pub(super) fn redactor(directory: &Path) -> Redactor {
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    names.fold(Redactor::default(), |redactor, entry| {
        let value = fs::read(entry.path()).unwrap_or_default();
        redactor.and(&entry.file_name().to_string_lossy(), &String::from_utf8_lossy(&value))
    })
}

/// Writes each into its file.
pub(super) fn write(
    directory: &Path,
    secrets: &BTreeMap<String, Secret>,
    user: User,
) -> Result<(), HostError> {
    for (name, secret) in secrets {
        let path = directory.join(name);
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(secret.expose().as_bytes())?;
            chown(&path, Some(user.uid), Some(user.gid))
        };
        write().map_err(|error| failed("cannot write", &path, &error))?;
    }
    chown(directory, Some(user.uid), Some(user.gid))
        .map_err(|error| failed("cannot hand over", directory, &error))
}

/// The user of an image: `1000`, `1000:1000`, `app`, `app:app`; names are looked up in the container's own files.
pub(super) async fn user(engine: &Engine, container: &str, text: &str) -> Result<User, HostError> {
    let (name, group) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
    let number = |text: &str| text.parse::<u32>().ok();
    let (uid, own_gid) = match (name, number(name)) {
        ("", _) => (0, 0),
        (_, Some(uid)) => (uid, 0),
        _ => {
            let line = entry(engine, container, "/etc/passwd", name).await?;
            let field = |n: usize| line.split(':').nth(n).and_then(number);
            field(2).zip(field(3)).ok_or_else(|| unknown(name, "/etc/passwd"))?
        }
    };
    let gid = match group.map(|group| (group, number(group))) {
        None | Some(("", _)) => own_gid,
        Some((_, Some(gid))) => gid,
        Some((group, None)) => {
            let line = entry(engine, container, "/etc/group", group).await?;
            line.split(':').nth(2).and_then(number).ok_or_else(|| unknown(group, "/etc/group"))?
        }
    };
    Ok(User { uid, gid })
}

fn unknown(name: &str, file: &str) -> HostError {
    HostError::new(
        HostErrorCode::Image,
        format!("the image runs as {name:?}, which its {file} does not know"),
    )
}

async fn entry(engine: &Engine, container: &str, file: &str, name: &str) -> Result<String, HostError> {
    let archive = engine.archive(container, Path::new(file)).await?;
    let text = only_file(&archive).ok_or_else(|| unknown(name, file))?;
    let found = text.lines().find(|line| line.split(':').next() == Some(name));
    found.map(str::to_owned).ok_or_else(|| unknown(name, file))
}

/// The first regular file of a tar archive (POSIX ustar: a header of 512 bytes, then the content, padded to 512).
fn only_file(archive: &[u8]) -> Option<String> {
    let mut rest = archive;
    while rest.len() >= 512 {
        let (header, body) = rest.split_at(512);
        let digits: String =
            header[124..136].iter().map(|b| char::from(*b)).filter(char::is_ascii_digit).collect();
        let size = usize::from_str_radix(&digits, 8).ok()?;
        if matches!(header[156], b'0' | 0) && header[0] != 0 {
            return body.get(..size).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        }
        rest = body.get(size.div_ceil(512) * 512..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn tar(kind: u8, name: &str, content: &str) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        bytes[156] = kind;
        bytes.extend(content.as_bytes());
        bytes.resize(bytes.len().div_ceil(512) * 512, 0);
        bytes
    }

    #[test]
    fn the_one_file_of_an_archive_is_found_behind_other_entries() {
        let mut archive = tar(b'x', "pax", "30 mtime=1\n");
        archive.extend(tar(b'0', "passwd", "app:x:10:20::/:\n"));
        assert_eq!(only_file(&archive).unwrap(), "app:x:10:20::/:\n");
        assert_eq!(only_file(&archive[..600]), None);
        assert_eq!(only_file(&[0; 1024]), None);
    }

    #[test]
    fn invariant_10_files_are_for_their_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("web/blue/secrets");
        let me = User { uid: rustix::process::getuid().as_raw(), gid: rustix::process::getgid().as_raw() };
        let secrets = BTreeMap::from([("KEY".to_owned(), Secret::new("value".into()))]);
        for _ in 0..2 {
            clear(&directory).unwrap();
            write(&directory, &secrets, me).unwrap();
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&directory.join("KEY"))), (0o700, 0o600));
        assert!(present(&directory, ["KEY".to_owned()].iter()));
        assert!(!present(&directory, ["OTHER".to_owned()].iter()));
        remove(&directory).unwrap();
        assert!(!present(&directory, ["KEY".to_owned()].iter()));
        remove(&directory).unwrap();
    }
}
