"""Where arrays live: the mesh and the sharding of what is on it."""
