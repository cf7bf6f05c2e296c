"""The outlook: the forecast from counts alone, as good as one from records, at the same small price for any number."""

from __future__ import annotations

from datetime import timedelta

import pytest

from builders import NINE_AM, a_provisioning
from jitprov.domain.forecast import Allowance, forecast
from jitprov.domain.provisioning import CORRIDOR, State, Step
from jitprov.domain.rehearsal import Stations
from jitprov.pipeline.outlook import Pace, everybody
from jitprov.settings import Settings

ALLOWANCE = Allowance()


@pytest.mark.parametrize("source", ["lookup", "line_id"])
@pytest.mark.parametrize("agents", [1, 100, 300, 2000])
def test_counts_tell_what_records_tell(source: str, agents: int) -> None:
    """For agents who all stand at the first step the calls are the forecast's, and the time within two seconds."""
    stations = Stations(source)  # type: ignore[arg-type]
    told = Pace(ALLOWANCE, stations).outlook({CORRIDOR[0]: agents}, NINE_AM)
    expected = forecast(agents, ALLOWANCE, stations)

    assert told.calls == pytest.approx(expected.calls, abs=2)
    assert (told.last_at - NINE_AM).total_seconds() == pytest.approx(expected.last_s, abs=2)


def test_the_further_the_sooner() -> None:
    """The same number is ready sooner the further they are; nobody under way is ready now."""
    pace = Pace(ALLOWANCE, Stations())
    times = [pace.outlook({step: 500}, NINE_AM).last_at for step in CORRIDOR]

    assert times == sorted(times, reverse=True)
    assert pace.outlook({}, NINE_AM).last_at == NINE_AM


def test_a_pause_and_a_scale_are_counted() -> None:
    """A pause delays everybody by its real time; a scaled sandbox is faster by its scale."""
    some = {CORRIDOR[0]: 100}
    plain = Pace(ALLOWANCE, Stations()).outlook(some, NINE_AM).last_at - NINE_AM
    paused = Pace(ALLOWANCE, Stations()).outlook(some, NINE_AM, paused_s=600).last_at - NINE_AM
    scaled = Pace(Allowance(time_scale=10), Stations()).outlook(some, NINE_AM).last_at - NINE_AM

    assert (paused - plain).total_seconds() == pytest.approx(600, abs=2)
    assert scaled.total_seconds() == pytest.approx(plain.total_seconds() / 10, rel=0.1)


def test_one_agent_comes_after_those_ahead() -> None:
    """A chosen agent is ready later the more are served before it, and not before its own wait ends."""
    pace = Pace(ALLOWANCE, Stations())
    robin = a_provisioning()
    times = [pace.ready_at(robin, {CORRIDOR[0]: number}, NINE_AM) for number in (0, 50, 299, 300, 301, 2000)]
    waiting = a_provisioning(state=State.WAITING, step=Step.ASSIGN_STATION, not_before=NINE_AM + timedelta(minutes=30))

    assert times == sorted(times)
    assert times[-1] - times[0] > timedelta(minutes=20)
    assert pace.ready_at(waiting, {}, NINE_AM) >= NINE_AM + timedelta(minutes=30)


def test_the_pace_follows_settings_and_what_is_known() -> None:
    """What the settings say about stations wins; else what the workers found out; unknown errs on the long side."""
    assert Pace.of(Settings(station_source="line_id"), "lookup").stations.source == "line_id"
    assert Pace.of(Settings(), "line_id").stations.source == "line_id"
    unknown = Pace.of(Settings(), None)
    assert (unknown.stations.source, unknown.stations.known) == ("lookup", False)
    assert unknown.at(100).allowance.limit_per_min == 100


def test_everybody_is_the_sum() -> None:
    """Counts by step add up, and every step has one."""
    summed = everybody({CORRIDOR[0]: 1}, {CORRIDOR[0]: 2, CORRIDOR[1]: 3})
    assert summed == dict(zip(CORRIDOR, (3, 3, 0, 0, 0), strict=True))
