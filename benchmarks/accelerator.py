"""Train step and predict on an accelerator, by Keras' JAX backend: against the roofline, and against PyTorch.

    python benchmarks/accelerator.py [--networks end2end] [--precision bfloat16] [--batch 8] [--json FILE] [--quick]

End2End VGG16 512x1 (1152x896), ResNet-29 (512) and Swin-Unet (512, without drop path, so that losses can be compared)
at full width on the first device that JAX sees, in float32, TensorFloat-32 (of a GPU) and mixed bfloat16. Needs JAX and
Keras, no TensorFlow; where PyTorch sees the same kind of device it is the peer: same layers, weights and batch, the
fastest of its ways. Sides are processes of their own that work in turn; probabilities and first losses are compared
before. Batches lie on the device; `fit` is Keras' own, which takes them from NumPy.

The roofline is the longer of operations over the device's fastest matrix product in that precision, and bytes over its
fastest addition of 1, both measured in the same run by both sides. Operations are counted from the shapes of
convolutions and matrix products (a step: three times the forward pass but for the first layer), bytes by XLA from the
compiled programme, from shapes where the backend does not tell. Memory is the device's, of a processor the process's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import HOW_TO_GET_THE_PEER, Worker, in_turn, machine, median, peer_python, spread

HERE = Path(__file__).resolve().parent
SIZES = {"end2end": (1152, 896), "resnet29": (512, 512), "swin_unet": (512, 512)}
TINY = {"end2end": (128, 128), "resnet29": (64, 64), "swin_unet": (64, 64)}
BATCHES = {"end2end": 8, "resnet29": 32, "swin_unet": 8}
PRECISIONS = ("float32", "tf32", "bfloat16")
# Largest difference of probabilities, and of first losses relative to ours. Sums of a thousand products in another
# order differ by 1e-6; TensorFloat-32 has 11 bits, bfloat16 8.
SAME = {"float32": 1e-4, "tf32": 1e-2, "bfloat16": 5e-2}
SHARE, RATIO = 0.5, 1.0  # goals of End2End's step
HASTY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"  # half the time to compile
MODES = ("predict", "train")
HEAD = (
    "| network | precision | batch | | ms (rounds) | images/s | PyTorch, ms | ours / PyTorch | roofline, ms "
    "| share | MiB, PyTorch's |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def environment() -> dict[str, str]:
    """Of both sides: JAX for Keras, the first GPU, memory as it is needed, since both sides hold some; no spinning."""
    return {
        "KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0"),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE.parent), os.environ.get("PYTHONPATH")))),
    }  # fmt: skip


def our_side(quick: bool) -> Worker:
    hasty = {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {HASTY}"} if quick else {}
    return Worker("ours", [sys.executable, str(HERE / "accelerator_jax.py")], environment() | hasty)


def peer_side(python: str, how: str, device: str, threads: int) -> Worker:
    command = [python, str(HERE / "peer_accelerator.py"), how, device, str(threads)]
    return Worker(f"torch {how}", command, environment())


def found_device(arguments: argparse.Namespace) -> dict[str, Any]:
    """The device, its ceilings by precision, the interpreter of a peer on it or None; a line for what is missing."""
    python = None if arguments.peer_python == "none" else peer_python(arguments.peer_python)
    if python is None and arguments.peer_python != "none":
        print(f"No peer: PyTorch is missing. {HOW_TO_GET_THE_PEER}")
    ours = our_side(arguments.quick)
    found = ours.ask(what="device")
    on_gpu = found["platform"] in ("gpu", "cuda")
    if found["platform"] == "cpu":
        print("No accelerator: JAX sees the processor alone, so that is what is measured.")
        found["kind"] = processor()
    elif not on_gpu and python:
        print(f"No peer: none is known for a device of the kind {found['platform']}.")
        python = None
    workers = {"ours": ours}
    if python:
        peer = peer_side(python, "eager", "cuda" if on_gpu else "cpu", arguments.threads)
        told = peer.ask(what="device")
        found["versions"] |= told["versions"]
        if told["there"]:
            workers["torch"] = peer
        else:
            print(f"No peer: PyTorch {told['versions']['torch']} sees no CUDA device.")
            peer.close()
            python = None
    sizes = {"sides": [256], "mib": 8} if arguments.quick else {"sides": [1024, 2048], "mib": 256}
    sizes = {"sides": [4096, 8192], "mib": 1024} if on_gpu and not arguments.quick else sizes
    found |= {"on_gpu": on_gpu, "peer": python, "driver": driver(), "ceilings": {}}
    for precision in precisions(arguments, found):
        told = [worker.ask(what="ceilings", precision=precision, **sizes) for worker in workers.values()]
        found["ceilings"][precision] = {key: max(one[key] for one in told) for key in ("flops", "bytes")}
    for worker in workers.values():
        worker.close()
    return found


def precisions(arguments: argparse.Namespace, device: dict[str, Any]) -> list[str]:
    """Those asked for, TensorFloat-32 on a GPU alone."""
    wanted = arguments.precision or (PRECISIONS[:1] if arguments.quick else PRECISIONS)
    return [one for one in wanted if one != "tf32" or device["on_gpu"]]


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "processor")


def driver() -> str | None:
    """The NVIDIA driver's version, where its tool tells."""
    if not shutil.which("nvidia-smi"):
        return None
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    return told[0] if told else None


