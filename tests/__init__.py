"""Roost's own tests."""
