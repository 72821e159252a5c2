"""What a predicate may be made of: the syntax nodes, functions, operators and cast targets, by name.

Everything else is refused, whatever DuckDB adds. Each function is deterministic, has no side effect, sees nothing but
its arguments, and writes no more than it reads: no `repeat` or `lpad`, no `replace` (nested, it grows exponentially),
no `glob`, no macro, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_CHARACTERS: Final = 8_192
MAX_NODES: Final = 2_000
MAX_DEPTH: Final = 150  # of nodes; json needs three Python frames for each
MAX_BRACKETS: Final = 100  # open at once; DuckDB's parser takes cubic time in those that never close
MAX_SIGNS: Final = 32  # in a row, likewise
MAX_NAME_PARTS: Final = 4
MAX_CASE_OPERAND: Final = 32  # tokens of x in CASE x WHEN: the parser copies it for each WHEN
MAX_PATTERN: Final = 2_000  # size of all regular expressions together

# Reserved words that no expression needs: nested WITH costs DuckDB's parser exponential time, WINDOW parses to nothing.
CLAUSES: Final = frozenset({"select", "with", "window"})


@dataclass(frozen=True)
class Shape:
    """One class of syntax node: its types, its own keys, and those of them that hold further expressions."""

    types: frozenset[str]
    keys: frozenset[str]
    children: tuple[str, ...] = ()


COMMON_KEYS: Final = frozenset({"class", "type", "alias", "query_location", "query_location_length"})
FUNCTION_PLAIN: Final = {  # no schema, FILTER, DISTINCT or ORDER BY
    "schema": "",
    "catalog": "",
    "filter": None,
    "order_bys": {"type": "ORDER_MODIFIER", "orders": []},
    "distinct": False,
    "export_state": False,
}
TYPE_PLAIN: Final = {"schema": "", "catalog": ""}


def _names(*groups: str) -> frozenset[str]:
    return frozenset(name for group in groups for name in group.split())


def _shape(types: str, keys: str, children: str = "") -> Shape:
    return Shape(_names(types), _names(keys, children), tuple(children.split()))


SHAPES: Final = {
    "COLUMN_REF": _shape("COLUMN_REF", "column_names"),
    "CONSTANT": _shape("VALUE_CONSTANT", "literal"),
    "PARAMETER": _shape("VALUE_PARAMETER", "identifier"),
    "CONJUNCTION": _shape("CONJUNCTION_AND CONJUNCTION_OR", "", "children"),
    "COMPARISON": _shape(
        "COMPARE_EQUAL COMPARE_NOTEQUAL COMPARE_LESSTHAN COMPARE_GREATERTHAN COMPARE_LESSTHANOREQUALTO"
        " COMPARE_GREATERTHANOREQUALTO COMPARE_DISTINCT_FROM COMPARE_NOT_DISTINCT_FROM",
        "",
        "left right",
    ),
    "BETWEEN": _shape("COMPARE_BETWEEN", "", "input lower upper"),
    "OPERATOR": _shape(
        "OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL OPERATOR_COALESCE OPERATOR_TRY COMPARE_IN"
        " ARRAY_EXTRACT ARRAY_SLICE ARRAY_CONSTRUCTOR STRUCT_EXTRACT",
        "",
        "children",
    ),
    "CASE": _shape("CASE_EXPR", "", "case_checks else_expr"),
    "CAST": _shape("OPERATOR_CAST", "try_cast type_expr", "child"),
    "FUNCTION": _shape("FUNCTION", "function_name is_operator qualified_name " + " ".join(FUNCTION_PLAIN), "arguments"),
}
TYPE_KEYS: Final = COMMON_KEYS | {"type_name", "children", "qualified_name"} | TYPE_PLAIN.keys()

LITERALS: Final = frozenset({"INTEGER", "NUMERIC", "STRING", "HEX", "BOOLEAN", "NULL_LITERAL"})

REFUSED: Final = {  # what the user calls the nodes and functions most often refused
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "STAR": "*",
    "LAMBDA": "a lambda or ->",
    "COLLATE": "COLLATE",
    "DEFAULT": "DEFAULT",
    "POSITIONAL_REFERENCE": "a position such as #1",
    "GROUPING_FUNCTION": "GROUPING",
    "row": "a row (a, b)",
    "struct_pack": "a struct {'a': 1}",
    "count_star": "the aggregate count(*)",
}

OPERATORS: Final = _names("+ - * / // % & |", "|| ^@ ~~ !~~ ~~* !~~*", "&& @> <@")

FUNCTIONS: Final = _names(
    # text
    "lower upper trim ltrim rtrim left right substr substring length len strlen concat strpos position",
    "contains starts_with ends_with prefix suffix regexp_matches regexp_full_match like_escape ilike_escape",
    # lists and structs
    "list_value list_contains list_has array_contains array_has list_has_any list_has_all array_has_any array_has_all",
    "list_position array_length list_extract array_extract struct_extract",
    # numbers
    "abs sign floor ceil ceiling round trunc sqrt isnan isinf isfinite greatest least",
    # dates and times
    "year month day hour minute second quarter week dayofweek isodow dayofyear date_part date_trunc date_diff",
    "make_date last_day epoch epoch_ms strftime",
    "to_years to_quarters to_months to_weeks to_days to_hours to_minutes to_seconds to_milliseconds to_microseconds",
)

REGULAR_EXPRESSIONS: Final = frozenset({"regexp_matches", "regexp_full_match"})

# Every spelling of a type that a cast may name, and the one it is rendered as.
SCALAR_TYPES: Final = {
    alias: canonical
    for canonical, aliases in {
        "BOOLEAN": "BOOL LOGICAL",
        "TINYINT": "INT1",
        "SMALLINT": "INT2 INT16 SHORT",
        "INTEGER": "INT INT4 INT32 SIGNED",
        "BIGINT": "INT8 INT64 LONG",
        "HUGEINT": "INT128",
        "UTINYINT": "UINT8",
        "USMALLINT": "UINT16",
        "UINTEGER": "UINT32",
        "UBIGINT": "UINT64",
        "UHUGEINT": "UINT128",
        "FLOAT": "REAL FLOAT4",
        "DOUBLE": "FLOAT8",
        "DECIMAL": "DEC NUMERIC",
        "VARCHAR": "TEXT STRING CHAR BPCHAR NVARCHAR",
        "BLOB": "BYTEA BINARY VARBINARY",
        "DATE": "",
        "TIME": "",
        "TIMESTAMP": "DATETIME TIMESTAMP_US",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
        "TIMESTAMP_S": "",
        "TIMESTAMP_MS": "",
        "TIMESTAMP_NS": "",
        "INTERVAL": "",
        "UUID": "GUID",
    }.items()
    for alias in (canonical, *aliases.split())
}
