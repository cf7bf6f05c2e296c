"""What a judge needs to know about the client: did it keep the limit, heed pauses, and leave one phone each.

Counts what arrives; decides nothing and changes nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from jitprov.sandbox.answers import Json
from jitprov.sandbox.oauth import LoginDesk
from jitprov.sandbox.world import World


@dataclass(slots=True)
class Oracle:
    """Running counts since start or reset."""

    calls: int = 0
    token_calls: int = 0
    answers_429: int = 0
    unknown_paths: int = 0
    wildcard_filters: int = 0
    requests_inside_retry_after: int = 0
    requests_with_expired_token: int = 0
    requests_without_known_token: int = 0
    calls_by_route: Counter[str] = field(default_factory=Counter)
    answers_by_status: Counter[str] = field(default_factory=Counter)
    _began_real_s: float = field(default_factory=time.perf_counter)
    _began_busy_s: float = field(default_factory=time.thread_time)

    def report(self, world: World, desk: LoginDesk) -> Json:
        """Return all findings; must run in the server's thread, whose processor time it reads."""
        watches = {token.hash: token.watch for token in desk.tokens.values()}
        users = [user for user in world.directory.users.values() if user.state != "deleted"]
        phones = [phone for phone in world.telephony.phones.values() if phone.state != "deleted"]
        odd = [user.id for user in users if len(world.telephony.live_phones_of(user.id)) != 1]
        return {
            "limit": world.options.limit_per_min,
            "tokens": {
                name: {
                    "requests": watch.requests,
                    "worst_window": watch.worst_window,
                    "windows_over": watch.windows_over,
                }
                for name, watch in watches.items()
            },
            "worst_window": max((watch.worst_window for watch in watches.values()), default=0),
            "windows_over": sum(watch.windows_over for watch in watches.values()),
            "answers_429": self.answers_429,
            "calls": self.calls,
            "token_calls": self.token_calls,
            "calls_by_route": dict(self.calls_by_route.most_common()),
            "answers_by_status": dict(sorted(self.answers_by_status.items())),
            "unknown_paths": self.unknown_paths,
            "wildcard_filters": self.wildcard_filters,
            "requests_inside_retry_after": self.requests_inside_retry_after,
            "requests_with_expired_token": self.requests_with_expired_token,
            "requests_without_known_token": self.requests_without_known_token,
            "users": len(users),
            "phones": len(phones),
            "users_with_other_than_one_phone": odd,
            "sandbox_busy_share": self._busy_share(),
            "sandbox_busy_s": time.thread_time() - self._began_busy_s,
            "now_s": world.clock.now_s(),
        }

    def _busy_share(self) -> float:
        real_s = time.perf_counter() - self._began_real_s
        return (time.thread_time() - self._began_busy_s) / real_s if real_s > 0 else 0.0
