"""Picture and mask to the features of a view."""

from mammo_tf.radiomics.density import percent_density
from mammo_tf.radiomics.foreground import foreground
from mammo_tf.radiomics.openbreast import FEATURES_32, FEATURES_34, features
from mammo_tf.radiomics.transformer import OpenBreastFeatures

__all__ = ["FEATURES_32", "FEATURES_34", "OpenBreastFeatures", "features", "foreground", "percent_density"]
