"""Make the secret files of docker-compose.yml in deploy/secrets: those that are missing, and Redis' users from them.

    sudo python3 deploy/make_secrets.py

Safe to repeat: what is there stays. Needs Python 3.11 and nothing else; prints no secret. Asks for the Genesys Cloud
client when a terminal is there to answer.
"""

from __future__ import annotations

import argparse
import getpass
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "deploy/secrets"
# The containers' group; they run as members of it and as nobody else.
GROUP = 10001
KEYS = (
    "jitprov_webhook_key",
    "jitprov_operator_key",
    "jitprov_viewer_key",
    "jitprov_data_key",
)
EMPTY = ("jitprov_webhook_key_next", "jitprov_data_key_old", "jitprov_alert_webhook_url")
CLIENT = ("jitprov_client_id", "jitprov_client_secret")
ADMIN_PASSWORD = "redis_admin_password"  # noqa: S105  a file's name
USERS_CONF = "redis_users.conf"


def main(arguments: Sequence[str] | None = None) -> None:
    """Make what is missing; say what was made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the files go")
    parser.add_argument("--key-prefix", default="jitprov:", help="as JITPROV_KEY_PREFIX")
    parser.add_argument("--redis-version", default="7.4", help="of REDIS_IMAGE; 7.2 or later")
    chosen = parser.parse_args(arguments)
    major, minor = (int(part) for part in chosen.redis_version.split(".")[:2])
    made = make_secrets(chosen.folder, prefix=chosen.key_prefix, version=(major, minor))
    print("\n".join(f"made {chosen.folder / name}" for name in made) or "everything is there")


def make_secrets(folder: Path, *, prefix: str, version: tuple[int, int]) -> list[str]:
    """Make the missing files and write Redis' users anew; return the names of those that were missing."""
    sys.path.insert(0, str(ROOT))
    from jitprov.stack.redis_users import ADMIN, USERS, users_conf  # noqa: PLC0415  from this checkout, uninstalled

    folder.mkdir(exist_ok=True)
    urls = {user: f"redis_url_{user}" for user in USERS}
    wanted = (*KEYS, *EMPTY, *CLIENT, ADMIN_PASSWORD, *urls.values())
    missing = [name for name in wanted if not (folder / name).exists()]
    for name in missing:
        _write(folder / name, _content_of(name, {file: user for user, file in urls.items()}))
    passwords = {ADMIN: (folder / ADMIN_PASSWORD).read_text().strip()}
    for user, name in urls.items():
        passwords[user] = urlsplit((folder / name).read_text().strip()).password or ""
    _write(folder / USERS_CONF, users_conf(passwords, prefix=prefix, version=version))
    return missing


def _content_of(name: str, user_of: dict[str, str]) -> str:
    if name in EMPTY:
        return ""
    if name in CLIENT:
        return _asked(name)
    key = secrets.token_urlsafe(32)
    return f"redis://{user_of[name]}:{key}@redis:6379/0" if name in user_of else key


def _asked(name: str) -> str:
    if not sys.stdin.isatty():
        return ""  # to be filled in by hand
    prompt = f"{name} (Genesys Cloud OAuth client, grant client credentials): "
    return (getpass.getpass(prompt) if name.endswith("secret") else input(prompt)).strip()


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:  # noqa: PTH123  needs the mode
        file.write(text)
    if os.geteuid() == 0:
        os.chown(path, 0, GROUP)
        path.chmod(0o440)


if __name__ == "__main__":
    main()
