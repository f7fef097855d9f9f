"""The backend in memory: the model that the contract and the state machines compare with."""
