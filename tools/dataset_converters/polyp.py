"""Convert images and masks of polyps, or of another foreground, to one layout, and check them.

OUT_DIR/NAME/images gets copies of the images. OUT_DIR/NAME/masks gets a PNG file with one channel
for each image: 0 is background, values above 128 are foreground, and soft edges stay soft. Masks
may be grey, coloured, with a palette, 1-bit or JPEG files; hardnet_mm.seg.binary_masks describes
how they are read. Nothing is written unless each image has a mask of its size, and each mask an
image.
"""

import json
import shutil
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
from command_line import make_parser, run, user_path  # noqa: E402

# Numbers of images in the sets of docs/train_polyps.md, by the names that the configs expect.
EXPECTED = {
    'kvasir-880': 880,
    'kvasir-120': 120,
    'pranet-train': 1450,
    'Kvasir': 100,
    'CVC-ClinicDB': 62,
    'CVC-ColonDB': 380,
    'ETIS-LaribPolypDB': 196,
    'CVC-300': 60,
}
MARKER = 'polyp.json'  # tells a folder made by this tool, together with the signature inside
SIGNATURE = 'made by tools/dataset_converters/polyp.py'


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('images', type=user_path, help='folder of the images')
    parser.add_argument('masks', type=user_path, help='folder of the masks, of the same names')
    parser.add_argument(
        'name', help=f'of the set, the folder to make; the configs know {", ".join(EXPECTED)}'
    )
    parser.add_argument('--out-dir', type=user_path, default='data/polyps', help='of all sets')
    parser.add_argument(
        '--split', type=user_path, help='file with the names of the images to take, one a line'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace what an earlier run of this tool made'
    )
    args = parser.parse_args()
    if Path(args.name).name != args.name or args.name in ('', '.', '..'):
        parser.error(f'NAME must be the name of a folder, got {args.name!r}')
    args.folder = Path(args.out_dir, args.name)
    if reason := obstacle(args.folder, args.overwrite):
        parser.error(reason)
    return args


def obstacle(folder, overwrite):
    """Return a sentence on why the set cannot be written to a folder; None if it can."""
    if not folder.exists():
        return None
    if not overwrite:
        return f'{folder} is there already: choose another NAME or pass --overwrite'
    marker = folder / MARKER
    if marker.is_file() and SIGNATURE in marker.read_text(errors='replace'):
        return None
    return f'{folder} was not made by this tool, --overwrite leaves it alone'


def read_pairs(args):
    """Return the images and their masks by name, after checking that none is missing."""
    from hardnet_mm.seg.binary_dataset import BinaryMaskDataset, image_files
    from hardnet_mm.utils.errors import InputError

    folders = dict(img_path=args.images, seg_map_path=args.masks)
    dataset = BinaryMaskDataset(ann_file=args.split or '', data_prefix=folders)
    lonely = sorted(set(image_files(args.masks)) - set(image_files(args.images)))
    if lonely and not args.split:
        raise InputError(f'{args.images} has no image of {len(lonely)} masks, {lonely[0]}...')
    found, wanted = len(dataset), EXPECTED.get(args.name, len(dataset))
    if found != wanted:
        raise InputError(
            f'{args.name} has {wanted} images, and {args.split or args.images} {found}: choose '
            'another NAME for another set'
        )
    entries = map(dataset.get_data_info, range(found))
    return [(Path(entry['img_path']), Path(entry['seg_map_path'])) for entry in entries]


def read_mask(image, path):
    """Return a mask of the image's size, uint8 (height, width)."""
    from hardnet_mm.seg.binary_masks import decode_mask, open_image
    from hardnet_mm.utils.errors import InputError

    width, height = open_image(image.read_bytes(), image).size
    mask = decode_mask(path.read_bytes(), str(path))
    if mask.shape != (height, width):
        raise InputError(
            f'{path} has {mask.shape[0]} x {mask.shape[1]} pixels, and its image {image} '
            f'{height} x {width}: they must agree'
        )
    return mask


def write_set(folder, args):
    """Write all files to an empty folder; return the numbers of images and of empty masks."""
    from PIL import Image

    pairs, empty = read_pairs(args), 0
    for image, path in pairs:
        mask = read_mask(image, path)
        empty += not (mask > 128).any()
        relative = image.relative_to(args.images)
        target = folder / 'images' / relative
        stored = (folder / 'masks' / relative).with_suffix('.png')
        for file in (target, stored):
            file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, target)
        Image.fromarray(mask).save(stored)
    marker = dict(signature=SIGNATURE, images=len(pairs), without_foreground=empty)
    (folder / MARKER).write_text(json.dumps(marker, indent=2) + '\n')
    return len(pairs), empty


def main(args):
    from hardnet_mm.utils.errors import InputError
    from hardnet_mm.utils.files import folder_beside

    with folder_beside(args.folder) as temporary:
        new = temporary / 'new'
        new.mkdir()
        count, empty = write_set(new, args)
        if reason := obstacle(args.folder, args.overwrite):  # another run may have been faster
            raise InputError(reason)
        old = temporary / 'old'
        if args.folder.exists():
            args.folder.rename(old)
        try:
            new.rename(args.folder)
        except BaseException:
            if old.exists():
                old.rename(args.folder)
            raise
    print(f'{args.folder}: {count} images, {empty} of them without foreground')


if __name__ == '__main__':
    run(parse_args, main)
