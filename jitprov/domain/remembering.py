"""How the memory of what jitprov gave follows a provisioning, step by step. Pure; see `jitprov.domain.given`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jitprov.domain.events import Kind
from jitprov.domain.given import Given, Memory, settled, to_be_given
from jitprov.domain.provisioning import Provisioning, State, Step


def after_step(memory: Memory, before: Provisioning, after: Provisioning, now: datetime) -> Memory:
    """Return what is remembered once a step has ended, however it ended.

    Args:
        memory: As it was when the step began.
        before: The record then.
        after: The record that will be written with it.
        now: The ledger's clock.
    """
    found, known = after.findings, before.findings
    if found.wanted is None or found.profile is None:
        return memory
    if before.step is Step.RESOLVE_SKILLS and after.step is not before.step:
        # Written before anything is sent: a crash between a call and its record must not make us forget it.
        about_to = to_be_given(found.wanted, found.profile)
        return replace(memory, given=settled(memory, found.profile), perhaps=about_to)
    left = Given() if after.state is State.READY else memory.perhaps - found.given - found.taken
    kept = memory.given + found.given - found.taken
    if before.kind is Kind.CLEANUP and after.state is State.READY and not kept:
        return Memory()  # the season is over: nothing of this agent is jitprov's any more
    if found.given == known.given:
        return replace(memory, given=kept, perhaps=left)
    return Memory(kept, left, found.profile.department, now, found.wanted.rules_version)
