"""What templates are written with: filters and functions for the macros in ``templates/kit``.

A page says ``{% import "kit/all.html" as kit %}``; the top of each file there documents its macros.
"""
