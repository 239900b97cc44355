"""Speed of reading: files to records against pydicom and the usual resize, decoders, `manifest` of many small files.

    python benchmarks/reading_speed.py records --peer-python VENV/bin/python [--pictures 8] [--rounds 3]
    python benchmarks/reading_speed.py decoders --peer-python VENV/bin/python
    python benchmarks/reading_speed.py manifest [--files 10000,100000]

VENV holds numpy, pydicom, pylibjpeg-libjpeg, pylibjpeg-openjpeg, pyjpegls, imagecodecs, scikit-image, pillow,
opencv-python-headless, and for `monai` MONAI and PyTorch; a resizer that is not there is left out, with a word.

records: pictures of 2457x1996 and 12 bits to 1152x896. Ours is `prepare` in two processes: it reads, checks, looks for
the breast, crops, resizes, takes digests and writes records. The peer (`peer_reading.py`) reads, windows and resizes in
one process, and keeps nothing. They work in turn; files lie in the page cache.
decoders: equal to the last bit first, then timed in turn, in one process.
manifest: files of 2 kB, four an exam and a patient, each in a folder of its own; the command as a process of its own.
Then a hundredth more are added, and it is run again; then anew, for comparison.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Worker, in_turn, machine, median, peak_mib, processor_seconds, serve, spread

HERE = Path(__file__).parent
SIZE, PREPARED = (2457, 1996), (1152, 896)
MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
FORMS = {
    "uncompressed": "1.2.840.10008.1.2.1",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "RLE": "1.2.840.10008.1.2.5",
}
RESIZERS = ("skimage", "PIL", "cv2", "monai")
DIGITS = 9  # of the numbers that tell small files apart


def breast(seed: int, size: tuple[int, int]) -> np.ndarray:
    """Half an ellipse with texture and noise on black, 12 bits."""
    import cv2

    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    inside = ((y - size[0] / 2) / (0.42 * size[0])) ** 2 + (x / (0.7 * size[1])) ** 2 < 1
    texture = 400 * cv2.GaussianBlur(rng.normal(0, 1, size), None, 3) + rng.normal(0, 12, size)
    return np.where(inside, np.clip(1800 + texture, 0, 4095), 0).astype("<u2")


def write_picture(path: Path, pixels: np.ndarray, syntax: str, number: int) -> None:
    """A digital mammogram as a DICOM file."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless

    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = MAMMOGRAM, f"1.2.3.1.1{number:0{DIGITS}d}"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"1.2.3.2.1{number:0{DIGITS}d}", f"1.2.3.3.1{number:0{DIGITS}d}"
    made.Modality, made.PatientID, made.BodyPartExamined = "MG", f"P{number:0{DIGITS}d}", "BREAST"
    made.ImageLaterality, made.ViewPosition, made.Manufacturer = "L", "CC", "none"
    made.PresentationIntentType, made.ImageType = "FOR PRESENTATION", ["DERIVED", "PRIMARY"]
    made.ImagerPixelSpacing, made.WindowCenter, made.WindowWidth = [0.1, 0.1], 2048, 4096
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelData = pixels.tobytes()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = MAMMOGRAM, made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax != ExplicitVRLittleEndian:
        plugins = {FORMS["JPEG-LS"]: "pyjpegls", RLELossless: "pydicom"}
        made.compress(syntax, encoding_plugin=plugins.get(syntax, "pylibjpeg"), generate_instance_uid=False)
    pydicom.dcmwrite(path, made, enforce_file_format=True)


def prepare_again(request: dict[str, Any]) -> dict[str, Any]:
    """Our side of `records`: a worker that prepares a folder's pictures each time anew."""
    from mammo_tf.imaging import Preprocessing
    from mammo_tf.records import prepare
    from mammo_tf.study import read_manifest

    folder = Path(request["folder"])
    table, preprocessing = (
        read_manifest(folder / "manifest.csv"),
        Preprocessing.preset("default", tuple(request["size"])),
    )
    with tempfile.TemporaryDirectory() as out:
        began, busy = time.perf_counter(), processor_seconds()
        done = prepare(table, folder, Path(out) / "records", preprocessing, workers=2)
        seconds, processor = time.perf_counter() - began, processor_seconds() - busy
    return {"seconds": seconds, "processor": processor, "peak": peak_mib(), "pictures": done.images}


