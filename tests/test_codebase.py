"""The house rules of ARCHITECTURE.md as tests: layers, sizes, names, words, and who may touch what."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cpp_functions import blank, functions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent

# A layer imports only itself and layers above it in its table.
PYTHON_LAYERS = (
    {"errors", "types"},
    {"_core"},
    {"dtypes"},
    {"arrays"},
    {"metrics"},
    {"storage"},
    {"attributes"},
    {"index"},
    {"query"},
    {"sql"},
    {"table", "database", "transfer", "upkeep", "opening"},
    {"dbapi", "sklearn"},
    {"__init__", "__main__", "cli", "demo", "progress", "shell"},
)
CPP_LAYERS = ("base", "io", "simd", "core", "codec", "index", "bindings")
SHARED_INDEX = "graph"  # the one folder of csrc/index that its siblings may include

MAX_LINES = (  # folder, file name, limit; the first that fits counts
    ("tests/", "*", 450),
    ("csrc/simd/", "*.cpp", 400),
    ("csrc/bindings/", "*.cpp", 250),
    ("", "*.h", 250),
    ("", "*.cpp", 450),
    ("", "*.py", 400),
)
MAX_FUNCTION_LINES = 70
MAX_PARAMETERS = 5
MAX_HEADER_LINES = 8  # of a module docstring; vdb/__init__.py holds the picture of the package and is exempt
USER_API = {"vdb/database.py", "vdb/table.py", "vdb/opening.py", "vdb/errors.py"}  # optional keywords do not count

INTRINSICS = {"immintrin.h", "nmmintrin.h", "arm_neon.h", "x86intrin.h", "emmintrin.h", "arm_acle.h"}
ISAS = {"scalar", "avx2", "avx512", "avx512_vnni", "neon", "neon_dotprod"}
CHECKSUM = ("csrc/io/checksum.cpp", {"nmmintrin.h", "arm_acle.h"})
MACHINE_FLAG = re.compile(r"(?<![\w-])-m(?:arch|tune|cpu|fpu|avx|sse|fma|bmi|f16c|lzcnt|popcnt|prefer)[\w=.+-]*")
MACHINE_FLAG_HOME = "cmake/isa.cmake"
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
FORBIDDEN_WORDS = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
OPENERS = {"open", "io.open", "os.open", "os.fdopen", "mmap.mmap", "np.memmap", "duckdb.connect"}

SOURCES = {".py", ".pyi", ".h", ".cpp", ".cmake", ".toml", ".txt", ".yaml", ".json", ".sh", ""}
SKIPPED = {".git", ".venv", "build", "cache", "results", "dist"}


def project_files() -> list[Path]:
    """Every file a person wrote, relative to the project root."""
    found = []
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in (".ci", ".clang-tidy") for part in parts[:-1])
        if path.is_file() and not hidden and not SKIPPED.intersection(parts[:-1]) and "__pycache__" not in parts:
            found.append(path.relative_to(ROOT))
    return found


FILES = project_files()


def under(folder: str, *suffixes: str) -> list[Path]:
    return [path for path in FILES if path.parts[0] == folder and path.suffix in suffixes]


def read(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def parse(path: Path) -> ast.Module:
    return ast.parse(read(path), str(path))


def show(failures: Iterable[str]) -> None:
    found = list(failures)
    assert not found, "\n".join(["", *found])


# Layers


def python_layer(name: str) -> int | None:
    return next((rank for rank, names in enumerate(PYTHON_LAYERS) if name in names), None)


def imported_modules(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, first name below vdb) for every import of the package, absolute or relative."""
    package = path.with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(source, str(path))):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            targets = [f"{module}.{alias.name}" for alias in node.names] if module == "vdb" else [module]
        for target in targets:
            parts = target.split(".")
            if parts[0] == "vdb":
                known = len(parts) > 1 and python_layer(parts[1]) is not None
                yield node.lineno, parts[1] if known or module_exists(parts) else "__init__"


def module_exists(parts: list[str]) -> bool:
    path = ROOT.joinpath(*parts[:2])
    return len(parts) > 1 and (path.is_dir() or path.with_suffix(".py").exists())


def python_layer_failures(path: Path, source: str) -> Iterator[str]:
    own = path.with_suffix("").parts[1]
    rank = python_layer(own)
    if rank is None:
        yield f"{path}: {own} stands in no layer; add it to PYTHON_LAYERS"
        return
    for line, name in imported_modules(path, source):
        seen = python_layer(name)
        if seen is None or seen > rank:
            yield f"{path}:{line}: imports vdb.{name}, which is not to the left of {own}"


def test_python_modules_import_only_layers_to_their_left() -> None:
    show(failure for path in under("vdb", ".py") for failure in python_layer_failures(path, read(path)))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("vdb/storage/rows.py", "from vdb.query.predicate import parse"),
        ("vdb/storage/rows.py", "from ..query import parse"),
        ("vdb/types.py", "from . import _core"),
        ("vdb/query/plan.py", "import vdb"),
        ("vdb/query/plan.py", "from vdb import connect"),
        ("vdb/nowhere.py", ""),
    ],
)
def test_import_to_the_right_is_reported(path: str, source: str) -> None:
    assert list(python_layer_failures(Path(path), source))


