"""The only place that reads or writes durable bytes: data sets and results."""
