"""An honest stand-in for the publishers of GO-RAL's data in 2022.

Belongs here: deterministic deliveries in the publishers' own formats, and a real HTTP server on
loopback that hands them out. Everything is invented and says so wherever it shows.

Does not belong here: reading, checking or storing deliveries. Nothing but the command line and
tests imports this package, and it imports nothing of the pipeline.
"""

LABEL = "DEMO, verzonnen gegevens"
