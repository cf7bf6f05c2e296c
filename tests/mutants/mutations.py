"""Every protection that can be switched off, as a small replacement of source text, and the tests that must notice.

An anchor must stand exactly once in its file: when a protection moves, its mutation fails aloud and is moved along
(test_mutations.py checks that with every run of the tests).
"""

from __future__ import annotations

from dataclasses import dataclass

LEDGER = ("tests/contract/test_ledger.py", "-k", "redis")
LOST = ("tests/contract/test_ledger_lost.py", "-k", "redis")
HISTORIES = ("tests/simulation/test_histories.py",)
SCHEDULES = ("tests/simulation/test_schedules.py",)
RUNNER = ("tests/unit/pipeline/test_runner.py",)
STEPS = ("tests/unit/pipeline/test_steps.py",)
SLOT = ("tests/unit/genesys/test_slot.py",)
LAST_MOMENT = ("tests/unit/genesys/test_last_moment.py",)
_LUA = "jitprov/ledger/lua"


@dataclass(frozen=True)
class Mutation:
    """One protection switched off.

    Attributes:
        name: What is off.
        file: Where.
        anchor: The text that protects.
        instead: The text that does not.
        tests: What pytest is told to run; few, and at least one must fail.
    """

    name: str
    file: str
    anchor: str
    instead: str
    tests: tuple[str, ...]


