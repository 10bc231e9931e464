"""The web pages of a listening test; no other room of `listening` imports a web framework.

In: requests of listeners and of the researcher. Out: pages, clips and stored answers. Begin with
`app.create_app`; `listener` and `admin` are the pages, `guard` refuses, `static` and `templates`
hold what browsers get (a button's colour is in `static/style.css`).
"""
