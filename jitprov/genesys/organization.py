"""Which organization shared values belong to, so that two on one Redis, or one after the other, never mix."""

from __future__ import annotations

import hashlib

from jitprov.settings import Settings


def organization_key(settings: Settings) -> str:
    """Return 12 hex digits that stand for the API's address and the OAuth client, and reveal neither."""
    told = f"{settings.api_base_url}\n{settings.client_id}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]
