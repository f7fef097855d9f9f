"""Tests of the console's drawing, without sockets."""
