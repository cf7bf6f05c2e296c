"""Options: what is taken, what is refused."""

from __future__ import annotations

import pytest

from jitprov.sandbox.options import OptionError, SandboxOptions


def test_options_survive_json() -> None:
    """Options written as JSON and read back are the same options."""
    options = SandboxOptions(station_lag_s=(1.0, 2.0), webhook_url="http://127.0.0.1:1/events", window="sliding")

    assert SandboxOptions.from_json(options.to_json()) == options


@pytest.mark.parametrize(
    "values",
    [
        {"limit_per_mim": 10},
        {"limit_per_min": "300"},
        {"limit_per_min": 0},
        {"limit_per_min": 1.5},
        {"window": "rolling"},
        {"station_lag_s": [6.0, 2.0]},
        {"station_lag_s": 2.0},
        {"unique_phone_names": 1},
        {"version_conflict_share": 1.5},
        {"unknown_skill_status": 403},
        {"time_scale": 0},
        {"client_id": None},
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, object]) -> None:
    """An unknown name, a wrong type or a value out of bounds never becomes an option."""
    with pytest.raises(OptionError):
        SandboxOptions.from_json(values)


@pytest.mark.parametrize("name", ["port", "control_port", "host", "seed"])
def test_what_is_fixed_at_start_cannot_change(name: str) -> None:
    """Addresses and seed stay as they are while the sandbox runs."""
    with pytest.raises(OptionError, match=name):
        SandboxOptions().changed({name: 1})
