# 99 epochs of HarDNet-MSEG: a step at each of three sizes for every batch, a constant learning
# rate, and clamped gradient values. The original program uses the checkpoint of the last epoch.
#
# From configs/_base_/schedule_mseg.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base
from mmengine.optim import OptimWrapper
from torch.optim import Adam

from hardnet_mm.seg import LogitSegTTAModel, MultiSizeTrainLoop

with read_base():
    from .mmseg_runtime import *

train_cfg = dict(type=MultiSizeTrainLoop, sizes=(256, 352, 448), max_epochs=99, val_interval=9)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=Adam, lr=0.0001),
    clip_grad=dict(type='value', clip_value=0.5),
)
param_scheduler = []
auto_scale_lr = dict(enable=False, base_batch_size=16)
default_hooks.update(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=9, max_keep_ckpts=3),
)
log_processor.update(by_epoch=True)
tta_model.update(type=LogitSegTTAModel)
