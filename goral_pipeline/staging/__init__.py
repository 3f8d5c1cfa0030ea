"""Staging: one delivery becomes typed rows that conform to the contract, or is rejected.

A pure function of the delivery, its contract, its mapping, this code and the programme key. Does
not belong here: looking at another delivery.
"""
