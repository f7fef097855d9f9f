"""Roost's own server, without one."""
