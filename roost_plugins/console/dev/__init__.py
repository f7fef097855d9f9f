"""``roost dev``: a worker that follows its files, the console, and one terminal for both.

A supervisor watches files and runs workers as processes of their own. A new one loads the plugins
first and says whether they are sound; only then the old one is told to stop. So code that cannot be
loaded never meets any work.
"""
