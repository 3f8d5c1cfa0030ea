"""The files of a drop that describe it to those who read it without this project.

Belongs here: their bytes, from the published contracts and what the manifest says of the release.
No clock time stands in them: the same release has the same bytes. Does not belong here: writing
them, the manifest, and what is generated for this project's own documentation.
"""

from goral_pipeline.publishing.metadata.describing import SOURCES, describe
from goral_pipeline.publishing.metadata.release import Release

__all__ = ["SOURCES", "Release", "describe"]
