"""How a process tells its operators what it does: metrics, traces, logs. It knows no job's data."""
