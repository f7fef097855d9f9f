"""The plugins that Roost ships; each is found through its entry point, like any other plugin."""
