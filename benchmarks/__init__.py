"""What Roost costs, measured next to its limit and its neighbours. Not part of the distribution."""
