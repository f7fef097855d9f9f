"""A page that shows every macro of the kit in each of its variants; no part of the product."""
