"""The model and its JSON Schema accept and refuse the same, and explain every key."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from harness import registry, scenario
from harness.scenario import Scenario
from tests.scenario.files import BAD, GOOD, HERE, VALIDATOR, as_json

# The JSON Schema

SEEN_BY_LOADING_ONLY = {
    "a_list", "a_tab", "empty", "key_twice", "not_yaml",  # no document at all
    "rate_and_utilisation", "neither_rate_nor_utilisation", "requests_and_duration", "no_length",
    "empirical_without_file", "synthetic_without_size", "height_without_width", "two_stages_of_one_name",
    "missing_trace", "trace_that_goes_back", "missing_service_times", "service_times_without_units",
    "inference_of_images", "shed_of_a_closed_load", "rate_of_zero",
}  # fmt: skip


def test_the_schema_is_a_valid_schema():
    Draft202012Validator.check_schema(scenario.schema())


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_the_schema_accepts_the_scenarios_that_come_with_the_project(path):
    VALIDATOR.validate(as_json(path.read_text()))


@pytest.mark.parametrize("path", [p for p in BAD if p.stem not in SEEN_BY_LOADING_ONLY], ids=lambda p: p.stem)
def test_the_schema_refuses_what_loading_refuses(path):
    assert not VALIDATOR.is_valid(as_json(path.read_text()))


def test_the_schema_file_beside_the_scenarios_is_the_current_one():
    assert json.loads((HERE.parents[1] / "scenarios" / "scenario.schema.json").read_text()) == scenario.schema()


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_each_scenario_names_its_schema_for_editors(path):
    assert path.read_text().startswith("# yaml-language-server: $schema=scenario.schema.json\n")


@pytest.mark.parametrize(
    "model", [Scenario, *registry.ARRIVALS.kinds.values(), *registry.STAGES.kinds.values()], ids=lambda m: m.__name__
)
def test_every_key_is_explained(model):
    unexplained = [n for n, f in model.model_fields.items() if not f.description and n not in ("kind", "arrivals")]
    assert unexplained == []
