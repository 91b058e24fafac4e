"""A configuration's programs, compiled for devices that need not be here: what they take, move and allow."""
