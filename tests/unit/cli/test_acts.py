"""`retry` and `cancel`: whom they mean is said plainly, or they do nothing."""

from __future__ import annotations

from typing import Any

import pytest

from jitprov.cli.acts import cancel, retry
from jitprov.cli.output import Exit


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
@pytest.mark.parametrize("command", [retry, cancel])
def test_whom_is_unclear(
    command: Any, given: dict[str, object], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No id and no filter, both, or an instant without a zone: a usage error that says what to give."""
    with pytest.raises(SystemExit) as ended:
        command(**given)

    assert ended.value.code == Exit.USAGE
    assert named in capsys.readouterr().err
