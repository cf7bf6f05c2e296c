"""Lets `make faults` write what it saw into build/reliability.json."""

from __future__ import annotations

import pytest

from reliability.report import Row, record

_OPTION = "--record-faults"
_UNTESTED = [
    "A Redis that answers wrongly, a replica that takes over, and a Redis Cluster: jitprov uses one instance.",
    "A paused virtual machine that ends right after it made a second phone, before it took it back (decision 0028).",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(_OPTION, action="store_true", help="write the outcome of the fault scenarios for the page")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption(_OPTION, default=False):
        config.pluginmanager.register(_Recorder(), "fault-recorder")


class _Recorder:
    """Keeps the outcome of each scenario."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._rows: list[Row] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            function = getattr(item, "function", None)
            self._told[item.nodeid] = (getattr(function, "__doc__", "") or item.name).strip().rstrip(".")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome == "skipped":
            outcome = {"passed": "held", "failed": "DID NOT HOLD", "skipped": "not tried here"}[report.outcome]
            self._rows.append(Row(self._told[report.nodeid], outcome, bar="held"))

    def pytest_sessionfinish(self) -> None:
        record("faults", command="make faults", rows=self._rows, untested=_UNTESTED)
