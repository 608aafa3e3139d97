//! From facts to a plan. Pure.
//!
//! A deploy shifts traffic on trial and passes its pivot afterwards, so everything before the pivot can be undone.
//! A rollback passes its pivot before it shifts: nothing may bring the bad release back because relman died.

use std::collections::BTreeMap;

use crate::domain::deployment::{Kind, ReturnPoint};
use crate::domain::id::{DeploymentId, Digest, HostName, ServiceName};
use crate::domain::plan::{Plan, Stage};
use crate::domain::release::ReleaseRef;
use crate::domain::step::Step;
use crate::domain::wave::WaveSize;

/// What was seen on a host when the lease was ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// What its committed slot runs; that is what it serves once nothing is on trial.
    pub committed: Option<Digest>,
    /// Whether a shift is open, left by somebody who is gone.
    pub open_shift: bool,
    /// Whether the roles must run first.
    pub configure: bool,
    /// Whether it already serves the candidate, committed and healthy, with the same run configuration.
    pub settled: bool,
    /// Whether the slot that does not serve still runs.
    pub idle_runs: bool,
    /// Why it could not be asked, of a host that may stay behind.
    pub absent: Option<String>,
}

/// All that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The service.
    pub service: ServiceName,
    /// The deployment.
    pub deployment: DeploymentId,
    /// Why it exists.
    pub kind: Kind,
    /// What will serve.
    pub candidate: ReleaseRef,
    /// Its run configuration.
    pub run: Digest,
    /// What serves now.
    pub return_point: Option<ReturnPoint>,
    /// The hosts.
    pub hosts: BTreeMap<HostName, HostFacts>,
    /// Seconds to watch before the pivot.
    pub bake_seconds: u64,
    /// Seconds that requests to the old slot may still take.
    pub drain_seconds: u64,
    /// Hosts that a deploy shifts at once; none: all of them.
    pub wave_size: Option<WaveSize>,
    /// Hosts that may stay behind.
    pub failure_budget: u32,
}

/// Makes the plan.
pub fn plan(facts: Facts) -> Plan {
    let on = |wanted: &dyn Fn(&HostFacts) -> bool, step: &dyn Fn(HostName) -> Step| {
        let there = facts.hosts.iter().filter(|(_, host)| host.absent.is_none());
        let steps = there.filter(|(_, host)| wanted(host)).map(|(name, _)| step(name.clone()));
        Stage { steps: steps.collect() }
    };
    let moves = |host: &HostFacts| !host.settled;
    let configure = on(&|host| host.configure, &|host| Step::Configure { host });
    let settle = on(&|host| host.open_shift, &|host| Step::Revert { host });
    let prepare = on(&moves, &|host| Step::Prepare { host });
    let shift = on(&moves, &|host| Step::Shift { host, weight: 100 });
    let confirm = on(&moves, &|host| Step::Confirm { host });
    let retire = on(&|host| moves(host) || host.idle_runs, &|host| Step::Retire { host });
    let pivot = Stage { steps: vec![Step::Commit] };
    let stages = match facts.kind {
        // Nobody waits for the second wave of a way back.
        Kind::Rollback => vec![configure, settle, prepare, pivot, shift, retire],
        Kind::Deploy | Kind::Redeploy => {
            let mut stages = vec![configure, settle, prepare];
            stages.extend(waves(shift, facts.wave_size, facts.bake_seconds));
            stages.extend([pivot, confirm, retire]);
            stages
        }
    };
    Plan {
        service: facts.service,
        deployment: facts.deployment,
        kind: facts.kind,
        candidate: facts.candidate,
        run: facts.run,
        return_point: facts.return_point,
        before: facts
            .hosts
            .iter()
            .filter_map(|(name, host)| Some((name.clone(), host.committed.clone()?)))
            .collect(),
        absent: facts
            .hosts
            .iter()
            .filter_map(|(name, host)| Some((name.clone(), host.absent.clone()?)))
            .collect(),
        hosts: facts.hosts.into_keys().collect(),
        drain_seconds: facts.drain_seconds,
        failure_budget: facts.failure_budget,
        stages: stages.into_iter().filter(|stage| !stage.steps.is_empty()).collect(),
    }
}