MUTATIONS = (
    # --- fence and lease ----------------------------------------------------------------------------------------
    Mutation(
        "fence off: a step that is past runs again",
        f"{_LUA}/claim.lua",
        "if place[step] < place[f[2]] then return {'done', '0'} end",
        "",
        LEDGER,
    ),
    Mutation(
        "fence off: a step runs before the one before it",
        f"{_LUA}/claim.lua",
        "if place[step] > place[f[2]] then return {'early', '0'} end",
        "",
        LEDGER,
    ),
    Mutation(
        "fence off: an older run's message runs",
        f"{_LUA}/claim.lua",
        "if tonumber(gen) < tonumber(f[3]) then return {'stale', '0'} end",
        "",
        LEDGER,
    ),
    Mutation(
        "fence off: an ended one runs",
        f"{_LUA}/claim.lua",
        "if state == 'failed' or state == 'cancelled' then return {'ended', '0'} end",
        "",
        LEDGER,
    ),
    Mutation(
        "fence off in memory: any step's message runs the step that is due",
        "jitprov/ledger/memory.py",
        "elif step.number != record.step.number:",
        "elif False:",
        HISTORIES,
    ),
    Mutation(
        "lease off",
        f"{_LUA}/claim.lua",
        "if f[4] and not renewed and tonumber(f[5]) > now then return {'leased', '0'} end",
        "",
        LEDGER,
    ),
    Mutation(
        "lease off in memory: two workers in one step",
        "jitprov/ledger/memory.py",
        "elif entry.lease not in (None, token) and entry.lease_until and entry.lease_until > now:",
        "elif False:",
        SCHEDULES,
    ),
    Mutation(
        "a wait is not waited for",
        f"{_LUA}/claim.lua",
        "if nb > now + 50000 then return {'waiting', string.format('%.0f', nb - now)} end",
        "",
        LEDGER,
    ),
    Mutation(
        "a lost lease is renewed",
        f"{_LUA}/renew.lua",
        "if f[1] ~= ARGV[2] or tonumber(f[2]) <= now then return 0 end",
        "",
        LEDGER,
    ),
    Mutation(
        "a lost lease's record is written",
        f"{_LUA}/write.lua",
        "if f[2] ~= token then return 0 end",
        "",
        LEDGER,
    ),
    Mutation(
        "version check off: an operator's move needs nothing seen",
        f"{_LUA}/write.lua",
        "if (f[4] or '0') ~= ARGV[5] then return 0 end",
        "",
        LEDGER,
    ),
    Mutation(
        "a write that comes again is refused",
        f"{_LUA}/write.lua",
        "if f[5] == token then return 1 end",
        "",
        LEDGER,
    ),
    Mutation(
        "an operator's move passes over a running step",
        "jitprov/ledger/memory.py",
        "if entry.lease and entry.lease_until and entry.lease_until > self._now():",
        "if False:",
        ("tests/contract/test_ledger.py", "-k", "memory"),
    ),
    # --- once ---------------------------------------------------------------------------------------------------
    Mutation(
        "dedupe off: an event opens again",
        f"{_LUA}/accept.lua",
        "local serving = serving_as(KEYS[1], event)",
        "local serving = false",
        LEDGER,
    ),
    Mutation(
        "dedupe off: a user's other event opens again",
        f"{_LUA}/accept.lua",
        "local last = serving_as(KEYS[2], user)",
        "local last = nil",
        LEDGER,
    ),
    Mutation(
        "look-before-create off",
        "jitprov/pipeline/steps.py",
        "if not first_try or kit.look_first or profile.default_station_id:",
        "if False:",
        HISTORIES,
    ),
    Mutation(
        "look-before-create off after the ledger was lost",
        "jitprov/pipeline/steps.py",
        "if not first_try or kit.look_first or profile.default_station_id:",
        "if not first_try or profile.default_station_id:",
        HISTORIES,
    ),
    Mutation(
        "hold off: a create leaves without asking for the lease",
        "jitprov/pipeline/steps.py",
        "about_to_send=kit.hold)",
        "about_to_send=lambda: None)",
        SCHEDULES,
    ),
    Mutation(
        "settle wait off after an uncertain create",
        "jitprov/domain/outcomes.py",
        "            wait_s += policy.settle_s\n",
        "            wait_s += 0.0\n",
        ("tests/unit/domain/test_outcomes.py",),
    ),
    Mutation(
        "settle wait off at the operator's retry",
        "jitprov/domain/provisioning.py",
        "if last is None or not may_have_acted(last) or settled_in <= timedelta(0):",
        "if True:",
        ("tests/unit/domain/test_provisioning.py", "tests/unit/pipeline/test_operations.py"),
    ),
    # --- nothing lost -------------------------------------------------------------------------------------------
    Mutation(
        "publish before ledger",
        "jitprov/receiver/group_commit.py",
        "        accepted = self._ledger.accept(openings, look_after_s=self._look_after_s)\n",
        "        self._on_new([opening.provisioning_id for opening in openings])\n"
        "        accepted = self._ledger.accept(openings, look_after_s=self._look_after_s)\n",
        ("tests/unit/receiver/test_group_commit.py",),
    ),
    Mutation(
        "202 although the ledger did not answer",
        "jitprov/receiver/group_commit.py",
        "        accepted = self._ledger.accept(openings, look_after_s=self._look_after_s)\n",
        "        accepted = [Acceptance(o.provisioning_id, o.event_id, o.user_id, duplicate=False) for o in openings]\n",
        ("tests/unit/receiver/test_group_commit.py",),
    ),
    Mutation(
        "early ack: a message is given up when its step begins",
        "celeryconfig.py",
        "task_acks_late = True",
        "task_acks_late = False",
        ("tests/integration/test_corridor.py", "-k", "killed and before_apply"),
    ),
    Mutation(
        "a chain ends at a message that came again",
        "jitprov/pipeline/runner.py",
        'return Skip(denied.reason, chain_goes_on=denied.reason == "done")',
        "return Skip(denied.reason)",
        RUNNER,
    ),
    Mutation(
        "reconciler without evidence: whatever is due is sent again",
        "jitprov/pipeline/reconciler.py",
        "if found.leased or task_id in held.queued:",
        "if False:",
        ("tests/unit/pipeline/test_reconciler.py",),
    ),
    Mutation(
        "reconciler that does not see a dead worker",
        "jitprov/pipeline/reconciler.py",
        "        if found.lease_lost:\n            return self._republish(found)\n",
        "        if found.lease_lost:\n            return 'on the way'\n",
        ("tests/unit/pipeline/test_reconciler.py",),
    ),
    Mutation(
        "an emptied ledger is taken for a new one",
        f"{_LUA}/book.lua",
        "if f[1] ~= id or f[2] then",
        "if false then",
        LOST,
    ),
    Mutation(
        "a ledger that was set back is taken for whole",
        f"{_LUA}/book.lua",
        "if version ~= '' then",
        "if false then",
        LOST,
    ),
    Mutation(
        "an acknowledged ledger opens at once",
        f"{_LUA}/book.lua",
        "if f[3] then",
        "if false then",
        LOST,
    ),
    # --- bounds -------------------------------------------------------------------------------------------------
    Mutation(
        "limiter off: a request leaves before its slot",
        "jitprov/genesys/slot.py",
        "        _wait_until(answer.slot_at_s, clock, scale)\n        if",
        "        if",
        SLOT,
    ),
    Mutation(
        "a worker works on what its data key does not open",
        "jitprov/pipeline/runner.py",
        "        if claim.sealed:\n",
        "        if False:\n",
        RUNNER,
    ),
    Mutation(
        "a part starts with another data key",
        "jitprov/ledger/canary.py",
        "        except SealBroken:\n            raise",
        "        except ZeroDivisionError:\n            raise",
        ("tests/integration/test_sealed_ledger.py",),
    ),
    Mutation(
        "a create leaves however long its worker stood still",
        "jitprov/genesys/last_moment.py",
        "> self._within_s:",
        "> 1e9:",
        LAST_MOMENT,
    ),
    Mutation(
        "the kernel keeps no deadline",
        "jitprov/deadline.py",
        "signal.setitimer(signal.ITIMER_REAL, self._within_s)",
        "pass",
        LAST_MOMENT,
    ),
    Mutation(
        "a phone made without the right stays",
        "jitprov/pipeline/runner.py",
        "if not kept and step is Step.CREATE_PHONE:",
        "if False:",
        RUNNER,
    ),
    Mutation(
        "no second look for a second phone",
        "jitprov/pipeline/steps.py",
        "if record.steps[Step.CREATE_PHONE].attempts > 1:",
        "if False:",
        STEPS,
    ),
    Mutation(
        "limiter fails open: no meter, no limit",
        "jitprov/genesys/slot.py",
        'raise BudgetDenied("the meter does not answer, so nothing is sent", wait_s=_AWAY_S * scale) from error',
        "return Permit(0.0, 0.0)",
        SLOT,
    ),
    Mutation(
        "an overslept slot is used",
        "jitprov/genesys/slot.py",
        "if clock.monotonic_s() <= answer.leave_by_s:",
        "if True:",
        SLOT,
    ),
    Mutation(
        "a sender that stalled after its slot sends all the same",
        "jitprov/genesys/punctual.py",
        "        if monotonic_s() > instant_s:\n            raise TooLate",
        "        pass",
        ("tests/unit/genesys/test_punctual.py",),
    ),
    Mutation(
        "a 429 pauses nobody",
        "jitprov/genesys/transport.py",
        "pause_all(self._budget, permit, wait_s / self._settings.time_scale, why)",
        "pass",
        ("tests/unit/genesys/test_transport.py", "tests/contract/test_genesys_client.py"),
    ),
    Mutation(
        "attempts without bound",
        "jitprov/domain/outcomes.py",
        "if isinstance(error, TryAgain) and attempt < policy.attempts_max:",
        "if isinstance(error, TryAgain):",
        ("tests/unit/domain/test_outcomes.py",),
    ),
    Mutation(
        "poison without bound: who kills its worker is begun for ever",
        "jitprov/pipeline/runner.py",
        "if claim.sealed or claim.record.steps[step].attempts <= self.policy.attempts_max:",
        "if True:",
        HISTORIES,
    ),
    Mutation(
        "a snooze spends an attempt",
        "jitprov/domain/provisioning.py",
        "    if not spends:\n",
        "    if False:\n",
        ("tests/unit/domain/test_provisioning.py",),
    ),
    Mutation(
        "waiting without bound",
        "jitprov/domain/outcomes.py",
        "if error.fails_in_time and waited_s >= policy.waited_max_s:",
        "if False:",
        ("tests/unit/domain/test_outcomes.py",),
    ),
    Mutation(
        "a cancel is not heeded by the worker that holds it",
        "jitprov/pipeline/runner.py",
        "if claim.record.cancel_asked:",
        "if False:",
        RUNNER,
    ),
)
