# HarDNet-MSEG on PraNet's split: training on 900 images of Kvasir-SEG and 550 of CVC-ClinicDB, and
# five test sets with separate metrics.
_base_ = './mseg_hardnet68_kvasir.py'

folders = ('Kvasir', 'CVC-ClinicDB', 'CVC-ColonDB', 'ETIS-LaribPolypDB', 'CVC-300')
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='pranet-train/images', seg_map_path='pranet-train/masks')
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                data_prefix=dict(img_path=f'{folder}/images', seg_map_path=f'{folder}/masks'),
                pipeline=_base_.test_pipeline,
                **_base_.dataset,
            )
            for folder in folders
        ],
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(by_folder=True)
test_evaluator = val_evaluator
