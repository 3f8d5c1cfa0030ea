"""Landing: deliveries exactly as they came, and the ledger of what became of them.

Does not belong here: looking inside a delivery.
"""
