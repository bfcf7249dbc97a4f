# Predictions of the test images for the Cityscapes server, as PNG files of label ids.
_base_ = './fchardnet70_cityscapes.py'

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
    dict(type='PackSegInputs'),
]
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(_delete_=True, img_path='leftImg8bit/test'),
        pipeline=test_pipeline,
    )
)
test_evaluator = dict(
    _delete_=True,
    type='CityscapesLabelIdWriter',
    output_dir='work_dirs/fchardnet70_cityscapes_test-server/label_ids',
)
