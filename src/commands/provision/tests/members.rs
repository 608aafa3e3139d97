//! A fleet in a group that scales by itself: whoever is in it now is deployed to and rolled back, whatever the last
//! apply said, and a way back works with half of it away.

mod departed;

use super::*;
use crate::commands::attempt::Ask;
use crate::commands::doctor;
use crate::domain::id::HostName;
use crate::host::{Replies, Task};

use crate::infra::members::{Member, Standing};

const A: &str = "i-00000000000000aaa";
const B: &str = "i-00000000000000bbb";
const C: &str = "i-00000000000000ccc";
const GROUP: &str = "web-production";

/// Some hosts of a fleet.
struct Part {
    whole: Arc<FakeFleet>,
    hosts: Vec<HostName>,
    leaves: Leaves,
}

/// Who is terminated before which command, once.
pub(super) type Leaves = Arc<std::sync::Mutex<Option<(&'static str, Box<dyn FnOnce() + Send>)>>>;

#[async_trait::async_trait]
impl Fleet for Part {
    fn way(&self) -> &'static str {
        self.whole.way()
    }

    fn sees(&self) -> bool {
        self.whole.sees()
    }

    fn hosts(&self) -> Vec<HostName> {
        self.hosts.clone()
    }

    fn configuration(&self) -> Option<Digest> {
        self.whole.configuration()
    }

    async fn configure(&self, hosts: &[HostName]) -> Replies {
        self.whole.configure(hosts).await
    }

    async fn perform(&self, hosts: &[HostName], task: &Task) -> Replies {
        let due = self.leaves.lock().unwrap().take_if(|(verb, _)| task.command.verb() == *verb);
        if let Some((_, leave)) = due {
            leave();
        }
        self.whole.perform(hosts, task).await
    }
}

/// Outputs that name A, of a group that A is in; three machines that there may be; releases 1.0.0 and 1.1.0.
async fn scaled(provision: Provision) -> Land {
    let mut land = land(provision).await;
    let whole = Arc::new(FakeFleet::ready(&[A, B, C]));
    land.world.fleet = whole.clone();
    let host = |id: &str| json!({"name": id, "address": format!("{id}.eu-central-1.compute.internal")});
    {
        let mut world = land.infra.world();
        world.outputs.insert(HOSTS.into(), json!([host(A)]));
        let config = json!({"autoscaling_group": GROUP, "host_template": host("{id}")});
        world.outputs.insert(CONFIG.into(), config);
    }
    land.groups.set(GROUP, &[A]);
    let leaves = land.leaves.clone();
    land.world.site.infra.as_mut().unwrap().fleet = Arc::new(move |hosts| {
        let hosts = hosts.iter().map(|host| host.name.clone()).collect();
        Ok(Arc::new(Part { whole: whole.clone(), hosts, leaves: leaves.clone() }))
    });
    land
}

impl Land {
    /// As each command finds it at its beginning.
    async fn site(&self, which: Hosts) -> Result<Site, CommandError> {
        let infra = self.world.site.infra.as_ref().unwrap();
        let roster = find(&self.world.context, &self.world.site.name, infra, which).await?;
        let fleet = (infra.fleet)(&roster.listing.hosts)?;
        Ok(Site { fleet, roster: Some(roster), ..self.world.site.clone() })
    }

    async fn deploys(&self, version: &str) -> Result<deploy::Report, CommandError> {
        let site = self.site(Hosts::Fresh).await?;
        let args = deploy::Args { target: target(version), ..deploy::Args::default() };
        deploy::run(&self.world.context, &site, &self.world.supply, args).await
    }

    async fn rolls_back(&self) -> Result<deploy::Report, CommandError> {
        let site = self.site(Hosts::Known).await?;
        rollback::run(&self.world.context, &site, &self.world.supply, rollback::Args::default()).await
    }

    fn serves(&self, host: &str) -> Option<String> {
        self.world.fleet.serving(host).map(|release| release.version.to_string())
    }

    fn all_serve(&self, hosts: &[&str], version: &str) {
        for host in hosts {
            assert_eq!(self.serves(host).as_deref(), Some(version), "{host}");
        }
    }

    async fn lists(&self) -> usize {
        self.infra_kinds().await.into_iter().filter(|kind| *kind == "infra.hosts").count()
    }

