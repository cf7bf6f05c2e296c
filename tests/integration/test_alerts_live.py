"""Alerts over real parts: refusals reach the chat room once, and what deploy/ names is on a live /metrics."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from chat_room import chat_room
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from own_redis import OwnRedis, free_port, wait_until
from running import PROJECT, RealParts

pytestmark = pytest.mark.integration

RULES = yaml.safe_load((PROJECT / "deploy/prometheus/rules.yml").read_text())
SCRAPING = yaml.safe_load((PROJECT / "deploy/prometheus/prometheus.yml").read_text())
DASHBOARD = json.loads((PROJECT / "deploy/grafana/jitprov.json").read_text())
RECEIVER_KINDS = {"silence", "failures", "circuit", "paused", "busy", "refusing", "ledger", "drift", "data_key"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """Return every query of rules and dashboard."""
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])


def named(expression: str) -> set[str]:
    return set(re.findall(r"\bjitprov_\w+", re.sub(r'"[^"]*"', "", expression)))


def labelled(expression: str) -> set[tuple[str, str, str]]:
    """Return metric, label and value of each plain selection."""
    found = re.findall(r"(jitprov_\w+)\{([^}]*)\}", expression)
    return {
        (metric, label, value)
        for metric, inside in found
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', inside)
        for value in values.split("|")
    }


def test_what_refuses_rings_once_and_all_metrics_are_there(own_redis: OwnRedis, tmp_path: Path) -> None:
    """Wrong keys at the receiver ring in the room once, by two reconcilers; /metrics has all that deploy/ names."""
    with (
        chat_room() as room,
        SandboxThread(SandboxOptions(time_scale=20)) as sandbox,
        RealParts(own_redis, sandbox, tmp_path) as parts,
    ):
        port = free_port()
        parts.settings |= {"JITPROV_RECEIVER_PORT": str(port), "JITPROV_OPERATOR_KEY": "o" * 40}
        parts.settings["JITPROV_ALERT_WEBHOOK_URL"] = room.url
        parts.settings["JITPROV_DRIFT_EVERY_S"] = "3600"
        parts.start("receiver", until="receiver_listening")
        for _ in range(6):
            assert requests.post(f"http://127.0.0.1:{port}/events", data=b"{}", timeout=10).status_code == 401
        for _ in range(2):
            parts.start("reconciler", until="reconciler_started")

        def shown() -> str:
            return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text

        wait_until(lambda: bool(room.posts), within_s=60)
        wait_until(lambda: 'jitprov_alert_firing{alert="refusing"} 1.0' in shown(), within_s=30)
        wait_until(lambda: "jitprov_drift_age_seconds" in shown(), within_s=60)
        text = shown()
        # A busy machine may ring for more, once each.
        [body] = [body for _, body in room.posts if "refused" in body["text"]]

        assert "refused 6 of 6 deliveries" in body["text"]
        assert "Next: jitprov doctor" in body["text"]
        there = set(re.findall(r"^(jitprov_\w+)", text, flags=re.MULTILINE))
        assert {name for each in expressions() for name in named(each)} - there == set()
        samples = {
            (metric, label, value)
            for metric, inside in re.findall(r"^(jitprov_\w+)\{([^}]*)\}", text, flags=re.MULTILINE)
            for label, value in re.findall(r'(\w+)="([^"]*)"', inside)
        }
        assert {each for expression in expressions() for each in labelled(expression)} - samples == set()
        assert {value for metric, _, value in samples if metric == "jitprov_alert_firing"} == RECEIVER_KINDS
        assert "secret" not in parts.logs()


def test_rules_and_dashboard_are_whole() -> None:
    """Each rule has what a pager needs, its next command too; each panel a query; Prometheus loads the rules' file."""
    assert SCRAPING["rule_files"] == ["rules.yml"]
    assert all({"alert", "expr", "labels", "annotations"} <= set(rule) for rule in rules())
    assert all({"summary", "next"} == set(rule["annotations"]) for rule in rules())
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    assert all(panel["targets"] and panel["title"] for panel in DASHBOARD["panels"])
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for expression in expressions():
        assert expression.count("(") == expression.count(")")
        assert named(expression) or expression.startswith("up{")


def test_rules_ring_when_they_should() -> None:
    """Prometheus' own tool reads the rules, and plays the cases of rules_test.yml."""
    if shutil.which("promtool") is None:
        pytest.skip("no promtool: apt-get install prometheus")
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run(
            ["promtool", *command], cwd=PROJECT / "deploy/prometheus", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
