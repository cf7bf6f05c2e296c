r"""Who may do what in Redis: one user for each part, with the commands and keys that it needs and no other.

user          who connects
admin         the stack that owns the server, and its owner by hand: everything
receiver      the webhook, and the operator's room in the same process
worker        a Celery worker
reconciler    the reconciler
flower        Flower
operator      the commands: list, show, retry, cancel, doctor, `celery -A jitprov inspect|control`

The default user is off. Imports the standard library only, so that `deploy/make_secrets.py` writes the same users for
compose on a machine that has nothing else. The lists were found by watching and are held by
tests/integration/test_redis_users.py; why they are as they are: docs/decisions/0016.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

ADMIN, OPERATOR = "admin", "operator"

# What the driver says of itself on each connection. From 7.0 on a rule may only name subcommands that exist; before,
# one that does not exist is refused, and told in the ACL log, unless a rule names it.
_SINCE: Mapping[str, tuple[int, int]] = {"client|setinfo": (7, 2), "client|maint_notifications": (99, 0)}
_STRICT_SINCE = _READ_ONLY_KEYS_SINCE = (7, 0)

_CONNECT = f"ping hello auth select client|setname {' '.join(_SINCE)}"
_TOGETHER = "multi exec discard watch unwatch"
# What a script does is checked like what a client does.
_SCRIPTS = "evalsha script|load script|exists"
_SEND = "lpush llen sadd smembers publish"
_LISTEN = "brpop subscribe psubscribe unsubscribe punsubscribe del srem"
# kombu's scripts that keep the bindings of queues with an end.
_BINDINGS = "sadd zadd zrangebyscore zrem exists del time"

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "receiver": (
        *(_CONNECT, _TOGETHER, _SCRIPTS, _SEND),
        "time hget hmget hgetall hset hsetnx hincrby hdel exists zadd zrem",  # accept; an operator's retry and cancel
        "zrange zrevrange zrangebyscore zunion zcard zcount hvals get mget",  # the board
        "pexpire",  # tallies for the alerts
    ),
    "worker": (
        *(_CONNECT, _TOGETHER, _SCRIPTS, _SEND, _LISTEN, _BINDINGS),
        "time hget hmget hgetall hset hsetnx hincrby hdel zadd zrem zrange zrevrange zremrangebyscore",  # ledger, meter
        "zcount zscore",  # meter
        "get mget set pexpire rpush",  # shelf; messages given back
    ),
    "reconciler": (
        *(_CONNECT, _TOGETHER, _SCRIPTS, _SEND),
        "time hget hmget hgetall hset hincrby hdel exists zadd zrem zrange zrangebyscore zscore del",  # look, forget
        "zremrangebyscore zrevrange",  # the meter, for whoever reads audits
        "get mget set pexpire lrange hscan",  # its turn; what the broker holds
        "zcard zcount hgetall",  # alerts
    ),
    "flower": (_CONNECT, _TOGETHER, _SCRIPTS, _LISTEN, _BINDINGS, "llen publish"),
    # A person: all that concerns jitprov, and nothing that concerns the server.
    OPERATOR: ("@read @write @transaction @pubsub", _CONNECT, _SCRIPTS, "time info config|get acl|log"),
}
_NEVER: Mapping[str, str] = {OPERATOR: "@dangerous"}

_OF_LEDGER = ("p:*", "due", "emails", "departments", "given", "book", "canary", "state:*", "at:*", "ended:*")
_LEDGER = " ".join(f"{{prefix}}{key}" for key in _OF_LEDGER)
_BY_EVENT = "{prefix}events {prefix}users"
_BINDINGS_OF_QUEUES = "_kombu.binding.jitprov.* _kombu.binding_permanent.jitprov.*"
_QUEUES = f"jitprov.* {_BINDINGS_OF_QUEUES}"
_MAILBOXES = (
    "*.celery.pidbox* celeryev.* _kombu.binding_deadlines _kombu.binding.*celery.pidbox _kombu.binding.celeryev "
    "_kombu.binding_permanent.*celery.pidbox _kombu.binding_permanent.celeryev"
)
_KEYS: Mapping[str, tuple[str, ...]] = {
    # The meter only to show it, but a script's keys cannot be had for reading alone.
    "receiver": (
        *(_LEDGER, _BY_EVENT, _BINDINGS_OF_QUEUES),
        "{prefix}acts {prefix}acts:told {prefix}quarantine:* {prefix}budget:* {prefix}cache:catalogue:*",
        "{prefix}cache:door:*",
    ),
    "worker": (_LEDGER, "{prefix}budget:* {prefix}cache:* {prefix}flight:*", _QUEUES, _MAILBOXES, "unacked*"),
    "reconciler": (
        _LEDGER,
        _BY_EVENT,
        "{prefix}quarantine:*",
        "{prefix}cache:reconciler:* {prefix}flight:reconciler {prefix}flight:reconciler:*",
        # Ids by name, to know how agents have drifted where that is set.
        "{prefix}cache:catalogue:* {prefix}flight:catalogue:*",
        # The meter, to show it; and with the access token, sealed with the client's secret, to read audits where
        # that is set and the secret given.
        "{prefix}cache:alerts {prefix}flight:alerts {prefix}budget:* {prefix}cache:token:* {prefix}flight:token:*",
        _QUEUES,
        "unacked",
    ),
    "flower": (_MAILBOXES,),
    OPERATOR: ("{prefix}*", _QUEUES, _MAILBOXES),
}
# Flower asks a queue's length, the receiver only adds to it. Redis 6.2 knows no such keys: there Flower may take
# messages, which the reconciler makes good.
_KEYS_TO_READ: Mapping[str, tuple[str, ...]] = {
    "flower": ("jitprov.*",),
    "receiver": ("{prefix}cache:alerts {prefix}cache:reconciler:*",),
    "reconciler": ("{prefix}cache:door:*",),
}
_KEYS_TO_WRITE: Mapping[str, tuple[str, ...]] = {"receiver": ("jitprov.*",)}

_CONTROL, _EVENTS = "/0.celery.pidbox", "/0.celeryev/*"
_CHANNELS: Mapping[str, tuple[str, ...]] = {
    "receiver": (_EVENTS,),
    "worker": (_CONTROL, _EVENTS),
    "reconciler": (_EVENTS,),
    "flower": (_CONTROL, _EVENTS),
    OPERATOR: (_CONTROL, _EVENTS),
}

#: Users that are no admin: a password each.
USERS = tuple(_COMMANDS)


def users_conf(passwords: Mapping[str, str], *, prefix: str, version: tuple[int, int]) -> str:
    """Return the lines of a Redis configuration that define the users.

    Args:
        passwords: One for each of `USERS` and the admin; only their digests are written.
        prefix: Of jitprov's own keys, as in `JITPROV_KEY_PREFIX`.
        version: Of the server, major and minor.
    """
    lines = [
        "user default off resetpass -@all",
        f"user {ADMIN} on {_digest(passwords[ADMIN])} ~* &* +@all",
        *(f"user {name} on {_digest(passwords[name])} {_rules(name, prefix, version)}" for name in USERS),
    ]
    return "".join(f"{line}\n" for line in lines)


def _digest(password: str) -> str:
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"


def _rules(name: str, prefix: str, version: tuple[int, int]) -> str:
    to_read, to_write = ("%R~", "%W~") if version >= _READ_ONLY_KEYS_SINCE else ("~", "~")
    keys = [f"~{key}" for key in _words(_KEYS[name])]
    keys += [f"{to_read}{key}" for key in _words(_KEYS_TO_READ.get(name, ()))]
    keys += [f"{to_write}{key}" for key in _words(_KEYS_TO_WRITE.get(name, ()))]
    channels = [f"&{channel}" for channel in _CHANNELS[name]]
    # What is never allowed goes last but for what is named one by one.
    groups = [word for word in _words(_COMMANDS[name]) if word.startswith("@")]
    single = [word for word in _words(_COMMANDS[name]) if not word.startswith("@")]
    if version >= _STRICT_SINCE:
        single = [word for word in single if _SINCE.get(word, version) <= version]
    never = [f"-{_NEVER[name]}"] if name in _NEVER else []
    commands = ["-@all", *(f"+{group}" for group in groups), *never, *(f"+{command}" for command in single)]
    return " ".join(["resetchannels", *keys, *channels, *commands]).replace("{prefix}", prefix)


def _words(texts: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(" ".join(texts).split()))
