"""Connections to a server: where it is, how calls reach it, what its refusals mean."""
