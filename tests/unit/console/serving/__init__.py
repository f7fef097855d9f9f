"""Tests of what makes the console a safe web server."""
