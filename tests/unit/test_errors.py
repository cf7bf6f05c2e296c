"""The tree of errors is what its module draws."""

from __future__ import annotations

import inspect
import re

import pytest

from jitprov import errors
from jitprov.errors import EventInvalid, Final, JitprovError, NotNow, StepError, TryAgain

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, JitprovError) and kind.__module__ == errors.__name__
]
STEP_KINDS = [kind for kind in KINDS if issubclass(kind, StepError)]
_DRAWN = re.compile(r"^(?P<lead>[ │├└─]*)(?P<name>[A-Z][A-Za-z]+)(?:\s{2,}\S.*)?$")
_INDENT = 4


def drawn_tree() -> dict[str, str | None]:
    """Return each drawn error with the one that it hangs from."""
    parents: list[str] = []
    tree: dict[str, str | None] = {}
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        found = _DRAWN.match(line)
        if found is None or not line.startswith(" "):
            continue
        depth = len(found["lead"]) // _INDENT - 1
        tree[found["name"]] = parents[depth - 1] if depth else None
        parents[depth:] = [found["name"]]
    return tree


def test_the_drawn_tree_is_the_real_one() -> None:
    """Every error hangs in the module's drawing where it hangs in the code, and none is left out."""
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in KINDS}
    real_tree = {name: None if name == "JitprovError" else base for name, base in real.items()}

    assert drawn_tree() == real_tree


@pytest.mark.parametrize("kind", STEP_KINDS)
def test_every_code_is_one_plain_word(kind: type[StepError]) -> None:
    """Codes are stable words that people can filter by."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)


def test_no_two_errors_share_a_code() -> None:
    """A code says which error it was."""
    codes = [kind.code for kind in STEP_KINDS]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", STEP_KINDS)
def test_every_error_has_a_remedy(kind: type[StepError]) -> None:
    """An error without a remedy of its own still says what to do next."""
    extra = {"wait_s": 1.0} if issubclass(kind, NotNow) else {}
    error = kind("something", **extra)  # type: ignore[arg-type]  # each kind's own keywords

    assert str(error) == error.message == "something"
    assert error.remedy == kind.default_remedy
    assert (error.http_status, error.correlation_id) == (None, None)
    assert kind("something", remedy="Other.", **extra).remedy == "Other."  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", STEP_KINDS)
def test_only_final_errors_say_that_a_retry_does_not_help(kind: type[StepError]) -> None:
    """A bare retry helps against everything but what a human must mend first."""
    assert kind.retry_helps is not issubclass(kind, Final)


def test_a_step_error_is_of_one_sort() -> None:
    """No error is both a wait and a failure, or both worth repeating and final."""
    for kind in STEP_KINDS:
        assert sum(issubclass(kind, sort) for sort in (NotNow, TryAgain, Final)) <= 1


def test_an_invalid_event_names_field_cause_and_remedy() -> None:
    """What is wrong with an event is told in one line and kept in parts."""
    error = EventInvalid("detail.id", "it is missing", "Send it.")

    assert str(error) == "detail.id: it is missing. Send it."
    assert (error.field, error.cause, error.remedy) == ("detail.id", "it is missing", "Send it.")
