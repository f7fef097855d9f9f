"""Counts words and lines: an example of an installable plugin for Roost."""
