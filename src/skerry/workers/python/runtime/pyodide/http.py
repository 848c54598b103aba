"""`pyfetch`, which published workers use for `workers.fetch`."""

from __future__ import annotations

from _skerry.messages import Response as FetchResponse
from _skerry.outbound import fetch as pyfetch

__all__ = ["FetchResponse", "pyfetch"]
