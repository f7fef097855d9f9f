"""Faults injected into real processes and real servers."""
