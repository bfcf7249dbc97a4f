"""The links of a HarDNet block, as in the paper's figures 1 and 2."""

from matplotlib.patches import Arc, Rectangle

from hardnet_mm.backbones.hardnet_block import HarDBlock, harmonic_links

from .style import BLUE, FAINT, GREEN, INK, ORANGE, RED, RULE, VIOLET, WIDTH, new_canvas

# of the links of 1, 2, 4, 8, ... layers' length
COLOURS = (FAINT, BLUE, ORANGE, GREEN, VIOLET, RED)
LEFT, RIGHT, TOP = 60, 60, 62  # pixels beside and above the layers
TALLEST = 120  # of the bars, pixels


def draw_links(num_layers, growth_rate, growth_multiplier):
    """Draw a block: an arc for each link, a bar for each layer's channels; return the figure.

    Args:
        num_layers (int): Layers of the block.
        growth_rate (int): Channels of a layer with one link (``k`` in the paper).
        growth_multiplier (float): Factor of a layer's width for each further link (``m``).
    """
    block = HarDBlock(growth_rate, growth_rate, growth_multiplier, num_layers)
    widths = [layer.out_channels for layer in block.layers]
    step = (WIDTH - LEFT - RIGHT) / num_layers
    longest = max(
        layer - link for layer in range(1, num_layers + 1) for link in harmonic_links(layer)
    )
    flattening = min(1, 300 / (longest * step / 2))
    arcs_height = longest * step / 2 * flattening
    side = min(30, 0.62 * step)
    floor = TALLEST + 84  # the bars' top
    line = floor + 24 + side / 2  # of the layers' middles
    height = line + side / 2 + arcs_height + TOP
    figure, axes = new_canvas(height)

    def x_of(layer):
        return LEFT + layer * step

    for layer in range(1, num_layers + 1):
        for link in harmonic_links(layer):
            draw_link(axes, x_of(link), x_of(layer), line + side / 2, layer - link, flattening)
    for layer in range(num_layers + 1):
        draw_layer(axes, x_of(layer), line, side, layer, layer in block.out_layers)
    tallest = max(widths)
    for layer, width in enumerate(widths, start=1):
        colour = BLUE if layer in block.out_layers else RULE
        bar = TALLEST * width / tallest
        axes.add_patch(
            Rectangle((x_of(layer) - side / 2, floor - bar), side, bar, facecolor=colour, lw=0)
        )
        axes.text(x_of(layer), floor - bar - 5, width, ha='center', va='top', fontsize=8)
    axes.text(x_of(0), floor - 4, 'channels', ha='center', va='top', fontsize=8, color=FAINT)
    write_around(axes, block, growth_rate, growth_multiplier, height)
    return figure


def draw_link(axes, start, end, base, length, flattening):
    """Draw an arc from one layer's top to another's."""
    colour = COLOURS[(length.bit_length() - 1) % len(COLOURS)]
    axes.add_patch(
        Arc(
            ((start + end) / 2, base),
            end - start,
            (end - start) * flattening,
            theta1=0,
            theta2=180,
            color=colour,
            lw=1.4,
        )
    )


def draw_layer(axes, x, y, side, layer, is_output):
    """Draw a layer's square; those of the output are filled."""
    axes.add_patch(
        Rectangle(
            (x - side / 2, y - side / 2),
            side,
            side,
            facecolor=BLUE if is_output else 'white',
            edgecolor=BLUE if layer else INK,
            linestyle='-' if layer else (0, (2, 1.5)),
            lw=1.2,
        )
    )
    axes.text(
        x, y - 0.5, layer, ha='center', va='center', color='white' if is_output else INK, fontsize=9
    )


def write_around(axes, block, growth_rate, growth_multiplier, height):
    """Write the title and the legend."""
    links, num_layers = sum(map(len, block.links)), len(block.links)
    axes.text(
        LEFT - 15,
        height - 20,
        f'A HarDNet block of {num_layers} layers, k = {growth_rate}, m = {growth_multiplier:g}',
        fontsize=12,
        weight='bold',
        va='center',
    )
    axes.text(
        LEFT - 15,
        height - 41,
        f'{links} links; a DenseNet block has {num_layers * (num_layers + 1) // 2}. '
        'Layer l reads layer l − 2ⁿ for every 2ⁿ that divides l.',
        color=FAINT,
        va='center',
    )
    for y, line in (
        (
            38,
            f'Dashed: the input. Filled: the layers of the output, {block.out_channels} channels.',
        ),
        (20, 'A layer that reads n layers has k·mⁿ⁻¹ channels, rounded to an even number.'),
    ):
        axes.text(LEFT - 15, y, line, color=FAINT, va='center')
