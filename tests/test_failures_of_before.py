"""What the system before this one did wrong in its API and its trade, and which tests would catch each of it here.

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
}


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of a file's tests, as pytest would collect them from its top level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def named_after_a_failure() -> Iterator[tuple[str, str]]:
    for path in TESTS.glob("*/test_*.py"):
        for name in names_in(path):
            if number := re.match(r"test_(b\d+)_", name):
                yield number[1].upper(), f"{path.relative_to(TESTS).as_posix()}::{name}"


@pytest.mark.parametrize("number", FAILURES)
def test_each_failure_has_tests_that_would_catch_it(number: str) -> None:
    missing = []
    for caught_by in FAILURES[number].caught_by:
        file, _, name = caught_by.partition("::")
        if not (TESTS / file).is_file() or name not in names_in(TESTS / file):
            missing.append(caught_by)

    assert FAILURES[number].caught_by
    assert missing == []


def test_the_failures_are_numbered_without_a_gap() -> None:
    assert list(FAILURES) == [f"B{number}" for number in range(1, 15)]


def test_every_test_that_is_named_after_a_failure_is_listed_with_it() -> None:
    named = sorted(named_after_a_failure())

    assert len(named) > 10
    assert [one for one in named if one[1] not in FAILURES[one[0]].caught_by] == []
