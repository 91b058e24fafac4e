"""Sharded train steps, their state, and the loop around them."""
