"""Settings of a Prefect server for many small task runs.

`amnst serve` sets them. compose.yaml, the Helm values and the systemd unit contain the same
settings; a test compares them. No setting can raise SQLite's lock timeout; see
docs/operations/one-machine.md.
"""

SERVER_ENVIRONMENT = {
    # Without batches, the task run recorder falls minutes behind at 2,000 task runs, and the UI
    # shows finished pairs as running. Batches take a third of the CPU time.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    # Seconds until an incomplete batch is written, and the UI shows it. With two seconds a batch
    # has twice as many records as with one, and each record costs a third less.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "2",
    # The same for events; each task run has several.
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    # The default is five seconds, but none of our runs waits for these checks, and each check costs
    # the server as much as two events. An expired pause is noticed within a minute,
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "60",
    # a worker that has not reported its clean-up within the allowed 30 s,
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "30",
    # a run that no worker takes (Late, after 15 s) and a new schedule within ten seconds.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "10",
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "10",
    # Most of the database is events; automations need those of minutes, people those of a day.
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "2d",
    # By default runs are never deleted, so every rendered pair would make the database grow.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    # 30 days. The results of a catalogue are in its report and its output files.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "2592000",
    # Otherwise a page of another origin, open in the operator's browser, could start runs.
    "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
    # Send no usage statistics.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