def described(device: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {told}" for name, told in device["versions"].items() if told)
    rates = "; ".join(f"{name} {one['flops'] / 1e12:.3g} TFLOP/s" for name, one in device["ceilings"].items())
    copied = max((one["bytes"] for one in device["ceilings"].values()), default=0) / 1e9
    card = f"{device['kind']}, driver {device['driver']}" if device["driver"] else device["kind"]
    return f"Device: {card}; {versions}\nCeilings measured: {rates}; {copied:.3g} GB/s read and written"


def roofline(cost: dict[str, Any], mode: str, ceiling: dict[str, float]) -> dict[str, Any]:
    """The least time of a step or a forward pass, what bounds it, and how the two counts of operations compare."""
    flops = cost["by shapes"][mode]["flops"]
    moved = cost["xla"][mode]["bytes"] or cost["by shapes"][mode]["bytes"]
    seconds = {"arithmetic": flops / ceiling["flops"], "memory": moved / ceiling["bytes"]}
    bound = max(seconds, key=lambda name: seconds[name])
    xla = cost["xla"][mode]["flops"] / flops
    return {"seconds": seconds[bound], "bound": bound, "flops": flops, "bytes": moved, "xla flops / by shapes": xla}


def peer_ways(arguments: argparse.Namespace, network: str, device: dict[str, Any]) -> list[str]:
    if not device["peer"]:
        return []
    usual = ["sdpa" if network == "swin_unet" else "eager", *["compiled"] * device["on_gpu"]]
    return arguments.peer_ways or usual


def loaded(workers: dict[str, Worker], case: dict[str, Any], folder: Path) -> dict[str, float]:
    """Every side with the same weights and batch; the difference of each from ours, NaN counting as infinite."""
    ours, peers = workers["ours"], [one for name, one in workers.items() if name != "ours"]
    files = {"weights": str(folder / "weights.npz"), "batch": str(folder / "batch.npz")}
    case |= ours.ask(what="prepare", case=case, batch=files["batch"])
    by_peer = bool(peers) and case["network"] == "swin_unet"
    if by_peer:
        peers[0].ask(what="write", config=case["config"], path=files["weights"])
    told = {}
    for number, (name, worker) in enumerate(workers.items()):
        path = folder / f"{number}.npy"
        loss = worker.ask(what="load", case=case, to=str(path), written_by_peer=by_peer, **files)["loss"]
        told[name] = np.load(path), loss
    probability, loss = told["ours"]
    print(f"{case['network']} {case['precision']}: probabilities {probability.mean():.3f} +- {probability.std():.3f}, "
          f"first loss {loss:.4f}")  # fmt: skip
    apart = {}
    for name, (one, its) in told.items():
        found = max(float(np.abs(one - probability).max()), abs(its - loss) / max(1.0, abs(loss)))
        apart[name] = found if math.isfinite(found) else math.inf
    return apart


def measured(case: dict[str, Any], device: dict[str, Any], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of one network in one precision, `predict`, `train` and `fit`; RuntimeError where a side ends."""
    workers = {"ours": our_side(arguments.quick)}
    for how in peer_ways(arguments, case["network"], device):
        side = peer_side(device["peer"], how, "cuda" if device["on_gpu"] else "cpu", arguments.threads)
        workers[f"torch {how}"] = side
    try:
        with tempfile.TemporaryDirectory() as folder:
            apart = loaded(workers, case, Path(folder))
        for name, found in apart.items():
            if name != "ours":
                print(f"  {name}: {found:.1e} from ours")
        cost, rows = workers["ours"].ask(what="cost"), []
        for mode in MODES:
            slowest = max(worker.ask(what=mode, repeats=2)["seconds"] for worker in workers.values())
            request = {"what": mode, "repeats": max(1, round(arguments.seconds / slowest))}
            found = in_turn(workers, arguments.rounds, request)
            rows.append(row(case, mode, found, apart, roofline(cost, mode, device["ceilings"][case["precision"]])))
        workers["ours"].ask(what="fit", repeats=2)
        fitted = in_turn({"ours": workers["ours"]}, arguments.rounds, request | {"what": "fit"})
        rows.append(row(case, "fit", fitted, apart, None))
        return [one | {"device": device["kind"]} for one in rows]
    finally:
        for worker in workers.values():
            worker.close()


def row(case: dict[str, Any], mode: str, found: dict[str, Any], apart: dict[str, float], roof: Any) -> dict[str, Any]:
    """One row: medians of the rounds; a peer that computes something else is not compared with."""
    peers = {name: median(one["seconds"]) for name, one in found.items() if name != "ours"}
    alike = {name: seconds for name, seconds in peers.items() if apart[name] <= SAME[case["precision"]]}
    seconds = median(found["ours"]["seconds"])
    told: dict[str, Any] = {key: case[key] for key in ("network", "precision", "batch", "size", "small")}
    told |= {"mode": mode, "seconds": seconds, "images/s": case["batch"] / seconds, "found": found, "apart": apart}
    told |= {"differs": sorted(set(peers) - set(alike)), "roofline": roof}
    told["share"] = roof["seconds"] / seconds if roof else None
    told["peer"] = min(alike, key=lambda name: alike[name]) if alike else None
    told["ratio"] = seconds / min(alike.values()) if alike else None
    return told


def milliseconds(seconds: list[float]) -> str:
    """Median, lowest and highest."""
    each = [1e3 * one for one in seconds]
    return f"{median(each):.4g} ({spread(each)})"


def line(one: dict[str, Any]) -> str:
    """A row of the table."""
    ours, peer, roof = one["found"]["ours"], one["peer"], one["roofline"]
    cells = [one["network"], one["precision"], one["batch"], one["mode"]]
    cells += [milliseconds(ours["seconds"]), f"{one['images/s']:.4g}"]
    memory = f"{max(ours['peak']):.0f}"
    if peer:
        its = one["found"][peer]
        cells += [f"{milliseconds(its['seconds'])}, {peer}", f"{one['ratio']:.2f}"]
        memory += f", {max(its['peak']):.0f}"
    else:
        cells += ["differs" if one["differs"] else "", ""]
    cells += [f"{1e3 * roof['seconds']:.3g}, {roof['bound']}", f"{one['share']:.2f}"] if roof else ["", ""]
    return "| " + " | ".join(str(cell) for cell in [*cells, memory]) + " |"


def goals(rows: list[dict[str, Any]]) -> list[str]:
    """How End2End's step stands to its goals, and counts of operations that do not agree."""
    told = []
    for one in rows:
        name = f"{one['network']} {one['mode']} {one['precision']} on {one['device']}"
        if one["network"] == "end2end" and one["mode"] == "train" and not one["small"]:
            ratio = f", {one['ratio']:.2f} of PyTorch's time (goal {RATIO})" if one["ratio"] else ", no peer"
            told.append(f"{name}: {one['share']:.2f} of the roofline (goal {SHARE}){ratio}")
        if one["roofline"] and not one["small"] and abs(one["roofline"]["xla flops / by shapes"] - 1) > 0.1:
            told.append(
                f"{name}: XLA counts {one['roofline']['xla flops / by shapes']:.2f} of the operations by shapes"
            )
    return told


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=tuple(SIZES), default=list(SIZES))
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS)
    parser.add_argument("--batch", type=int, help="pictures of a step (8 of End2End, 32 of ResNet-29, 8 of Swin-Unet)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round, roughly, by the slowest side")
    parser.add_argument("--peer-python", help="interpreter that has torch; 'none' leaves the peer out")
    parser.add_argument("--peer-ways", nargs="+", help="the peer's: eager, sdpa (Swin-Unet), compiled")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of PyTorch on a processor")
    parser.add_argument("--json", type=Path, help="where all figures go, after each network and precision")
    parser.add_argument("--quick", action="store_true", help="tiny and float32, to see that it runs")
    return parser.parse_args()


