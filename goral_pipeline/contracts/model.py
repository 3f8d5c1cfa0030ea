"""The contracts as Python objects: read from the ODCS files, nothing added.

Belongs here: reading and validating the ODCS files, the rules they hold as SQL predicates. Does not
belong here: knowledge of a source, a path outside this folder, Dagster, or what is generated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from goral_pipeline.errors import GoralError

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = Path(__file__).parent

PersonalData = Literal["none", "pseudonymise", "drop"]
Cadence = Literal["daily", "biweekly", "monthly", "quarterly", "yearly"]
Partition = Literal["month", "year", "edition"]
"""A calendar month `2022-07`, a year `2022`, or an edition of a quarter `2022Q3`."""


@dataclass(frozen=True)
class Column:
    """One column: name, DuckDB type, and what may stand in it."""

    name: str
    type: str
    """DuckDB type, e.g. DECIMAL(9,3)."""
    required: bool
    key_position: int | None
    personal: PersonalData
    description: str
    codes: dict[str, str]
    """Codes that may stand in it, each with its description; empty where any value may."""
    synonyms: tuple[str, ...]
    """What people call it, in Dutch mostly."""
    options: dict[str, Any]
    properties: dict[str, Any]

    @property
    def unit(self) -> str | None:
        """Unit of the value, where it has one."""
        unit = self.properties.get("unit")
        return str(unit) if unit is not None else None

    @property
    def description_nl(self) -> str:
        """The description in Dutch; empty where the contract has none: only published ones do."""
        return str(self.properties.get("description_nl", ""))

    @property
    def is_provenance(self) -> bool:
        """Whether staging fills the column in, rather than the delivery."""
        return bool(self.properties.get("provenance", False))

    @property
    def can_be_unreadable(self) -> bool:
        """Whether a delivered text may be none of the column's type."""
        return self.type not in ("VARCHAR", "BLOB")

    @property
    def is_transient(self) -> bool:
        """Whether rules need the column, but nobody after staging."""
        return bool(self.properties.get("transient", False))

    @property
    def is_deprecated(self) -> bool:
        """Whether it is published for those only who read it already, and will go."""
        return bool(self.properties.get("deprecated", False))

    @property
    def left_out_with(self) -> str:
        """Name of the columns, in all tables, of which each tells of the others; else its own."""
        return str(self.properties.get("leftOutWith", self.name))


@dataclass(frozen=True)
class Rule:
    """What a row must hold to: `predicate` is SQL over the typed columns; NULL passes."""

    name: str
    predicate: str
    column: str
    description: str


