"""The only place that reads or writes durable bytes: data sets and results, as immutable objects under keys."""
