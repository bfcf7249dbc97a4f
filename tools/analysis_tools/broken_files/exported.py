"""Exported files that are truncated, edited, or of another model."""

from .cases import DETECTOR, Case

FORMATS = ('onnx', 'openvino', 'torch', 'mnn', 'ncnn')
TOOLS = dict(
    test=lambda s, path: s.test(path), predict=lambda s, path: s.predict(s.folder / 'images', path)
)


def exported(shop, name, classes=10):
    """Return the files of a format, the main file first, exported once for a number of classes."""
    from hardnet_mm.export.formats import FORMATS as TABLE

    folder = shop.folder / f'exported{classes}'
    main = folder / f'model{TABLE[name].suffix}'
    if not main.is_file():
        folder.mkdir(exist_ok=True)
        _export(main, name, classes)
    return TABLE[name].files(main)


def _export(path, name, classes):
    import torch

    from hardnet_mm.export.end_to_end import build_end_to_end
    from hardnet_mm.export.formats import FORMATS as TABLE
    from hardnet_mm.export.writing import export
    from hardnet_mm.utils.configs import build_model, read_config

    cfg = read_config(str(DETECTOR), {'model.bbox_head.num_classes': classes})
    names = [str(number) for number in range(classes)]
    model = build_end_to_end(build_model(cfg), TABLE[name].inside, names)
    export(model, torch.rand(1, 3, 128, 128), path, name)


def copied(shop, name, change, classes=10):
    """Copy a format's files, change the last one by a function, and return the main one."""
    files = exported(shop, name, classes)
    folder = shop.new_folder()
    for file in files:
        content = file.read_bytes()
        (folder / file.name).write_bytes(change(content) if file == files[-1] else content)
    return folder / files[0].name


def cut(content):
    """Return the first half."""
    return content[: len(content) // 2]


def edited(content):
    """Return the content with 64 bytes in the middle inverted."""
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(255 - b for b in content[middle : middle + 64])
        + content[middle + 64 :]
    )


def nothing(_):
    """Return nothing."""
    return b''


def tried(tool, name, change, classes=10):
    """Return a command that runs a tool with a changed file."""
    return lambda shop: TOOLS[tool](shop, copied(shop, name, change, classes))


def main_file(tool, name, change):
    """Return a command that runs a tool with a changed main file and a good companion."""

    def command(shop):
        path = copied(shop, name, lambda content: content)
        path.write_bytes(change(path.read_bytes()))
        return TOOLS[tool](shop, path)

    return command


WRONG = 'cannot be read by|cannot read|it is damaged'
CASES = [
    *(
        Case(f'{name}: {words}; test.py', tried('test', name, change), 2, WRONG, name)
        for name in FORMATS
        for words, change in (('truncated', cut), ('empty', nothing))
    ),
    *(
        Case(
            f'{name}: the text file truncated; test.py',
            main_file('test', name, cut),
            2,
            WRONG,
            name,
        )
        for name in ('openvino', 'ncnn')
    ),
    *(
        Case(
            f'{name}: of 7 classes, not 10; {tool}.py',
            tried(tool, name, bytes, 7),
            2,
            'it has 7 classes, and the config 10',
            name,
        )
        for name in FORMATS
        if name != 'ncnn'  # its files hold no names of classes
        for tool in ('test', 'predict')
    ),
    Case(
        'onnx: 64 bytes of the weights changed: no checksum, other results; test.py',
        tried('test', 'onnx', edited),
        0,
        'bbox_mAP',
        'onnx',
    ),
]
