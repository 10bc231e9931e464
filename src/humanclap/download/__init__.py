"""Files over HTTP: resumable, hashed, and some of them kept in the user's cache folder.

In: an address with its SHA-256. Out: a whole file with that hash, or an error. Begin with
`resumable`; `cache` keeps files between runs, `seen` remembers the hashes of large ones.
"""
