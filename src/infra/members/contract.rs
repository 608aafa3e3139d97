//! What whoever tells the members of a group must do. An implementation gives a [`Bench`] and runs `members_contract!`.

use super::{GroupError, Groups, Standing};

/// A way to move instances in a group.
#[async_trait::async_trait]
pub trait Bench: Send + Sync {
    /// What is tested.
    fn groups(&self) -> &dyn Groups;
    /// Makes a group with so many instances that serve.
    async fn make(&self, group: &str, size: u16);
    /// Takes an instance aside, to come back later.
    async fn set_aside(&self, group: &str, id: &str);
    /// Takes an instance out of the group for good, and none comes for it.
    async fn take_out(&self, group: &str, id: &str);
}

macro_rules! members_contract {
    ($make:expr $(; $ignore:meta)?) => {
        $crate::infra::members::contract::each! { $make $(; $ignore)?;
            those_that_serve_are_told,
            one_that_stands_aside_is_told_apart,
            one_that_was_taken_out_is_none,
            a_group_without_instances_is_empty_and_one_that_is_not_there_an_error,
        }
    };
}

macro_rules! each {
    ($make:expr; $($case:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $case() {
            $crate::infra::members::contract::$case(&$make).await;
        }
    )+};
    ($make:expr; $ignore:meta; $($case:ident),+ $(,)?) => {$(
        #[tokio::test]
        #[$ignore]
        async fn $case() {
            $crate::infra::members::contract::$case(&$make).await;
        }
    )+};
}

pub(crate) use {each, members_contract};

async fn of(bench: &dyn Bench, group: &str, standing: Standing) -> Vec<String> {
    let members = bench.groups().members(group).await.unwrap();
    let mut ids: Vec<String> =
        members.into_iter().filter(|member| member.standing == standing).map(|member| member.id).collect();
    ids.sort();
    ids
}

pub(crate) async fn those_that_serve_are_told(bench: &dyn Bench) {
    bench.make("web-many", 2).await;
    bench.make("other-many", 1).await;
    let serving = of(bench, "web-many", Standing::Serves).await;
    assert_eq!(serving.len(), 2);
    assert!(serving.iter().all(|id| id.starts_with("i-")), "{serving:?}");
    assert!(!serving.contains(&of(bench, "other-many", Standing::Serves).await[0]));
}

pub(crate) async fn one_that_stands_aside_is_told_apart(bench: &dyn Bench) {
    bench.make("web-aside", 2).await;
    let first = of(bench, "web-aside", Standing::Serves).await.remove(0);
    bench.set_aside("web-aside", &first).await;
    assert_eq!(of(bench, "web-aside", Standing::Aside).await, std::slice::from_ref(&first));
    assert!(!of(bench, "web-aside", Standing::Serves).await.contains(&first));
}

pub(crate) async fn one_that_was_taken_out_is_none(bench: &dyn Bench) {
    bench.make("web-out", 2).await;
    let first = of(bench, "web-out", Standing::Serves).await.remove(0);
    bench.take_out("web-out", &first).await;
    let left = of(bench, "web-out", Standing::Serves).await;
    assert!(left.len() == 1 && left[0] != first, "{left:?}");
    assert!(!of(bench, "web-out", Standing::Aside).await.contains(&first));
}

pub(crate) async fn a_group_without_instances_is_empty_and_one_that_is_not_there_an_error(bench: &dyn Bench) {
    bench.make("web-none", 0).await;
    assert_eq!(bench.groups().members("web-none").await.unwrap(), []);
    let error = bench.groups().members("web-nowhere").await.unwrap_err();
    assert!(matches!(&error, GroupError::Missing { group, .. } if group == "web-nowhere"), "{error:?}");
}
