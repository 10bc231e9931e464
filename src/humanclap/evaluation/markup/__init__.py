"""What every page of results is made of: HTML, its style and script, and charts as inline SVG.

In: plain numbers and words. Out: strings of markup that opens offline and follows light and dark.
Begin with `html.document`; `charts` draws every chart, `players` let one listen, and `static/`
holds the style sheet and the script.
"""
