default_scope = 'shapes'
model = dict(type='ShapeClassifier', backbone=dict(type='PlainNet'), channels=16)
train_dataloader = dict(
    batch_size=32,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='Shapes', length=512, seed=0),
)
val_dataloader = dict(
    batch_size=32,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='Shapes', length=64, seed=1),
)
val_evaluator = dict(type='Accuracy')
train_cfg = dict(by_epoch=True, max_epochs=5, val_interval=5)
val_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=3e-3))
randomness = dict(seed=0)
