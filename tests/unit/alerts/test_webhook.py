"""The way out: one POST, no redirect, no secret in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from chat_room import ChatRoom, chat_room
from jitprov.alerts.webhook import Webhook
from own_redis import free_port


@pytest.fixture
def room() -> Iterator[ChatRoom]:
    with chat_room() as opened:
        yield opened


def test_a_text_is_posted_as_slack_reads_it(room: ChatRoom) -> None:
    """The text goes out once as JSON, Slack's own marks escaped."""
    assert Webhook(room.url).tell("a < b & c")

    assert room.posts == [("/T0/secret", {"text": "a &lt; b &amp; c"})]


@pytest.mark.parametrize("status", [302, 307, 404, 429, 500])
def test_what_does_not_get_through_is_not_repeated(
    room: ChatRoom, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Any other answer, a redirect too, is a failure after one request; the log has no address."""
    room.status = status
    with caplog.at_level(logging.INFO):
        assert not Webhook(room.url).tell("x")

    assert len(room.posts) == 1
    assert "secret" not in caplog.text + str([record.__dict__ for record in caplog.records])


def test_nobody_there_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """Silence at the address is told in the log without the address."""
    with caplog.at_level(logging.INFO):
        assert not Webhook(f"http://127.0.0.1:{free_port()}/T0/secret").tell("x")

    assert "alert_not_told" in caplog.text
    assert "secret" not in caplog.text + str([record.__dict__ for record in caplog.records])
