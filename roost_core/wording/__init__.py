"""Helpers for texts for people: near misses, and hiding secrets."""
