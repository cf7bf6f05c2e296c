"""The water meter: one allowance of API calls, shared by all workers (docs/decisions/0004)."""

from jitprov.budget.port import ENDLESS_S, Budget, BudgetState, LaneState, Permit, Reading, Refusal

__all__ = ["ENDLESS_S", "Budget", "BudgetState", "LaneState", "Permit", "Reading", "Refusal"]
