"""What every page of results is made of: HTML, its style and script, and charts as inline SVG.

In: plain numbers and words. Out: strings of markup that opens offline and follows light and dark.
Begin with `html.document`; `style` holds colours, `charts` and `plots` draw, `players` let one
listen.
"""
