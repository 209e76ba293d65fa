"""Whose an object is: every job, data set, result and batch belongs to one tenant and is invisible to all others."""

from __future__ import annotations

DEFAULT_TENANT = "default"
"""Whose everything is while a service asks for no keys."""
