"""`retry`: whom it means is said plainly, or it does nothing."""

from __future__ import annotations

import pytest

from jitprov.cli.output import Exit
from jitprov.cli.retrying import retry


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "name whom"),
        ({"any_id": "robin@example.test", "failed": True}, "not both"),
        ({"since": "yesterday"}, "--since"),
        ({"since": "2026-11-23T09:00"}, "--since"),
    ],
    ids=str,
)
def test_whom_is_unclear(given: dict[str, object], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No id and no filter, both, or an instant without a zone: a usage error that says what to give."""
    with pytest.raises(SystemExit) as ended:
        retry(**given)  # type: ignore[arg-type]

    assert ended.value.code == Exit.USAGE
    assert named in capsys.readouterr().err
