//! What every store must do, as tests: one module an aggregate, one function a rule.
//!
//! A backend runs all of it by [`contract_suite!`] with the path of a function that opens a fresh, empty store and gives
//! it with whatever must outlive it (a temporary directory, a database to drop).
//!
//! The lists are held against a naive model in plain Rust ([`model`]), so that a filter, an order and a page mean the same
//! on every backend.

pub(crate) mod model;
mod named;
mod outbox;
mod people;
pub(crate) mod sample;

pub(crate) mod accounts;
pub(crate) mod audit;
pub(crate) mod avatars;
pub(crate) mod directories;
pub(crate) mod directory_changes;
pub(crate) mod failures;
pub(crate) mod grants;
pub(crate) mod groups;
pub(crate) mod history;
pub(crate) mod leases;
pub(crate) mod links;
pub(crate) mod live;
pub(crate) mod logins;
pub(crate) mod mail_changes;
pub(crate) mod mails;
pub(crate) mod masters;
pub(crate) mod passwords;
pub(crate) mod places;
pub(crate) mod reports;
pub(crate) mod roles;
pub(crate) mod sessions;
pub(crate) mod tokens;
pub(crate) mod transfer;
pub(crate) mod upkeep;
pub(crate) mod user_changes;
pub(crate) mod user_lists;
pub(crate) mod users;

