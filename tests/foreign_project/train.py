"""The project's own script: train.py CONFIG WORK_DIR [CHECKPOINT], the last to test it alone."""

import sys

import shapes  # noqa: F401
from mmengine.config import Config
from mmengine.runner import Runner

cfg = Config.fromfile(sys.argv[1])
cfg.work_dir = sys.argv[2]
if len(sys.argv) > 3:
    cfg.load_from = sys.argv[3]
    print(Runner.from_cfg(cfg).val())
else:
    Runner.from_cfg(cfg).train()
