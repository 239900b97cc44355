"""How often do the notes on a harmonising speak where it does harm, and where it does none?

    python benchmarks/harmonising_warnings.py -o FOLDER [--seeds 101 102] [--machines choosing shipped] [--workers 2]

The folder, machines and networks are those of `harmonising_choice.py` (`choosing`) or of `harmonising_machines.py`
(`shipped`), whichever is named. To every machine a harmonising is fitted on many groups of unlabelled women: 5, 10, 25
or 60 by chance, and women of fatty or of dense breasts alone. Each is judged by the rank correlation of the network's
scores with its scores of the same breasts on the source's own pictures, against the same of untouched pictures and of
the curve alone: *harm* where the paired 95 % interval over women lies below zero, *help* where it lies above. Told is
how often each note speaks among these. Two rules stand beside the notes: `halves`, scores behind statistics of the dark
and of the bright half of the pictures correlate below 0.9, and `remains`, behind all steps the plain statistic of a
band is more than 1.5 times off the source's. Writes `warnings.json`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from harmonising_choice import MACHINES, breasts, scored
from harmonising_variants import Breast, Pairs, Picture, Way
from machine_study import SHIPPED, UNLABELLED, Machines, prepared, trained
from numpy.typing import NDArray
from scipy.stats import rankdata

from mammo_tf.adaptation.harmonising import fit, fit_halves
from mammo_tf.adaptation.harmonising_notes import notes
from mammo_tf.adaptation.site_pictures import PreparedPictures, training_part
from mammo_tf.errors import MammoError
from mammo_tf.files import read_json, write_json
from mammo_tf.imaging.bands import spreads
from mammo_tf.imaging.harmonising import Harmonising
from mammo_tf.imaging.steps import run_intensity
from mammo_tf.records import Records, open_records
from mammo_tf.training import ModelFile

OF = {"choosing": MACHINES, "shipped": SHIPPED}
COUNTS = {5: 2, 10: 2, 25: 1, UNLABELLED: 1}  # women -> draws
DENSITIES = {"fatty": ("A", "B"), "dense": ("C", "D")}
REPLICATES = 500
ALIKE = 0.9  # of the fourth rule
MOST_LEFT = 1.5  # times
HALVES, REMAINS = "halves", "remains"


def groups(records: Records) -> dict[str, Records]:
    """Groups of unlabelled women by their names."""
    found = {
        f"{count}_{draw}": training_part(records, count, draw)
        for count, draws in COUNTS.items()
        for draw in range(draws)
    }
    everyone = training_part(records)
    for name, kept in DENSITIES.items():
        part = everyone.part(np.flatnonzero(everyone.rows["density"].isin(kept)))
        if part.rows["patient_id"].nunique() >= min(COUNTS):
            found[name] = part
    return found


def correlations(women: NDArray[Any], home: NDArray[Any], each: NDArray[Any]) -> NDArray[np.float64]:
    """Rank correlations with home of each column of `[breasts, n]`, of all women and of resamples, `[1 + m, n]`."""
    names = np.unique(women)
    places = [np.flatnonzero(women == name) for name in names]
    rng, found = np.random.default_rng(0), []
    for number in range(REPLICATES + 1):
        drawn = range(len(names)) if number == 0 else rng.integers(len(names), size=len(names))
        rows = np.concatenate([places[one] for one in drawn])
        ranks = rankdata(np.column_stack([home[rows], each[rows]]), axis=0)
        found.append(np.corrcoef(ranks, rowvar=False)[0, 1:])
    return np.asarray(found)


def verdict(own: NDArray[np.float64], other: NDArray[np.float64]) -> str:
    """Help, harm, or nothing shown."""
    low, high = np.percentile((own - other)[1:], (2.5, 97.5))
    return "help" if low > 0 else "harm" if high < 0 else "none"


def codes_of(found: Harmonising, model: ModelFile, source: Records, some: Records) -> list[str]:
    """The notes, and the words of the two further rules."""
    codes = [note.code.removeprefix("harmonising_") for note in notes(found)]
    pairs: Pairs = list(PreparedPictures(some))
    way = _way(found)
    left = np.mean([spreads(way(*pair), pair[1], found.target.bands.scales)[1] for pair in pairs], axis=0)
    ratios = np.log(np.asarray(found.source.bands.plain) / left)
    codes += [REMAINS] if np.abs(ratios).max() > np.log(MOST_LEFT) else []
    try:
        both = [scored(model, pairs, _way(half)) for half in fit_halves(source, some)]
    except MammoError:
        return codes  # of five women, halves are too few
    return [*codes, HALVES] if np.corrcoef(rankdata(both, axis=1))[0, 1] < ALIKE else codes


def _way(found: Harmonising) -> Way:
    def way(picture: Picture, breast: Breast) -> Picture:
        for step in found.steps:
            picture = run_intensity(step, picture, breast)
        return picture

    return way


def one_machine(model: ModelFile, source: Records, target: Records, home: Records, path: Path) -> dict[str, Any]:
    """Codes and verdicts by group of women; kept in a file."""
    if path.is_file():
        return dict(read_json(path))
    test = target.part(target.positions("test"))
    pairs: Pairs = list(PreparedPictures(test))
    at_home = home.part(home.positions("test"))
    table = breasts(at_home, {"home": scored(model, list(PreparedPictures(at_home)), None)})
    some, columns, codes, found = groups(target), {"untouched": scored(model, pairs, None)}, {}, {}
    for name, part in some.items():
        one = fit(source, part)
        codes[name] = codes_of(one, model, source, part)
        columns[name] = scored(model, pairs, _way(one))
        columns[f"{name}_curve"] = scored(model, pairs, lambda picture, _, curve=one.curve: curve.intensity(picture))
    both = table.merge(breasts(test, columns).drop(columns="truth"), on=["patient_id", "laterality"], validate="1:1")
    every = list(columns)
    drawn = dict(zip(every, correlations(
        both["patient_id"].to_numpy(), both["home"].to_numpy(), both[every].to_numpy()
    ).T, strict=True))  # fmt: skip
    for name in some:
        found[name] = {
            "codes": codes[name], "correlation": drawn[name][0], "untouched": drawn["untouched"][0],
            "curve": drawn[f"{name}_curve"][0], "against_untouched": verdict(drawn[name], drawn["untouched"]),
            "against_curve": verdict(drawn[name], drawn[f"{name}_curve"]),
        }  # fmt: skip
    write_json(path, found)
    return found


def one_seed(place: Path, machines: Machines, seed: int, workers: int) -> dict[str, Any]:
    """By machine."""
    folders = prepared(place, machines, seed, workers)
    model, source = trained(place, folders, seed)
    names = [name for name in folders if name != "training"]
    home, found = open_records(folders[names[0]]), {}
    for name in names:
        (place / name).mkdir(exist_ok=True)
        path = place / name / "warnings.json"
        found[name] = one_machine(model, training_part(source), open_records(folders[name]), home, path)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    arguments.add_argument("-o", "--output", required=True)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[101, 102])
    arguments.add_argument("--machines", choices=OF, default="choosing")
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    folder, found = Path(options.output), {}
    for seed in options.seeds:
        found[str(seed)] = one_seed(folder / f"seed_{seed}", OF[options.machines], seed, options.workers)
    write_json(folder / "warnings.json", found)
    each = [one for machines in found.values() for groups in machines.values() for one in groups.values()]
    for against in ("against_untouched", "against_curve"):
        counts = Counter(one[against] for one in each)
        print(f"{against}: " + ", ".join(f"{name} {counts[name]}" for name in ("help", "none", "harm")))
        for code in sorted({code for one in each for code in one["codes"]}):
            spoke = Counter(one[against] for one in each if code in one["codes"])
            told = ", ".join(f"{name} {spoke[name]} of {counts[name]}" for name in ("help", "none", "harm"))
            print(f"  {code:14s} speaks where it is {told}")
    for seed, machines in found.items():
        for name, fits in machines.items():
            told = "; ".join(
                f"{which} {one['correlation']:.2f} ({','.join(one['codes'])})" for which, one in fits.items()
            )
            print(f"seed {seed}, {name}, untouched {next(iter(fits.values()))['untouched']:.2f}: {told}")


if __name__ == "__main__":
    main()
