"""Tests without servers, sockets or sleeps."""
