"""Flower's operating settings, each with its reason. Read by `jitprov flower` and by `celery -A jitprov flower`."""

import sys

from jitprov.errors import ConfigurationError
from jitprov.flower import extension, reasons
from jitprov.settings import settings

try:
    _settings = settings()
    # The board's keys before every page, and the agent with its *Retry chain* on each task's.
    extension.install(_settings)
except ConfigurationError as error:
    print(f"jitprov: {error}", file=sys.stderr)
    raise SystemExit(5) from None

address = _settings.flower_host
port = _settings.flower_port
# A second lock behind the door of jitprov.flower: with the name of the role, Flower itself asks for the same keys.
basic_auth = [
    f"{role}:{key}"
    for role, key in (
        ("operator", _settings.operator_key.get_secret_value()),
        ("viewer", _settings.viewer_key.get_secret_value()),
    )
    if key
]
# Flower's own actions would bypass the ledger: a task re-sent from there runs alone and shows SUCCESS.
# A step's valve is turned on a worker's page by an act of ours at Flower's address (jitprov/flower/valve.py).
# An agent is retried by the button on its task's page, or with `jitprov retry TASK_ID`.
read_only = True
# What happened stays visible over a restart; by default only a clean stop saves it.
persistent = True
db = str(_settings.data_dir / "flower.db")
state_save_interval = 5000
# 8 KB each: 20,000 tasks are 4,000 agents.
max_tasks = 20_000
# No arguments and results in the list; they hold only a provisioning id anyway. Why it failed stands beside the state.
tasks_columns = "name,uuid,state,exception,received,runtime,retries,worker"
# Code, cause and remedy as they are, without Python around them.
format_task = reasons.in_words
