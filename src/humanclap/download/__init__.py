"""Files over HTTP: resumable, hashed, and some of them kept in the user's cache folder."""
