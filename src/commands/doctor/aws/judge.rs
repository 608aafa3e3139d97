//! What the facts about tables and buckets mean. Pure.

/// Tables.
pub(super) mod table {
    use serde::Deserialize;

    use super::super::super::Check;
    use crate::aws::survey::TableFacts;

    /// The layout that Terraform and the tests read too.
    const LAYOUT: &str = include_str!("../../../../ledger-schema/dynamodb/table.json");
    /// Units a second that an entry with its records may take at once.
    const ENOUGH: (i64, i64) = (25, 25);

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Layout {
        key_schema: Vec<KeyElement>,
        attribute_definitions: Vec<Attribute>,
        #[serde(default)]
        global_secondary_indexes: Vec<Index>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Attribute {
        attribute_name: String,
        attribute_type: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Index {
        index_name: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct KeyElement {
        attribute_name: String,
        key_type: String,
    }

    fn written(keys: &[(String, String)]) -> String {
        keys.iter().map(|(name, kind)| format!("{name} {kind}")).collect::<Vec<_>>().join(", ")
    }

    /// The part of a table's facts that the layout fixes.
    fn wanted() -> TableFacts {
        let Ok(layout) = serde_json::from_str::<Layout>(LAYOUT) else { return TableFacts::default() };
        let types = layout.attribute_definitions.into_iter();
        TableFacts {
            keys: layout.key_schema.into_iter().map(|key| (key.attribute_name, key.key_type)).collect(),
            types: types.map(|one| (one.attribute_name, one.attribute_type)).collect(),
            indexes: layout.global_secondary_indexes.into_iter().map(|index| index.index_name).collect(),
            ..TableFacts::default()
        }
    }

    /// What of the layout differs: what it is, and what it should be.
    fn differs(facts: &TableFacts) -> Option<String> {
        let wanted = wanted();
        if facts.keys != wanted.keys {
            let (found, wanted) = (written(&facts.keys), written(&wanted.keys));
            return Some(format!("its keys are {found}, and the ledger's are {wanted}"));
        }
        // In which order they come says nothing; an index more may bring more of them.
        if let Some(one) = wanted.types.iter().find(|one| !facts.types.contains(one)) {
            let found = facts.types.iter().find(|found| found.0 == one.0);
            let found = found.map_or("of no type", |found| found.1.as_str());
            return Some(format!("the type of its key {} is {found}, and the ledger's is {}", one.0, one.1));
        }
        let lacks = wanted.indexes.iter().find(|index| !facts.indexes.contains(index));
        lacks.map(|index| format!("it lacks the index {index}"))
    }

    /// Indexes that the ledger does not know: every write to it pays for them.
    fn more_indexes(name: &str, facts: &TableFacts) -> Option<Check> {
        let known = wanted().indexes;
        let more: Vec<_> = facts.indexes.iter().filter(|index| !known.contains(index)).cloned().collect();
        (!more.is_empty()).then(|| {
            Check::warning(
                format!("table {name} indexes"),
                format!("{}: the ledger knows none of them, and every write pays for them", more.join(", ")),
                "remove them, unless another tool reads them",
            )
        })
    }

    /// Whether it is there, with the right keys, in one region alone.
    pub(in super::super) fn layout(name: &str, facts: &TableFacts) -> Vec<Check> {
        let of = format!("table {name}");
        if let Some(differs) = differs(facts) {
            return vec![Check::failed(
                of,
                differs,
                "name another table in [ledger] url: terraform -chdir=infra/bootstrap apply makes one",
            )];
        }
        let mut found = vec![match facts.status.as_str() {
            "ACTIVE" => Check::ok(of, format!("active, keys {}", written(&facts.keys))),
            "UPDATING" => Check::warning(
                of,
                "it is being updated",
                "wait until it is ACTIVE: aws dynamodb wait table-exists",
            ),
            status => Check::failed(
                of,
                format!("it is {status}"),
                format!("wait until it is ACTIVE: aws dynamodb wait table-exists --table-name {name}"),
            ),
        }];
        found.extend(more_indexes(name, facts));
        if !facts.replicas.is_empty() {
            found.push(Check::failed(
                format!("table {name} replicas"),
                format!(
                    "it is a global table, with {}: items are replicated each by itself and the last writer wins, so two deploys could hold one lock",
                    facts.replicas.join(", ")
                ),
                "remove the replicas, or use a table of one region; backups are what point-in-time recovery is for",
            ));
        }
        found
    }

    /// What keeps it from being lost, and from running dry.
    pub(in super::super) fn safety(name: &str, facts: &TableFacts) -> Vec<Check> {
        let of = |what: &str| format!("table {name} {what}");
        let update = format!(
            "terraform -chdir=infra/bootstrap apply, or aws dynamodb update-table --table-name {name}"
        );
        vec![
            match facts.provisioned {
                None => Check::ok(of("capacity"), "on demand"),
                Some((read, write)) if read >= ENOUGH.0 && write >= ENOUGH.1 => {
                    Check::ok(of("capacity"), format!("{read} read and {write} write units a second"))
                }
                Some((read, write)) => Check::warning(
                    of("capacity"),
                    format!(
                        "{read} read and {write} write units a second: entries of a deploy may be throttled"
                    ),
                    format!("{update} --billing-mode PAY_PER_REQUEST"),
                ),
            },
            match facts.protected {
                true => Check::ok(of("deletion"), "protected"),
                false => Check::warning(
                    of("deletion"),
                    "one call deletes it: it is not protected",
                    format!("{update} --deletion-protection-enabled"),
                ),
            },
            // Always encrypted; whose key it is, is the question.
            Check::ok(
                of("encryption"),
                match &facts.encryption {
                    Some(kind) => format!("{kind}, a key of the account"),
                    None => "by a key of DynamoDB's own; infra/bootstrap takes one of the account".to_owned(),
                },
            ),
        ]
    }

    pub(in super::super) fn backups(name: &str, is: bool) -> Check {
        let of = format!("table {name} backups");
        match is {
            true => Check::ok(of, "point-in-time recovery is on"),
            false => Check::warning(
                of,
                "point-in-time recovery is off: what is deleted is gone",
                format!(
                    "aws dynamodb update-continuous-backups --table-name {name} --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
                ),
            ),
        }
    }

    /// The attribute of expiry may be no attribute that heads, locks and entries have.
    pub(in super::super) fn expiry(name: &str, attribute: Option<&str>) -> Check {
        let of = format!("table {name} expiry");
        match attribute {
            None => Check::ok(of, "nothing expires"),
            Some("exp") => Check::ok(of, "by exp, which no head, lock or entry has"),
            Some(other) => Check::failed(
                of,
                format!("items expire by {other}: a head, a lock or an entry may go away"),
                format!(
                    "aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification Enabled=false,AttributeName={other}"
                ),
            ),
        }
    }

    /// Whether a transaction tells the item that was in its way: by it an unknown outcome is found out.
    pub(in super::super) fn transactions(name: &str, told: Option<bool>) -> Check {
        let of = format!("table {name} transactions");
        match told {
            Some(true) => Check::ok(of, "one that fails tells the item that was in its way"),
            Some(false) => Check::failed(
                of,
                "one that fails does not tell the item that was in its way, as DynamoDB does",
                "use DynamoDB itself: this endpoint is an emulator that cannot hold a ledger",
            ),
            None => Check::not_checked(
                of,
                "a ledger in the table, and the right to write it: nothing was in its way",
            ),
        }
    }

    /// The table of Terraform's locks.
    pub(in super::super) fn locks(name: &str, facts: &TableFacts) -> Check {
        let of = format!("lock table {name}");
        let fix = "terraform -chdir=infra/bootstrap apply, or use_lockfile = true in the backend";
        if facts.keys != [("LockID".to_owned(), "HASH".to_owned())] {
            let detail = format!("its keys are {}, and Terraform needs LockID HASH", written(&facts.keys));
            return Check::failed(of, detail, fix);
        }
        match facts.status.as_str() {
            "ACTIVE" | "UPDATING" => Check::ok(of, "there"),
            status => Check::failed(of, format!("it is {status}"), fix),
        }
    }
}

/// Buckets.
pub(super) mod bucket {
    use super::super::super::Check;

    pub(in super::super) fn region(name: &str, place: &str, region: &str) -> Check {
        let of = format!("bucket {name}");
        if place == region {
            return Check::ok(of, format!("in {place}"));
        }
        Check::failed(
            of,
            format!("it is in {place}, and AWS_REGION or the profile says {region}"),
            format!("AWS_REGION={place} if the table is there too, or a bucket in {region}: [artifacts] url"),
        )
    }

    pub(in super::super) fn versions(name: &str, is: bool, lost: &str) -> Check {
        let of = format!("bucket {name} versions");
        match is {
            true => Check::ok(of, "kept"),
            false => Check::failed(
                of,
                format!("it keeps no versions: {lost}"),
                format!(
                    "aws s3api put-bucket-versioning --bucket {name} --versioning-configuration Status=Enabled"
                ),
            ),
        }
    }

    pub(in super::super) fn lock(name: &str, lock: Option<&str>) -> Check {
        let of = format!("bucket {name} lock");
        match lock {
            Some(lock) => Check::ok(of, format!("Object Lock: {lock}")),
            None => Check::warning(
                of,
                "no Object Lock by default: who may delete objects may delete the heads that prove the ledger",
                "terraform -chdir=infra/bootstrap apply makes a bucket with it; it can be turned on for one that is there",
            ),
        }
    }

    pub(in super::super) fn encryption(name: &str, kind: Option<&str>) -> Check {
        let of = format!("bucket {name} encryption");
        match kind {
            Some(kind) => Check::ok(of, kind),
            None => Check::warning(
                of,
                "no encryption by default is set",
                format!(
                    "aws s3api put-bucket-encryption --bucket {name} --server-side-encryption-configuration '{{\"Rules\":[{{\"ApplyServerSideEncryptionByDefault\":{{\"SSEAlgorithm\":\"aws:kms\"}}}}]}}'"
                ),
            ),
        }
    }

    pub(in super::super) fn closed(name: &str, is: bool) -> Check {
        let of = format!("bucket {name} access");
        match is {
            true => Check::ok(of, "nothing in it can be made public"),
            false => Check::failed(
                of,
                "it does not block public access",
                format!(
                    "aws s3api put-public-access-block --bucket {name} --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
                ),
            ),
        }
    }
}
