"""A client of the control port for tests, demo and benchmarks; blocking and small.

Knows nothing of the server's insides and opens one connection per call.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

Json = dict[str, Any]
_TIMEOUT_S = 30.0
_REFUSED = 400


class ControlError(Exception):
    """The control port refused; the text says why."""


class SandboxControl:
    """Steers one sandbox."""

    def __init__(self, control_url: str) -> None:
        """Prepare; connects only when called.

        Args:
            control_url: Address of the control port, as `http://127.0.0.1:9091`.
        """
        self._address = urlsplit(control_url).netloc

    def healthz(self) -> Json:
        """Return `status` and the sandbox instant `now_s`."""
        return self._object("GET", "/healthz")

    def sign_in(
        self,
        agents: Sequence[Mapping[str, Any]] | None = None,
        *,
        count: int | None = None,
        departments: Sequence[str] | None = None,
        **more: Any,
    ) -> list[Json]:
        """Make users and have their events posted.

        Args:
            agents: Who signs in: name, email, and maybe department, title, state.
            count: In place of `agents`: how many invented people sign in.
            departments: Their departments in turn.
            more: `state`, `title`, `announce`.

        Returns:
            The users made, as the API shows them.
        """
        asked = {"agents": agents, "count": count, "departments": departments} | more
        users: list[Json] = self._object("POST", "/sign-in", {k: v for k, v in asked.items() if v is not None})["users"]
        return users

    def sign_in_silently(self, count: int, **more: Any) -> tuple[list[Json], list[Json]]:
        """Make users without posting; returns them and the events to post oneself."""
        asked = {"count": count, "announce": False, "return_events": True} | more
        answer = self._object("POST", "/sign-in", asked)
        return answer["users"], answer["events"]

    def join_by_group(self, user_id: str, queue: str) -> Json:
        """Make a user a member of a queue, by its name, as by a group: no call of the API about members can end it."""
        return self._object("POST", "/join-by-group", {"user_id": user_id, "queue": queue})

    def post_events(self, events: Sequence[Mapping[str, Any]]) -> Json:
        """Have raw events posted to the webhook."""
        return self._object("POST", "/events", list(events))

    def deliveries(self) -> Json:
        """Return how deliveries to the webhook stand."""
        return self._object("GET", "/deliveries")

    def wait_delivered(self, timeout_s: float = 60.0) -> Json:
        """Wait until no delivery is pending; returns the last report.

        Raises:
            TimeoutError: Some are still pending after `timeout_s` real seconds.
        """
        ends = time.monotonic() + timeout_s
        while (report := self.deliveries())["pending"]:
            if time.monotonic() > ends:
                message = f"{report['pending']} deliveries are pending"
                raise TimeoutError(message)
            time.sleep(0.05)
        return report

    def state(self, user: str | None = None) -> Json:
        """Return all users, or one, with what they have by now."""
        return self._object("GET", "/state" if user is None else f"/state?{urlencode({'user': user})}")

    def oracle(self) -> Json:
        """Return the judge's findings."""
        return self._object("GET", "/oracle")

    def journal(self, since: int = 0, limit: int = 1000) -> list[Json]:
        """Return up to `limit` requests whose `seq` is above `since`."""
        entries: list[Json] = self._object("GET", f"/journal?since={since}&limit={limit}")["entries"]
        return entries

    def faults(self, rules: Sequence[Mapping[str, Any]] | None = None) -> list[Json]:
        """Put rules in force, replacing all others; without an argument, only read them."""
        answer: list[Json] = self._call(
            "GET" if rules is None else "PUT", "/faults", None if rules is None else list(rules)
        )
        return answer

    def clear_faults(self) -> None:
        """Take all rules away."""
        self._call("DELETE", "/faults")

    def coverage(self) -> list[Json]:
        """Return which cells of route, phase and action have fired."""
        answer: list[Json] = self._call("GET", "/coverage")
        return answer

    def options(self) -> Json:
        """Return the options in force."""
        return self._object("GET", "/options")

    def patch_options(self, **changes: Any) -> Json:
        """Change options while the sandbox runs; returns all of them."""
        return self._object("PATCH", "/options", changes)

    def reset(self, seed: int | None = None) -> None:
        """Begin anew: no users, tokens, rules or journal."""
        self._object("POST", "/reset", {} if seed is None else {"seed": seed})

    def barrier(
        self, name: str, match: Mapping[str, Any], phase: str = "before_apply", times: int | None = None
    ) -> None:
        """Set up a gate that holds matching requests."""
        asked = {"match": dict(match), "phase": phase} | ({} if times is None else {"times": times})
        self._call("POST", f"/barriers/{quote(name, safe='')}", asked)

    def barriers(self) -> list[Json]:
        """Return the gates that stand and how many requests wait at each."""
        answer: list[Json] = self._call("GET", "/barriers")
        return answer

    def release(self, name: str) -> int:
        """Take a gate away; returns how many requests were waiting."""
        return int(self._object("POST", f"/barriers/{quote(name, safe='')}/release")["released"])

    def advance_clock(self, by_s: float) -> float:
        """Jump ahead by sandbox seconds; returns the new instant."""
        return float(self._object("POST", "/clock/advance", {"by_s": by_s})["now_s"])

    def _object(self, method: str, path: str, body: Any = None) -> Json:
        answer: Json = self._call(method, path, body)
        return answer

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json", "Connection": "close"})
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        if response.status >= _REFUSED:
            raise ControlError(raw.decode("utf-8", "replace"))
        return json.loads(raw) if raw else None
