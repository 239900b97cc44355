"""The package's own recipes, each a file that reads like a table of a paper; what each is, without running any.

In the package this folder is `mammo_tf.pipelines`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from mammo_tf.errors import MammoError
from mammo_tf.fields import nearest

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Shipped:
    """A recipe file of the package.

    Attributes:
        name: as `mammo-tf run` takes it.
        about: the first sentence of its docstring.
        variants: what `--variant` takes.
        spaces: what `mammo-tf tune --space` takes; none where it has no search space.
        path: of the file.
    """

    name: str
    about: str
    variants: tuple[str, ...]
    spaces: tuple[str, ...]
    path: Path


def shipped() -> list[Shipped]:
    """All of them, by name. Files are read, none is run."""
    return [_read(path) for path in sorted(FOLDER.glob("*.py")) if path.stem != "__init__"]


def find_recipe(given: str | Path) -> Path:
    """The file that is meant: one that is there, else the package's own of that name.

    Args:
        given: a path, the name of a recipe of the package, or `pipelines/NAME.py`.

    Raises:
        MammoError: `file_missing`, with the nearest name.
    """
    path = Path(given)
    if path.is_file():
        return path
    own = path.suffix in ("", ".py") and str(path.parent) in (".", "pipelines")
    if own and (FOLDER / f"{path.stem}.py").is_file() and path.stem != "__init__":
        return FOLDER / f"{path.stem}.py"
    near = nearest(path.stem, [one.name for one in shipped()])
    raise MammoError("file_missing", f"the recipe {path} is not there", near or "mammo-tf recipes lists the package's")


def _read(path: Path) -> Shipped:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    about = " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())
    functions = [one for one in tree.body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")]
    variants, spaces = (
        tuple(one.name.replace("_", "-") for one in functions if not one.args.args and _named(one.returns) == kind)
        for kind in ("Recipe", "Space")
    )
    return Shipped(path.stem, about, variants, spaces, path)


def _named(returns: ast.expr | None) -> str:
    return returns.id if isinstance(returns, ast.Name) else ""
