"""vdb: an embedded vector database. DuckDB answers the predicates, a C++ core the nearest neighbours.

A query is a value that moves one way:

    where text -> Predicate -> RowSet -> Plan -> candidates -> Hits -> rows
    query/parse   storage/read  query/planner  csrc/index  query/result

A write takes the mirror path: rows -> Batch -> vector file -> one DuckDB commit -> index. `Database` and `Table` are
the two nouns; ARCHITECTURE.md has the layers.
"""

from vdb.attributes.spec import Attribute
from vdb.database import Database
from vdb.errors import (
    AlreadyExists,
    Cancelled,
    CommitOutcomeUnknown,
    Corrupted,
    DimensionMismatch,
    DiskFull,
    FormatVersionError,
    InvalidArgument,
    InvalidState,
    Locked,
    MetadataLost,
    MetricError,
    NotFound,
    OutOfMemory,
    PredicateError,
    QueryTimeout,
    VdbError,
)
from vdb.index.acorn import ACORN
from vdb.index.info import IndexInfo
from vdb.index.ivf_spec import IVFPQ, IVFRaBitQ
from vdb.index.label_spec import Label
from vdb.index.range_spec import Range
from vdb.index.recall import RecallCurve
from vdb.index.spec import HNSW, Flat
from vdb.metrics.custom import CustomMetric, metric
from vdb.opening import connect, restore
from vdb.query.accuracy import RecallReport
from vdb.query.result import Hits, Rows
from vdb.storage.compact import Compaction
from vdb.storage.repair import RepairReport, repair
from vdb.storage.report import RecoveryReport
from vdb.table import Table

__version__ = "0.1.0"

__all__ = [
    "ACORN",
    "HNSW",
    "IVFPQ",
    "AlreadyExists",
    "Attribute",
    "Cancelled",
    "CommitOutcomeUnknown",
    "Compaction",
    "Corrupted",
    "CustomMetric",
    "Database",
    "DimensionMismatch",
    "DiskFull",
    "Flat",
    "FormatVersionError",
    "Hits",
    "IVFRaBitQ",
    "IndexInfo",
    "InvalidArgument",
    "InvalidState",
    "Label",
    "Locked",
    "MetadataLost",
    "MetricError",
    "NotFound",
    "OutOfMemory",
    "PredicateError",
    "QueryTimeout",
    "Range",
    "RecallCurve",
    "RecallReport",
    "RecoveryReport",
    "RepairReport",
    "Rows",
    "Table",
    "VdbError",
    "connect",
    "metric",
    "repair",
    "restore",
]
