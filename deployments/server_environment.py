"""Settings of a Prefect server that many small task runs ask for.

`amnst serve` sets them; compose.yaml, the Helm values and the systemd unit name the same
ones, which a test compares. None makes SQLite wait longer for its lock, as none can: README.md.
"""

SERVER_ENVIRONMENT = {
    # One by one, the recorder of task runs falls minutes behind at 2,000 of them: the UI shows
    # pairs as running that are done. In batches it costs the server a third of the CPU time.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    # A batch that does not fill is written after so many seconds: what a person waits for. At two,
    # it has twice the records, of which each costs a third less.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "2",
    # The same of events, of which there are several per task run.
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    # Five seconds by default, for what no run of ours waits for: a look costs the server as much as
    # two events. A pause that nobody ends is noticed within a minute,
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "60",
    # a worker that has not said what it cleaned up, within the 30 s that it may take for it,
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "30",
    # a run that no worker takes (Late, after 15 s) and a schedule that is set anew, within ten.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "10",
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "10",
    # Events are most of the database; automations look back minutes, people a day.
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "2d",
    # Off by default for runs: the database would grow by every pair ever rendered.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    # 30 days. What a catalogue made is in its report and its outputs.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "2592000",
    # A page of another origin, open in the operator's browser, could start runs.
    "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
    # Nothing is sent home.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
