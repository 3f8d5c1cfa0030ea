"""OCPI: how a concession's own server is asked, and how its objects are read into columns.

Belongs here: `party` (which servers there are), `fetch` (the question for a month), `crawl` (reads
lists, whose pages are `envelope`s), `landed` (pages as they lie in landing) and a module for each
kind of object (`locations`, `tariffs`, `cdrs`). Does not belong here: anything of one publisher.
"""
