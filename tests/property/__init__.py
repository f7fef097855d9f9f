"""Tests that hypothesis writes."""
