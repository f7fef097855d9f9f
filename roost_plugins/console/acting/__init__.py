"""Verbs on many work items: looked at first, then carried out in the background."""
