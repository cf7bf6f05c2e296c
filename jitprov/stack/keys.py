"""The embedded stack's own secrets: made at its first start, kept for the next. None of them is ever printed here."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, fields
from pathlib import Path

from pydantic import SecretStr

from jitprov.errors import ConfigurationError
from jitprov.stack.folder import make_private, write_private

_FILE = "keys.json"
_BYTES = 32
_OF_OTHERS = 0o077
_REMEDY = "Remove it: new keys are made, and whoever uses the old ones needs the new"


@dataclass(frozen=True, slots=True)
class Keys:
    """Generated secrets, 43 characters each (32 random bytes). Settings that are given win over them.

    Attributes:
        redis_password: Of the embedded Redis' admin; those of the parts follow from it.
        webhook_key: What the sender of events shows.
        operator_key: Of the operator's room, and of Flower.
        viewer_key: Of the same, to look and not to act.
        data_key: Seals personal data in Redis; without it, names and addresses there are lost.
        sandbox_client_id: OAuth client of the embedded sandbox.
        sandbox_client_secret: Its secret.
    """

    redis_password: SecretStr
    webhook_key: SecretStr
    operator_key: SecretStr
    viewer_key: SecretStr
    data_key: SecretStr
    sandbox_client_id: SecretStr
    sandbox_client_secret: SecretStr

    def values(self) -> list[str]:
        """Return the bare secrets, for masking."""
        return [getattr(self, field.name).get_secret_value() for field in fields(self)]


def keep_keys(data_dir: Path) -> Keys:
    """Return the folder's keys; the missing ones are made and kept, readable by this user alone.

    Args:
        data_dir: Made if need be, mode 0700; the keys are in `keys.json`, mode 0600.

    Raises:
        ConfigurationError: Other users can read folder or file, or the file is damaged; nothing was changed.
    """
    make_private(data_dir)
    path = data_dir / _FILE
    names = [field.name for field in fields(Keys)]
    kept = _read(path)
    known = {name: kept.get(name) or secrets.token_urlsafe(_BYTES) for name in names}
    if known != kept:
        write_private(path, json.dumps(known, indent=1) + "\n")
    return Keys(**{name: SecretStr(value) for name, value in known.items()})


def _read(path: Path) -> dict[str, str]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}). {_REMEDY}") from error
    with open(fd) as file:  # noqa: PTH123  it is open already, so that what is checked is what is read
        seen = os.fstat(fd)
        if seen.st_uid != os.getuid() or seen.st_mode & _OF_OTHERS:
            raise ConfigurationError(f"{path} can be read by other users, so its keys are no secrets. {_REMEDY}")
        try:
            kept = json.load(file)
        except ValueError as error:
            raise ConfigurationError(f"{path} is damaged. {_REMEDY}") from error
    if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
        raise ConfigurationError(f"{path} holds something else than keys. {_REMEDY}")
    return kept
