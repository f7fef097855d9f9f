"""Roost's own server: started, shared by several processes, ended, repaired."""
