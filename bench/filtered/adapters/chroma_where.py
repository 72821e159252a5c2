"""Predicates as the nested dicts of chromadb."""

from __future__ import annotations

from typing import Any

from bench.filtered.predicate import Between, Contains, Equal, Every, Inexpressible, Predicate, Some, Without


def where(predicate: Predicate) -> dict[str, Any]:
    """The predicate as a `where` of metadata; Inexpressible for a part of a text."""
    if isinstance(predicate, Every | Some):
        if not predicate.parts:
            raise Inexpressible("chromadb has no predicate that every row satisfies")
        return {"$and" if isinstance(predicate, Every) else "$or": [where(part) for part in predicate.parts]}
    if isinstance(predicate, Equal):
        return {predicate.column: {"$eq": predicate.value}}
    if isinstance(predicate, Between):
        return {"$and": [{predicate.column: {"$gte": predicate.low}}, {predicate.column: {"$lte": predicate.high}}]}
    if isinstance(predicate, Contains | Without):
        has = "$contains" if isinstance(predicate, Contains) else "$not_contains"
        return {predicate.column: {has: predicate.value}}
    raise Inexpressible("chromadb finds parts of documents, in their own case, not of metadata")
