"""The house book: the truth about every provisioning. Broker messages are hints; this is what is so."""

from jitprov.ledger.port import Claim, Denied, Due, Ledger

__all__ = ["Claim", "Denied", "Due", "Ledger"]
