use serde_json::json;

use super::*;
use crate::infra::inventory::{Expected, Inventory, read};

const A: &str = "i-00000000000000aaa";
const B: &str = "i-00000000000000bbb";
const C: &str = "i-00000000000000ccc";

fn host(id: &str) -> Value {
    json!({"name": id, "address": format!("{id}.eu-central-1.compute.internal"), "user": "admin", "ssm_id": null})
}

fn of(hosts: Value, config: Value) -> Result<Inventory, InventoryError> {
    let (service, environment) = ("web".parse().unwrap(), "production".parse().unwrap());
    let expected = Expected { service: &service, environment: &environment, private: true };
    read(json!({"relman_hosts": hosts, "relman_config": config}).as_object().unwrap(), &expected)
}

fn config(template: Value) -> Value {
    json!({"autoscaling_group": "web-production", "host_template": template, "ssm_document": "relman-perform"})
}

fn listing(hosts: Value, template: Value) -> Listing {
    of(hosts, config(template)).unwrap().listing
}

fn members(all: &[(&str, Standing)]) -> Vec<Member> {
    all.iter().map(|(id, standing)| Member { id: (*id).to_owned(), standing: *standing }).collect()
}

fn joined(listing: &Listing, all: &[(&str, Standing)]) -> Result<Joined, InventoryError> {
    join(&listing.hosts, listing.group.as_ref().unwrap(), &members(all), true)
}

fn names(hosts: &[InventoryHost]) -> Vec<&str> {
    hosts.iter().map(|host| host.name.as_str()).collect()
}

fn problems(result: Result<impl std::fmt::Debug, InventoryError>) -> Vec<String> {
    match result {
        Err(InventoryError::Invalid(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_came_is_added_and_who_went_is_dropped() {
    use Standing::{Aside, Leaves, Serves};
    let listing = listing(json!([host(A), host(B)]), host("{id}"));
    let found = joined(&listing, &[(C, Serves), (A, Serves)]).unwrap();
    assert_eq!(names(&found.hosts), [A, C]);
    assert_eq!(found.hosts[1].address, format!("{C}.eu-central-1.compute.internal"));
    assert_eq!(found.hosts[1].user.as_deref(), Some("admin"));
    let text = |names: &[HostName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((text(&found.gone), text(&found.new)), (vec![B.to_owned()], vec![C.to_owned()]));
    let found = joined(&listing, &[(C, Leaves), (A, Leaves), (B, Aside)]).unwrap();
    assert_eq!(names(&found.hosts), [B]);
    assert!(found.new.is_empty() && found.aside.contains(&B.parse().unwrap()));
    // The same again changes nothing.
    let again = joined(&listing, &[(A, Serves), (B, Serves)]).unwrap();
    assert_eq!(again, Joined { hosts: listing.hosts.clone(), ..Joined::default() });
}

#[test]
fn a_group_that_nobody_is_in_is_an_error_unless_others_are_left() {
    let grouped = listing(json!([host(A)]), host("{id}"));
    let error = joined(&grouped, &[]).unwrap_err();
    assert_eq!(error.to_string(), "the Auto Scaling group web-production has no member");
    let fixed = json!({"name": "db-1", "address": "10.0.0.1"});
    let beside = listing(json!([fixed, host(A)]), host("{id}"));
    assert_eq!(names(&joined(&beside, &[]).unwrap().hosts), ["db-1"]);
    // An empty list is none where a group tells.
    let empty = listing(json!([]), host("{id}"));
    assert_eq!(names(&joined(&empty, &[(A, Standing::Serves)]).unwrap().hosts), [A]);
}

#[test]
fn a_name_around_the_id_is_known_again() {
    let named = |id: &str| json!({"name": format!("web-{id}-x"), "address": format!("{id}.internal")});
    let grouped = listing(json!([named(A)]), named("{id}"));
    let found = joined(&grouped, &[(A, Standing::Serves), (B, Standing::Serves)]).unwrap();
    assert_eq!(names(&found.hosts), [format!("web-{A}-x"), format!("web-{B}-x")]);
}

#[test]
fn by_systems_manager_a_new_host_has_its_id_and_the_document() {
    let managed = |id: &str| {
        let mut host = host(id);
        host["ssm_id"] = json!(id);
        host
    };
    let grouped = listing(json!([managed(A)]), managed("{id}"));
    let found = joined(&grouped, &[(A, Standing::Serves), (B, Standing::Serves)]).unwrap();
    assert_eq!(found.hosts[1].ssm_id.as_deref(), Some(B));
    assert_eq!(found.hosts[1].ssm_document.as_deref(), Some("relman-perform"));
    assert_eq!(found.hosts[0].ssm_document, found.hosts[1].ssm_document);
}

#[test]
fn without_a_template_who_came_is_told_by_id_and_who_went_is_dropped() {
    let grouped = listing(json!([host(A), host(B)]), Value::Null);
    assert_eq!(names(&joined(&grouped, &[(A, Standing::Serves)]).unwrap().hosts), [A]);
    let found = joined(&grouped, &[(A, Standing::Serves), (C, Standing::Serves)]).unwrap();
    assert_eq!((names(&found.hosts), found.unnamed.as_slice()), (vec![A], &[C.to_owned()][..]));
}

#[test]
fn what_aws_says_is_checked_as_well() {
    let grouped = listing(json!([host(A)]), host("{id}"));
    let found = problems(joined(&grouped, &[(A, Standing::Serves), ("i-$(id)", Standing::Serves)]));
    assert!(found[0].contains("is no id of an instance"), "{found:?}");
}

#[test]
fn a_template_is_checked_as_a_host_before_anybody_comes() {
    let bad = |template: Value| problems(of(json!([host(A)]), config(template)));
    assert!(bad(json!({"name": "{id}", "address": "-o{id}"}))[0].contains("host_template.address"));
    assert!(bad(json!({"name": "web", "address": "{id}.internal"}))[0].contains("host_template.name"));
    assert!(bad(json!({"name": "{id}", "address": "a.internal"}))[0].contains("host_template.address"));
    assert!(bad(json!({"name": "{id}", "address": "{id}.example"}))[0].contains("cannot be told"));
    assert!(
        bad(json!({"name": "{id}", "address": "{id}.internal", "ssm_id": A}))[0]
            .contains("host_template.ssm_id")
    );
    assert!(bad(json!(3))[0].starts_with("relman_config.host_template"));
    let group = json!({"autoscaling_group": "$(id)", "host_template": host("{id}")});
    assert!(problems(of(json!([host(A)]), group))[0].contains("autoscaling_group"));
}

#[test]
fn what_is_recorded_reads_again_and_a_list_alone_is_as_it_was() {
    let grouped = listing(json!([host(A)]), host("{id}"));
    let kept = serde_json::to_value(&grouped).unwrap();
    assert_eq!(kept["group"]["name"], "web-production");
    assert_eq!(serde_json::from_value::<Listing>(kept).unwrap(), grouped);
    let alone = Listing { hosts: grouped.hosts.clone(), group: None };
    let kept = serde_json::to_value(&alone).unwrap();
    assert_eq!(kept, serde_json::to_value(&grouped.hosts).unwrap());
    assert_eq!(serde_json::from_value::<Listing>(kept).unwrap(), alone);
}
