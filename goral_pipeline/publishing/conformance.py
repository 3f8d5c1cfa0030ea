"""Whether the tables of a drop are those of the contracts in it.

`verify` compares files with the manifest and knows no contracts; this compares the manifest with
the contracts. Does not belong here: what a contract may change (`versions`).
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from goral_pipeline.contracts import Contract, model
from goral_pipeline.errors import GoralError, VerificationFailed
from goral_pipeline.publishing import manifest, verify
from goral_pipeline.publishing.manifest import Manifest

CONTRACTS = "contracts"


def problems(drops: verify.Place, made: Manifest) -> list[str]:
    """All in which a drop does not fit its contracts, in words; empty when it does."""
    try:
        contracts = contracts_of(drops, verify.release(made.drop) + "/", made)
    except VerificationFailed as error:
        return error.problems
    found = []
    for file in made.data:
        expected = manifest.columns_of(contracts[file.dataset].tables[0].arrow_schema())
        if file.columns != expected:
            there = {(c.name, c.type, c.nullable) for c in file.columns}
            asked = {(c.name, c.type, c.nullable) for c in expected}
            differ = sorted({name for name, *_ in there ^ asked}) or ["their order"]
            found.append(
                f"not its contract: columns of {file.path} are not those of its contract: "
                f"{', '.join(differ)}"
            )
        if made.contracts.get(file.dataset) != contracts[file.dataset].version:
            found.append(f"wrong version: that of {file.dataset}'s contract is not the manifest's")
    return found


def contracts_of(place: verify.Place, below: str, made: Manifest) -> dict[str, Contract]:
    """The contracts in a release, by dataset.

    Args:
        place: where the release lies.
        below: its folder there, with a `/` at the end, or nothing.
        made: its manifest.

    Raises:
        VerificationFailed: naming each that is missing or no contract.
    """
    import yaml

    damaged = (OSError, GoralError, ValueError, AttributeError, IndexError, yaml.YAMLError)
    contracts, lacking = {}, []
    with TemporaryDirectory() as folder:
        for file in made.data:
            # It becomes the name of a file here, and whoever made the drop chose it.
            if not re.fullmatch("[a-z][a-z0-9_]{0,62}", file.dataset):
                lacking.append(
                    f"no contract: {file.path} is of {file.dataset!r}, which is no dataset"
                )
                continue
            name = f"{file.dataset}.odcs.yaml"
            path = Path(folder) / name
            try:
                with place.open(f"{below}{CONTRACTS}/{name}") as opened:
                    path.write_bytes(opened.read())
                contracts[file.dataset] = model.read(path)
                contracts[file.dataset].tables[0].arrow_schema()
            except damaged as error:
                lacking.append(
                    f"no contract: {file.dataset} has none in the drop ({type(error).__name__})"
                )
    if lacking:
        raise VerificationFailed(lacking)
    return contracts
