"""Draws a network as boxes: a row for each stride, and columns for backbone, neck and head."""

from dataclasses import dataclass, field

import torch
from matplotlib.patches import FancyBboxPatch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hardnet_mm.backbones import HarDBlock, HarDNet
from hardnet_mm.benchmark.models import Subject
from hardnet_mm.utils.configs import build_model, read_config
from hardnet_mm.utils.errors import InputError

from .style import BLUE, FAINT, GREEN, INK, ORANGE, RULE, WIDTH, new_canvas

FILLS = dict(backbone='#e8f0f8', neck='#fbefe3', head='#e6f3ea')
EDGES = dict(backbone=BLUE, neck=ORANGE, head=GREEN)
LINE = 15  # pixels of a line of text
PADDING, GAP = 9, 26  # inside and between boxes, pixels
MARGIN, TITLE = 106, 66  # pixels for the rows' names at the left, and the title
ARROW = dict(arrowstyle='-|>', color=FAINT, lw=1.2, shrinkA=0, shrinkB=0, mutation_scale=9)
LINE_OF_ARROW = dict(color=FAINT, lw=1.2)
# The paper's names of Receptive Field Blocks, by type name, so that mmdet need not be imported
RFB_NAMES = dict(RFB='RFB', RFBS='RFB-s')


@dataclass
class Box:
    """A part of a network.

    Attributes:
        column (str): 'backbone', 'neck' or 'head'.
        title (str): Name of the part.
        lines (list[str]): Its layers, in order.
        size (tuple[int]): Height and width of its output.
    """

    column: str
    title: str
    lines: list
    size: tuple
    place: list = field(default_factory=list)  # left, bottom, width, height, once laid out


@dataclass
class Drawing:
    """The boxes in the order of computation, and arrows as (from, to, label)."""

    boxes: list = field(default_factory=list)
    arrows: list = field(default_factory=list)

    def add(self, *box, sources=()):
        """Add a box, with arrows from (box, label) sources, and return it."""
        self.boxes.append(Box(*box))
        self.arrows += [(source, self.boxes[-1], label) for source, label in sources]
        return self.boxes[-1]


class Shapes:
    """The output shapes of a model's modules, in the order of computation."""

    def __init__(self, model, scope, image):
        self.shapes, hooks = {}, []
        for module in model.modules():
            hooks.append(module.register_forward_hook(self._keep))
        try:
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                Subject(model, scope)(image)
        finally:
            for hook in hooks:
                hook.remove()
        self.macs = counter.get_total_flops() // 2

    def _keep(self, module, inputs, output):
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else None
        self.shapes.setdefault(module, shape)

    def channels(self, module):
        """Return the channels of a module's output."""
        return self.shapes[module][1]

    def size(self, module):
        """Return the height and width of a module's output."""
        return self.shapes[module][2:]

    def parts(self, module):
        """Return the parts of a module that were computed, in that order."""
        order = {part: number for number, part in enumerate(self.shapes)}
        return sorted(filter(order.__contains__, module.children()), key=order.get)


def draw_network(config, size=None):
    """Draw the model of a config and return the figure; every number is read from the model.

    Args:
        config (str): Path, or name as ``hardnet_mm::ssd512_hardnet68_coco.py``.
        size (Sequence[int], optional): Height and width of the image. Defaults to None: 224, 224
            for a classifier, 512, 512 for the others.

    Raises:
        InputError: If this tool cannot draw the model.
    """
    cfg = read_config(config)
    model = build_model(cfg)
    describe = choose(model, config)
    height, width = size or ((224, 224) if cfg.default_scope == 'mmpretrain' else (512, 512))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    shapes = Shapes(model, cfg.default_scope, torch.rand(1, 3, height, width))
    drawing = Drawing()
    image = drawing.add('backbone', 'image', [f'{height} × {width}, 3 channels'], (height, width))
    describe(drawing, model, shapes, image)
    title = str(config).replace('\\', '/').rpartition('/')[2].rpartition(':')[2].removesuffix('.py')
    facts = (
        f'{parameters / 1e6:.2f} M parameters, {shapes.macs / 1e9:.3g} GMACs '
        f'for an image of {height} × {width}.  → channels of the output, k growth rate'
    )
    return render(drawing, title, facts)


