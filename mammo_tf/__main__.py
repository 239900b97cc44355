"""`python -m mammo_tf` is `mammo-tf`."""

import sys

from mammo_tf.cli.main import main

sys.exit(main())
