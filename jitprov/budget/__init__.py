"""The water meter: one allowance of API calls, shared by all workers (docs/decisions/0004)."""

from jitprov.budget.port import Budget, BudgetState, Permit, Refusal

__all__ = ["Budget", "BudgetState", "Permit", "Refusal"]