def choose(model, config):
    """Return the function that describes a model."""
    kinds = [type(getattr(model, part, None)).__name__ for part in ('neck', 'bbox_head')]
    if isinstance(getattr(model, 'backbone', None), HarDNet):
        if kinds[0] in ('HarDNetSSDNeck', 'RFBNeck'):
            return describe_ssd
        if kinds[0] == 'CTHarDNetNeck':
            return describe_centernet
        if type(getattr(model, 'decode_head', None)).__name__ == 'FCHarDNetHead':
            return describe_fchardnet
        if type(model).__name__ == 'ImageClassifier':
            return describe_classifier
    raise InputError(
        f'{config}: only a classifier, SSD, RFBNet, CenterNet or FC-HarDNet of HarDNet can be '
        f'drawn, got {type(model).__name__} of {type(getattr(model, "backbone", None)).__name__}'
    )


def lines_of(*modules, shapes):
    """Describe modules in a line each: blocks, convolutions, pools, linear layers."""
    lines = []
    for module in modules:
        line = line_of(module, shapes)
        if line:
            lines.append(line)
        else:
            lines += lines_of(*shapes.parts(module), shapes=shapes)
    return lines


def line_of(module, shapes):
    """Describe a module in a line; '' if its parts are described instead."""
    if isinstance(module, HarDBlock) or type(module).__name__ in RFB_NAMES:
        return line_of_block(module, shapes)
    if isinstance(module, nn.Conv2d):
        depthwise = 'depthwise ' if module.groups == module.in_channels > 1 else ''
        dilation = f', dilation {module.dilation[0]}' if module.dilation[0] > 1 else ''
        return f'{depthwise}{window(module)}{dilation} → {module.out_channels}'
    if isinstance(module, nn.MaxPool2d):
        return f'max pool {window(module)}'
    if isinstance(module, nn.AvgPool2d):
        return f'average pool {window(module)}'
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return 'average of all positions'
    if isinstance(module, nn.Linear):
        return f'linear → {module.out_features}'
    if isinstance(module, nn.Dropout) and module.p:
        return f'dropout {module.p:g}'
    if type(module).__name__ == 'L2Norm':
        return 'L2 norm of the channels'
    return ''


def line_of_block(module, shapes):
    """Describe a HarDNet block or a Receptive Field Block in a line."""
    channels = shapes.channels(module)
    if not isinstance(module, HarDBlock):
        name, branches = RFB_NAMES[type(module).__name__], len(module.branches)
        return f'{name}: {branches} branches{step(module.shortcut.conv.stride)} → {channels}'
    kind = 'block, depthwise' if isinstance(module.layers[0], nn.Sequential) else 'block'
    layers, growth_rate = len(module.layers), shapes.channels(module.layers[0])
    return f'{kind}: {layers} layers, k {growth_rate} → {channels}'


def window(module):
    """Format a kernel's size, and its stride if it is not 1."""
    kernel, stride = (
        value if isinstance(value, tuple) else (value, value)
        for value in (module.kernel_size, module.stride)
    )
    return f'{kernel[0]} × {kernel[1]}{step(stride)}'


def step(stride):
    """Format a stride; '' for 1."""
    return f', stride {stride[0]}' if stride[0] > 1 else ''


def describe_backbone(drawing, model, shapes, image):
    """Add the backbone's boxes; return the box and the channels of each output."""
    backbone = model.backbone
    stem = drawing.add(
        'backbone',
        'stem',
        lines_of(backbone.stem, shapes=shapes),
        shapes.size(backbone.stem),
        sources=[(image, '')],
    )
    before, stages = stem, []
    for number, stage in enumerate(backbone.stages, start=1):
        before = drawing.add(
            'backbone',
            f'stage {number}',
            lines_of(stage, shapes=shapes),
            shapes.size(stage),
            sources=[(before, '')],
        )
        stages.append(before)
    outputs = []
    for index, channels in zip(backbone.out_indices, backbone.channels):
        number = index if isinstance(index, int) else int(index.removeprefix('block'))
        outputs.append((stages[number], str(channels)))
    return outputs


def describe_classifier(drawing, model, shapes, image):
    """Add a classifier's boxes."""
    outputs = describe_backbone(drawing, model, shapes, image)
    lines = lines_of(model.neck, model.head, shapes=shapes)
    drawing.add('head', 'classes', lines, outputs[-1][0].size, sources=[outputs[-1]])


