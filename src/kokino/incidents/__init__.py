"""Incidents: what is opened for a P1 or P2 alert, its timeline that only grows, and its review document."""

from __future__ import annotations

from kokino.incidents.documents import IncidentDocuments
from kokino.incidents.module import Incidents

__all__ = ["IncidentDocuments", "Incidents"]
