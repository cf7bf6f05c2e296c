"""What each thing that rules can give costs in API calls, alone and all together: exact counts, nobody's time.

The corridor's steps run in this process, agent after agent, over stores in memory and a sandbox in a thread; all have
been accepted before the first is begun, as in a stampede, so what agents share is shared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from pydantic import SecretStr

from jitprov.budget.memory import MemoryBudget
from jitprov.budget.rate import BudgetRate
from jitprov.cache.memory import MemoryCache
from jitprov.cli.acceptance import wrong_agents
from jitprov.domain.events import Opening
from jitprov.domain.ids import provisioning_id_from
from jitprov.domain.outcomes import Done
from jitprov.domain.provisioning import State
from jitprov.genesys.stations import StationLore
from jitprov.ledger.memory import MemoryLedger
from jitprov.pipeline.tasks import make_runner
from jitprov.rules.loader import load_rules
from jitprov.sandbox.options import SandboxOptions
from jitprov.sandbox.server import SandboxThread
from jitprov.settings import read_settings
from jitprov.wiring import RealClock, assemble

# Nobody waits for the budget: what is measured is the number of calls.
_NO_LIMIT_PER_MIN = 100_000
_NO_LAG = (0.0, 0.0)
# One that opens the shelves for all goes before, uncounted, as on any morning but the first.
_FIRST = 1
_TRIES_MAX = 20

_SKILLS: dict[str, Any] = {"skills": {"Customer_Service": 1.0, "Order_Tracking": 1.0}}
_GIVEN: Mapping[str, Mapping[str, Any]] = {
    "languages": {"languages": {"French": 3.0}},
    "utilization": {"utilization": {"chat": 3}},
    "division": {"division": "Seasonal"},
    "roles": {"roles": ["Agent"]},
    "groups": {"groups": ["Retail Floor"]},
    "queues": {"queues": ["Retail Calls"]},
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "skills_and_phone": _SKILLS,
    **{name: {**_SKILLS, **given} for name, given in _GIVEN.items()},
    "phone_off": _SKILLS | {"phone": False},
    "all": _SKILLS | {name: value for given in _GIVEN.values() for name, value in given.items()},
}


def measure(agents: int = 200, names: Collection[str] = tuple(OPTIONS)) -> dict[str, Any]:
    """Return API calls per agent by option, under `options`.

    Args:
        agents: For each option, with a sandbox and stores of its own.
        names: Of `OPTIONS`.

    Raises:
        RuntimeError: An agent did not become ready, or has something else than the rules give.
    """
    with tempfile.TemporaryDirectory(prefix="jitprov-bench-") as folder:
        rules_file = Path(folder) / "rules.yaml"
        calls = {}
        for name in names:
            given = OPTIONS[name]
            rules_file.write_text(yaml.safe_dump({"version": 1, "rules": [{"name": "Everyone", **given}]}))
            calls[name] = round(_calls(rules_file, agents) / agents, 3)
    return {"options": {"agents": agents, "calls_per_agent": calls}}


def _calls(rules_file: Path, agents: int) -> int:
    lags = {"station_lag_s": _NO_LAG, "assignment_lag_s": _NO_LAG}
    options = SandboxOptions(limit_per_min=_NO_LIMIT_PER_MIN, line_id_is_station_id=True, **lags)  # type: ignore[arg-type]
    with SandboxThread(options) as sandbox:
        settings = read_settings(
            _env_file=None,
            api_url=sandbox.base_url,
            client_id="sandbox-client",
            client_secret=SecretStr("sandbox-secret"),
            data_key=SecretStr("d" * 43),
            rules_file=rules_file,
            api_limit_per_min=_NO_LIMIT_PER_MIN,
            station_first_look_s=0.0,
        )
        clock = RealClock()
        ledger = MemoryLedger(lambda: datetime.fromtimestamp(clock.wall_s(), UTC))
        budget = MemoryBudget(
            BudgetRate.of(_NO_LIMIT_PER_MIN, headroom=0.02), clock.monotonic_s, lanes=1, failures_max=5
        )
        kept = assemble(settings, ledger=ledger, budget=budget, cache=MemoryCache(clock.monotonic_s))
        StationLore(kept.cache, kept.clock, settings).learn("line_id")
        runner = make_runner(kept)

        def provision(count: int) -> None:
            users, _ = sandbox.control.sign_in_silently(count)
            openings = [Opening(provisioning_id_from(uuid4()), str(uuid4()), str(user["id"])) for user in users]
            ledger.accept(openings, look_after_s=3600)
            for opening in openings:
                for _ in range(_TRIES_MAX):
                    record = ledger.get(opening.provisioning_id)
                    if record is None or record.state is State.READY:
                        break
                    outcome = runner.run(record.provisioning_id, record.step, record.generation, token=uuid4().hex)
                    if not isinstance(outcome, Done):
                        msg = f"{record.step}: {outcome}"
                        raise RuntimeError(msg)  # noqa: TRY004  it ended otherwise

        provision(_FIRST)
        before = int(sandbox.control.oracle()["calls"])
        provision(agents)
        calls = int(sandbox.control.oracle()["calls"]) - before
        if wrong := wrong_agents(sandbox.control.state(), load_rules(rules_file)):
            msg = f"{len(wrong)} agents are wrong: {wrong[0].what}"
            raise RuntimeError(msg)
        return calls
