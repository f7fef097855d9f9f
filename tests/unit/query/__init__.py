"""Tests of the language in which work is asked for."""