@dataclass(frozen=True)
class Table:
    """One table of a dataset."""

    name: str
    description: str
    grain: str
    all_columns: tuple[Column, ...]
    own_rules: tuple[Rule, ...]
    profile: tuple[Rule, ...]
    """What the field's profile asks besides: told of, but a row that breaks it is accepted."""
    properties: dict[str, Any]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that are staged: all but those of class drop and the transient ones."""
        return tuple(column for column in self._read_columns if not column.is_transient)

    @property
    def delivered_columns(self) -> tuple[Column, ...]:
        """The columns that are read from the delivery, the transient ones too."""
        return tuple(column for column in self._read_columns if not column.is_provenance)

    @property
    def _read_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.all_columns if column.personal != "drop")

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key columns, in their order."""
        keyed = [column for column in self.columns if column.key_position is not None]
        return tuple(c.name for c in sorted(keyed, key=lambda column: column.key_position or 0))

    @property
    def parent(self) -> str | None:
        """Table whose rows hold this table's rows in the delivery."""
        return self.properties.get("parent")

    @property
    def version_column(self) -> str | None:
        """Of rows with one key, the one with the highest value here is accepted."""
        return self.properties.get("versionColumn")

    @property
    def month_column(self) -> str | None:
        """Date column that tells which months a delivery touches."""
        return self.properties.get("monthColumn")

    @property
    def publish_where(self) -> str:
        """Which of its rows go into a drop: SQL over its columns."""
        return str(self.properties.get("publishWhere", "true"))

    @property
    def report_by(self) -> tuple[str, ...]:
        """Columns that tell those apart who are told of the quality of what they delivered."""
        return tuple(self.properties.get("reportBy", ()))

    @property
    def description_nl(self) -> str:
        """Description and grain in Dutch; empty where the contract has none."""
        return str(self.properties.get("description_nl", ""))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of the table: those of its columns, then those over several columns."""
        return tuple(rule for column in self.delivered_columns for rule in column_rules(column)) + (
            self.own_rules
        )

    def arrow_schema(self) -> pa.Schema:
        """The pyarrow schema of the kept columns, with unit and description as metadata."""
        import pyarrow as pa

        return pa.schema(
            [
                pa.field(
                    column.name,
                    _arrow_type(column.type),
                    nullable=not column.required,
                    metadata={
                        "description": column.description,
                        **({"unit": column.unit} if column.unit else {}),
                    },
                )
                for column in self.columns
            ]
        )


@dataclass(frozen=True)
class Contract:
    """One dataset's contract."""

    path: Path
    schema_path: Path
    """The file that describes its tables: its own, or that of the contract named in `schemaOf`."""
    id: str
    name: str
    version: str
    status: str
    description: dict[str, str]
    tables: tuple[Table, ...]
    properties: dict[str, Any]

    @property
    def dataset(self) -> str:
        """`source/dataset` of a staged dataset, the plain name of a published one."""
        return str(self.properties["dataset"])

    @property
    def is_snapshot(self) -> bool:
        """Whether only today's state can be asked for."""
        return self.properties.get("temporality") == "snapshot"

    @property
    def partition(self) -> Partition:
        """What one partition is."""
        partition: Partition = self.properties["partition"]
        return partition

    @property
    def is_by_change(self) -> bool:
        """Whether a partition holds what was changed in it, rather than what happened in it."""
        return "partitionBy" in self.properties

    @property
    def is_per_concession(self) -> bool:
        """Whether each concession has a dataset of this form."""
        return bool(self.properties.get("perConcession", False))

    @property
    def first_partition(self) -> str:
        """The first partition that can exist."""
        return str(self.properties["firstPartition"])

    @property
    def cadence(self) -> Cadence:
        """How often there is something new to ask for."""
        cadence: Cadence = self.properties["cadence"]
        return cadence

    @property
    def late_months(self) -> int:
        """How many months back a late or corrected delivery may still come."""
        return int(self.properties["lateMonths"])

    @property
    def max_bad_share(self) -> float:
        """Share of quarantined records above which the whole delivery is rejected."""
        return float(self.properties["maxBadShare"])

    @property
    def is_published(self) -> bool:
        """Whether its tables go into a drop."""
        return bool(self.properties.get("publish", False))

    @property
    def is_deprecated(self) -> bool:
        """Whether it is published for those only who read it already, and will go."""
        return self.status == "deprecated"

    @property
    def holds_personal_data(self) -> bool:
        """Whether its deliveries hold columns that must not leave landing in the clear."""
        return any(c.personal != "none" for table in self.tables for c in table.all_columns)

    @property
    def needs_key(self) -> bool:
        """Whether staging it needs the programme key."""
        return any(c.personal == "pseudonymise" for table in self.tables for c in table.columns)

    def table(self, name: str) -> Table:
        """The table of that name."""
        return next(table for table in self.tables if table.name == name)

    @property
    def source(self) -> str:
        """First part of the dataset's name."""
        return self.dataset.split("/", 1)[0]

    @property
    def name_nl(self) -> str:
        """The name in Dutch; empty where the contract has none: only published ones do."""
        return str(self.properties.get("name_nl", ""))

    @property
    def purpose_nl(self) -> str:
        """What the dataset is for, in Dutch; empty where the contract has none."""
        return str(self.properties.get("description_nl", ""))

    @property
    def limitations_nl(self) -> str:
        """What it cannot tell, in Dutch; empty where it says nothing of that in English either."""
        return str(self.properties.get("limitations_nl", ""))

    def relation(self, table: Table) -> str:
        """Name of the table among the warehouse's sources, e.g. `ndw_dotnl__connectors`.

        By the contract, not the dataset: all concessions' requests are one relation, and a
        concession's own connectors are in another than DOT-NL's.
        """
        return f"{self.id.split('.', 1)[0]}__{table.name}"

    def of_dataset(self, dataset: str, first_partition: str | None = None) -> Contract:
        """This contract as that of one dataset of its form."""
        own = {"dataset": dataset, "firstPartition": first_partition or self.first_partition}
        return replace(self, properties=self.properties | own)


def column_rules(column: Column) -> list[Rule]:
    """The rules that follow from what a contract says of one column, each with its own name."""
    name, options = column.name, column.options
    rules = []
    if column.required:
        rules.append(Rule(f"{name}_required", f"{name} is not null", name, "A value is required."))
    if column.codes:
        listed = ", ".join(quote(code) for code in column.codes)
        rules.append(
            Rule(
                f"{name}_code", f"{name} in ({listed})", name, f"One of {', '.join(column.codes)}."
            )
        )
    if "pattern" in options:
        pattern = options["pattern"]
        rules.append(
            Rule(
                f"{name}_pattern",
                f"regexp_full_match({name}, {quote(pattern)})",
                name,
                f"Of the form {pattern}.",
            )
        )
    if "maxLength" in options:
        longest = int(options["maxLength"])
        rules.append(
            Rule(
                f"{name}_length",
                f"length({name}) <= {longest}",
                name,
                f"At most {longest} characters.",
            )
        )
    low, high = options.get("minimum"), options.get("maximum")
    if low is not None or high is not None:
        bounds = [
            f"{name} {sign} {_literal(bound, column.type)}"
            for sign, bound in ((">=", low), ("<=", high))
            if bound is not None
        ]
        limits = " and ".join(
            text
            for text in (
                f"at least {low}" if low is not None else "",
                f"at most {high}" if high is not None else "",
            )
            if text
        )
        rules.append(Rule(f"{name}_range", " and ".join(bounds), name, f"{limits}.".capitalize()))
    return rules


