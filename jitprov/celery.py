"""The Celery app: where `celery -A jitprov worker` and `celery -A jitprov flower` find it. Opens no connection."""

from __future__ import annotations

import gc
import logging
from typing import Any

from celery import Celery, signals
from kombu.transport import TRANSPORT_ALIASES

from jitprov import logs
from jitprov.settings import settings

# kombu's own ends the worker over a message that it cannot read, and at times over a lost connection. Put behind the
# schemes, since `broker_transport` would change the URL that Flower tells the broker's kind by.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "jitprov.pipeline.redis_transport:Transport"))

app = Celery("jitprov")
app.config_from_object("celeryconfig")

_log = logging.getLogger(__name__)


@signals.setup_logging.connect(weak=False)
def _log_as_json(**_: Any) -> None:
    chosen = settings()
    logs.setup(chosen.log_level, masked=chosen.secret_values())


@signals.worker_process_init.connect(weak=False)
def _leave_alone_what_stays(**_: Any) -> None:
    # A look for garbage through all that was imported takes 0.2 s, which costs a child its slot of the budget.
    gc.freeze()


@signals.worker_ready.connect(weak=False)
def _say_ready(sender: Any = None, **_: Any) -> None:
    logs.event(_log, "worker_ready", worker=getattr(sender, "hostname", ""))
