"""OpenBreast's 34 features of a 2457x1996 view against pyradiomics' first-order, GLCM and GLRLM of the same pixels.

    python benchmarks/radiomics_features.py --peer-python VENV/bin/python

A phantom view, enlarged, with its breast mask. Ours is timed twice: all 34 (gradients, Laplacian, wavelets, fractal
dimension and density included, which pyradiomics has not), and the 26 of the same families. pyradiomics runs in 2D
with the same numbers of bins (first order and GLRLM 256, GLCM 128), its picture made beforehand. Before anything
counts, minimum, maximum, mean, skewness, kurtosis and the seven run-length features (ours with runs broken at gaps of
the mask, as theirs are) must agree (1e-6). One thread each, in turn, `--rounds` times.

pyradiomics 3.0.1 needs an environment of its own: python -m venv VENV && VENV/bin/pip install numpy setuptools wheel
versioneer && VENV/bin/pip install --no-build-isolation pyradiomics==3.0.1
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import Worker, in_turn, machine, median, serve, spread

SHARED = {
    "imin": "Minimum", "imax": "Maximum", "iavg": "Mean", "iske": "Skewness", "ikur": "Kurtosis",
    "rsre": "ShortRunEmphasis", "rlre": "LongRunEmphasis", "rgln": "GrayLevelNonUniformity", "rrpe": "RunPercentage",
    "rrln": "RunLengthNonUniformity", "rlgr": "LowGrayLevelRunEmphasis", "rhgr": "HighGrayLevelRunEmphasis",
}  # fmt: skip


def make_view(path: Path, size: tuple[int, int], spacing_mm: float) -> None:
    """Pixels (12 bits) and mask of one phantom view, enlarged to `size`."""
    from mammo_tf.imaging.breast import segment
    from mammo_tf.phantom import make_study
    from mammo_tf.reading import read

    with tempfile.TemporaryDirectory() as name:
        rows = make_study(Path(name) / "study", 1, ["ffdm_site_1"], seed=5, spacing_mm=spacing_mm, workers=1)
        picture = read(Path(name) / "study" / rows["path"].iloc[0]).pixels
    large = np.clip(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_CUBIC), 0, 1)
    noise = np.random.default_rng(0).normal(0, 0.004, size)
    pixels = np.clip(np.rint(4095 * (large + noise * (large > 0))), 0, 4095).astype(np.uint16)
    np.savez(path, pixels=pixels, mask=segment(large))


def worker(path: str, which: str) -> None:
    """Our side: all features, or those of pyradiomics' families."""
    import resource
    import time

    from mammo_tf.radiomics import FEATURES_32, FEATURES_34, features

    names = FEATURES_34 if which == "all" else FEATURES_32[:26]
    cv2.setNumThreads(1)
    with np.load(path) as file:
        pixels, mask = file["pixels"], file["mask"]

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        start, busy = time.perf_counter(), time.process_time()
        found = features(pixels, mask, 0.1, names, joined_runs=not request.get("broken_runs"))
        return {
            "seconds": time.perf_counter() - start,
            "processor": time.process_time() - busy,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "values": found,
        }

    serve(answer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="interpreter that has pyradiomics; none: ours alone")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
        return 0
    size, spacing_mm = ((300, 240), 1.0) if arguments.quick else ((2457, 1996), 0.3)
    rounds = 1 if arguments.quick else arguments.rounds
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "view.npz"
        make_view(path, size, spacing_mm)
        compare(path, arguments.peer_python, rounds)
    print(machine("numpy", "scipy", "opencv-python-headless"))
    return 0


def compare(path: Path, peer: str | None, rounds: int) -> None:
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    here = Path(__file__).resolve()
    workers = {
        f"ours, {which}": Worker(which, [sys.executable, str(here), "--worker", str(path), which], alone)
        for which in ("all", "the same families")
    }
    if peer and peer != "none":
        command = [peer, str(here.with_name("peer_radiomics.py")), str(path)]
        workers["pyradiomics"] = Worker("pyradiomics", command, alone | {"PYTHONPATH": os.fspath(here.parent)})
    first = {name: one.ask(broken_runs=True)["values"] for name, one in workers.items()}
    for mine, theirs in SHARED.items() if "pyradiomics" in first else ():
        np.testing.assert_allclose(first["ours, all"][mine], first["pyradiomics"][theirs], rtol=1e-6, err_msg=mine)
    found = in_turn(workers, rounds, {})
    for one in workers.values():
        one.close()
    with np.load(path) as file:
        print(
            f"{'x'.join(map(str, file['mask'].shape))}, {int(file['mask'].sum())} pixels in the mask, {rounds} rounds"
        )
    for name, values in found.items():
        print(
            f"  {name:24} {median(values['seconds']):.2f} s ({spread(values['seconds'])}), "
            f"cpu {median(values['processor']):.2f} s, peak {median(values['peak']):.0f} MiB"
        )
    for name in found if "pyradiomics" in found else ():
        for key in ("seconds", "processor") if name != "pyradiomics" else ():
            ratio = median(found["pyradiomics"][key]) / median(found[name][key])
            print(f"  pyradiomics / {name}, {key}: {ratio:.2f}")


if __name__ == "__main__":
    raise SystemExit(main())