def main() -> int:
    arguments = parsed()
    missing = [name for name in ("jax", "keras") if not importlib.util.find_spec(name)]
    if missing:
        print(f"Nothing measured: {' and '.join(missing)} missing in {sys.executable}", file=sys.stderr)
        return 2
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.batch = 1, 0.0, arguments.batch or 2
    device = found_device(arguments)
    print(described(device))
    if arguments.quick:
        print("Tiny networks, compiled in haste: that they run and agree is what this shows, the times mean nothing.")
    rows: list[dict[str, Any]] = []
    failed = []
    for network in arguments.networks:
        for precision in precisions(arguments, device):
            size = (TINY if arguments.quick else SIZES)[network]
            case = {"network": network, "precision": precision, "size": size, "small": arguments.quick}
            case["batch"] = arguments.batch or (BATCHES[network] if device["on_gpu"] else 1)
            try:
                rows += measured(case, device, arguments)
            except (RuntimeError, BrokenPipeError) as error:  # out of memory, say: the others may fit
                failed.append(f"{network} {precision}, batch {case['batch']}: {error}")
            if arguments.json:
                arguments.json.write_text(json.dumps({"device": device, "rows": rows, "failed": failed}, indent=1))
    print("\n".join([HEAD, *map(line, rows), *goals(rows), *failed]))
    print(machine("jax", "keras", "numpy"))
    return 1 if failed or any(one["differs"] for one in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
