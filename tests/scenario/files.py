"""Scenario files, good and bad, and how an editor checks one."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from harness import scenario

HERE = Path(__file__).parent
GOOD = sorted((HERE.parents[1] / "scenarios").glob("*.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))
LOAD = "load: {arrivals: poisson, rate: 50/s, requests: 100}\n"
MINIMAL = f"name: least\n{LOAD}stages:\n  - null: {{}}\n"
VALIDATOR = Draft202012Validator(scenario.schema())


def as_json(text: str) -> object:
    """As an editor sees YAML: keys are text, also an unquoted null."""
    return json.loads(json.dumps(yaml.safe_load(text)))