def describe_ssd(drawing, model, shapes, image):
    """Add the boxes of an SSD or RFBNet: the neck's levels, and the predictions of each level."""
    neck, head = model.neck, model.bbox_head
    first, second, *rest = levels_of(neck)
    sources = [*describe_backbone(drawing, model, shapes, image), *[None] * len(rest)]
    before = None
    for number, (modules, source, classes, boxes) in enumerate(
        zip((first, second, *rest), sources, head.cls_convs, head.reg_convs), start=1
    ):
        before = drawing.add(
            'neck',
            f'level {number}',
            lines_of(*modules, shapes=shapes),
            shapes.size(modules[-1]),
            sources=[source or (before, '')],
        )
        count = shapes.channels(boxes) // 4
        drawing.add(
            'head',
            f'{count} boxes per position',
            [
                f'classes: {lines_of(classes, shapes=shapes)[0]}',
                f'boxes: {lines_of(boxes, shapes=shapes)[0]}',
            ],
            before.size,
            sources=[(before, '')],
        )


def levels_of(neck):
    """Return the modules that compute each level of an SSD's or RFBNet's neck."""
    if hasattr(neck, 'l2_norm'):
        own = [[neck.l2_norm], [neck.bridge]]
    else:
        first, *others = neck.blocks
        own = [[neck.rfb_s], [neck.bridge, first], *([block] for block in others)]
    return [*own, *([layer] for layer in neck.extra_layers)]


def describe_centernet(drawing, model, shapes, image):
    """Add a CenterNet's boxes: the decoder's steps, and the heads."""
    neck, head = model.neck, model.bbox_head
    outputs = describe_backbone(drawing, model, shapes, image)
    skips = [outputs[-1], *outputs[::-1]]
    before, shortcuts = None, []
    for number, (source, project, block, shortcut) in enumerate(
        zip(skips, neck.projections, neck.blocks, neck.shortcut_channels)
    ):
        lines = lines_of(project, shapes=shapes)
        if number == 0:
            lines += lines_of(neck.halve, shapes=shapes)
        if shortcut:
            lines.append(f'{shortcut} of them to the output')
        lines += ['with means and shares: × 3', *lines_of(block, shapes=shapes)]
        used = number == 0 or neck.use_skips[number - 1]
        sources = ([source] if used else []) + ([(before, '')] if before else [])
        title = 'enlarged, concatenated' if used and number else 'enlarged'
        title = title if number else 'decoder'
        before = drawing.add('neck', title, lines, shapes.size(block), sources=sources)
        if shortcut:
            shortcuts.append((before, str(shortcut)))
    last = str(shapes.channels(neck.blocks[-1]))
    lines = [f'enlarged, concatenated: {neck.out_channels}']
    branches = dict(heatmap_head='heatmap', wh_head='size and offset')
    if hasattr(head, 'offset_head'):
        branches = dict(heatmap_head='heatmap', wh_head='size', offset_head='offset')
    for branch, name in branches.items():
        lines += [
            f'{name}:',
            *('    ' + line for line in lines_of(getattr(head, branch), shapes=shapes)),
        ]
    drawing.add('head', 'heads', lines, before.size, sources=[(before, last), *shortcuts[::-1]])


def describe_fchardnet(drawing, model, shapes, image):
    """Add FC-HarDNet's boxes: the decoder's steps, and the class scores."""
    head = model.decode_head
    *skips, before = describe_backbone(drawing, model, shapes, image)
    for skip, project, block in zip(skips[::-1], head.projections, head.blocks):
        lines = lines_of(project, block, shapes=shapes)
        title, size = 'enlarged, concatenated', shapes.size(block)
        before = drawing.add('neck', title, lines, size, sources=[skip, before]), ''
    lines = [*lines_of(head.conv_seg, shapes=shapes), 'enlarged to the image']
    drawing.add('head', 'class scores', lines, before[0].size, sources=[before])


