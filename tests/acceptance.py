"""The acceptance tests of sessions, by their numbers, and the tests that show each of them.

A file of :mod:`tests.tampering` counts as a test: each of them is one case of its own there.
``python -m tests.acceptance`` prints what a leg of CI has to run so that all of them are run.
"""

from __future__ import annotations

from typing import NamedTuple

GATE = "tests/database/test_gate.py"
WITNESS = "tests/database/test_witness.py"
ENTER = "tests/database/test_enter.py"
MACHINE = "tests/database/test_state_machine.py"
EVIDENCE = "tests/database/test_evidence.py"
PROFILES = "tests/database/test_profiles.py"
FLAGGED = "tests/tampering/flagged"
FINDINGS = "tests/guard/test_findings.py"
DDL = "tests/guard/test_ddl_guard.py"
KEEPING = "tests/guard/test_keeping.py"
COMMAND = "tests/guard/test_command.py"
GUARDING = "tests/planner/test_guarding.py"
APPROVALS = "tests/sessions/test_approvals.py"
ERRORS = "tests/sessions/test_errors.py"
GAPS = "tests/sessions/test_acceptance_gaps.py"
NESTING = "tests/sessions/test_nesting.py"
POOLERS = "tests/sessions/test_poolers.py"
REPORTING = "tests/sessions/test_reporting.py"
REQUESTS = "tests/sessions/test_requests.py"
STATEMENTS = "tests/sessions/test_statements.py"
TRANSACTIONS = "tests/sessions/test_transactions.py"
CHANGING = "tests/management/test_session_changing.py"
MIDDLEWARE = "tests/web/test_middleware.py"
RUNNING = "tests/management/test_session_run.py"


class Shown(NamedTuple):
    """What one number asks for, and where that is shown."""

    what: str
    tests: tuple[str, ...]


