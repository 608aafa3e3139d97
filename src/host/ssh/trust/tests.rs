use super::*;
use crate::host::ssh::testing::key;

fn line(key: &PublicKey) -> String {
    PublicKey::from(key.key_data().clone()).to_openssh().unwrap()
}

fn known(text: &str, name: &str) -> (tempfile::TempDir, Trust) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    std::fs::write(&file, text).unwrap();
    let trust = Trust { name: name.to_owned(), files: vec![file], ..Trust::default() };
    (folder, trust)
}

#[test]
fn a_pinned_key_is_the_only_one() {
    let (right, other) = (key(1), key(2));
    let (_folder, mut trust) = known(&format!("a {}\n", line(other.public_key())), "a");
    trust.pins = vec![line(right.public_key())];
    assert_eq!(trust.check(right.public_key()), Ok(()));
    let error = trust.check(other.public_key()).unwrap_err();
    assert!(matches!(error, TrustError::NotPinned { .. }), "what a file says does not count: {error}");
    assert!(error.to_string().contains(&other.fingerprint(HashAlg::Sha256).to_string()), "{error}");
    assert_eq!(trust.algorithms(), [Algorithm::Ed25519]);
    trust.pins = vec!["ssh-ed25519 AAAA".to_owned()];
    assert!(matches!(trust.check(right.public_key()), Err(TrustError::NoKey(_))));
}

#[test]
fn a_known_key_is_found_by_name_pattern_and_hash() {
    let key = key(1);
    let key = key.public_key();
    let text = format!("# a comment\n\nnonsense\n[b.example]:2222,*.other,!no.other {} me@home\n", line(key));
    for (name, is_known) in
        [("[b.example]:2222", true), ("x.other", true), ("no.other", false), ("b.example", false)]
    {
        let (_folder, trust) = known(&text, name);
        assert_eq!(trust.check(key).is_ok(), is_known, "{name}");
    }
    // Made with `ssh-keygen -H` from the name `host.example`.
    let salt = b"0123456789abcdefghij";
    let hash = Hmac::<Sha1>::new_from_slice(salt).unwrap().chain_update("host.example").finalize();
    let hash = hash.into_bytes();
    let hashed = HostPatterns::HashedName { salt: salt.to_vec(), hash: hash.as_slice().try_into().unwrap() };
    let (_folder, trust) = known(&format!("{} {}\n", hashed.to_string(), line(key)), "host.example");
    assert_eq!(trust.check(key), Ok(()));
}

#[test]
fn a_changed_key_is_refused_with_file_line_and_command() {
    let (old, new) = (key(1), key(2));
    let (_folder, mut trust) = known(&format!("\n[a]:2222 {}\n", line(old.public_key())), "[a]:2222");
    trust.record = Some(trust.files[0].with_file_name("record"));
    let error = trust.check(new.public_key()).unwrap_err().to_string();
    let file = trust.files[0].display();
    for part in [format!("{file}:2 has"), format!("ssh-keygen -R '[a]:2222' -f {file}")] {
        assert!(error.contains(&part), "{part} in {error}");
    }
    assert!(!trust.record.unwrap().exists(), "a host that is known is not met for the first time");
}

#[test]
fn a_revoked_key_is_refused_and_an_authority_is_no_key() {
    let key = key(1);
    let text = format!("a {0}\n@revoked * {0}\n", line(key.public_key()));
    let (_folder, trust) = known(&text, "a");
    assert!(matches!(trust.check(key.public_key()), Err(TrustError::Revoked { line: 2, .. })));
    let (_folder, trust) = known(&format!("@cert-authority a {}\n", line(key.public_key())), "a");
    assert!(matches!(trust.check(key.public_key()), Err(TrustError::Unknown { .. })));
}

#[test]
fn a_host_that_is_met_for_the_first_time_is_recorded_once_and_held_to_it() {
    let (first, second) = (key(1), key(2));
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("state/known_hosts");
    let trust = Trust { name: "a".into(), record: Some(record.clone()), ..Trust::default() };
    for _ in 0..2 {
        assert_eq!(trust.check(first.public_key()), Ok(()));
    }
    assert_eq!(std::fs::read_to_string(&record).unwrap(), format!("a {}\n", line(first.public_key())));
    let error = trust.check(second.public_key()).unwrap_err();
    assert!(matches!(&error, TrustError::Changed { line: 1, file, .. } if *file == record), "{error}");
    let strict = Trust { record: None, files: vec![folder.path().join("none")], ..trust };
    let error = strict.check(first.public_key()).unwrap_err().to_string();
    assert!(error.contains("ssh-keyscan -p 22 a >> "), "{error}");
}
