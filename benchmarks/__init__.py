"""What Roost costs, measured beside its limit and its neighbours. Not part of the distribution."""
