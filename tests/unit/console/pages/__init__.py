"""Tests of the console's pages, without sockets."""
