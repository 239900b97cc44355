"""An edition of the standard that dicom-validator can use without the network.

dicom-validator fetches parts 3, 4 and 6 as DocBook. The wheel of dicom-standard holds their tables as JSON, those of
April 2020: which modules an object has, which attributes a module has, and the words of their conditions, which
dicom-validator's own parser reads here. Enumerated values are not among them.
"""

from __future__ import annotations

import json
import re
from html import unescape
from importlib.metadata import files
from typing import Any

from dicom_validator.spec_reader.condition_parser import ConditionParser
from dicom_validator.validator.dicom_info import DicomInfo

CONDITIONAL = ("1C", "2C", "3")  # an attribute of type 3 may be forbidden
VALUE_TYPE, CONTENT = "(0040,A040)", "(0040,A730)"
OF_VALUE_TYPES = {  # macros of content items, whose conditions the tables have lost
    "NUM": ["numeric-measurement"],
    "COMPOSITE": ["composite-object-reference"],
    "IMAGE": ["composite-object-reference", "image-reference"],
    "WAVEFORM": ["composite-object-reference", "waveform-reference"],
    "SCOORD": ["spatial-coordinates"],
    "SCOORD3D": ["3d-spatial-coordinates"],
    "TCOORD": ["temporal-coordinates"],
    "CONTAINER": ["container"],
}
CODE = "(0040,A168)"  # of content items whose value is a code


def edition() -> DicomInfo:
    """What dicom-validator asks of an edition."""
    dictionary = {
        one["tag"]: {"name": one["name"], "vr": one["valueRepresentation"], "vm": one["valueMultiplicity"], "prop": ""}
        for one in _table("attributes")
        if "x" not in one["tag"]
    }
    parser = ConditionParser(dictionary)
    modules: dict[str, dict[str, Any]] = {}
    for kind in ("module", "macro"):
        for row in _table(f"{kind}_to_attributes"):
            _place(modules.setdefault(row[f"{kind}Id"], {}), row, parser)
    for groups in ("(5200,9229)", "(5200,9230)"):
        modules["multi-frame-functional-groups"][groups]["items"] = {"include": [{"ref": "FuncGroup"}]}
    modules["sr-document-content"] = _content(modules)
    titles = {one["id"]: one["name"] for kind in ("modules", "macros") for one in _table(kind)}
    parts: dict[str, dict[str, Any]] = {}
    for kind, role, name in (("module", "modules", "ciod_to_modules"), ("macro", "group_macros", "ciod_to_fg_macros")):
        for row in _table(name):
            told = {"ref": row[f"{kind}Id"], "use": row["usage"]}
            if row["conditionalStatement"]:
                told["cond"] = parser.parse(f"{row['usage']} - {row['conditionalStatement']}").result_dict()
            object_ = parts.setdefault(row["ciodId"], {"modules": {}, "group_macros": {}})
            object_[role][titles[row[f"{kind}Id"]]] = told
    kinds = {one["name"]: one["id"] for one in _table("ciods")}
    objects = {one["id"]: {"title": one["ciod"], **parts[kinds[one["ciod"]]]} for one in _table("sops")
               if kinds.get(one["ciod"]) in parts}  # fmt: skip
    return DicomInfo(dictionary, objects, modules)


def _table(name: str) -> list[dict[str, Any]]:
    (place,) = [one for one in files("dicom-standard") or () if one.name == f"{name}.json"]
    return list(json.loads(place.locate().read_text(encoding="utf-8")))


def _place(here: dict[str, Any], row: dict[str, Any], parser: ConditionParser) -> None:
    """Puts an attribute into a module, below the sequences that its path names (`module:0040a730:0040a040`)."""
    for parent in row["path"].split(":")[1:-1]:
        tag = f"({parent[:4]},{parent[4:]})".upper()
        here = here.setdefault(tag, {"name": "", "type": "3"}).setdefault("items", {})
    told = here.setdefault(row["tag"], {})
    told.update(name=row["tag"], type=row["type"])
    if row["type"] in CONDITIONAL:
        condition = parser.parse(" ".join(unescape(re.sub(r"<[^>]+>", " ", row["description"])).split()))
        if condition.type != "U":
            told["cond"] = condition.result_dict()


def _content(modules: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The content of a report: what a value type needs is asked of items of that type, and of items in items."""
    found = modules["sr-document-content"]
    for tag, types in _needed(modules).items():
        condition = {"type": "MN", "op": "=", "tag": VALUE_TYPE, "index": 0, "values": types}
        match found[tag]["type"]:
            case "1" | "2" as always:
                found[tag] |= {"type": f"{always}C", "cond": condition}
            case _:  # what it needs besides is not asked
                found[tag] = {**found[tag], "type": "3"}
                found[tag].pop("cond", None)
    items = {tag: told for tag, told in found[CONTENT]["items"].items() if tag not in found}
    found[CONTENT] = {**found[CONTENT], "type": "3", "items": {**items, **found}}
    found[CONTENT]["items"][CONTENT] = found[CONTENT]
    return found


def _needed(modules: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Value types of which an item has an attribute."""
    found = {CODE: ["CODE"]}
    for kind, macros in OF_VALUE_TYPES.items():
        for tag in {tag for macro in macros for tag in modules[macro]}:
            found.setdefault(tag, []).append(kind)
    return found
