"""The thesis's Tables 2 to 9 and Figures 3 and 4 as one experiment (method C).

    mammo-tf tables -o tables --seed 1 --seed 2 --seed 3

Its recipes, one by one, for records of your own: `--variant source-1` (from nothing), `source-2`, `config-1`,
`config-2`, `config-1-own`, `config-2-own` (each from a start model). docs/tables.md says how the rows are made.

| table | row                                  | AUC (95 %)            | sensitivity | specificity | threshold |
|-------|--------------------------------------|-----------------------|-------------|-------------|-----------|
| 2     | INbreast, CBIS-DDSM                  | 0.721 (0.650 - 0.787) | 0.510       | 0.951       | 0.520     |
| 2     | INbreast, CBIS-DDSM + INbreast       | 0.967 (0.946 - 0.986) | 0.870       | 0.974       | 0.282     |
| 3     | CBIS-DDSM, CBIS-DDSM                 | 0.881 (0.869 - 0.894) | 0.791       | 0.802       | 0.332     |
| 3     | CBIS-DDSM, CBIS-DDSM + INbreast      | 0.789 (0.772 - 0.806) | 0.749       | 0.651       | 0.247     |
| 4     | target, CBIS-DDSM                    | 0.732 (0.653 - 0.810) | 0.641       | 0.794       | 0.306     |
| 4, 9  | target, CBIS-DDSM + INbreast         | 0.755 (0.686 - 0.827) | 0.666       | 0.790       | 0.256     |
| 5, 9  | target, baseline + radiomics         | 0.752 (0.641 - 0.863) | 0.692       | 0.820       | 0.552     |
| 8, 9  | target, configuration 1              | 0.802 (0.736 - 0.860) | 0.653       | 0.833       | 0.284     |
| 8, 9  | target, configuration 2              | 0.809 (0.746 - 0.864) | 0.692       | 0.794       | 0.253     |

Tables 6 and 7 are the recipes' own fields; Figures 3 and 4 are the losses of configurations 1 and 2.
"""

from mammo_tf.experiments.end2end.recipes import OWN, TABLE_6, configuration, source_1_recipe, source_2_recipe
from mammo_tf.recipes import Recipe


def recipe() -> Recipe:
    """Source model 1, as `source_1`."""
    return source_1_recipe()


def source_1() -> Recipe:
    """From patches, on site 1 of the sources."""
    return source_1_recipe()


def source_2() -> Recipe:
    """The baseline: source model 1 trained on at site 2 of the sources."""
    return source_2_recipe()


def config_1() -> Recipe:
    """Configuration 1 at Table 6's rates."""
    return configuration(1, TABLE_6)


def config_2() -> Recipe:
    """Configuration 2 at Table 6's rates."""
    return configuration(2, TABLE_6)


def config_1_own() -> Recipe:
    """Configuration 1 at rates for the synthetic study."""
    return configuration(1, OWN)


def config_2_own() -> Recipe:
    """Configuration 2 at rates for the synthetic study."""
    return configuration(2, OWN)