/// The shifts of all hosts, so many at a time, each wave watched before the next.
fn waves(shift: Stage, size: Option<WaveSize>, bake_seconds: u64) -> Vec<Stage> {
    let size = size.map_or(usize::MAX, |size| size.of(shift.steps.len())).max(1);
    let mut stages = Vec::new();
    for wave in shift.steps.chunks(size.min(shift.steps.len().max(1))) {
        stages.push(Stage { steps: wave.to_vec() });
        if bake_seconds > 0 {
            stages.push(Stage { steps: vec![Step::Bake { seconds: bake_seconds }] });
        }
    }
    stages
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn release(version: &str) -> ReleaseRef {
        ReleaseRef {
            version: version.parse().unwrap(),
            commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            digest: Digest::of(version.as_bytes()),
            repository: "registry.example/web".into(),
        }
    }

    pub(crate) fn facts(kind: Kind, hosts: &[(&str, HostFacts)]) -> Facts {
        Facts {
            service: "web".parse().unwrap(),
            deployment: "production#7".parse().unwrap(),
            kind,
            candidate: release("1.1.0"),
            run: Digest::of(b"run"),
            return_point: Some(ReturnPoint { number: 6, release: release("1.0.0"), run: Digest::of(b"run") }),
            hosts: hosts.iter().map(|(name, host)| (name.parse().unwrap(), host.clone())).collect(),
            bake_seconds: 0,
            drain_seconds: 30,
            wave_size: None,
            failure_budget: 0,
        }
    }

    fn shape(plan: &Plan) -> Vec<String> {
        plan.stages
            .iter()
            .map(|stage| {
                let steps: Vec<_> = stage.steps.iter().map(ToString::to_string).collect();
                steps.join(", ")
            })
            .collect()
    }

    #[test]
    fn a_deploy_shifts_before_its_pivot_and_a_rollback_after() {
        let hosts = [("a", HostFacts::default()), ("b", HostFacts::default())];
        assert_eq!(
            shape(&plan(facts(Kind::Deploy, &hosts))),
            [
                "prepare a, prepare b",
                "shift a, shift b",
                "commit",
                "confirm a, confirm b",
                "retire a, retire b"
            ]
        );
        assert_eq!(
            shape(&plan(facts(Kind::Rollback, &hosts))),
            ["prepare a, prepare b", "commit", "shift a, shift b", "retire a, retire b"]
        );
    }

    #[test]
    fn what_hosts_need_first_comes_first() {
        let bare = HostFacts { configure: true, ..HostFacts::default() };
        let left_open =
            HostFacts { open_shift: true, committed: Some(Digest::of(b"x")), ..HostFacts::default() };
        let mut facts = facts(Kind::Deploy, &[("a", bare), ("b", left_open)]);
        facts.bake_seconds = 30;
        let plan = plan(facts);
        assert_eq!(
            shape(&plan),
            [
                "configure a",
                "revert b",
                "prepare a, prepare b",
                "shift a, shift b",
                "bake",
                "commit",
                "confirm a, confirm b",
                "retire a, retire b"
            ]
        );
        assert_eq!(plan.before, [("b".parse().unwrap(), Digest::of(b"x"))].into());
    }

    #[test]
    fn each_wave_is_watched_before_the_next_and_a_rollback_has_none() {
        let away = HostFacts { absent: Some("away".into()), ..HostFacts::default() };
        let hosts = [
            ("a", HostFacts::default()),
            ("b", HostFacts::default()),
            ("c", away),
            ("d", HostFacts::default()),
        ];
        let mut facts = facts(Kind::Deploy, &hosts);
        facts.bake_seconds = 30;
        facts.wave_size = Some("2".parse().unwrap());
        let plan_of = |kind| plan(Facts { kind, ..facts.clone() });
        assert_eq!(
            shape(&plan_of(Kind::Deploy)),
            [
                "prepare a, prepare b, prepare d",
                "shift a, shift b",
                "bake",
                "shift d",
                "bake",
                "commit",
                "confirm a, confirm b, confirm d",
                "retire a, retire b, retire d"
            ]
        );
        assert_eq!(plan_of(Kind::Deploy).absent.len(), 1);
        assert_eq!(shape(&plan_of(Kind::Rollback))[2], "shift a, shift b, shift d");
    }

    #[test]
    fn a_rollback_to_what_serves_is_only_recorded() {
        let there = HostFacts { settled: true, ..HostFacts::default() };
        assert_eq!(shape(&plan(facts(Kind::Rollback, &[("a", there)]))), ["commit"]);
    }
}
