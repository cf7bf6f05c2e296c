from __future__ import annotations

import re
from pathlib import Path

import pytest

import jitprov
from jitprov.stack.redis_users import ADMIN, USERS, users_conf

PASSWORDS = {user: f"password-of-{user}" for user in (ADMIN, *USERS)}
SCRIPTS = sorted(Path(jitprov.__file__).parent.rglob("*.lua"))


def conf(version: tuple[int, int] = (6, 2), prefix: str = "jitprov:") -> dict[str, list[str]]:
    """Return the rules of each user."""
    lines = users_conf(PASSWORDS, prefix=prefix, version=version).splitlines()
    return {line.split()[1]: line.split()[2:] for line in lines}


def test_only_named_users_exist() -> None:
    """The default user is off and without a password that would do; each other one has a digest of its own."""
    users = conf()

    assert users.pop("default") == ["off", "resetpass", "-@all"]
    assert set(users) == {ADMIN, *USERS}
    digests = [rules[1] for rules in users.values()]
    assert all(re.fullmatch(r"#[0-9a-f]{64}", digest) for digest in digests)
    assert len(set(digests)) == len(users)
    assert "password-of" not in users_conf(PASSWORDS, prefix="jitprov:", version=(6, 2))


@pytest.mark.parametrize("version", [(6, 2), (7, 0), (7, 4), (8, 0)])
def test_no_part_has_all(version: tuple[int, int]) -> None:
    """No part has all keys, all channels or all commands, nor a command that rules the server."""
    for user in USERS:
        rules = conf(version)[user]
        assert not {"~*", "&*", "+@all", "allkeys", "allcommands", "nopass", "+@admin", "+@dangerous"} & set(rules)
        commands = {rule[1:] for rule in rules if rule.startswith("+")}
        forbidden = {"keys", "flushall", "flushdb", "config", "acl", "debug", "shutdown", "eval", "script", "client"}
        assert not forbidden & commands


def test_flower_reads_queues_where_redis_can_tell() -> None:
    """From Redis 7 on Flower's user has the queues for reading alone; before, Redis has no word for it."""
    assert "%R~jitprov.*" in conf((7, 0))["flower"]
    assert "~jitprov.*" not in conf((7, 0))["flower"]
    assert "%R~" not in str(conf((6, 2)))


def test_rules_name_only_what_the_server_knows() -> None:
    """A subcommand that a server from 7.0 on does not know would keep it from starting."""
    assert "+client|setinfo" in conf((6, 2))["worker"]
    assert "+client|setinfo" not in conf((7, 0))["worker"]
    assert "+client|setinfo" in conf((7, 2))["worker"]


def test_keys_follow_the_prefix() -> None:
    """Another prefix of our keys is another place in Redis, and the only one."""
    told = str(conf(prefix="other:"))

    assert "~other:due" in told
    assert "jitprov:" not in told


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_somebody_may_run_each_script(script: Path) -> None:
    """What a script calls is allowed to at least one part besides the operator, who has more than any."""
    called = {name.lower() for name in re.findall(r"redis\.call\('(\w+)'", script.read_text())}

    users = conf()
    assert called
    assert [user for user in set(USERS) - {"operator"} if called <= {rule[1:] for rule in users[user]}]
