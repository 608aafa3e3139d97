use super::fake::FakeStore;
use super::*;

fn references(of: &[(&str, &str)]) -> BTreeMap<String, SecretRef> {
    of.iter()
        .map(|(name, text)| ((*name).to_owned(), SecretRef::try_from((*text).to_owned()).unwrap()))
        .collect()
}

#[tokio::test]
async fn invariant_10_errors_and_debug_hold_no_value() {
    let store = FakeStore::default();
    store.put("ssm:/a", "hunter2");
    let secrets = Secrets {
        variables: [("TOKEN".to_owned(), Secret::new("hunter2".to_owned()))].into(),
        root: "/nowhere".into(),
        store: Some(Arc::new(store.clone())),
    };
    let found = secrets.resolve(&references(&[("token", "env:TOKEN"), ("A", "ssm:/a")])).await.unwrap();
    assert_eq!(found.values["token"].expose(), "hunter2");
    assert_eq!(found.values["A"].expose(), "hunter2");
    assert_eq!(found.versions, [("A".to_owned(), "1".to_owned())].into());
    assert!(!format!("{found:?} {secrets:?}").contains("hunter2"));
    for (reference, told) in [
        ("env:OTHER", "OTHER"),
        ("file:token", "/nowhere/token"),
        ("ssm:/b", "secret token: ssm:/b in fake-1, asked for as arn:fake: it does not exist"),
        ("ssm:/a:2", "ssm:/a:2 in fake-1, asked for as arn:fake: it does not have this version"),
    ] {
        let error = secrets.resolve(&references(&[("token", reference)])).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(told) && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn fields_of_one_secret_are_of_one_version() {
    let store = FakeStore::default();
    store.put(
        "secretsmanager:db",
        r#"{"username": "web", "password": "hunter2 \"ü\"", "port": 5432, "tls": true, "hosts": [1], "none": null}"#,
    );
    let secrets = Secrets { store: Some(Arc::new(store.clone())), ..Secrets::default() };
    let wanted = references(&[
        ("user", "secretsmanager:db#username"),
        ("password", "secretsmanager:db#password"),
        ("port", "secretsmanager:db#port"),
        ("tls", "secretsmanager:db:1#tls"),
        ("all", "secretsmanager:db"),
    ]);
    let found = secrets.resolve(&wanted).await.unwrap();
    assert_eq!(store.asked(), 2, "once without a version, once with it");
    let values: Vec<&str> =
        ["user", "password", "port", "tls"].map(|name| found.values[name].expose()).into();
    assert_eq!(values, ["web", "hunter2 \"ü\"", "5432", "true"]);
    assert!(found.values["all"].expose().starts_with('{'));
    assert!(found.versions.values().all(|version| version == "1") && found.versions.len() == 5);
    store.put("secretsmanager:text", "hunter2");
    for (reference, told) in [
        (
            "secretsmanager:db#user",
            "secret S: secretsmanager:db#user asks for a field that the JSON object does not have",
        ),
        ("secretsmanager:db#hosts", "neither text, number nor truth value"),
        ("secretsmanager:db#none", "neither text, number nor truth value"),
        ("secretsmanager:text#password", "no JSON object"),
    ] {
        let error = secrets.resolve(&references(&[("S", reference)])).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(told) && !text.contains("hunter"), "{text}");
    }
}

#[tokio::test]
async fn no_store_is_asked_while_something_is_missing_here() {
    let store = FakeStore::default();
    let secrets = Secrets { store: Some(Arc::new(store.clone())), ..Secrets::default() };
    let wanted = references(&[("A", "ssm:/a"), ("B", "env:B")]);
    assert!(matches!(secrets.resolve(&wanted).await, Err(SecretError::NotSet { .. })));
    assert_eq!(store.asked(), 0);
    let error = Secrets::default().resolve(&references(&[("A", "ssm:/a")])).await.unwrap_err();
    assert!(error.to_string().contains("was not given a store"), "{error}");
}

#[tokio::test]
async fn a_value_that_is_too_long_is_refused_by_name() {
    let store = FakeStore::default();
    store.put("ssm:/a", &"x".repeat(LIMIT + 1));
    let secrets = Secrets { store: Some(Arc::new(store)), ..Secrets::default() };
    let error = secrets.resolve(&references(&[("A", "ssm:/a")])).await.unwrap_err();
    assert!(
        matches!(error, SecretError::TooLong { .. }) && error.to_string().contains("secret A "),
        "{error}"
    );
}

#[test]
fn ids_are_cut_where_people_read_them() {
    let versions = [
        ("DB".to_owned(), "a1b2c3d4-5678-90ab-cdef-000000000001".to_owned()),
        ("KEY".to_owned(), "12".to_owned()),
    ];
    assert_eq!(listed(&BTreeMap::from(versions)), "DB a1b2c3d4, KEY 12");
}
