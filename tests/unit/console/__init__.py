"""Tests of the console, without sockets."""
