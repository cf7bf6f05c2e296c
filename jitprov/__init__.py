"""Makes a new Genesys Cloud agent call-ready: one event in, skills, phone and station out.

The corridor, in walking order: `receiver` (the webhook) writes the event into the `ledger` and enqueues a
chain; `pipeline` runs its steps on Celery workers, deciding in one place (`pipeline.runner`); the steps reach
Genesys Cloud only through `genesys`, which pays each request from the shared `budget`; `pipeline.reconciler`
republishes what the broker lost. `rules` says what an agent shall have, `domain` holds the words and pure
decisions, `stack` starts everything on one machine, `sandbox` stands in for Genesys Cloud.
"""

__version__ = "0.1.0"
