"""The command line over a queue in memory."""