def type_rule(column: Column) -> Rule:
    """The rule that the delivered text can be read as the column's type."""
    words = {
        "INTEGER": "A whole number.",
        "BIGINT": "A whole number.",
        "BOOLEAN": "true or false.",
        "DATE": "A date that exists.",
        "TIMESTAMPTZ": "A date and time that exist.",
    }
    text = words.get(column.type, f"A number that fits {column.type}.")
    return Rule(f"{column.name}_type", f"{column.name} is not null", column.name, text)


def quote(text: str) -> str:
    """Text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _literal(value: Any, sql_type: str) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    return f"{sql_type} {quote(str(value))}"


def _arrow_type(sql_type: str) -> pa.DataType:
    import pyarrow as pa

    simple = {
        "VARCHAR": pa.string(),
        "INTEGER": pa.int32(),
        "BIGINT": pa.int64(),
        "BOOLEAN": pa.bool_(),
        "DATE": pa.date32(),
        "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
        "BLOB": pa.binary(),
    }
    if sql_type in simple:
        return simple[sql_type]
    if sql_type.startswith("DECIMAL("):
        precision, scale = sql_type[len("DECIMAL(") : -1].split(",")
        return pa.decimal128(int(precision), int(scale))
    raise GoralError(f"contract type {sql_type} has no Arrow type; add it to contracts/model.py")


@cache
def staged() -> dict[str, Contract]:
    """Contracts of what deliveries are typed into, by `source/dataset`.

    One per concession stands here once, under `concession/…`, or under `ocpi/…` where the form is
    OCPI's own; which datasets there are is known to `sources`.
    """
    return _read_folder("staged")


@cache
def derived() -> dict[str, Contract]:
    """Contracts of what is computed beside dbt, by name."""
    return _read_folder("derived")


@cache
def published() -> dict[str, Contract]:
    """Contracts of the marts, by name; `is_published` tells which go into the drop."""
    return _read_folder("published")


@cache
def cdr() -> dict[str, Contract]:
    """Contracts of single sessions and what belongs to them, by name: published on instruction."""
    return _read_folder("cdr")


def _read_folder(layer: str) -> dict[str, Contract]:
    contracts = [read(path) for path in sorted((FOLDER / layer).glob("*.odcs.yaml"))]
    return {contract.dataset: contract for contract in contracts}


def read(path: Path) -> Contract:
    """Read one ODCS file.

    Raises:
        GoralError: naming the file and what is wrong in it.
    """
    content = _load(path)
    try:
        properties = _custom(content)
        # Where columns are those of another contract they are written down there alone.
        other = properties.get("schemaOf")
        schema_path = path.with_name(f"{other}.odcs.yaml") if other else path
        schema = (_load(schema_path) if other else content)["schema"]
        return Contract(
            path=path,
            schema_path=schema_path,
            id=content["id"],
            name=content["name"],
            version=content["version"],
            status=content["status"],
            description=content["description"],
            tables=tuple(_table(table) for table in schema),
            properties=properties,
        )
    except (KeyError, TypeError) as error:
        raise GoralError(f"contract {path.name} is not whole: {error!r} is missing") from error


def _load(path: Path) -> dict[str, Any]:
    import yaml

    # libyaml where it is there: ten times faster, and every start of Dagster reads the contracts.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content: dict[str, Any] = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506
    return content


def _table(content: dict[str, Any]) -> Table:
    return Table(
        name=content["name"],
        description=content["description"],
        grain=content["dataGranularityDescription"],
        all_columns=tuple(_column(column) for column in content["properties"]),
        own_rules=tuple(_rule(rule) for rule in _quality(content, "error")),
        profile=tuple(_rule(rule) for rule in _quality(content, "warning")),
        properties=_custom(content),
    )


def _column(content: dict[str, Any]) -> Column:
    return Column(
        name=content["name"],
        type=content["physicalType"],
        required=content["required"],
        key_position=content["primaryKeyPosition"] if content.get("primaryKey") else None,
        personal=content["classification"],
        description=content["description"],
        codes={str(code["value"]): code.get("description", "") for code in content.get("enum", [])},
        synonyms=tuple(entry["synonym"] for entry in content.get("synonyms", [])),
        options=content.get("logicalTypeOptions", {}),
        properties=_custom(content),
    )


def _quality(content: dict[str, Any], severity: str) -> list[dict[str, Any]]:
    return [rule for rule in content.get("quality", []) if rule["severity"] == severity]


def _rule(content: dict[str, Any]) -> Rule:
    return Rule(
        name=content["name"],
        predicate=content["implementation"],
        column=_custom(content)["column"],
        description=content["description"],
    )


def _custom(content: dict[str, Any]) -> dict[str, Any]:
    return {entry["property"]: entry["value"] for entry in content.get("customProperties", [])}
