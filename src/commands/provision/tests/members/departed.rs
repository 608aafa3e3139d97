//! Instances that leave the group while they are deployed to.

use super::*;

/// Scaling in is nobody's fault: it takes no place of the failure budget, and nothing goes back for it.
#[tokio::test(start_paused = true)]
async fn an_instance_that_is_terminated_during_a_deploy_keeps_nobody_from_it() {
    for before in ["prepare", "shift", "observe", "commit", "retire"] {
        let mut land = scaled(Provision::Skip).await;
        land.world.site.settings.bake_seconds = 1;
        land.infra.somebody_applies().await;
        land.groups.set(GROUP, &[A, B, C]);
        land.deploys("1.0.0").await.unwrap();
        land.scales_in(B, before, &[A, C]);
        let report = land.deploys("1.1.0").await.unwrap_or_else(|error| panic!("{before}: {error}"));
        land.all_serve(&[A, C], "1.1.0");
        assert!(report.laggards.is_empty(), "{before}: who left is not behind: {:?}", report.laggards);
        land.holds().await;
        let seen = status::run(&land.world.context, &land.site(Hosts::Known).await.unwrap()).await.unwrap();
        assert!(!seen.differs, "{before}");
        // And on the way back.
        let before = if before == "observe" { "shift" } else { before };
        land.scales_in(C, before, &[A]);
        land.rolls_back().await.unwrap_or_else(|error| panic!("back, {before}: {error}"));
        land.all_serve(&[A], "1.0.0");
        land.holds().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_fails_goes_back_on_those_that_are_left() {
    let land = scaled(Provision::Skip).await;
    land.infra.somebody_applies().await;
    land.groups.set(GROUP, &[A, B, C]);
    land.deploys("1.0.0").await.unwrap();
    land.scales_in(B, "shift", &[A, C]);
    land.world.fleet.fail(
        C,
        "shift",
        9,
        crate::host::fake::Effect::None,
        crate::host::wire::HostErrorCode::Unhealthy,
    );
    let error = land.deploys("1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Returned, "{error}");
    land.all_serve(&[A, C], "1.0.0");
}

#[tokio::test(start_paused = true)]
async fn a_group_of_which_nobody_is_left_is_no_success() {
    let land = scaled(Provision::Skip).await;
    land.infra.somebody_applies().await;
    land.deploys("1.0.0").await.unwrap();
    land.scales_in(A, "prepare", &[]);
    let error = land.deploys("1.1.0").await.unwrap_err();
    assert!(error.message.contains("left its group"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_resume_or_an_abort_does_without_the_instance_that_was_replaced_meanwhile() {
    for goes_on in [true, false] {
        let land = scaled(Provision::Skip).await;
        land.infra.somebody_applies().await;
        land.groups.set(GROUP, &[A, B]);
        land.deploys("1.0.0").await.unwrap();
        let interrupt = land.world.context.interrupt.clone();
        *land.leaves.lock().unwrap() = Some(("shift", Box::new(move || interrupt.raise())));
        let error = land.deploys("1.1.0").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Interrupted, "{error}");
        // The Auto Scaling group has put C in the place of B.
        land.groups.set(GROUP, &[A, C]);
        land.world.fleet.set_reachable(B, false);
        let context =
            Context { interrupt: crate::interrupt::Interrupt::default(), ..land.world.context.clone() };
        let site = land.site(Hosts::Known).await.unwrap();
        if goes_on {
            crate::commands::resume::run(&context, &site, crate::commands::resume::Args::default())
                .await
                .unwrap();
            land.all_serve(&[A], "1.1.0");
        } else {
            let args = crate::commands::abort::Args { reason: Some("enough".into()) };
            crate::commands::abort::run(&context, &site, args).await.unwrap();
            land.all_serve(&[A], "1.0.0");
        }
    }
}
