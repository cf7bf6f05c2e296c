"""Flower's operating settings, each with its reason. Read by `jitprov flower` and by `celery -A jitprov flower`."""

from jitprov.errors import ConfigurationError
from jitprov.settings import settings

try:
    _settings = settings()
except ConfigurationError as error:
    raise SystemExit(f"flower: {error}") from None
_password = _settings.flower_password.get_secret_value()
if not _password:
    # Without authentication Flower's pages are open to anyone who reaches the port.
    raise SystemExit("flower: no password. Set JITPROV_FLOWER_PASSWORD (or the file jitprov_flower_password)")

basic_auth = [f"{_settings.flower_user}:{_password}"]
address = _settings.flower_host
port = _settings.flower_port
# Flower's own actions would bypass the ledger: a task re-sent from there runs alone and shows SUCCESS.
# An agent is retried with `jitprov retry TASK_ID`.
read_only = True
# What happened stays visible over a restart; by default only a clean stop saves it.
persistent = True
db = str(_settings.data_dir / "flower.db")
state_save_interval = 5000
# 8 KB each: 20,000 tasks are 4,000 agents.
max_tasks = 20_000
# No arguments and results in the list; they hold only a provisioning id anyway.
tasks_columns = "name,uuid,state,received,started,runtime,retries,exception,worker"
