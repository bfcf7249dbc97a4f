# HarDNet-DFUS's schedule: one step per batch at a random size, AdamW with a learning rate that
# decays every epoch, float16. A config sets the image size, the epochs and the batch size.
#
# From configs/_base_/schedule_dfus.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base
from mmengine.hooks import EMAHook
from mmengine.optim import AmpOptimWrapper, CosineAnnealingLR
from torch.optim import AdamW

from hardnet_mm.seg import LogitSegTTAModel, RandomSizeTrainLoop

with read_base():
    from .mmseg_runtime import *

side = 384
epochs = 300
train_cfg = dict(type=RandomSizeTrainLoop, side=384, divisor=64, max_epochs=300, val_interval=10)
optim_wrapper = dict(
    type=AmpOptimWrapper,
    optimizer=dict(type=AdamW, lr=0.0002001, eps=1e-07, weight_decay=0.01),
)
param_scheduler = [dict(type=CosineAnnealingLR, T_max=300, eta_min=1e-07, end=300)]
auto_scale_lr = dict(enable=False, base_batch_size=12)
custom_hooks = [
    dict(
        type=EMAHook,
        ema_type='MomentumAnnealingEMA',
        momentum=0.0001,
        gamma=10,
        update_buffers=True,
    ),
]
default_hooks.update(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=10, max_keep_ckpts=3, save_best='mDice'),
)
log_processor.update(by_epoch=True)
tta_model.update(type=LogitSegTTAModel)
