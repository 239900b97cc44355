"""Pictures to arrays: breast, resize, histogram, preprocessing, warps. NumPy and OpenCV only."""

from mammo_tf.imaging.breast import chest_wall_side, segment, side_agrees
from mammo_tf.imaging.domain_histogram import DomainHistogram, domain_histogram
from mammo_tf.imaging.histogram import average_cdf, match, matching_lut
from mammo_tf.imaging.preprocessing import GeometryResult, Preprocessing
from mammo_tf.imaging.warp import AffineDraw, affine, random_affine

__all__ = [
    "AffineDraw",
    "DomainHistogram",
    "GeometryResult",
    "Preprocessing",
    "affine",
    "average_cdf",
    "chest_wall_side",
    "domain_histogram",
    "match",
    "matching_lut",
    "random_affine",
    "segment",
    "side_agrees",
]