def cpp_include_failures(path: Path, source: str) -> Iterator[str]:
    layer, *inner = path.parts[1:-1] or (path.stem,)
    for number, line in enumerate(source.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if match is None:
            continue
        seen, *rest = match[1].split("/")
        if seen not in CPP_LAYERS or not rest:
            yield f'{path}:{number}: "{match[1]}" must start with one of {", ".join(CPP_LAYERS)}'
        elif CPP_LAYERS.index(seen) > CPP_LAYERS.index(layer):
            yield f'{path}:{number}: "{match[1]}" is not to the left of {layer}/'
        elif seen == layer == "index" and inner and len(rest) > 1 and rest[0] not in (inner[0], SHARED_INDEX):
            yield f'{path}:{number}: "{match[1]}" is a sibling of index/{inner[0]}; move what both need to the left'


def test_cpp_files_include_only_layers_to_their_left() -> None:
    show(failure for path in under("csrc", ".h", ".cpp") for failure in cpp_include_failures(path, read(path)))


@pytest.mark.parametrize(
    ("path", "include"),
    [
        ("csrc/base/rng.h", "core/metric.h"),
        ("csrc/index/flat/scan.cpp", "index/hnsw/hnsw.h"),
        ("csrc/index/graph/search.h", "index/hnsw/hnsw.h"),
        ("csrc/index/hnsw/build.cpp", "hnsw.h"),
        ("csrc/core/top_k.h", "../base/check.h"),
    ],
)
def test_include_to_the_right_is_reported(path: str, include: str) -> None:
    assert list(cpp_include_failures(Path(path), f'#include "{include}"'))


def test_hnsw_may_include_the_shared_graph() -> None:
    assert not list(cpp_include_failures(Path("csrc/index/hnsw/build.cpp"), '#include "index/graph/search.h"'))


# Who may touch what


def system_includes(path: Path) -> list[str]:
    return re.findall(r"^\s*#\s*include\s+[<\"]([^>\"]+)[>\"]", read(path), re.MULTILINE)


def test_only_bindings_include_pybind11() -> None:
    show(
        f"{path}: includes {name}"
        for path in under("csrc", ".h", ".cpp")
        for name in system_includes(path)
        if name.startswith("pybind11") and path.parts[1] != "bindings"
    )


def test_cache_hints_are_given_in_one_place() -> None:
    """Elsewhere GCC may take a function that only asks for memory to be one without effects, and drop its calls."""
    show(
        f"{path}: use prefetch() of base/prefetch.h"
        for path in under("csrc", ".h", ".cpp")
        if "__builtin_prefetch" in read(path) and path.name != "prefetch.h"
    )


def may_include_intrinsics(path: Path, name: str) -> bool:
    kernel = path.parts[1] == "simd" and len(path.parts) > 3 and path.suffix == ".cpp" and path.stem in ISAS
    return kernel or (path.as_posix() == CHECKSUM[0] and name in CHECKSUM[1])


def test_only_kernel_files_include_intrinsics() -> None:
    show(
        f"{path}: includes {name}; only csrc/simd/<family>/<isa>.cpp may"
        for path in under("csrc", ".h", ".cpp")
        for name in system_includes(path)
        if name in INTRINSICS and not may_include_intrinsics(path, name)
    )


def test_machine_flags_stand_in_one_place() -> None:
    readable = [path for path in FILES if path.suffix in SOURCES and path.as_posix() != MACHINE_FLAG_HOME]
    show(
        f"{path}:{number}: {match[0]} belongs into {MACHINE_FLAG_HOME}"
        for path in readable
        if path != Path(__file__).relative_to(ROOT)
        for number, line in enumerate(read(path).splitlines(), 1)
        for match in MACHINE_FLAG.finditer(line)
    )


def test_no_function_switches_its_own_instruction_set() -> None:
    show(
        f"{path}: compiler pragma or attribute for a target; use a file per ISA"
        for path in under("csrc", ".h", ".cpp")
        if re.search(r"#pragma\s+(?:GCC|clang)\s+target|\btarget\s*\(\s*\"|_Pragma", read(path))
    )


def opener_calls(source: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(source)
    renamed = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in {"os", "io", "mmap", "duckdb"}
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            name = renamed.get(name, name)
            if name in OPENERS or re.search(r"\.(?:read|write)_(?:text|bytes)$", name):
                yield node.lineno, name


def test_only_storage_opens_files_and_connections() -> None:
    show(
        f"{path}:{line}: calls {name}(); only vdb/storage/ may"
        for path in under("vdb", ".py")
        if path.parts[1] != "storage"
        for line, name in opener_calls(read(path))
    )


@pytest.mark.parametrize(
    "source", ["open('x')", "import os\nos.open('x', 0)", "from duckdb import connect\nconnect()", "p.read_text()"]
)
def test_opening_a_file_is_reported(source: str) -> None:
    assert list(opener_calls(source))


# Sizes


def line_limit(path: Path) -> int | None:
    if path.suffix not in (".py", ".h", ".cpp"):
        return None
    fits = (limit for folder, name, limit in MAX_LINES if path.as_posix().startswith(folder) and path.match(name))
    return next(fits)


def test_files_stay_within_the_size_of_their_kind() -> None:
    show(
        f"{path}: {lines} lines, the limit is {limit}; split it by verb"
        for path in FILES
        if (limit := line_limit(path)) and (lines := len(read(path).splitlines())) > limit
    )


def python_functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def own_python() -> list[Path]:
    return under("vdb", ".py") + under("bench", ".py")


def test_python_functions_stay_short() -> None:
    show(
        f"{path}:{node.lineno}: {node.name} has {length} lines, the limit is {MAX_FUNCTION_LINES}"
        for path in own_python() + under("tests", ".py")
        for node in python_functions(path)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    )


def parameter_count(node: ast.FunctionDef | ast.AsyncFunctionDef, *, user_api: bool) -> int:
    positional = node.args.posonlyargs + node.args.args
    if positional and positional[0].arg in ("self", "cls"):
        positional = positional[1:]
    keywords = [default for default in node.args.kw_defaults if default is None or not user_api]
    return len(positional) + len(keywords)


def test_python_functions_take_few_parameters() -> None:
    show(
        f"{path}:{node.lineno}: {node.name} takes {count} parameters, the limit is {MAX_PARAMETERS}; use a dataclass"
        for path in own_python()
        for node in python_functions(path)
        if (count := parameter_count(node, user_api=path.as_posix() in USER_API)) > MAX_PARAMETERS
    )


def test_cpp_functions_stay_short() -> None:
    show(
        f"{path}:{function.line}: {function.name} has {function.lines} lines, the limit is {MAX_FUNCTION_LINES}"
        for path in under("csrc", ".h", ".cpp") + under("tests", ".h", ".cpp")
        for function in functions(read(path))
        if function.lines > MAX_FUNCTION_LINES
    )


def test_cpp_functions_take_few_parameters() -> None:
    show(
        f"{path}:{function.line}: {function.name} takes {function.parameters} parameters, the limit is {MAX_PARAMETERS}"
        for path in under("csrc", ".h", ".cpp")
        if path.parts[1] != "bindings"  # one parameter for each keyword of the Python signature
        for function in functions(read(path))
        if function.parameters > MAX_PARAMETERS
    )


def test_cpp_functions_are_found_and_measured() -> None:
    source = """
    namespace vdb { // { a brace in a comment
    constexpr int kBig = 1'000'000;
    const Table kTable = {1, 2};
    template <class T> struct Pair {
      Pair(int a, T b) : a_{a}, b_(b) {
        use("{");
      }
      bool operator()(std::map<int, T> x, float y) const noexcept { return true; }
      int a_; T b_;
    };
    void empty() {
      auto inner = [](int a, int b, int c) { return a; };
    }
    }
    """
    found = [(f.name.split("::")[-1], f.lines, f.parameters) for f in functions(source)]
    assert found == [("Pair", 3, 2), ("operator_call", 1, 2), ("empty", 3, 0)]
    assert "brace" not in blank(source)


# Names, words, docstrings


def test_no_file_is_a_drawer() -> None:
    show(f"{path}: name it by what it does" for path in FILES if FORBIDDEN_NAMES & {*path.parts[:-1], path.stem})


def test_nothing_is_left_open_in_the_text() -> None:
    readable = [path for path in FILES if path.suffix in SOURCES | {".md"}]
    show(
        f"{path}:{number}: {match[0]}"
        for path in readable
        for number, line in enumerate(read(path).splitlines(), 1)
        if (match := FORBIDDEN_WORDS.search(line))
    )


def test_sources_are_ascii() -> None:
    show(
        f"{path}:{number}: {line.strip()!a}"
        for path in FILES
        if path.suffix in SOURCES
        for number, line in enumerate(read(path).splitlines(), 1)
        if not line.isascii()
    )


def test_every_module_says_what_it_owns() -> None:
    show(
        f"{path}: a module docstring of 1 to {MAX_HEADER_LINES} lines is missing"
        for path in under("vdb", ".py")
        if not 1 <= header_lines(path) <= MAX_HEADER_LINES
    )


def header_lines(path: Path) -> int:
    docstring = ast.get_docstring(parse(path))
    lines = len(docstring.splitlines()) if docstring else 0
    return min(lines, 1) if path.as_posix() == "vdb/__init__.py" else lines


def undocumented(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[int, str]]:
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        decorators = {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}
        if ast.get_docstring(node) is None and not decorators & {"overload", "setter", "override"}:
            yield node.lineno, prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body, f"{node.name}.")


def test_every_public_name_has_a_docstring() -> None:
    show(
        f"{path}:{line}: {name} has no docstring"
        for path in under("vdb", ".py")
        for line, name in undocumented(parse(path).body)
    )
