"""Checks: what must hold before anything goes on. Does not belong here: repairing data."""
