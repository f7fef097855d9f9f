"""How calls reach a server, and what its refusals mean."""
