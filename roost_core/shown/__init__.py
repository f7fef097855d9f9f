"""Stored bytes as people and programs see them."""
