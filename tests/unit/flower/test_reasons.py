from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery.utils.saferepr import saferepr

from jitprov.flower.reasons import in_words
from jitprov.pipeline.tasks import ProvisioningFailed, StepWaits


@pytest.mark.parametrize("kind", [ProvisioningFailed, StepWaits])
@pytest.mark.parametrize(
    "text",
    [
        "no_rule_matched: no rule covers department 'Nobody'. Add a rule; then: jitprov retry ID",
        'skill_unknown: no routing skill "Holliday"',
        """both: 'one' and "other" \\ here""",
        "plain",
    ],
)
def test_our_reasons_are_shown_as_they_are(kind: type[Exception], text: str) -> None:
    """What Celery tells of our exceptions, a repr, becomes the text that was written for people."""
    task = in_words(SimpleNamespace(exception=saferepr(kind(text), maxlen=None), traceback="Traceback …"))

    assert (task.exception, task.traceback) == (text, None)


@pytest.mark.parametrize("exception", [None, "", "ValueError('x')", "WorkerLostError('ended')", "ProvisioningFailed("])
def test_others_reasons_stay(exception: str | None) -> None:
    """A task without an exception, or with somebody else's, is left as it is, traceback and all."""
    task = in_words(SimpleNamespace(exception=exception, traceback="Traceback …"))

    assert (task.exception, task.traceback) == (exception, "Traceback …")
