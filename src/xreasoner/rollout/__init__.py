"""Rollouts: forced exit, the local sampler and its doubles."""