    /// The host is terminated right before the first command of this name.
    fn scales_in(&self, host: &'static str, before: &'static str, left: &'static [&'static str]) {
        let (fleet, groups) = (self.world.fleet.clone(), self.groups.clone());
        let leave = move || {
            groups.set(GROUP, left);
            fleet.set_reachable(host, false);
        };
        *self.leaves.lock().unwrap() = Some((before, Box::new(leave)));
    }

    /// What `relman doctor` says of the group.
    async fn group_check(&self) -> doctor::Check {
        let parts = doctor::Parts {
            context: Ok(self.world.context.clone()),
            site: self.site(Hosts::Known).await,
            infra: None,
            supply: Ok(self.world.supply.clone()),
            account: None,
            facts: doctor::Facts::default(),
        };
        let report = doctor::run(parts).await;
        report.checks.into_iter().find(|check| check.name == format!("group {GROUP}")).unwrap()
    }

    fn stands(&self, id: &str, standing: Standing) {
        let mut world = self.groups.world();
        let group = world.groups.get_mut(GROUP).unwrap();
        group.retain(|member| member.id != id);
        group.push(Member { id: id.to_owned(), standing });
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_1_a_settled_apply_hides_no_host_that_came_since() {
    let land = scaled(Provision::Apply).await;
    land.deploys("1.0.0").await.unwrap();
    let (plans, reads) = (land.counts().0, land.infra.world().reads);
    land.groups.set(GROUP, &[A, B]);
    land.deploys("1.1.0").await.unwrap();
    assert_eq!(land.counts().0, plans, "nothing that Terraform makes has moved");
    assert_eq!(land.infra.world().reads, reads + 1);
    land.all_serve(&[A, B], "1.1.0");
    land.groups.set(GROUP, &[A, B, C]);
    land.rolls_back().await.unwrap();
    land.all_serve(&[A, B, C], "1.0.0");
    land.holds().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_an_older_relman_recorded_does_not_hide_the_group() {
    let land = scaled(Provision::Apply).await;
    land.deploys("1.0.0").await.unwrap();
    let context = &land.world.context;
    let applied = context.infra(&land.world.stream()).await.unwrap().applied.unwrap();
    let listing: Listing = context.artifact(applied.hosts.as_ref().unwrap(), "list of hosts").await.unwrap();
    let hosts = Some(context.put_artifact(&listing.hosts).await.unwrap());
    let attempt = Attempt::begin(context, &land.world.site, Ask::default()).await.unwrap();
    attempt.append(Event::InfraApplied(Box::new(InfraApplied { hosts, ..applied }))).await.unwrap();
    attempt.end().await;
    land.groups.set(GROUP, &[A, B]);
    land.deploys("1.1.0").await.unwrap();
    assert_eq!(land.counts().0, 1, "it is settled");
    land.all_serve(&[A, B], "1.1.0");
}

#[tokio::test(start_paused = true)]
async fn invariant_1_the_group_is_asked_again_once_the_lease_is_ours() {
    let land = scaled(Provision::Skip).await;
    land.infra.somebody_applies().await;
    let site = land.site(Hosts::Fresh).await.unwrap();
    // While this deploy waited for another one, or built an image.
    land.groups.set(GROUP, &[A, B]);
    let args = deploy::Args { target: target("1.0.0"), ..deploy::Args::default() };
    deploy::run(&land.world.context, &site, &land.world.supply, args).await.unwrap();
    land.all_serve(&[A, B], "1.0.0");
}

#[tokio::test(start_paused = true)]
async fn who_was_scaled_in_is_asked_for_nothing() {
    let land = scaled(Provision::Skip).await;
    land.infra.somebody_applies().await;
    land.groups.set(GROUP, &[A, B]);
    land.deploys("1.0.0").await.unwrap();
    land.groups.set(GROUP, &[B]);
    land.world.fleet.set_reachable(A, false);
    land.world.fleet.take_calls();
    let report = land.deploys("1.1.0").await.unwrap();
    assert_eq!(report.hosts.iter().map(HostName::as_str).collect::<Vec<_>>(), [B]);
    let a: HostName = A.parse().unwrap();
    assert!(land.world.fleet.take_calls().iter().all(|call| call.host != a));
    let seen = status::run(&land.world.context, &land.site(Hosts::Known).await.unwrap()).await.unwrap();
    assert_eq!((seen.forgotten.as_slice(), seen.differs), (&[][..], false), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn the_hosts_of_each_deployment_are_on_record_and_the_same_ones_only_once() {
    for provision in [Provision::Skip, Provision::Check] {
        let land = scaled(provision).await;
        land.infra.somebody_applies().await;
        land.deploys("1.0.0").await.unwrap();
        land.deploys("1.1.0").await.unwrap();
        land.rolls_back().await.unwrap();
        assert_eq!(land.lists().await, 1, "one list for three deployments");
    }
    // An apply records its own, and the deploy after it has nothing to add.
    let land = scaled(Provision::Apply).await;
    land.deploys("1.0.0").await.unwrap();
    land.deploys("1.1.0").await.unwrap();
    assert_eq!(land.infra_kinds().await, ["infra.started", "infra.applied"]);
    land.groups.set(GROUP, &[A, B]);
    land.deploys("1.1.0").await.unwrap();
    assert_eq!(land.lists().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_without_the_outputs_goes_by_the_list_of_the_last_deployment_and_asks_the_group() {
    // Nobody ever applied with relman: the pipeline runs Terraform itself.
    let land = scaled(Provision::Skip).await;
    land.infra.somebody_applies().await;
    land.groups.set(GROUP, &[A, B]);
    for version in ["1.0.0", "1.1.0"] {
        land.deploys(version).await.unwrap();
    }
    land.infra.world().down = true;
    land.groups.set(GROUP, &[B, C]);
    land.rolls_back().await.unwrap();
    land.all_serve(&[B, C], "1.0.0");
    land.all_serve(&[A], "1.1.0");
    land.holds().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_without_outputs_and_group_goes_by_the_list_alone() {
    let land = scaled(Provision::Skip).await;
    land.infra.somebody_applies().await;
    land.groups.set(GROUP, &[A, B]);
    for version in ["1.0.0", "1.1.0"] {
        land.deploys(version).await.unwrap();
    }
    let lists = land.lists().await;
    land.infra.world().down = true;
    land.groups.world().down = true;
    land.rolls_back().await.unwrap();
    land.all_serve(&[A, B], "1.0.0");
    assert_eq!(land.lists().await, lists, "what was not asked is not recorded");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_cannot_be_asked_stops_a_deploy_and_no_rollback() {
    let land = scaled(Provision::Skip).await;
    land.infra.somebody_applies().await;
    land.groups.set(GROUP, &[A, B, C]);
    for version in ["1.0.0", "1.1.0"] {
        land.deploys(version).await.unwrap();
    }
    land.groups.world().down = true;
    let kinds = land.kinds().await;
    let error = land.deploys("1.0.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.message.contains(GROUP) && error.message.contains("eu-central-1"), "{error}");
    assert_eq!(land.kinds().await, kinds);
    // C is gone, which nobody can know; the outputs name A alone, and the last deployment went to all three.
    let seen = status::run(&land.world.context, &land.site(Hosts::Known).await.unwrap()).await.unwrap();
    assert!(
        seen.differs && seen.doubt.is_some_and(|doubt| doubt.contains(GROUP)),
        "all serve, and who knows"
    );
    let check = land.group_check().await;
    assert_eq!(check.state, doctor::State::Failed, "the next deploy would fail");
    assert!(check.detail.contains("known last") && check.fix.unwrap().contains("aws autoscaling"));
    land.world.fleet.set_reachable(C, false);
    let report = land.rolls_back().await.unwrap();
    land.all_serve(&[A, B], "1.0.0");
    assert_eq!(report.laggards.keys().map(HostName::as_str).collect::<Vec<_>>(), [C]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_still_boots_keeps_no_rollback_from_going_and_is_named() {
    let land = scaled(Provision::Skip).await;
    land.infra.somebody_applies().await;
    for version in ["1.0.0", "1.1.0"] {
        land.deploys(version).await.unwrap();
    }
    land.groups.set(GROUP, &[A, B]);
    land.world.fleet.set_reachable(B, false);
    let report = land.rolls_back().await.unwrap();
    land.all_serve(&[A], "1.0.0");
    let why = &report.laggards[&B.parse::<HostName>().unwrap()];
    assert!(why.contains("may still be booting"), "{why}");
    // One that the last apply named, or that a deployment went to, is not excused.
    for host in [A, B] {
        land.world.fleet.heal();
        land.world.fleet.set_reachable(host, false);
        let site = land.site(Hosts::Known).await.unwrap();
        let args = rollback::Args { target: target("1.1.0"), yes: true, ..rollback::Args::default() };
        let error = rollback::run(&land.world.context, &site, &land.world.supply, args).await.unwrap_err();
        assert!(error.message.contains(&format!("host {host} cannot take part")), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deploy_waits_for_a_new_host_and_not_for_one_that_no_request_meets() {
    let land = scaled(Provision::Skip).await;
    land.infra.somebody_applies().await;
    land.groups.set(GROUP, &[A, B]);
    land.world.fleet.set_reachable(B, false);
    let error = land.deploys("1.0.0").await.unwrap_err();
    assert!(error.hints.iter().any(|hint| hint.contains("may still be booting")), "{:?}", error.hints);
    land.stands(B, Standing::Aside);
    let report = land.deploys("1.0.0").await.unwrap();
    assert_eq!(report.laggards.len(), 1, "{:?}", report.laggards);
    land.all_serve(&[A], "1.0.0");
    // One on standby that answers comes back with what serves.
    land.world.fleet.set_reachable(B, true);
    land.deploys("1.1.0").await.unwrap();
    land.all_serve(&[A, B], "1.1.0");
}

#[tokio::test(start_paused = true)]
async fn a_group_without_a_member_says_so() {
    for which in [Hosts::Fresh, Hosts::Known] {
        let land = scaled(Provision::Skip).await;
        land.infra.somebody_applies().await;
        land.groups.set(GROUP, &[]);
        let error = land.site(which).await.map(|_| ()).unwrap_err();
        assert_eq!(error.message, "the Auto Scaling group web-production has no member");
        assert!(error.hints[0].contains("describe-auto-scaling-groups"), "{:?}", error.hints);
    }
    // A deploy that makes the hosts first does not mind before.
    let land = scaled(Provision::Apply).await;
    land.infra.somebody_applies().await;
    land.groups.set(GROUP, &[]);
    assert!(land.site(Hosts::Fresh).await.unwrap().fleet.hosts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_template_a_deploy_misses_nobody_and_a_rollback_goes_on() {
    let land = scaled(Provision::Skip).await;
    land.infra.world().outputs.insert(CONFIG.into(), json!({"autoscaling_group": GROUP}));
    land.infra.somebody_applies().await;
    for version in ["1.0.0", "1.1.0"] {
        land.deploys(version).await.unwrap();
    }
    land.groups.set(GROUP, &[A, B]);
    let error = land.deploys("1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.message.contains(B), "{error}");
    // Nobody is told that all is well while one is not looked at.
    let seen = status::run(&land.world.context, &land.site(Hosts::Known).await.unwrap()).await.unwrap();
    assert_eq!((seen.unreachable.as_slice(), seen.differs), (&[B.to_owned()][..], true));
    let check = land.group_check().await;
    assert_eq!(check.state, doctor::State::Failed);
    assert!(check.detail.contains(B) && check.fix.unwrap().contains("host_template"), "{}", check.detail);
    land.rolls_back().await.unwrap();
    land.all_serve(&[A], "1.0.0");
    land.groups.set(GROUP, &[A]);
    let seen = status::run(&land.world.context, &land.site(Hosts::Known).await.unwrap()).await.unwrap();
    assert_eq!((seen.unreachable.len(), seen.doubt, seen.differs), (0, None, false));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_looked_for_in_another_region_says_which_is_right() {
    let land = scaled(Provision::Skip).await;
    land.infra.somebody_applies().await;
    land.groups.set(GROUP, &[A]);
    assert_eq!(land.group_check().await.state, doctor::State::Ok);
    land.infra.world().outputs.get_mut(CONFIG).unwrap()["region"] = json!("us-east-1");
    land.infra.somebody_applies().await;
    land.groups.world().groups.clear();
    let error = land.deploys("1.0.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.hints[0].contains("AWS_REGION=us-east-1"), "{:?}", error.hints);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_without_a_group_asks_nobody() {
    let land = land(Provision::Skip).await;
    land.infra.somebody_applies().await;
    let site = land.site(Hosts::Fresh).await.unwrap();
    assert_eq!(site.fleet.hosts().len(), 1);
    assert_eq!(land.groups.world().asked, 0);
}
