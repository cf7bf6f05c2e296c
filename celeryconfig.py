"""Celery's operating settings, each with its reason. Deployment and no logic; figures are in docs/decisions/.

`celery -A jitprov worker` and `celery -A jitprov flower` read this file through `jitprov.celery`.
"""

from kombu import Queue

from jitprov.pipeline.names import QUEUES, VALVED
from jitprov.settings import settings

_settings = settings()

# --- broker ---------------------------------------------------------------------------------------------------
broker_url = _settings.redis_url.get_secret_value()
# With rediss:// the server's certificate is checked. Flower asks for this by its own connection, and only here.
broker_use_ssl = _settings.redis_tls
# Workers start before Redis does, and outlive its restarts.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# Three names for one value: Celery takes the shortest it finds. Above the longest step plus the longest countdown
# (120 s), so that a message that is being worked on is not given to a second worker.
visibility_timeout = 300
broker_transport_options = {
    "visibility_timeout": visibility_timeout,
    # A dead worker's messages come back within seconds after the timeout instead of after 100 s.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # The default waits for ever on a Redis that hangs. Must stay above kombu's 1 s BRPOP.
    "socket_timeout": 15,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
    # Strictly in the order of task_queues: later steps first, so the first agent is ready in seconds.
    "queue_order_strategy": "priority",
}

# --- messages -------------------------------------------------------------------------------------------------
# A message carries one provisioning id; nothing else is accepted, a pickle least of all.
task_serializer = "json"
accept_content = ["json"]
result_accept_content = ["json"]
task_queues = [Queue(name) for name in QUEUES]
task_routes = {name: {"queue": name} for name in QUEUES}
task_default_queue = QUEUES[-1]
# A queue that nobody consumes would swallow agents silently.
task_create_missing_queues = False
# The next step's message is worth two minutes of patience: by default it is dropped after 0.6 s without Redis.
task_publish_retry_policy = {"max_retries": 120, "interval_start": 0, "interval_step": 0.2, "interval_max": 1}

# --- results --------------------------------------------------------------------------------------------------
# The ledger keeps what happened; a result backend would keep it again, and calls would block on it.
result_backend = None
task_ignore_result = True

# --- workers --------------------------------------------------------------------------------------------------
imports = ("jitprov.pipeline.tasks",)
worker_concurrency = _settings.worker_concurrency
# One message per slot: what is taken is worked on at once, and the order of the queues holds.
worker_prefetch_multiplier = 1
# A message is given back when its worker dies. Not enough on Redis: see the reconciler.
task_acks_late = True
# A failure or a time limit is the ledger's to remember; the message has done its work.
task_acks_on_failure = True
task_acks_on_timeout = True
# On Redis a rejected message comes back for ever; a retry is counted by the ledger.
task_reject_on_worker_lost = False
task_retry_on_worker_lost = True
# A run that lost its connection cannot acknowledge: it is stopped, its lease runs out, the reconciler resumes it.
worker_cancel_long_running_tasks_on_connection_loss = True
# Above the longest honest step: three calls, each with its wait for a slot and its time-out.
task_soft_time_limit = 100
task_time_limit = 110
# On SIGQUIT Celery sleeps for so long, then gives messages back. SIGTERM is quicker: waits end at once (jitprov.stop),
# calls within their time-outs.
worker_soft_shutdown_timeout = 30

# --- valve ----------------------------------------------------------------------------------------------------
# Celery's rate_limit as shipped falls to a task or two a second on Redis; this consumer mends it, see
# docs/decisions/0012.
worker_consumer = "jitprov.valve:ValvedConsumer"
# How often one worker starts each step that calls the API: for a hand to turn down. The limit is kept by the meter,
# so the valve stands just above what the meter gives and slows nothing.
task_annotations = {name: {"rate_limit": f"{_settings.valve_rate_per_min}/m"} for name in VALVED}

# --- what Flower shows ----------------------------------------------------------------------------------------
worker_send_task_events = True
task_send_sent_event = True
task_track_started = True
