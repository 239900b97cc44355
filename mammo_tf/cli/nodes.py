"""Commands that speak with an archive: `node`, `fetch`."""

from __future__ import annotations

import argparse
import datetime
import os
import signal
from argparse import ArgumentParser, Namespace
from pathlib import Path

from mammo_tf.cli.services import port_number
from mammo_tf.cli.shared import Commands, tensorflow_loaded, whole_number
from mammo_tf.errors import MammoError


def add(commands: Commands) -> None:
    """Tells the front door of these commands."""
    about = "takes exams over the DICOM network, scores them and sends reports and segmentations"
    _options(commands.add("node", about, node, resumable=True))
    one = commands.add("fetch", "studies of an archive's DICOMweb service to a folder", fetch, resumable=True)
    one.add_argument("url", metavar="URL", help="the service, such as https://archive/dicom-web")
    one.add_argument("--study", action="append", default=[], metavar="UID", help="may be repeated")
    one.add_argument("--studies", metavar="FILE", help="text file with a Study Instance UID a line")
    one.add_argument("--from", dest="begin", type=day, metavar="DATE", help="all studies since that day, as 2024-01-31")
    one.add_argument("--until", dest="end", type=day, metavar="DATE", help="all studies to that day, itself included")
    one.add_argument("--modality", metavar="CODE", help="that these studies hold (default MG)")
    one.add_argument("--count", action="store_true", help="say how many studies there are, and fetch none")
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="a folder for each study goes there")


def day(text: str) -> datetime.date:
    """A day as `2024-01-31`; argparse turns the error into one line."""
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2024-01-31") from None


def seconds(text: str) -> float:
    """More than 0, at most a day; argparse turns the error into one line."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, more than 0 and at most 86400")
    return number


def _options(one: ArgumentParser) -> None:
    one.add_argument("model", metavar="BUNDLE|MODEL", help="exported model, .keras or run folder")
    one.add_argument("--ae-title", required=True, metavar="AE", help="the node's own title")
    one.add_argument("--from", dest="callers", action="append", required=True, metavar="AE",
                     help="a title that may send; may be repeated, nobody else may")  # fmt: skip
    one.add_argument("--to", action="append", required=True, metavar="AE@HOST:PORT|URL",
                     help="who receives the results, an AE or a DICOMweb service; may be repeated")  # fmt: skip
    one.add_argument("--spool", required=True, metavar="DIR",
                     help="where exams wait, readable by this user alone; receipts lie in DIR/log")  # fmt: skip
    one.add_argument("--port", type=port_number, default=11112, metavar="N", help="default 11112; 0: any free one")
    one.add_argument("--bind", default="127.0.0.1", metavar="HOST", help="address to listen at (default 127.0.0.1)")
    one.add_argument("--quiet", type=seconds, default=60.0, metavar="S",
                     help="an exam is complete when nothing came for so long (default 60)")  # fmt: skip
    one.add_argument("--views", type=whole_number, metavar="N", help="or when it has N objects")
    one.add_argument("--retry", type=seconds, default=5.0, metavar="S",
                     help="wait before a second delivery, doubled up to ten minutes (default 5)")  # fmt: skip
    one.add_argument("--secondary-capture", action="store_true", help="send pictures with the result drawn in too")
    one.add_argument("--certificate", metavar="PEM", help="TLS: the node's certificate")
    one.add_argument("--key", metavar="PEM", help="TLS: its key")
    one.add_argument("--ca", metavar="PEM", help="TLS: who has signed the callers' certificates")
    one.add_argument("--tls-delivery", action="store_true", help="send results by TLS too")


def node(options: Namespace) -> None:
    """Runs a node until it is told to end."""
    from mammo_tf.serving.dicom_extra import check_extra

    check_extra()
    with tensorflow_loaded():
        from mammo_tf.serving.node import Node, NodeSettings
        from mammo_tf.serving.node_peers import Tls, checked_title
        from mammo_tf.serving.node_web import parsed_peer
        from mammo_tf.serving.scorer import open_scorer

    given = [options.certificate, options.key, options.ca]
    if any(given) != all(given) or (options.tls_delivery and not all(given)):
        sentence = "TLS needs --certificate, --key and --ca, all three"
        raise MammoError("option_wrong", sentence, "Give them, or none of them")
    settings = NodeSettings(
        title=checked_title(options.ae_title),
        callers=tuple(checked_title(title) for title in options.callers),
        peers=tuple(parsed_peer(text) for text in options.to),
        spool=Path(options.spool),
        host=options.bind,
        port=options.port,
        quiet_s=options.quiet,
        views=options.views,
        captures=options.secondary_capture,
        tls=Tls(*map(Path, given)) if all(given) else None,
        tls_delivery=options.tls_delivery,
        first_wait_s=options.retry,
        workers=min(4, os.cpu_count() or 1),
    )
    running = Node(open_scorer(options.model), settings)
    signal.signal(signal.SIGTERM, running.stop)
    peers = ", ".join(options.to)
    running.run(
        lambda port: print(f"{settings.title} listens at {settings.host}:{port}, results go to {peers}", flush=True)
    )


def fetch(options: Namespace) -> None:
    """Fetches studies that are named, or looked for by their day."""
    from mammo_tf.serving.dicom_extra import check_extra

    check_extra()
    from mammo_tf.serving.fetch import fetch as fetched
    from mammo_tf.serving.node_web import WebPeer
    from mammo_tf.serving.studies import Search, read_uids, search

    service, uids = WebPeer.parsed(options.url), list(options.study)
    if options.studies:
        uids += read_uids(options.studies)
    if options.begin or options.end:
        found, others = search(service, Search(options.modality or "MG", options.begin, options.end))
        told = f" (and {others} that were not asked for: they are left)" if others else ""
        print(f"{service.title} has {len(found)} such studies{told}", flush=True)
        uids += found
    elif options.modality:
        sentence = "--modality is of studies that are looked for, and no day is told"
        raise MammoError("option_wrong", sentence, "Give --from or --until, or leave it out")
    elif not uids:
        sentence = "no study is named"
        raise MammoError("option_wrong", sentence, "Give --study, --studies, or --from and --until to look for some")
    if options.count:
        print(f"{len(set(uids))} studies would be fetched")
        return
    count = fetched(service, uids, options.output, lambda line: print(line, flush=True))
    print(f"{count} objects fetched to {options.output}")
