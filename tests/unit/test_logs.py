"""One JSON line per event, with what was bound, and no text of ours beyond what we chose to say."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from jitprov import logs
from jitprov.errors import Unavailable

NAME = "jitprov.somewhere"


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logs.JsonLines())
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    def only(self) -> dict[str, Any]:
        (text,) = self.texts
        assert "\n" not in text
        line: dict[str, Any] = json.loads(text)
        return line


@pytest.fixture
def lines() -> Iterator[Lines]:
    kept, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    yield kept
    root.removeHandler(kept)
    root.setLevel(level)


@pytest.fixture
def usual_logging() -> Iterator[None]:
    root = logging.getLogger()
    noisy = [logging.getLogger(name) for name in ("urllib3", "asyncio", "httpx", "kombu", "amqp")]
    before = (root.handlers[:], root.level, [logger.level for logger in noisy])
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    for logger, level in zip(noisy, before[2], strict=True):
        logger.setLevel(level)


def broke(name: str, *, level: int = logging.ERROR) -> None:
    try:
        raise Unavailable("a text with a secret")  # noqa: TRY301  nothing simpler makes a traceback
    except Unavailable:
        logging.getLogger(name).log(level, "step_broke", exc_info=True)


def test_an_event_is_one_json_object_on_one_line(lines: Lines) -> None:
    """An event has its instant in UTC, level, logger, constant name and fields, on a line of its own."""
    logs.event(logging.getLogger(NAME), "step_ended", level=logging.WARNING, step="fetch_profile", text="two\nlines")

    line = lines.only()
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": NAME,
        "event": "step_ended",
        "step": "fetch_profile",
        "text": "two\nlines",
    }


def test_bound_fields_are_on_every_line_inside_the_block_only(lines: Lines) -> None:
    """What is bound stands on the lines inside the block, nested bindings add to it, and it ends with the block."""
    logger = logging.getLogger(NAME)
    with logs.bind(provisioning_id="p"):
        with logs.bind(step="s"):
            logs.event(logger, "inner")
        logs.event(logger, "outer")
    logs.event(logger, "after")

    found = [json.loads(text) for text in lines.texts]
    assert [(line.get("provisioning_id"), line.get("step")) for line in found] == [
        ("p", "s"),
        ("p", None),
        (None, None),
    ]


def test_bound_fields_end_with_an_exception_too(lines: Lines) -> None:
    """A block that an exception leaves is unbound all the same."""
    with pytest.raises(Unavailable), logs.bind(provisioning_id="p"):
        raise Unavailable("x")
    logs.event(logging.getLogger(NAME), "after")

    assert "provisioning_id" not in lines.only()


def test_an_event_wins_over_what_is_bound(lines: Lines) -> None:
    """A field of the event itself replaces a bound one of the same name."""
    with logs.bind(step="bound"):
        logs.event(logging.getLogger(NAME), "x", step="own")

    assert lines.only()["step"] == "own"


def test_an_exception_of_ours_leaves_its_type_only(lines: Lines) -> None:
    """At ordinary levels our own loggers tell the kind of an exception, never its text or traceback."""
    broke(NAME)

    line = lines.only()
    assert line["error_type"] == "Unavailable"
    assert "traceback" not in line
    assert "secret" not in lines.texts[0]


def test_an_exception_of_ours_is_told_whole_at_debug(lines: Lines) -> None:
    """Who asks for DEBUG gets the traceback."""
    broke(NAME, level=logging.DEBUG)

    assert "a text with a secret" in lines.only()["traceback"]


def test_an_exception_of_others_is_told_whole(lines: Lines) -> None:
    """A library's own error keeps its traceback: nothing else says what happened there."""
    broke("celery.worker")

    assert "Traceback" in lines.only()["traceback"]


def test_no_exception_leaves_no_trace(lines: Lines) -> None:
    """`exc_info` without an exception under way adds nothing."""
    logging.getLogger(NAME).warning("x", exc_info=True)  # noqa: LOG014  that is the case at hand

    assert "error_type" not in lines.only()


def test_what_json_does_not_know_is_written_as_text(lines: Lines) -> None:
    """A value of any type and any letter fits on the line; the line itself is ASCII."""
    logs.event(logging.getLogger(NAME), "x", where=object, note="\u00e9\u2028")

    assert lines.texts[0].isascii()
    assert lines.only()["note"] == "\u00e9\u2028"


@pytest.mark.usefixtures("usual_logging")
def test_setup_sends_json_lines_to_stderr_once(capsys: pytest.CaptureFixture[str]) -> None:
    """However often logging is set up, an event is written once, to stderr."""
    logs.setup("INFO")
    logs.setup("INFO")
    logs.event(logging.getLogger(NAME), "x")
    logs.event(logging.getLogger(NAME), "not at this level", level=logging.DEBUG)

    captured = capsys.readouterr()
    assert json.loads(captured.err)["event"] == "x"
    assert captured.out == ""


@pytest.mark.usefixtures("usual_logging")
@pytest.mark.parametrize(("level", "of_noisy"), [("DEBUG", logging.WARNING), ("ERROR", logging.ERROR)])
def test_setup_quiets_libraries_that_narrate(level: str, of_noisy: int) -> None:
    """Libraries that write addresses at INFO speak from WARNING on, and never more than the level asked for."""
    logs.setup(level)

    assert logging.getLogger("urllib3").level == of_noisy
    assert logging.getLogger().level == logging.getLevelName(level)


def test_a_secret_in_a_library_s_text_is_masked() -> None:
    """Whatever a library says, in text, field or traceback, no secret leaves; also one that JSON writes otherwise."""
    shown = logs.JsonLines(("hush-hush", 'with "quotes" and é', "hush-hush-longer", ""))
    try:
        raise RuntimeError('redis://:hush-hush@host, with "quotes" and é')  # noqa: TRY301  as above
    except RuntimeError as error:
        fault = (RuntimeError, error, error.__traceback__)
    record = logging.LogRecord("kombu", logging.ERROR, "", 1, "lost %s", ("hush-hush-longer",), fault)
    record.fields = {"url": "redis://:hush-hush@host"}

    text = shown.format(record)
    assert "hush" not in text
    assert "quotes" not in text
    assert json.loads(text)["event"] == "lost (secret)"