def render(drawing, title, facts):
    """Compute the layout of a drawing, and draw it."""
    columns = [c for c in FILLS if any(box.column == c for box in drawing.boxes)]
    sizes = sorted({box.size for box in drawing.boxes}, reverse=True)
    pitch = (WIDTH - MARGIN) / max(2, len(columns))
    cells = {
        (size, column): [b for b in drawing.boxes if (b.size, b.column) == (size, column)]
        for size in sizes
        for column in columns
    }
    heights = {
        size: max(
            sum(map(height_of, cells[size, c])) + GAP * (len(cells[size, c]) - 1) for c in columns
        )
        for size in sizes
    }
    total = TITLE + sum(heights.values()) + GAP * len(sizes) + 10
    figure, axes = new_canvas(total)
    axes.text(16, total - 22, title, fontsize=12, weight='bold', va='center')
    axes.text(16, total - 43, facts, color=FAINT, va='center')
    top = total - TITLE
    for size in sizes:
        place_row(axes, drawing.boxes[0].size, size, top, heights[size])
        for number, column in enumerate(columns):
            place_cell(cells[size, column], MARGIN + number * pitch, top, heights[size], pitch)
        top -= heights[size] + GAP
    counts = {}
    for source, target, label in drawing.arrows:
        number = counts.get(id(target), 0)
        draw_arrow(axes, source, target, label, number)
        counts[id(target)] = number + turns(source, target)
    for box in drawing.boxes:
        draw_box(axes, box)
    return figure


def height_of(box):
    """Return the height of a box, in pixels."""
    return LINE * (1 + len(box.lines)) + 2 * PADDING


def place_row(axes, image, size, top, height):
    """Draw the line above a row, and its stride and size at the left."""
    axes.plot((10, WIDTH - 10), (top + GAP / 2,) * 2, color=RULE, lw=0.8)
    stride = image[0] / size[0]
    axes.text(
        16,
        top - 10,
        f'stride {round(stride)}' if size != image else 'input',
        weight='bold',
        fontsize=8.5,
        va='center',
    )
    axes.text(16, top - 25, f'{size[0]} × {size[1]}', color=FAINT, fontsize=8.5, va='center')


def place_cell(boxes, left, top, height, pitch):
    """Place the boxes of a row and column, one below the other."""
    for box in boxes:
        own = height_of(box)
        box.place = [left, top - own, pitch - 46, own]
        top -= own + GAP


def draw_box(axes, box):
    """Draw a box and its text."""
    left, bottom, width, height = box.place
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom),
            width,
            height,
            boxstyle='round,pad=0,rounding_size=5',
            facecolor=FILLS[box.column],
            edgecolor=EDGES[box.column],
            lw=1.1,
            zorder=3,
        )
    )
    y = bottom + height - PADDING - LINE / 2
    axes.text(
        left + 10, y, box.title, weight='bold', color=EDGES[box.column], va='center', zorder=4
    )
    for number, line in enumerate(box.lines, start=1):
        axes.text(
            left + 10, y - LINE * number, line, color=INK, fontsize=8.5, va='center', zorder=4
        )


def draw_arrow(axes, source, target, label, number):
    """Draw an arrow between two boxes: up or down in a column, to the right between columns.

    ``number`` is the index of the arrow among those with a bend to the same target, so that none
    hides another.
    """
    left, bottom, width, height = source.place
    aim_left, aim_bottom, aim_width, aim_height = target.place
    if source.column == target.column:
        down = aim_bottom < bottom
        x = left + width / 2
        start = (x, bottom if down else bottom + height)
        end = (x, aim_bottom + aim_height if down else aim_bottom)
    elif not turns(source, target):
        start = (left + width, bottom + height - PADDING - LINE / 2)
        end = (aim_left, start[1])
    else:
        y = bottom + 14
        turn = left + width + 27 + 10 * number
        end_y = aim_bottom + aim_height - PADDING - LINE / 2
        end_y -= 18 * (number + 1) if aim_bottom > bottom else 0
        axes.plot((left + width, turn, turn), (y, y, end_y), **LINE_OF_ARROW, zorder=2)
        start, end = (turn, end_y), (aim_left, end_y)
        axes.text(left + width + 3, y + 8, label, fontsize=8, color=FAINT, va='center')
        label = ''
    axes.annotate('', end, start, arrowprops=ARROW, zorder=2)
    axes.text(start[0] + 3, start[1] + 8, label, fontsize=8, color=FAINT, va='center')


def turns(source, target):
    """Return whether an arrow has a bend: it leads to another column and another height."""
    top, aim = (box.place[1] + box.place[3] for box in (source, target))
    return source.column != target.column and top != aim
