"""Every file that the demo's publishers hand out: of which dataset, for which partition, where.

Belongs here: the list that the server and the writing of files share. Not: what is in a file, nor
the services that are asked page by page (PDOK, Klimaatmonitor, OCPI), which are the server's.
"""

from collections.abc import Callable
from dataclasses import dataclass

from goral_pipeline.demo import (
    charge_points,
    ecotap_allego_exports,
    elaadnl_outlooks,
    rvo_counts,
    tariffs,
    vattenfall_placements,
    vattenfall_requests,
)

GZIP = "application/gzip"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv"


@dataclass(frozen=True)
class Files:
    """The files of one dataset, one a partition."""

    dataset: str
    partitions: tuple[str, ...]
    path: str
    """Where each is asked for, with {} for its partition."""
    content_type: str
    make: Callable[[str], bytes]
    needs_token: bool = False

    @property
    def extension(self) -> str:
        """The end of the file's name."""
        name = self.path.rsplit("/", 1)[1]
        return name[name.index(".") :]


FILES = (
    Files(
        "ndw_dotnl/locations",
        charge_points.PUBLISHED_MONTHS,
        "/ndw_dotnl/{}/charging_point_locations_ocpi.json.gz",
        GZIP,
        charge_points.locations_gz,
    ),
    Files(
        "ndw_dotnl/tariffs",
        tariffs.PUBLISHED_MONTHS,
        "/ndw_dotnl/{}/charging_point_tariffs_ocpi.json.gz",
        GZIP,
        tariffs.tariffs_gz,
    ),
    Files(
        "vattenfall/requests",
        vattenfall_requests.PUBLISHED_MONTHS,
        "/vattenfall/requests/{}.xlsx",
        XLSX,
        vattenfall_requests.export,
        needs_token=True,
    ),
    Files(
        "vattenfall/placements",
        vattenfall_placements.PUBLISHED_MONTHS,
        "/vattenfall/placements/{}.xlsx",
        XLSX,
        vattenfall_placements.export,
        needs_token=True,
    ),
    Files(
        "ecotap_allego/requests",
        ecotap_allego_exports.REQUEST_MONTHS,
        "/ecotap_allego/aanvragen/{}.csv",
        CSV,
        ecotap_allego_exports.requests_export,
        needs_token=True,
    ),
    Files(
        "ecotap_allego/placements",
        ecotap_allego_exports.PLACEMENT_MONTHS,
        "/ecotap_allego/plaatsingen/{}.csv",
        CSV,
        ecotap_allego_exports.placements_export,
        needs_token=True,
    ),
    Files(
        "rvo/coverage",
        rvo_counts.COVERAGE_MONTHS,
        "/rvo/coverage/{}.xlsx",
        XLSX,
        rvo_counts.coverage_workbook,
    ),
    Files(
        "elaadnl/passenger_outlook",
        elaadnl_outlooks.PASSENGER_EDITIONS,
        "/elaadnl/passenger_outlook/{}.csv",
        CSV,
        elaadnl_outlooks.passenger_cars,
    ),
    Files(
        "elaadnl/logistics_outlook",
        elaadnl_outlooks.LOGISTICS_EDITIONS,
        "/elaadnl/logistics_outlook/{}.csv",
        CSV,
        elaadnl_outlooks.logistics,
    ),
)
