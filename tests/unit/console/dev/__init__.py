"""Unit tests of ``roost dev``."""
