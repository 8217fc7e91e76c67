# SPDX-License-Identifier: Apache-2.0
"""Makes support.py importable however pytest is started."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
