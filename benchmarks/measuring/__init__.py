"""How it is measured: servers, processes, samples, and what the commands share."""
