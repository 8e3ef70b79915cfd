"""What the system before this one did wrong, and which tests would catch each of it here.

The numbers are those that tests and decisions use: B5 here is B5 in a docstring and ``b5`` in a test's name.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parent


class Failure(NamedTuple):
    """What went wrong then, and ``file::test`` of whatever would fail if it came back."""

    then: str
    caught_by: Sequence[str]


FAILURES: Mapping[str, Failure] = {
    "B1": Failure(
        "The documented signature was always refused, one for / opened every route, and each could be used again.",
        (
            "api/test_api_authentication.py::test_the_documented_signature_opens_a_route",
            "api/test_api_authentication.py::test_a_changing_request_must_sign_its_query_and_its_body",
            "api/test_api_replay.py::test_a_signature_opens_no_other_route",
            "api/test_api_replay.py::test_a_signature_of_a_changing_request_is_accepted_once",
        ),
    ),
    "B2": Failure(
        "The client id 'constructor', an odd signature or a database error in authentication ended the process.",
        (
            "api/test_api_authentication.py::test_invariant_10_hostile_headers_are_refused_and_the_next_request_is_served",
            "keys/test_signatures.py::test_what_is_no_timestamp_is_refused",
            "api/test_api_errors.py::test_a_database_that_is_away_is_unavailable_for_a_while",
            "api/test_api_serve.py::test_invariant_10_whatever_arrives_on_a_socket_the_next_request_is_served",
        ),
    ),
    "B3": Failure(
        "lab_grown=false found lab-grown stones, and zero was no value of a filter.",
        ("catalog/test_search_results.py::test_a_filter_finds_what_plain_python_finds",),
    ),
    "B4": Failure(
        "Cost, vendors and offer ids were shown to every client.",
        (
            "invariants/test_invariant_07_confidential.py"
            "::test_invariant_07_no_answer_of_any_route_tells_a_shop_what_is_confidential",
            "invariants/test_invariant_07_confidential.py"
            "::test_invariant_07_no_value_of_a_stone_holds_its_offer_or_its_id_at_the_supplier",
            "trade/test_buying.py::test_a_key_without_cost_learns_no_cost_vendor_or_supplier_s_id_from_a_purchase",
            "trade/test_holding.py::test_a_key_without_cost_learns_nothing_of_the_supplier_from_a_hold",
        ),
    ),
    "B5": Failure(
        "Runs filtered by date or state were a 500, and failed ones were found by counters that nobody kept.",
        ("api/test_api_operators_runs.py::test_runs_are_filtered_by_every_parameter_and_by_several_at_once",),
    ),
    "B6": Failure(
        "No error was recorded, or only the first with its message, none of over 255 characters, "
        "and none of a scheduler that was about to end.",
        (
            "api/test_api_operators_logs.py::test_every_error_is_kept_also_the_same_twice_and_a_long_one",
            "api/test_api_operators_triggers.py::test_a_run_that_cannot_be_planned_leaves_nothing_but_the_reason",
        ),
    ),
    "B7": Failure(
        "Pages had no fixed order, and cursors cut to milliseconds skipped 150 of 250 stones made at one moment.",
        (
            "catalog/test_search_results.py::test_pages_and_cursors_both_give_every_stone_once_in_order",
            "catalog/test_search_results.py"
            "::test_cursors_return_what_did_not_change_once_while_other_stones_come_and_go",
            "catalog/test_cursors.py::test_a_cursor_comes_back_unrounded",
        ),
    ),
    "B8": Failure(
        "Any key could set the watermark to anything, its length was counted in characters, "
        "select * went past the allowed columns, and the driver's codes were shown.",
        (
            "api/test_api_operators_watermark.py::test_what_is_no_watermark_is_400_and_changes_nothing",
            "api/test_api_operators_watermark.py::test_a_key_without_admin_may_not_touch_it",
            "watermark/test_watermark_document.py::test_what_was_encoded_is_decoded_to_the_microsecond",
            "api/test_api_operators_query.py::test_a_star_stands_for_the_allowed_columns_and_no_other",
            "api/test_api_errors.py::test_a_mistake_in_our_sql_shows_no_driver_text",
        ),
    ),
    "B9": Failure(
        "A rule's field could not be cleared, an unknown rule was a 200 and a bad id a 500, "
        "and live searches with one end of a price failed at the supplier.",
        (
            "api/test_api_pricing_rules.py::test_a_change_replaces_what_it_names_and_null_clears",
            "api/test_api_pricing_rules.py::test_ids_that_are_none_or_nobodys_are_told_apart",
            "feeds/test_nivoda_filter.py::test_a_price_range_with_one_end_is_sent_with_both",
        ),
    ),
    "B10": Failure(
        "Holds named the offer, not the stone, were lost with their process, and two callers both got one.",
        (
            "feeds/test_nivoda_trading.py::test_a_hold_is_asked_for_by_the_stones_own_id",
            "trade/test_old_failures.py::test_b10_a_hold_is_written_down_before_the_supplier_is_asked",
            "trade/test_old_failures.py::test_b10_a_hold_whose_process_died_is_found_and_not_lost",
            "trade/test_holding.py::test_two_callers_who_want_one_stone_get_one_hold",
        ),
    ),
    "B11": Failure(
        "The end of a hold never reached the supplier. A purchase's key was bound to nothing, never worked again "
        "after a failure, and ordered twice when an answer was lost.",
        (
            "trade/test_holding.py::test_ending_a_hold_ends_it_at_the_supplier",
            "trade/test_old_failures.py::test_b11_the_end_of_a_hold_reaches_the_supplier",
            "trade/test_old_failures.py::test_b11_an_administrator_s_order_is_bound_to_its_key_too",
            "trade/test_buying.py::test_the_same_key_gets_the_same_bytes_whatever_became_of_the_order",
            "trade/test_buying.py::test_the_same_key_with_another_body_is_a_conflict",
            "trade/test_buying.py::test_the_same_key_for_another_stone_is_a_conflict_and_for_another_client_its_own",
            "trade/test_buying.py::test_a_purchase_that_surely_was_not_done_may_be_sent_again_under_its_key",
            "trade/test_buying.py::test_b11_an_order_whose_answer_was_lost_is_unknown_and_is_never_sent_again",
            "invariants/test_invariant_06_one_order.py"
            "::test_invariant_06_fifty_purchases_with_one_key_are_one_order",
        ),
    ),
    "B12": Failure(
        "A stone that was refused was held all the same, and a purchase looked the stone up by its destination.",
        (
            "trade/test_old_failures.py::test_b12_a_stone_that_is_refused_is_not_held_all_the_same",
            "trade/test_old_failures.py"
            "::test_b12_the_stone_is_the_one_of_the_path_whatever_the_destination_is_called",
        ),
    ),
    "B13": Failure(
        "A database error lost a paid order, a repeated message ordered twice, a late one overwrote what was "
        "settled, and two buyers could pay for one stone.",
        (
            "trade/test_old_failures.py::test_b13_a_database_error_after_the_supplier_s_yes_loses_no_order",
            "trade/test_old_failures.py::test_b13_an_order_whose_process_stood_still_before_it_left_is_not_sent",
            "trade/test_old_failures.py::test_b13_two_buyers_never_get_one_stone",
            "trade/test_old_failures.py::test_b13_a_late_word_never_overwrites_a_settled_order",
            "invariants/test_invariant_06_one_order.py"
            "::test_invariant_06_fifty_purchases_with_different_keys_of_one_stone_are_one_order",
        ),
    ),
    "B14": Failure(
        "Consolidation overwrote holds and sales by what the feed said, and caches showed a sold stone for hours.",
        (
            "invariants/test_invariant_05_local_trade.py"
            "::test_invariant_05_a_newer_listing_leaves_local_trade_alone",
            "trade/test_buying.py::test_b14_a_sold_stone_stays_sold_when_the_feed_lists_it_as_available",
            "trade/test_holding.py::test_b14_a_listing_ends_no_hold_but_the_supplier_s_word_on_that_stone_does",
            "trade/test_old_failures.py::test_b14_every_trade_makes_caches_ask_again",
            "trade/test_old_failures.py::test_b14_a_search_shows_a_trade_at_once",
        ),
    ),
    "B15": Failure(
        "A full batch of messages was sent again instead of the next one: with 1,000 partitions 608 were lost.",
        (
            "queue/test_postgres_queue.py::test_a_send_survives_as_many_transient_errors_as_it_is_retried",
            "contract/test_queue_contract.py::test_a_big_batch_keeps_its_order_also_after_being_given_back",
            "schedule/test_sweeping.py::test_most_messages_may_be_lost_and_the_run_still_ends",
            "schedule/test_planning.py::test_a_plan_wakes_every_range_once_and_no_catch_up_yet",
        ),
    ),
    "B16": Failure(
        "A crash between the commit of an offset and the message for the next page stranded the run.",
        (
            "invariants/test_invariant_01_named_points.py"
            "::test_invariant_01_a_run_killed_while_it_is_planned_and_read_ends_with_the_same_rows",
            "invariants/test_invariant_01_random_instants.py"
            "::test_invariant_01_processes_killed_at_random_instants_change_nothing",
            "ingest/test_worker_leases.py::test_a_process_that_stops_gives_its_partition_back_at_once",
            "faults/test_schedules.py::test_nothing_is_lost_doubled_or_left_unfinished_whatever_breaks",
        ),
    ),
    "B17": Failure(
        "One transient failure made a partition fail for ever, or its redeliveries were dropped unread.",
        (
            "runs/test_leases.py::test_a_cursor_that_moves_sets_the_failures_back_and_one_that_stands_does_not",
            "runs/test_run_states.py::test_the_counters_follow_the_partitions_through_failure_and_retry",
            "ingest/test_worker.py::test_after_the_wait_its_own_message_wakes_the_partition_again",
            "ingest/test_worker.py::test_the_same_message_again_and_again_reads_nothing_twice",
        ),
    ),
    "B18": Failure(
        "Whether a partition was the last was read and acted on apart: nobody or several consolidated.",
        (
            "runs/test_run_states.py::test_when_the_last_two_partitions_end_at_once_exactly_one_ends_the_reading",
            "runs/test_run_states.py::test_an_end_that_waits_for_another_uncommitted_one_sees_it",
            "consolidate/test_consolidating.py::test_the_same_message_again_changes_nothing",
        ),
    ),
    "B19": Failure(
        "Pages by offset skipped a row for each stone that changed meanwhile, and a short page was taken for the end.",
        (
            "ingest/test_walk.py::test_no_row_that_stays_is_lost_whatever_leaves",
            "ingest/test_walk.py::test_a_short_page_is_not_the_end",
            "ingest/test_partition_reading.py::test_nothing_is_lost_when_every_request_sees_another_order",
            "invariants/test_invariant_02_completeness.py"
            "::test_invariant_02_a_complete_run_has_as_many_stones_as_an_unfiltered_count_says",
        ),
    ),
    "B20": Failure(
        "A page that held a stone twice failed whole, and of two feeds with one stone id one stone was kept.",
        (
            "ingest/test_read_range.py::test_rows_that_change_places_now_and_then_are_all_found",
            "ingest/test_partition_reading.py::test_stones_at_a_shared_edge_come_twice_and_count_once",
            "consolidate/test_consolidating.py::test_stones_of_another_feed_are_left_to_its_own_runs",
        ),
    ),
    "B21": Failure(
        "Bounds overlapped or left fractions of a dollar out, and nothing above a ceiling was read.",
        (
            "schedule/test_planning.py::test_a_full_plan_covers_every_price_of_both_types_and_catches_up_at_the_end",
            "partitioning/test_reading_split.py"
            "::test_a_crowded_inventory_is_read_in_small_pieces_without_losing_a_stone",
            "ingest/test_partition_reading.py"
            "::test_a_stone_that_moves_between_ranges_while_they_are_read_is_caught_up_with",
        ),
    ),
    "B22": Failure(
        "The limit let twice as many requests through, logins were free, and texts decided what was retried.",
        (
            "feeds/test_budget.py"
            "::test_invariant_09_no_second_sees_more_requests_than_the_rate_from_all_processes_logins_included",
            "invariants/test_invariant_09_request_budget.py"
            "::test_invariant_09_two_workers_and_a_planner_never_ask_more_in_one_second_than_allowed",
            "feeds/test_nivoda_failures.py::test_a_refused_query_is_told_in_the_suppliers_words_and_not_asked_again",
        ),
    ),
    "B23": Failure(
        "Runs overlapped, one whose planner died stayed running for ever, and a retry began anew at the first page.",
        (
            "runs/test_run_states.py::test_of_planners_at_the_same_moment_exactly_one_succeeds",
            "invariants/test_invariant_01_named_points.py"
            "::test_invariant_01_a_planner_that_is_killed_leaves_no_half_a_plan",
            "runs/test_run_actions.py::test_a_retried_run_goes_on_at_the_cursor_with_all_its_attempts",
        ),
    ),
    "B24": Failure(
        "A changed stone was marked done and its change thrown away unless its cost had changed too.",
        (
            "consolidate/test_consolidating.py::test_a_changed_stone_is_changed_and_an_unchanged_one_not_even_written",
            "invariants/test_invariant_04_newest_payload.py"
            "::test_invariant_04_after_runs_over_a_moving_inventory_every_row_is_its_newest_payload",
        ),
    ),
    "B25": Failure(
        "Stones that the supplier had sold were never removed.",
        (
            "consolidate/test_removal.py::test_a_stone_that_is_gone_is_deleted_after_a_full_run",
            "consolidate/test_removal.py::test_a_stone_the_run_missed_and_the_supplier_still_has_stays",
            "consolidate/test_removal.py::test_more_than_a_fifth_missing_removes_nothing_of_that_type_and_alerts",
        ),
    ),
    "B26": Failure(
        "A payload that came while its stone was consolidated was marked done unseen, or destroyed.",
        (
            "consolidate/test_consolidating.py"
            "::test_a_payload_that_comes_while_its_stone_is_consolidated_stays_pending",
            "invariants/test_invariant_04_newest_payload.py"
            "::test_invariant_04_payloads_written_while_consolidators_work_are_never_marked_done_unseen",
        ),
    ),
    "B27": Failure(
        "The watermark was the time of completion, moved over failed ranges, moved back, and was split by crashes.",
        (
            "api/test_api_operators_watermark.py::test_it_is_the_planning_time_of_the_run_not_its_end",
            "consolidate/test_finalising.py::test_the_watermark_is_the_planning_time_and_not_a_time_of_completion",
            "consolidate/test_finalising.py::test_a_crash_between_the_watermark_and_the_runs_row_is_harmless",
            "consolidate/test_finalising.py::test_a_run_with_an_unread_range_moves_nothing",
            "contract/test_watermark_contract.py::test_racing_advances_end_at_the_latest_of_them",
            "invariants/test_invariant_03_watermark.py"
            "::test_invariant_03_whatever_happens_to_runs_the_watermark_only_moves_over_what_was_read",
        ),
    ),
    "B28": Failure(
        "The first consolidator that found nothing pending ended the run while others were at work.",
        (
            "consolidate/test_finalising.py::test_a_stone_that_is_locked_and_not_yet_done_is_pending_as_well",
            "consolidate/test_finalising.py::test_a_run_is_ended_once_however_many_consolidators_come_to_its_end",
            "consolidate/test_consolidating.py::test_several_consolidators_share_a_run_and_exactly_one_ends_it",
        ),
    ),
    "B29": Failure(
        "One stone without a color failed its whole batch, and failed ones were never tried again.",
        (
            "consolidate/test_quarantine.py::test_one_stone_that_the_database_refuses_costs_its_neighbours_nothing",
            "consolidate/test_quarantine.py::test_a_stone_returns_by_itself_when_its_payload_is_good",
            "feeds/test_nivoda_mapper_grades.py::test_an_unknown_grade_becomes_null_and_the_stone_stays",
        ),
    ),
    "B30": Failure(
        "UNAVAILABLE was read as available.",
        (
            "feeds/test_nivoda_mapper.py::test_availability_goes_by_exact_words",
            "feeds/test_nivoda_mapper.py::test_an_unknown_availability_is_never_for_sale_and_counted",
        ),
    ),
    "B31": Failure(
        "Money was floating point, rules of one priority had no order, and edits of rules raced with repricing.",
        (
            "pricing/test_pricing_oracle.py::test_a_batch_is_priced_stone_for_stone_as_the_documentation_says",
            "pricing/test_pricing_engine.py::test_the_lower_priority_number_wins_and_equal_ones_go_by_id",
            "consolidate/test_consolidating.py::test_a_new_rule_reaches_the_stones_that_are_consolidated_after_it",
        ),
    ),
    "B32": Failure(
        "An answer made of old data was kept for hours as one of the new version.",
        (
            "catalog/test_catalog_index.py::test_a_question_brings_the_index_to_its_own_snapshot",
            "consolidate/test_telling_changes.py"
            "::test_a_consolidation_tells_the_new_the_changed_the_rejected_and_the_removed",
            "consolidate/test_consolidating.py::test_every_transaction_that_changes_the_catalogue_raises_its_version",
        ),
    ),
}

#: The pains of running it, by what was seen then.
PAINS: Sequence[Failure] = (
    Failure(
        "A partition took 40 minutes, its lock ended and its work was repeated.",
        (
            "ingest/test_worker_leases.py::test_the_lease_is_renewed_while_the_supplier_takes_its_time",
            "queue/test_consumer.py::test_a_lease_is_renewed_while_the_handler_runs",
        ),
    ),
    Failure(
        "The chain of messages stopped and nobody noticed.",
        (
            "schedule/test_sweeping.py::test_a_lost_wake_up_is_sent_again_under_a_new_number",
            "schedule/test_planning.py::test_a_planner_that_dies_before_it_wakes_anybody_is_no_loss",
        ),
    ),
    Failure(
        "A counter said 3 failed workers and a table 2.",
        ("runs/test_run_states.py::test_the_counters_follow_the_partitions_through_failure_and_retry",),
    ),
    Failure(
        "Most partitions never became completed.",
        (
            "ingest/test_worker.py::test_a_partition_is_read_whole_and_every_figure_is_explained",
            "runs/test_run_states.py::test_the_database_refuses_every_step_that_a_partition_may_not_take",
        ),
    ),
    Failure(
        "A full run of 400,000 stones took 3 hours behind one locked row.",
        (
            "feeds/test_budget.py::test_the_rate_starts_low_and_climbs_with_good_answers_up_to_the_limit",
            "feeds/test_budget.py::test_slots_stand_evenly_apart_whoever_takes_them",
        ),
    ),
    Failure(
        "The number of partitions was used as the number of workers.",
        ("schedule/test_planning.py::test_there_are_never_more_partitions_than_the_setting_allows",),
    ),
    Failure(
        "The gateway answered 403 to everybody while both feeds were read.",
        (
            "feeds/test_nivoda_failures.py::test_403_of_the_gateway_is_throttling_and_no_rejected_token",
            "feeds/test_budget.py::test_twenty_refusals_of_one_incident_halve_the_rate_once_and_pause_everybody",
        ),
    ),
    Failure(
        "Each page logged in anew.",
        ("faults/test_supplier_faults.py::test_a_token_that_lives_for_a_moment_is_no_obstacle",),
    ),
    Failure(
        "Offset 89,850 of an estimated 51,906 was read, then an estimate cut the reading short.",
        (
            "ingest/test_partition_reading.py::test_a_big_partition_is_read_in_shallow_ranges_by_price",
            "ingest/test_partition_reading.py::test_a_count_that_is_half_the_truth_does_not_lead_deep",
        ),
    ),
    Failure(
        "A partition of 36,413 stones ended at offset 35.",
        (
            "ingest/test_walk.py::test_a_short_page_is_not_the_end",
            "ingest/test_read_range.py::test_stones_that_are_counted_but_never_shown_make_the_count_disputed",
        ),
    ),
    Failure(
        "2 % of the stones lay in no range of whole dollars.",
        (
            "invariants/test_invariant_02_completeness.py"
            "::test_invariant_02_a_complete_run_has_as_many_stones_as_an_unfiltered_count_says",
        ),
    ),
    Failure(
        "Partitions of lab-grown stones were empty, upside down or 168,000 stones large.",
        (
            "partitioning/test_reading_split.py"
            "::test_a_range_of_dollars_is_bisected_as_often_as_its_count_asks_for",
            "schedule/test_planning.py"
            "::test_a_full_plan_covers_every_price_of_both_types_and_catches_up_at_the_end",
        ),
    ),
    Failure(
        "Half of the stones were in the wrong feed or of the wrong type.",
        (
            "feeds/test_nivoda_mapper.py::test_a_stone_is_lab_grown_by_certificate_type_or_question",
            "consolidate/test_quarantine.py::test_quarantine_belongs_to_a_feed",
        ),
    ),
    Failure(
        "Prices were a hundred times too high for 16 days.",
        (
            "ingest/test_worker.py"
            "::test_prices_in_another_unit_fail_the_partition_before_anything_of_it_is_stored",
            "feeds/test_nivoda_mapper_rejections.py"
            "::test_a_price_far_off_the_range_asked_for_is_a_unit_error_and_one_beside_it_is_counted",
        ),
    ),
    Failure(
        "What changed during a run of over 15 minutes was never read.",
        (
            "e2e/test_runs_over_days.py::test_nothing_falls_between_the_windows_of_one_run_and_the_next",
            "invariants/test_invariant_03_watermark.py"
            "::test_invariant_03_what_changes_while_a_run_lasts_is_read_by_the_next_one",
        ),
    ),
    Failure(
        "One failed worker blocked a run, and later 30 % of loss moved the watermark.",
        (
            "consolidate/test_finalising.py::test_force_consolidates_what_is_there_and_the_watermark_stays",
            "runs/test_partial_runs.py::test_what_is_complete_is_consolidated_and_the_rest_stays_due",
            "runs/test_run_actions.py::test_a_retried_run_goes_on_at_the_cursor_with_all_its_attempts",
        ),
    ),
    Failure(
        "The free text 100% for eye clean failed a boolean column.",
        ("feeds/test_nivoda_mapper.py::test_eye_clean_is_yes_no_or_open",),
    ),
    Failure(
        "One bad row failed a hundred.",
        (
            "consolidate/test_quarantine.py::test_several_refused_stones_among_known_and_new_ones_are_each_found",
        ),
    ),
    Failure(
        "Searches used up the database's connections.",
        (
            "queue/test_consumer_stop.py::test_lost_database_connections_are_survived",
            "faults/test_schedules.py::test_nothing_is_lost_doubled_or_left_unfinished_whatever_breaks",
        ),
    ),
)


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of a file's tests, as pytest would collect them from its top level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def as_table(failures: Sequence[tuple[str, Failure]]) -> str:
    """The rows of a table in Markdown."""
    return "\n".join(
        f"| {' '.join([number, then]).strip()} | {'<br>'.join(f'`{one}`' for one in caught_by)} |"
        for number, (then, caught_by) in failures
    )


def named_after_a_failure() -> Iterator[tuple[str, str]]:
    for path in TESTS.glob("*/test_*.py"):
        for name in names_in(path):
            if number := re.match(r"test_(b\d+)_", name):
                yield number[1].upper(), f"{path.relative_to(TESTS).as_posix()}::{name}"


@pytest.mark.parametrize(
    "failure", [*FAILURES.values(), *PAINS], ids=[*FAILURES, *(pain.then for pain in PAINS)]
)
def test_each_failure_has_tests_that_would_catch_it(failure: Failure) -> None:
    missing = []
    for caught_by in failure.caught_by:
        file, _, name = caught_by.partition("::")
        if not (TESTS / file).is_file() or name not in names_in(TESTS / file):
            missing.append(caught_by)

    assert failure.caught_by
    assert missing == []


def test_the_document_of_reliability_lists_them_all_with_their_tests() -> None:
    document = (TESTS.parent / "docs" / "reliability.md").read_text(encoding="utf-8")

    assert as_table([(number, FAILURES[number]) for number in FAILURES]) in document
    assert as_table([("", pain) for pain in PAINS]) in document


def test_the_failures_are_numbered_without_a_gap() -> None:
    assert list(FAILURES) == [f"B{number}" for number in range(1, 33)]


def test_every_test_that_is_named_after_a_failure_is_listed_with_it() -> None:
    named = sorted(named_after_a_failure())

    assert len(named) > 10
    assert [one for one in named if one[1] not in FAILURES[one[0]].caught_by] == []