def records(options: argparse.Namespace) -> None:
    """Prints ours over each peer, by form."""
    from mammo_tf.reading.collections import collect
    from mammo_tf.study import write_manifest

    print(machine("numpy", "pydicom", "opencv-python-headless", "pylibjpeg-openjpeg", "pyjpegls"))
    workers = {"ours": Worker("ours", [sys.executable, __file__, "serve"])}
    for name in RESIZERS:
        command = [options.peer_python, str(HERE / "peer_reading.py"), name]
        if subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode:
            print(f"{name} cannot be had from {options.peer_python}, and is left out")
        else:
            workers[name] = Worker(name, command)
    pictures = [breast(number, SIZE) for number in range(options.pictures)]
    for form, syntax in FORMS.items():
        with tempfile.TemporaryDirectory() as folder:
            for number, pixels in enumerate(pictures):
                write_picture(Path(folder) / f"{number:03d}.dcm", pixels, syntax, number)
            table, _ = collect("folder", folder)
            write_manifest(table, Path(folder) / "manifest.csv")
            request = {"folder": folder, "size": PREPARED}
            in_turn(workers, 1, request)  # decoders are loaded, files are in the cache
            found = in_turn(workers, options.rounds, request)
        ours = [options.pictures / seconds for seconds in found["ours"]["seconds"]]
        print(f"{form}: ours {median(ours):.2f} pictures/s ({spread(ours)})")
        for name in [name for name in workers if name != "ours"]:
            theirs = [options.pictures / seconds for seconds in found[name]["seconds"]]
            cpu = median(found[name]["processor"]) / median(found["ours"]["processor"])
            print(f"  over {name}: {median(ours) / median(theirs):.2f} times as many ({median(theirs):.2f}), "
                  f"processor time {cpu:.2f}")  # fmt: skip
    for worker in workers.values():
        worker.close()


DECODERS = """
import json, sys, time, statistics
import numpy as np, imagecodecs, openjpeg, jpeg_ls
from libjpeg import decode as libjpeg
pixels = np.load(sys.argv[1])
coded = {
    "JPEG 2000": bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, bitspersample=12)),
    "HTJ2K": bytes(imagecodecs.htj2k_encode(pixels)),
    "JPEG-LS": bytes(imagecodecs.jpegls_encode(pixels)),
    "JPEG lossless": bytes(imagecodecs.ljpeg_encode(pixels, bitspersample=12)),
}
decoders = {
    "JPEG 2000": {"pylibjpeg-openjpeg": openjpeg.decode, "imagecodecs (OpenJPEG)": imagecodecs.jpeg2k_decode},
    "HTJ2K": {"pylibjpeg-openjpeg": openjpeg.decode, "imagecodecs (OpenJPH)": imagecodecs.htj2k_decode},
    "JPEG-LS": {"pyjpegls": lambda data: jpeg_ls.decode(np.frombuffer(data, np.uint8)),
                "imagecodecs (CharLS)": imagecodecs.jpegls_decode, "pylibjpeg-libjpeg": libjpeg},
    "JPEG lossless": {"pylibjpeg-libjpeg": libjpeg, "imagecodecs (ljpeg)": imagecodecs.ljpeg_decode,
                      "imagecodecs (libjpeg-turbo)": imagecodecs.jpeg8_decode},
}
for form, known in decoders.items():
    spent = {name: [] for name in known}
    for _ in range(int(sys.argv[2]) + 1):
        for name, decode in known.items():
            began = time.process_time()
            found = np.squeeze(np.asarray(decode(coded[form])))
            spent[name].append(time.process_time() - began)
            assert np.array_equal(found, pixels), (form, name)
    first = statistics.median(next(iter(spent.values()))[1:])
    for name, seconds in spent.items():
        middle = statistics.median(seconds[1:])
        print(f"{form}: {name}: equal, {1000 * middle:.0f} ms, {first / middle:.2f} times as fast as what is used")
"""


