"""Stores: protocols by need (base), and what fulfils them."""
