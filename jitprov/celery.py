"""The Celery app: where `celery -A jitprov worker` and `celery -A jitprov flower` find it. Opens no connection."""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery, signals

from jitprov import logs
from jitprov.settings import settings

app = Celery("jitprov")
app.config_from_object("celeryconfig")

_log = logging.getLogger(__name__)


@signals.setup_logging.connect(weak=False)
def _log_as_json(**_: Any) -> None:
    logs.setup(settings().log_level)


@signals.worker_ready.connect(weak=False)
def _say_ready(sender: Any = None, **_: Any) -> None:
    logs.event(_log, "worker_ready", worker=getattr(sender, "hostname", ""))
