//! The contract suite that every ledger passes. A backend runs it with one line:
//! `ledger_contract!(make());`, where `make()` gives an empty `Arc<dyn Ledger>` and whatever keeps it alive. An
//! attribute before it, such as `#[ignore = "…"]`, is put on each test.

pub(crate) mod append;
pub(crate) mod fence;
pub(crate) mod fixture;
pub(crate) mod import;
pub(crate) mod lease;
pub(crate) mod linear;
#[cfg(feature = "cli")]
pub(crate) mod model;
pub(crate) mod page;
pub(crate) mod race;
#[cfg(feature = "cli")]
pub(crate) mod scale;

/// One test per case.
macro_rules! each {
    ($attributes:tt $make:expr; $($module:ident { $($case:ident),+ $(,)? })+) => {$($(
        $crate::ledger::contract::case! { $attributes $make; $module $case }
    )+)+};
}

macro_rules! case {
    ([$(#[$attribute:meta])*] $make:expr; $module:ident $case:ident) => {
        $(#[$attribute])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let (ledger, _kept) = $make;
            $crate::ledger::contract::$module::$case(ledger).await;
        }
    };
}

/// The whole suite for one backend. A case that is not listed here is dead code, which the lints refuse.
macro_rules! ledger_contract {
    (@all $attributes:tt $make:expr) => {
        $crate::ledger::contract::each! { $attributes $make;
            append {
                an_empty_stream_ends_in_its_genesis,
                the_first_entry_points_to_the_genesis,
                invariant_8_each_entry_points_to_the_one_before,
                streams_are_counted_apart,
                streams_are_those_with_an_entry,
                bodies_and_hashes_come_back_byte_for_byte,
                a_repeated_append_is_not_written_twice,
                a_repeated_append_is_recognised_after_further_entries,
                a_repeated_append_is_recognised_after_the_lease_was_lost,
                an_id_of_another_draft_is_refused,
                one_id_in_two_streams_is_two_entries,
                reads_are_bounded,
                a_version_is_claimed_once,
                a_version_is_bound_once,
                a_refused_entry_writes_nothing,
                freezes_are_known_by_their_entries_and_are_not_too_many,
                an_entry_of_the_wrong_stream_is_refused,
                an_entry_that_is_too_large_is_refused,
                records_are_written_with_their_entry,
                invariant_3_one_deployment_at_a_time,
                invariant_4_an_outcome_is_written_once,
                deployment_numbers_have_no_gaps,
                lease_entries_are_not_appended_by_hand,
                a_rollback_over_many_releases_is_one_entry,
            }
            fence {
                invariant_3_an_older_fence_cannot_append,
                invariant_3_a_foreign_nonce_cannot_append,
                invariant_3_a_fence_of_the_future_cannot_append,
                invariant_3_nothing_is_appended_without_the_fence_it_needs,
                invariant_3_a_lease_given_back_is_in_force_no_more,
                invariant_3_fences_only_grow,
                a_verdict_needs_no_fence,
                an_old_fence_is_refused_even_where_none_is_needed,
            }
            lease {
                there_is_no_lease_at_first,
                a_lease_is_recorded_with_its_fence,
                a_lease_shows_its_holder_and_its_time,
                a_held_lease_names_its_holder,
                a_lease_given_back_is_free,
                an_unchanged_lease_can_be_taken_over,
                a_renewed_lease_is_not_taken_over,
                a_free_lease_is_taken_whatever_was_seen,
                a_rollback_preempts,
                a_renewal_touches_the_lease_alone,
                a_renewal_can_be_repeated,
                a_renewal_after_a_takeover_fails,
                a_renewal_after_the_release_fails,
                a_release_is_recorded,
                a_release_after_a_takeover_fails,
                a_repeated_release_is_recognised,
                a_repeated_acquisition_is_recognised,
                a_repeated_acquisition_after_a_takeover_is_fenced,
                leases_of_two_environments_are_apart,
                releases_have_no_lease,
                a_lease_is_taken_and_given_back_by_its_own_events,
            }
            page {
                nothing_is_nothing,
                deployments_come_newest_first,
                more_is_said_exactly,
                pages_together_are_the_whole_list,
                a_cursor_need_not_exist,
                releases_come_by_precedence,
                commits_are_found_by_prefix,
                digests_are_found,
                hosts_and_verdicts_are_listed,
                lists_of_similar_names_are_apart,
                a_cursor_of_another_list_is_only_a_place,
            }
            import {
                invariant_8_what_is_imported_is_the_same_byte_for_byte,
                an_entry_is_imported_once,
                an_entry_that_does_not_follow_is_refused,
                an_entry_of_another_ledger_is_refused,
                a_history_of_its_own_is_not_mixed_with_another,
                invariant_3_fences_grow_on_after_an_import,
                a_stream_that_is_being_copied_takes_nothing_until_it_goes_on,
                a_stream_that_moved_takes_nothing_more,
            }
            race {
                appends_at_once_make_one_chain,
                one_of_many_claims_a_version,
                invariant_3_one_of_many_gets_the_lease,
                invariant_3_preempting_each_other_never_shares_a_fence,
            }
        }
    };
    (#[$attribute:meta] $make:expr) => {
        $crate::ledger::contract::ledger_contract! { @all [#[$attribute]] $make }
    };
    ($make:expr) => {
        $crate::ledger::contract::ledger_contract! { @all [] $make }
    };
}

pub(crate) use {case, each, ledger_contract};
