"""Publishing: drops for NDW, written whole, verified, and pointed to in one step; and loaded.

Does not belong here: computing an indicator.
"""
