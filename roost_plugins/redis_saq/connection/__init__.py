"""Connections to a server: where it is, how calls go there, what its refusals mean."""