ACCEPTANCE: dict[int, Shown] = {
    1: Shown(
        "pgtrigger.ignore without a session is unattributed and pages, or is refused, by policy.",
        (
            f"{GATE}::test_a_policy_says_what_ignoring_outside_a_session_does",
            f"{FINDINGS}::test_what_went_past_a_trigger_is_c007_until_it_is_acknowledged",
            f"{FLAGGED}/raw_set.sql",
            f"{FLAGGED}/raw_set_refused.sql",
        ),
    ),
    2: Shown(
        "So is what the options of a connection, a role or a database set.",
        (
            f"{GATE}::test_settings_of_the_connection_are_judged_like_any_other",
            f"{FLAGGED}/options.py",
            f"{FLAGGED}/pgoptions.py",
            f"{FLAGGED}/role_setting.py",
            f"{FLAGGED}/database_setting.py",
        ),
    ),
    3: Shown(
        "Set by a CTE after the rows, it is refused or recorded, and a session has the rows.",
        (
            f"{FLAGGED}/late_cte.sql",
            f"{FLAGGED}/late_cte_refused.sql",
            f"{FLAGGED}/late_cte_enters.sql",
        ),
    ),
    4: Shown(
        "Set by RETURNING after the row, it is refused or recorded, and a session has the row.",
        (
            f"{FLAGGED}/late_returning.sql",
            f"{FLAGGED}/late_returning_refused.sql",
            f"{FLAGGED}/late_returning_enters.sql",
        ),
    ),
    5: Shown(
        "A deferred trigger let off late is refused; in a session its report has a finding.",
        (
            f"{FLAGGED}/deferred_late_refused.sql",
            f"{FLAGGED}/deferred_immediate.sql",
            f"{FLAGGED}/deferred_late_enters.sql",
            f"{GAPS}::test_a_deferred_trigger_that_stood_aside_unseen_is_a_finding_of_the_report",
        ),
    ),
    6: Shown(
        "Reset by RETURNING, the row is on record all the same, and the next row is refused.",
        (
            f"{FLAGGED}/returning_resets.sql",
            f"{FLAGGED}/returning_resets_two_rows.sql",
            f"{FLAGGED}/returning_leaves.sql",
        ),
    ),
    7: Shown(
        "Functions and operators of an attacker's search_path reach neither gate nor record.",
        (
            f"{WITNESS}::test_names_on_the_search_path_do_not_reach_the_record",
            f"{PROFILES}::test_a_temporary_table_hides_none_of_ours",
            f"{FLAGGED}/search_path.sql",
            f"{FLAGGED}/search_path_refused.sql",
            f"{FLAGGED}/temporary_tables.sql",
        ),
    ),
    8: Shown(
        "Rows written as a replica are on record as such, and nobody's.",
        (
            f"{WITNESS}::test_the_replica_role_is_witnessed",
            f"{FLAGGED}/replica_role.sql",
            f"{FLAGGED}/replica_role_by_app.sql",
        ),
    ),
    9: Shown(
        "An owner's ENABLE ALL, DISABLE or DROP is refused under the DDL guard, else found.",
        (
            f"{DDL}::test_what_would_take_the_guard_away_is_refused",
            f"{DDL}::test_the_owner_of_everything_but_the_event_trigger_cannot_get_rid_of_it",
            f"{FINDINGS}::test_a_witness_that_lacks_something_is_w006",
            f"{FINDINGS}::test_a_gate_that_is_none_is_c006_and_not_c002",
        ),
    ),
    10: Shown(
        "pgtrigger install, ours or the stock one, and migrate leave the gate in place.",
        (
            f"{KEEPING}::test_whatever_installs_is_followed_by_the_gate",
            f"{KEEPING}::test_no_migration_lets_anybody_see_the_stock_function",
            f"{KEEPING}::test_a_later_migration_that_raises_does_not_leave_the_stock_function",
            f"{COMMAND}::test_migrate_brings_the_guard_up_to_date",
            f"{GUARDING}::test_a_plain_install_puts_the_gate_back_where_the_guard_is_on",
        ),
    ),
    11: Shown(
        "TRUNCATE of a protected table is on record, and of what CASCADE reaches.",
        (
            f"{WITNESS}::test_truncate_is_on_record_wherever_it_arrives",
            f"{WITNESS}::test_truncate_in_a_session_is_the_sessions",
            f"{FLAGGED}/truncate.sql",
            f"{FLAGGED}/truncate_cascade.sql",
        ),
    ),
    12: Shown(
        "Each built-in trigger stands aside with old and new on record; a hard delete is told.",
        (
            f"{GAPS}::test_each_built_in_trigger_stands_aside_and_the_row_is_on_record",
            f"{WITNESS}::test_old_and_new_are_on_record_to_the_letter",
            f"{REPORTING}::test_a_hard_delete_is_told",
        ),
    ),
    13: Shown(
        "A trigger that the session does not name goes on refusing.",
        (
            f"{GATE}::test_a_session_lets_its_own_triggers_stand_aside_and_no_others",
            f"{ERRORS}::test_a_trigger_out_of_scope_stays_on",
            f"{FLAGGED}/out_of_scope.sql",
            f"{FLAGGED}/out_of_scope_refused.sql",
        ),
    ),
    14: Shown(
        "So does one of a model that none of several sessions names, for the ORM as well, and in "
        "the admin one of a model out of scope.",
        (
            f"{NESTING}::test_invoices_are_out_of_scope_of_all",
            f"{NESTING}::test_g4_databases_do_not_share_a_scope",
            f"{MIDDLEWARE}::test_a_model_out_of_scope_is_enforced",
            f"{MIDDLEWARE}::test_only_pages_of_the_admin_count",
        ),
    ),
    15: Shown(
        "A rollback leaves no row on record, and every event.",
        (
            f"{WITNESS}::test_what_is_rolled_back_leaves_no_row",
            f"{REQUESTS}::test_a_session_outlives_a_transaction_that_is_rolled_back",
            f"{ERRORS}::test_a_revoke_before_the_commit_refuses_that",
            f"{ERRORS}::test_a_failed_statement_of_a_transaction_outlives_it",
        ),
    ),
    16: Shown(
        "Nobody approves their own request or twice, a no wins, and races begin it once.",
        (
            f"{APPROVALS}::test_reviews",
            f"{APPROVALS}::test_what_is_final_is_not_reviewed",
            f"{APPROVALS}::test_a_request_that_waited_too_long_is_not_reviewed",
            f"{APPROVALS}::test_of_eight_approvals_at_once_exactly_one_begins_the_session",
            f"{APPROVALS}::test_an_approval_and_a_denial_at_once_leave_one_of_them",
            f"{MACHINE}::test_reviews",
        ),
    ),
    17: Shown(
        "A form that is sent twice, or eight times at once, opens one session.",
        (
            f"{APPROVALS}::test_a_form_that_is_sent_twice_opens_one_session",
            f"{APPROVALS}::test_a_form_that_is_sent_eight_times_at_once_opens_one_session",
            f"{MACHINE}::test_a_form_that_is_sent_twice_opens_one_session",
        ),
    ),
    18: Shown(
        "An extension ends at the longest that a session may last, and comes before its end.",
        (
            f"{MACHINE}::test_an_extension_ends_at_the_longest_and_there_are_no_more_than_so_many",
            f"{MACHINE}::test_what_is_not_active_is_not_extended",
            f"{CHANGING}::test_a_session_is_extended_as_often_and_as_long_as_it_may",
            f"{CHANGING}::test_what_is_over_is_not_extended",
        ),
    ),
    19: Shown(
        "After a revoke, the next statement that would ignore a trigger is refused.",
        (
            f"{GATE}::test_between_two_statements_an_end_stops_the_second",
            f"{ERRORS}::test_a_statement_after_a_revoke_is_refused_and_recorded",
            f"{ERRORS}::test_a_revoke_between_statements_of_a_transaction_takes_all_of_it",
            f"{FLAGGED}/write_after_revoke.py",
        ),
    ),
    20: Shown(
        "A revoke stops a large UPDATE in its midst: it comes to next to no row more, and none "
        "of its rows is kept. How soon, is measured: python -m benchmarks sessions.",
        (
            f"{GATE}::test_a_revoke_stops_a_large_update_at_once",
            f"{GAPS}::test_a_revoke_ends_a_statement_that_runs_and_keeps_none_of_its_rows",
        ),
    ),
    21: Shown(
        "A revoke ends an idle transaction; without the right to, it says so and exits with 6.",
        (
            f"{CHANGING}::test_revoke_ends_an_idle_transaction",
            f"{CHANGING}::test_a_role_without_the_right_to_end_it_revokes_all_the_same",
            f"{RUNNING}::test_a_revoke_from_another_process_ends_the_connection_and_the_run_with_4",
            f"{ENTER}::test_nobody_in_a_session_makes_its_revoker_wait",
        ),
    ),
    22: Shown(
        "A session ends by the database's clock: in mid-statement, when idle, and at COMMIT.",
        (
            f"{GATE}::test_a_session_that_expires_stops_a_statement_in_its_midst",
            f"{ERRORS}::test_a_statement_that_runs_into_the_end_is_stopped",
            f"{ENTER}::test_what_is_committed_after_the_end_is_not_kept",
            f"{ENTER}::test_a_late_end_saves_nothing",
            (
                f"{GAPS}::test_a_transaction_that_is_idle_at_the_end_of_its_session_loses_"
                "its_connection"
            ),
            f"{GAPS}::test_a_wrong_clock_of_the_application_ends_no_session",
            f"{GAPS}::test_a_wrong_clock_of_the_application_gives_no_session_more_time",
        ),
    ),
    23: Shown(
        "A transaction whose snapshot hides a revoke is refused, or loses its connection.",
        (
            f"{GAPS}::test_a_transaction_that_cannot_see_the_revoke_loses_its_connection",
            f"{ENTER}::test_holders_are_found_by_their_lock_and_ended",
            f"{ENTER}::test_a_transaction_that_would_not_see_the_end_is_not_joined",
            f"{REQUESTS}::test_an_isolated_transaction_is_not_joined",
            f"{FLAGGED}/repeatable_read.sql",
        ),
    ),
    24: Shown(
        "An error of the block comes out as itself: atomic outside, inside, or handled.",
        (
            f"{ERRORS}::test_g1_an_error_of_the_block_comes_out_as_itself",
            f"{ERRORS}::test_g1_an_error_handled_inside_is_none",
            (
                f"{ERRORS}::test_g1_an_error_handled_inside_without_a_savepoint_leaves_"
                "the_block_quietly"
            ),
            f"{ERRORS}::test_what_the_block_raises_is_not_replaced_by_that",
        ),
    ),
    25: Shown(
        "Nothing leaks: autocommit off, generators, threads, tasks, nesting in both orders.",
        (
            f"{TRANSACTIONS}::test_g2_nothing_leaks_with_autocommit_off",
            (
                f"{TRANSACTIONS}::test_g3_a_rollback_to_a_savepoint_neither_ends_a_session_nor_"
                "brings_one_back"
            ),
            f"{NESTING}::test_g5_generators_are_refused",
            f"{NESTING}::test_g6_another_task_on_the_same_connection_stays_protected",
            f"{NESTING}::test_g6_a_task_that_outlives_the_block_is_protected_again",
            f"{NESTING}::test_g14_another_thread_on_the_same_connection_stays_protected",
            f"{NESTING}::test_g14_another_thread_with_a_connection_of_its_own_stays_protected",
            f"{NESTING}::test_sessions_nest",
            f"{NESTING}::test_sessions_nest_with_ignore",
        ),
    ),
    26: Shown(
        "A statement gives what it gives: percent signs, parameters, COPY, VACUUM, RETURNING.",
        (
            f"{STATEMENTS}::test_g7_g8_g9_every_shape_of_statement_gives_what_it_gives",
            f"{STATEMENTS}::test_g7_executemany",
            f"{STATEMENTS}::test_g10_copy_is_in_the_session_inside_a_transaction",
            f"{STATEMENTS}::test_g10_copy_outside_a_transaction_stays_protected",
            f"{STATEMENTS}::test_g11_what_cannot_run_in_a_transaction_runs_in_a_session",
            f"{STATEMENTS}::test_iterator_and_named_cursors",
            f"{STATEMENTS}::test_the_orm_gets_its_results",
        ),
    ),
    27: Shown(
        "Behind PgBouncer nothing reaches another client, and a killed client leaves nothing.",
        (
            f"{POOLERS}::test_no_session_reaches_another_client",
            f"{POOLERS}::test_a_client_that_is_killed_in_a_session_leaves_nothing",
        ),
    ),
    28: Shown(
        "No role changes evidence: no right under split, TO013 under single; unwritten, undone.",
        (
            f"{PROFILES}::test_the_app_role_writes_none_of_our_tables",
            f"{PROFILES}::test_the_app_role_works_in_sessions_and_cannot_but_leave_a_record",
            f"{GAPS}::test_sessions_work_for_a_role_that_owns_nothing",
            f"{GAPS}::test_a_role_that_owns_nothing_writes_no_table_of_ours_itself",
            f"{PROFILES}::test_the_owner_changes_no_evidence_either",
            f"{EVIDENCE}::test_no_statement_changes_what_is_on_record",
            f"{WITNESS}::test_what_cannot_be_recorded_does_not_happen",
        ),
    ),
}


WHOLE = (
    "tests/catalog",
    "tests/sessions/test_errors.py",
    "tests/sessions/test_nesting.py",
    "tests/sessions/test_statements.py",
    "tests/sessions/test_transactions.py",
    "tests/tampering",
    "tests/weaknesses/test_reading.py",
)
"""What another driver or server could make a difference to in every test."""


def selected() -> list[str]:
    """Return folders, files and tests that show all numbers, and all that a driver can change."""
    shown = {one for number in ACCEPTANCE.values() for one in number.tests}
    return [*WHOLE, *sorted(one for one in shown if not one.startswith(WHOLE))]


if __name__ == "__main__":
    print(*selected())
