"""The front door's routes, and the server that runs them. Builds the rooms inside at the start, empties them at the end.

    POST /events     one delivery; see `intake`
    GET  /healthz    the process is up
    GET  /readyz     events can be taken: the ledger answers, the writer runs
    GET  /metrics    Prometheus' text format
    GET  /openapi.json   the contract, for machines; no page that loads scripts from elsewhere

The four GET routes ask for no key and tell no ids; a proxy in front should keep all but /events inside.
"""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from jitprov import __version__, logs
from jitprov.errors import ConfigurationError
from jitprov.ledger import Ledger
from jitprov.receiver import answers
from jitprov.receiver.auth import Doorkeeper
from jitprov.receiver.body import StartRule
from jitprov.receiver.contract import EVENTS_ROUTE
from jitprov.receiver.group_commit import GroupCommit, Quarantine
from jitprov.receiver.intake import Intake
from jitprov.receiver.measures import Measures
from jitprov.receiver.publisher import Publisher
from jitprov.receiver.readiness import Readiness
from jitprov.receiver.wire import BoundedHttp
from jitprov.settings import Settings

_log = logging.getLogger(__name__)
