"""Plugins: found, checked, registered, called."""