def decoders(options: argparse.Namespace) -> None:
    """Decoders of the package index on one picture: the one that is used first."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/pixels.npy", breast(0, SIZE))
        subprocess.run([options.peer_python, "-c", DECODERS, f"{folder}/pixels.npy", str(options.rounds)], check=True)


def write_small(folder: Path, numbers: range) -> None:
    """Small files that differ in their pixels and images, four an exam."""
    sample = folder.parent / "sample.dcm"
    write_picture(sample, breast(0, (24, 20)), FORMS["uncompressed"], 0)
    data, zeros = sample.read_bytes(), f"{0:0{DIGITS}d}".encode()
    image = f"1.2.3.1.1{0:0{DIGITS}d}".encode()
    assert (data.count(zeros), data.count(image)) == (5, 2)
    for number in numbers:
        place = folder / f"{number // 1000:05d}" / f"{number // 4:07d}"
        place.mkdir(parents=True, exist_ok=True)
        made = data.replace(image, f"1.2.3.1.1{number:0{DIGITS}d}".encode())
        made = made.replace(zeros, f"{number // 4:0{DIGITS}d}".encode())
        (place / f"{number:07d}.dcm").write_bytes(made[:-4] + number.to_bytes(4, "little"))


def listed(root: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak MiB (of the largest of its processes) of `manifest folder`."""
    code = (
        "import resource, sys; from mammo_tf.cli.main import main; code = main(sys.argv[1:]); "
        "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10); sys.exit(code)"
    )
    began = time.perf_counter()
    words = [sys.executable, "-c", code, "manifest", "folder", str(root), "-o", str(out)]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - began, float(said.split("peak")[-1])


def manifest(options: argparse.Namespace) -> None:
    """Prints files/s and memory, of a first list, the same again, and one of a grown archive."""
    print(machine("numpy", "pandas"))
    for files in (int(text) for text in options.files.split(",")):
        with tempfile.TemporaryDirectory(dir=options.folder) as made:
            root, out, fresh = (Path(made) / name for name in ("root", "out", "fresh"))
            write_small(root, range(files))
            time.sleep(3)  # files younger than two seconds are looked at again
            for what, place in (("first", out), ("the same again", out)):
                seconds, peak = listed(root, place)
                print(f"{files} files, {what}: {seconds:.1f} s, {files / seconds:.0f} files/s, {peak:.0f} MiB")
            write_small(root, range(files, files + files // 100))
            grown, _ = listed(root, out)
            anew, _ = listed(root, fresh)
            equal = all(
                (out / name).read_bytes() == (fresh / name).read_bytes() for name in ("manifest.csv", "rejects.csv")
            )
            print(f"{files} files and a hundredth: {grown:.1f} s, anew {anew:.1f} s ({anew / grown:.1f} times), "
                  f"{'the same tables' if equal else 'OTHER TABLES'}")  # fmt: skip


def main() -> None:
    if sys.argv[1:] == ["serve"]:
        serve(prepare_again)
        return
    one = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    one.add_argument("part", choices=("records", "decoders", "manifest"))
    one.add_argument("--peer-python", default=sys.executable)
    one.add_argument("--pictures", type=int, default=8)
    one.add_argument("--rounds", type=int, default=3)
    one.add_argument("--files", default="10000,100000")
    one.add_argument("--folder", help="where small files are made (default: the temporary folder)")
    one.add_argument("--quick", action="store_true", help="shows that it runs")
    options = one.parse_args()
    if options.quick:
        options.pictures, options.rounds, options.files = 2, 1, "200"
    {"records": records, "decoders": decoders, "manifest": manifest}[options.part](options)


if __name__ == "__main__":
    main()
