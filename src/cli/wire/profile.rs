//! Whether the profile that AWS_PROFILE names is there. The SDK does not say: it goes on to whatever credentials come next.

use std::path::PathBuf;

use crate::cli::surroundings::Surroundings;

/// Which profile is asked for and is in no file, and which files these are. Keys in the environment come before
/// profiles; none is missed then.
pub(super) fn missing(around: &Surroundings) -> Option<String> {
    let variable = |name: &str| around.variables.get(name).filter(|value| !value.is_empty());
    let wanted = variable("AWS_PROFILE")?;
    if variable("AWS_ACCESS_KEY_ID").is_some() {
        return None;
    }
    let file = |name: &str, usual: &str| -> Option<PathBuf> {
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(usual));
        variable(name).map(PathBuf::from).or_else(home)
    };
    let config = file("AWS_CONFIG_FILE", ".aws/config")?;
    let credentials = file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")?;
    let files = [&config, &credentials];
    let is_there = files.iter().any(|path| {
        // What cannot be read here, the SDK cannot read either.
        std::fs::read(path).is_ok_and(|bytes| names(&String::from_utf8_lossy(&bytes), wanted))
    });
    (!is_there).then(|| {
        format!("{wanted:?}, which is in neither {} nor {}", config.display(), credentials.display())
    })
}

/// Whether a file has a section of this profile: `[profile NAME]`, or `[NAME]` as the file of credentials has it.
fn names(text: &str, wanted: &str) -> bool {
    text.lines().filter_map(|line| line.trim().strip_prefix('[')?.split(']').next()).any(|section| {
        let section = section.trim();
        let name = section.strip_prefix("profile").filter(|rest| rest.starts_with(char::is_whitespace));
        name.unwrap_or(section).trim() == wanted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_found_as_the_files_write_it() {
        for text in ["[profile work]", " [ profile\twork ] # mine", "[a]\nx=1\n[work]\n"] {
            assert!(names(text, "work"), "{text:?}");
        }
        for text in ["", "[profile works]", "work", "[profilework]", "# [work]"] {
            assert!(!names(text, "work"), "{text:?}");
        }
    }
}