/// Makes one test of each rule, on a store of its own. The argument is the path of an `async fn() -> (guard, Arc<dyn Store>)`.
macro_rules! contract_suite {
    ($open:path) => {
        $crate::store::contract::contract_suite! { @tests $open;
            accounts {
                come_with_their_main_group, have_unique_names, race_for_a_name, are_found_by_id_and_name,
                are_updated_at_their_revision, keep_name_and_creation_when_updated, lose_sessions_when_frozen,
                are_listed_filtered_and_paged, find_search_prefixes_literally, are_deleted_with_everything,
                lose_local_sessions_when_they_refuse_local_passwords,
            }
            audit {
                reads_back_whole, is_found_by_id, is_filtered_and_paged, takes_its_entry_with_each_change, takes_none_of_a_failed_change,
            }
            avatars {
                are_set_replaced_and_taken_away, go_with_their_user,
            }
            directories {
                come_in_many_or_not_at_all, link_an_entry_to_one_user, race_for_an_entry, are_searched_by_external_ids, list_who_is_linked,
                list_who_is_signed_in, list_many_who_are_signed_in,
            }
            directory_changes {
                are_made_at_their_revision, keep_what_other_intents_own, leave_everything_when_refused,
                may_disable_the_last_master, race_to_disable_the_last_masters, note_looks_forwards_only,
                keep_a_look_through_an_update, keep_looks_through_concurrent_updates,
            }
            failures {
                count_up_to_a_lock, lock_from_the_last_failure_on, start_again_after_their_window, are_apart_by_key,
                show_as_the_users_lock_only_when_told, are_reset_by_a_success, never_lock_without_a_threshold,
                lose_no_failure_to_concurrency, of_another_network_keep_the_users_lock,
                are_cleared_everywhere_by_an_unlock, tell_an_unlock_whether_they_locked, count_attempts_by_window,
                count_concurrent_attempts,
            }
            grants {
                of_what_is_gone_are_left_out, race_with_the_end_of_what_they_give,
            }
            groups {
                have_unique_folded_names, race_for_a_name, are_found_by_id, are_listed_filtered_and_paged,
                are_inserted_in_bulk_or_not_at_all, are_updated_at_their_revision, leave_their_members_to_the_main_group,
            }
            history {
                reads_back_whole, is_filtered_and_paged, is_paged_under_new_sign_ins, gives_the_recent_ones_of_many_users,
                comes_with_a_page_of_users,
                adds_up_floods, survives_its_user, is_counted_between_edges,
            }
            leases {
                are_held_by_one, run_out, are_renewed, are_dropped_by_their_holder_only, go_to_one_of_many,
                are_purged_when_they_are_over, tell_who_holds_them,
            }
            links {
                are_found_with_what_using_them_takes, take_the_place_of_those_of_earlier_mails,
                that_anybody_asked_for_end_none_of_an_administrators, race_for_the_latest_mail,
                are_of_no_use_to_some, are_redeemed_with_everything, are_redeemed_once_of_two,
                are_refused_when_they_do_not_work, end_with_the_address_and_the_way_in, are_purged_when_they_are_long_over,
            }
            live {
                are_told_of_whole_once_and_in_order, are_told_to_each_from_its_beginning_on,
                are_each_told_of_when_many_come_at_once, are_not_told_of_unless_they_are_recorded,
                are_told_of_once_for_a_flood, are_said_to_be_missed_by_the_slow, end_with_the_store,
                are_no_changes_of_rights_but_what_changes_them_is,
            }
            logins {
                find_a_candidate, open_a_session, keep_revision_and_time_of_change, replace_the_hash,
                write_nothing_on_a_conflict, write_nothing_for_a_user_that_is_gone, keep_the_newest_as_the_last,
                lose_none_to_concurrency, record_a_refusal_without_a_session,
            }
            mail_changes {
                come_with_a_change_of_users, come_with_a_sign_in, stay_away_from_a_change_that_fails,
                tell_of_a_lock_once, tell_of_a_lock_once_of_many, are_dropped_with_their_user, go_with_their_account,
            }
            mails {
                read_back_whole, are_kept_once_by_their_key, are_claimed_when_they_are_due, are_claimed_by_one_of_many,
                go_to_another_after_the_lease, are_settled_as_they_came_out, are_retried_and_dropped_by_hand,
                are_listed_newest_first, are_purged_when_they_are_over,
            }
            masters {
                cannot_all_be_disabled, cannot_all_be_demoted, cannot_all_be_deleted, race_to_disable_each_other,
                race_to_delete_each_other, count_only_when_active_and_of_the_account,
                count_only_when_they_can_sign_in, count_only_by_the_directory_where_local_passwords_are_refused,
                race_with_their_account_for_the_last_way_in,
            }
            passwords {
                are_set_with_a_bounded_history, end_sessions_but_the_kept_one, are_set_at_a_revision, race_at_a_revision,
                of_nobody_are_none,
            }
            places {
                are_as_many_as_may_still_fail, are_taken_in_each_counter_or_in_none, of_others_stay_theirs,
                are_free_again_after_the_window, lock_at_once_when_the_threshold_was_lowered, never_let_one_too_many_try,
            }
            reports {
                go_to_exactly_those_who_asked, follow_what_users_ask_for, go_to_many_page_by_page,
                warn_whose_directory_password_expires, are_filed_once, tell_from_which_countries_people_signed_in,
            }
            roles {
                have_unique_folded_names, race_for_a_name, are_found_by_id, are_listed_filtered_and_paged,
                are_inserted_in_bulk_or_not_at_all, are_updated_at_their_revision, are_taken_from_their_holders,
            }
            sessions {
                are_read_with_user_account_and_roles, are_read_many_at_once, expire, come_newest_first_and_bounded, are_touched_forwards_only,
                are_ended_once, are_revoked_with_their_entry, are_opened_for_somebody_else,
            }
            tokens {
                are_read_with_account_and_roles, have_unique_names_until_revoked, are_touched_forwards_only_and_purged,
            }
            upkeep {
                answers_and_passes_its_check, purges_what_is_over, inserts_people_in_bulk, inserts_people_wholly_or_not_at_all,
                closes_with_everything_kept,
            }
            user_changes {
                are_updated_at_their_revision, keep_what_other_intents_own, cannot_take_a_login,
                race_at_a_revision, lose_sessions_when_disabled, lose_the_password_to_the_directory,
                lose_sessions_with_the_way_in,
            }
            transfer {
                are_scanned_in_the_order_of_their_ids, are_written_as_they_were_read, replace_those_with_the_same_id,
                are_created_with_their_audit_entries_or_not_at_all, find_users_by_id_and_by_login,
                let_users_follow_their_history,
            }
            user_lists {
                agree_with_the_model_in_every_order, count_like_the_model, are_paged_in_every_order,
                are_paged_under_concurrent_inserts, find_search_prefixes_literally, answer_each_filter_with_its_own_page,
            }
            users {
                read_back_whole, have_unique_logins_in_their_account, race_for_a_login, race_to_be_the_first,
                are_the_first_only_in_an_empty_account, are_found_by_id_and_login, are_deleted_with_password_and_sessions,
                are_deleted_at_their_revision, are_unlocked,
            }
        }
    };
    (@tests $open:path; $($module:ident { $($case:ident),* $(,)? })*) => {$(
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let (_guard, store) = $open().await;
                    $crate::store::contract::$module::$case(store).await;
                }
            )*
        }
    )*};
}
pub(crate) use contract_suite;
